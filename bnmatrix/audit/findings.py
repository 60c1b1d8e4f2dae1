"""Findings: named hazards, each a data file with what it is, why it matters, an example, a remedy for each
framework, and the facts that show it. Nothing here knows a framework.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import msgspec

from bnmatrix.audit.layers import FACTS, AuditedLayer

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).parent.parent / "findings"

FRAMEWORKS = ("keras", "torch")


class Remedy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What to do, in words and as code in which `{paths}` is a list of the layers' paths."""

    says: str
    code: str


class Finding(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A hazard.

    when:   alternatives, each {fact: the values that show it}
    unless: findings that say more: where one of them is found in a layer, this one is not
    """

    id: str
    name: str
    title: str
    what: str
    why: str
    example: dict[str, str]
    remedy: dict[str, Remedy]
    references: list[str]
    when: list[dict[str, list[str]]]
    unless: list[str] = []


@cache
def findings() -> dict[str, Finding]:
    """{id: finding}, in order. Raises ValueError for a file that is not as it should be: ours are."""
    found = {}
    for path in sorted(FOLDER.glob("*.toml")):
        try:
            finding = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), Finding)
        except (msgspec.ValidationError, tomllib.TOMLDecodeError) as error:
            raise ValueError(f"{path}: {error}") from error
        unknown = {fact for when in finding.when for fact in when} - FACTS.keys()
        if finding.id != path.stem or unknown:
            raise ValueError(f"{path}: id {finding.id}, unknown facts {sorted(unknown)}")
        found[finding.id] = finding
    return found


def of_word(word: str) -> Finding | None:
    """The finding of this id or name."""
    return next((each for each in findings().values() if word in (each.id, each.name)), None)


def marked(layers: Sequence[AuditedLayer]) -> list[AuditedLayer]:
    """The layers with the findings that their facts show."""
    return [msgspec.structs.replace(layer, findings=_of(layer.facts)) for layer in layers]


def _of(facts: Mapping[str, str]) -> list[str]:
    shown = [each.id for each in findings().values() if any(_shows(facts, when) for when in each.when)]
    return [each for each in shown if not set(findings()[each].unless) & set(shown)]


def _shows(facts: Mapping[str, str], when: Mapping[str, Sequence[str]]) -> bool:
    return all(facts.get(fact, "") in values for fact, values in when.items())

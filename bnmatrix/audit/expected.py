"""Does a model do what its user says it does: PATTERN=frozen, PATTERN=trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from bnmatrix.audit.layers import STATISTICS, AuditedLayer, named
from bnmatrix.errors import UsageError, unknown
from bnmatrix.patterns import select

WORDS = {
    "frozen": "nothing of it moves: neither parameters nor statistics",
    "trains": "its parameters move, and its statistics where it keeps some",
}


class Expectation(msgspec.Struct, frozen=True):
    """What is expected of the layers that a pattern names."""

    pattern: str
    word: str


class Answer(msgspec.Struct, frozen=True):
    """What became of an expectation; `against`: {layer: what contradicts it}."""

    pattern: str
    expected: str
    answer: str
    against: dict[str, str] = {}


def parsed(texts: Sequence[str]) -> list[Expectation]:
    """From PATTERN=WORD. Raises UsageError."""
    found = []
    for text in texts:
        pattern, equals, word = text.rpartition("=")
        if not equals or not pattern:
            raise UsageError(f"--expect {text!r} is not PATTERN=WORD", 'write --expect "backbone.*=frozen"')
        if word not in WORDS:
            raise unknown("expectation", word, list(WORDS), f"{pattern}: ")
        found.append(Expectation(pattern, word))
    return found


def answered(expectations: Sequence[Expectation], layers: Sequence[AuditedLayer]) -> list[Answer]:
    """What became of each. Raises UsageError for a pattern that names nothing."""
    by_path = {layer.path: layer for layer in layers}
    found = []
    for each in expectations:
        chosen = select(named(layers), [each.pattern])
        against = {}
        for path, tensors in chosen.items():
            told = _against(by_path[path], tensors, each.word)
            if told:
                against[path or "model"] = told
        found.append(Answer(each.pattern, each.word, "failed" if against else "holds", against))
    return found


def _against(layer: AuditedLayer, tensors: Sequence[str], word: str) -> str:
    moved = [name for name in tensors if name in layer.moved]
    if word == "frozen":
        return f"{_listed(moved)} moved" if moved else ""
    still = [name for name in tensors if name not in layer.moved]
    parameters = [name for name in moved if layer.moved[name].parameter]
    statistics = [name for name in still if name in STATISTICS]
    others = [name for name in still if name not in STATISTICS]
    # A bias before a normalisation by the batch has no gradient, beside others of its layer that move.
    lacking = statistics + (others if not parameters and layer.facts.get("parameters") != "absent" else [])
    return f"{_listed(lacking)} stood still" if lacking else ""


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def by_config(table: Mapping[str, str]) -> list[str]:
    """The texts of a project's {pattern: word}."""
    return [f"{pattern}={word}" for pattern, word in table.items()]

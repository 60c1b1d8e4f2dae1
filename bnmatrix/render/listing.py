"""What there is to choose from, as plain text or JSON. Light: neither rich nor msgspec.

Each kind is a list of tables of the same fields; `as_text` shows them in columns.
"""

from __future__ import annotations

import json
import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

Entry = dict[str, Any]
Row = tuple[str, ...]

GAP = 2
WIDEST_FIRST = 40
"""Columns but the last are not wider, whatever they hold."""


def layers() -> list[Entry]:
    """Every layer: what each framework calls it, which ranks and variants it has."""
    from bnmatrix.layers import layers as known

    return [
        {
            "name": layer.name,
            "family": layer.family,
            "ranks": list(layer.ranks),
            "variants": layer.variants,
            "state": list(layer.slots),
            "classes": layer.classes,
        }
        for layer in known().values()
    ]


def frameworks() -> list[Entry]:
    """Every framework: what it is, whether it is installed, and how to install it."""
    from bnmatrix.environment.current import current
    from bnmatrix.target import BACKENDS, FAMILIES

    here = current()
    found = []
    for family in FAMILIES.values():
        backends = [(family.name, family.packages, family.extra)]
        if family.name == "keras":
            backends = [(f"keras[{name}]", (*family.packages, name), family.extra) for name in BACKENDS]
        for name, packages, extra in backends:
            missing = [package for package in packages if not here.has_module(package)]
            install = f"pip install 'bnmatrix[{extra}]'"
            if family.name == "keras":
                install = f"pip install {' '.join(packages)}"
            elif extra is None:
                install = f"bnmatrix env create {name}"
            found.append(
                {
                    "name": name,
                    "meaning": family.meaning,
                    "installed": not missing,
                    "missing": missing,
                    "install": install,
                    "executions": list(family.values["execution"]),
                }
            )
    return found


def axes() -> list[Entry]:
    """Every axis: its values, with what they mean, its default, and what not every framework has.

    `only` holds {value: frameworks} of the values that some lack.
    """
    from bnmatrix.axes import AXES
    from bnmatrix.target import FAMILIES

    found = []
    for axis in AXES.values():
        having = {
            value: [
                name for name, family in FAMILIES.items() if value in family.values.get(axis.name, (value,))
            ]
            for value in axis.values
        }
        found.append(
            {
                "name": axis.name,
                "meaning": axis.meaning,
                "default": axis.default,
                "values": dict(axis.values),
                "only": {value: names for value, names in having.items() if len(names) < len(FAMILIES)},
            }
        )
    return found


def scenarios() -> list[Entry]:
    """Every shipped scenario: the question it answers and where that comes from."""
    from bnmatrix.scenario_file import find, names

    return [
        {
            "name": name,
            "title": scenario.title,
            "question": scenario.question,
            "source": scenario.source,
            "frameworks": list(scenario.frameworks),
            "expectations": len(scenario.expect),
        }
        for name in names()
        for scenario in [find(name)]
    ]


def findings() -> list[Entry]:
    """Every finding of an audit: what it is, and in which frameworks it occurs."""
    from bnmatrix.audit.findings import findings as known

    return [
        {
            "name": finding.id,
            "word": finding.name,
            "title": finding.title,
            "frameworks": list(finding.remedy),
            "references": finding.references,
        }
        for finding in known().values()
    ]


def claims() -> list[Entry]:
    """Every claim: the shipped ones and the project's."""
    from bnmatrix.claim_file import every

    return [
        {
            "name": claim.id,
            "says": claim.says,
            "source": claim.source,
            "frameworks": list(claim.frameworks),
            "expectations": len(claim.scenario.expect),
            "models": [part.factory for part in claim.models],
        }
        for claim in every()
    ]


def as_json(entries: Sequence[Entry]) -> str:
    """The entries as JSON."""
    return json.dumps(entries, indent=2)


def as_text(kind: str, entries: Sequence[Entry]) -> str:
    """The entries in columns, as wide as the terminal."""
    shapes = {
        "layers": _layers,
        "frameworks": _frameworks,
        "axes": _axes,
        "scenarios": _scenarios,
        "claims": _claims,
        "findings": _findings,
    }
    shape = shapes[kind]
    heading, *rows = shape(entries)
    return "\n".join(columns(heading, rows, shutil.get_terminal_size((80, 24)).columns))


def _layers(entries: Sequence[Entry]) -> Iterator[Row]:
    yield "layer", "in", "as"
    for entry in entries:
        by_class: dict[str, list[str]] = {}
        for framework, name in entry["classes"].items():
            by_class.setdefault(name, []).append(framework)
        for number, (name, frameworks) in enumerate(by_class.items()):
            yield "" if number else entry["name"], ", ".join(frameworks), name


def _frameworks(entries: Sequence[Entry]) -> Iterator[Row]:
    yield "framework", "installed", "what it is"
    for entry in entries:
        yield entry["name"], "yes" if entry["installed"] else "no", entry["meaning"]
        if not entry["installed"]:
            yield "", "", entry["install"]


def _axes(entries: Sequence[Entry]) -> Iterator[Row]:
    yield "axis", "value (* default)", "meaning, and who has it where not all do"
    for entry in entries:
        yield entry["name"], "", entry["meaning"]
        for value, meaning in entry["values"].items():
            only = entry["only"].get(value)
            having = f"[{_families(only)}]" if only is not None else ""
            text = " ".join(part for part in (meaning, having) if part)
            yield "", f"{'*' if value == entry['default'] else ' '} {value}", text


def _families(names: Sequence[str]) -> str:
    """`torch`, or `not torch`, whichever is shorter; `none` where nobody has it."""
    from bnmatrix.target import FAMILIES

    lacking = [name for name in FAMILIES if name not in names]
    return f"not {', '.join(lacking)}" if len(lacking) < len(names) else ", ".join(names) or "none"


def _scenarios(entries: Sequence[Entry]) -> Iterator[Row]:
    yield "scenario", "what it shows"
    for entry in entries:
        about = f" ({', '.join(entry['frameworks'])})" if entry["frameworks"] else ""
        yield entry["name"], entry["title"] + about


def _findings(entries: Sequence[Entry]) -> Iterator[Row]:
    yield "finding", "what shows"
    for entry in entries:
        yield entry["name"], f"{entry['title']} ({', '.join(entry['frameworks'])})"


def _claims(entries: Sequence[Entry]) -> Iterator[Row]:
    yield "claim", "what it says"
    for entry in entries:
        frameworks = _families(entry["frameworks"])
        yield entry["name"], entry["says"] + (f" [{frameworks}]" if frameworks != "not " else "")


def columns(heading: Row, rows: Sequence[Row], width: int) -> Iterator[str]:
    """Columns as wide as they need, the last one wrapped; no columns where the terminal is too narrow."""
    firsts = [
        min(max(len(row[number]) for row in (heading, *rows)), WIDEST_FIRST)
        for number in range(len(heading) - 1)
    ]
    used = sum(firsts) + GAP * len(firsts)
    narrow = width - used < 20
    rules = tuple("-" * len(name) for name in heading)
    for row in (heading, rules, *rows):
        if narrow:
            text = "  ".join(part for part in row if part)
            yield from textwrap.wrap(text, max(width, 20), subsequent_indent="    ") or [""]
            continue
        lead = "".join(part.ljust(size + GAP) for part, size in zip(row, firsts, strict=False))
        yield from (
            line.rstrip()
            for line in textwrap.wrap(
                row[-1] or " ",
                width,
                initial_indent=lead,
                subsequent_indent=" " * used,
                drop_whitespace=bool(row[-1]),
            )
        )

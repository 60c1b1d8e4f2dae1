"""Isolated environments and what they need, as plain text or JSON. Light, as `listing` is."""

from __future__ import annotations

import shutil
import textwrap
import time
from collections.abc import Iterator, Sequence
from typing import Any

from bnmatrix.environment.isolated import megabytes
from bnmatrix.render.listing import GAP, Row, columns

Entry = dict[str, Any]

HEADING = ("target", "Python", "as of", "packages", "size", "made", "state")

NARROWEST = 16
"""The last column is wrapped, but not narrower than this."""


def environments(entries: Sequence[Entry], width: int | None = None) -> str:
    """A table of environments; where it is too wide, the target has a line of its own, or each value has."""
    if not entries:
        return "no environment has been made yet"
    width = width or _width()
    rows = [_environment(entry) for entry in entries]
    heading, rule, *body = _aligned([HEADING, tuple("-" * len(name) for name in HEADING), *rows])
    table = ["".join(row).rstrip() for row in (heading, rule, *body)]
    if max(map(len, table)) <= width:
        return "\n".join(table)
    room = width - GAP - sum(map(len, heading[1:-1]))
    if room < NARROWEST:
        return "\n".join(line for row in rows for line in _one_by_one(row, width))
    lines = [HEADING[0], *("".join((" " * GAP, *row[1:])).rstrip() for row in (heading, rule))]
    for row in body:
        lead = " " * GAP + "".join(row[1:-1])
        hanging = " " * len(lead)
        lines.append(row[0].rstrip())
        lines += textwrap.wrap(row[-1], width, initial_indent=lead, subsequent_indent=hanging)
    return "\n".join(lines)


def _aligned(rows: Sequence[Row]) -> list[Row]:
    """The rows with every column but the last as wide as its widest entry, and a gap."""
    sizes = [max(map(len, column)) + GAP for column in zip(*rows, strict=True)]
    return [
        (*(part.ljust(size) for part, size in zip(row[:-1], sizes, strict=False)), row[-1]) for row in rows
    ]


def _environment(entry: Entry) -> Row:
    return (
        entry["target"],
        entry["python"] or "?",
        entry["as_of"] or "-",
        "?" if entry["packages"] is None else str(len(entry["packages"])),
        megabytes(entry["size"]),
        "?" if entry["made"] is None else time.strftime("%Y-%m-%d", time.localtime(entry["made"])),
        entry["fault"] or "whole",
    )


def _one_by_one(row: Row, width: int) -> Iterator[str]:
    yield from textwrap.wrap(row[0], width, subsequent_indent="    ")
    for name, part in zip(HEADING[1:], row[1:], strict=True):
        yield from textwrap.wrap(f"  {name}: {part}", width, subsequent_indent="    ")


def checks(entries: Sequence[Entry], width: int | None = None) -> str:
    """What was looked at, how it is, and how to mend it."""
    rows = []
    for entry in entries:
        rows.append((entry["name"], entry["state"], entry["what"]))
        if entry["mend"]:
            rows.append(("", "", f"to mend: {entry['mend']}"))
    return "\n".join(columns(("part", "state", "found"), rows, width or _width()))


def _width() -> int:
    return shutil.get_terminal_size((80, 24)).columns

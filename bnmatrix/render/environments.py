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
    """A table of environments. A target that is too long for it has a line of its own; where the terminal is
    too narrow for any, each value has.
    """
    if not entries:
        return "no environment has been made yet"
    width = width or _width()
    rows = [_environment(entry) for entry in entries]
    table = [HEADING, tuple("-" * len(name) for name in HEADING), *rows]
    targets, *middle, last = ([len(part) for part in column] for column in zip(*table, strict=True))
    sizes = [max(lengths) + GAP for lengths in middle]
    room = width - GAP - sum(sizes) - min(max(last), NARROWEST)
    if room < len(HEADING[0]):
        return "\n".join(line for row in rows for line in _one_by_one(row, width))
    sizes = [max(length for length in targets if length <= room) + GAP, *sizes]
    lines = []
    for target, *parts in table:
        if len(target) > room:
            lines += textwrap.wrap(target, width, subsequent_indent="    ")
            target = ""
        lead = "".join(part.ljust(size) for part, size in zip((target, *parts), sizes, strict=False))
        lines += textwrap.wrap(parts[-1], width, initial_indent=lead, subsequent_indent=" " * len(lead))
    return "\n".join(lines)


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

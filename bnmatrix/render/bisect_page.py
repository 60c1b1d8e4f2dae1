"""The page of a bisection: the first release with each change, what came and went, and what was skipped."""

from __future__ import annotations

from rich.text import Text

from bnmatrix.bisect import Bisection
from bnmatrix.render import over_time, searched, wording
from bnmatrix.render.diff_page import change, change_of
from bnmatrix.render.layout import (
    INDENT,
    STYLES,
    Sheet,
    View,
    heading,
    indented,
    labelled,
    room,
    ruled,
    separated,
)
from bnmatrix.render.over_time import Strip
from bnmatrix.render.timeline_page import of_fact, strips
from bnmatrix.timeline import Changes

FEW = 2
"""Cells of a place that are named."""


def page(result: Bisection, expand: bool = False) -> View:
    """The page of a bisection; `expand` lists every cell."""

    def view(sheet: Sheet) -> list[Text]:
        parts = [
            ruled(searched.range_of(result), searched.size(result), sheet),
            *(_step(step, result, sheet, expand) for step in result.changes),
            more_than_once(result, sheet, expand),
            beneath(result, sheet),
        ]
        lines = [line for part in parts if part for line in (*part, Text())]
        return lines[:-1]

    return view


def _step(step: Changes, result: Bisection, sheet: Sheet, expand: bool) -> list[Text]:
    """Where it changed, and what: the weightiest first."""
    lines = heading(searched.answer(step), wording.cells(step.cells), sheet)
    for name, why in searched.in_between(step, result):
        text = Text(f"{sheet.signs.undecided} {name}", STYLES["doubtful"]).append(f" {why}", "default")
        lines += indented(text, sheet.width, INDENT, INDENT)
    in_full, counted, apart = searched.shown(step, expand)
    for conditions in wording.by_place(in_full):
        ids = wording.ids(conditions)
        if len(ids) > FEW:
            lines += change(conditions, sheet, with_ids=expand)
            continue
        for identity in ids:
            lines += indented(Text(identity, STYLES["head"]), sheet.width, INDENT, INDENT)
        lines += change_of(conditions, sheet, 2 * INDENT)
    rest = [*over_time.appearing(apart), *([f"also {wording.counted(counted)}"] if counted else [])]
    return [*lines, *(line for text in rest for line in indented(Text(text), sheet.width, INDENT, INDENT))]


def more_than_once(result: Bisection, sheet: Sheet, expand: bool) -> list[Text]:
    """What changed again, release by release."""
    lines: list[Text] = []
    for ids, facts, pieces in searched.more_than_once(result):
        for identity in ids if expand else ids[:FEW]:
            lines += indented(Text(identity), sheet.width, INDENT, INDENT)
        if not expand and len(ids) > FEW:
            more = f"and {wording.cells(len(ids) - FEW, more=True)}: --expand"
            lines += indented(Text(more), sheet.width, INDENT, INDENT)
        lines += strips([Strip((facts,), "", "", pieces)], of_fact, sheet, 2 * INDENT)
    return [*heading("changed more than once", "", sheet), *lines] if lines else []


def beneath(result: Bisection, sheet: Sheet) -> list[Text]:
    """What was measured, what could not be, and how the ends compare."""
    lines: list[Text] = []
    if not result.changes:
        lines += [*indented(Text(searched.nothing(result)), sheet.width, INDENT), Text()]
    for name, reason in searched.skipped(result):
        text = Text(f"{sheet.signs.bad} {name}", STYLES["bad"]).append(f": {reason}", "default")
        lines += labelled("skipped", indented(text, room(sheet), 0, INDENT), sheet)
    names = separated(searched.measured(result), sheet, room(sheet))
    lines += labelled("measured", names, sheet)
    summary = result.summary
    counts = {
        "changed": summary.changed,
        "the same": summary.same,
        "not comparable": summary.not_comparable,
        "unstable": summary.unstable,
    }
    parts = [Text(f"{count} {word}", "" if count else STYLES["dim"]) for word, count in counts.items()]
    return [*lines, *labelled("ends", separated(parts, sheet, room(sheet)), sheet)]

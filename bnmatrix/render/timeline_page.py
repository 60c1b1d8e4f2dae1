"""The page of a timeline: what changed between which releases; then laws, or cells, release by release."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.text import Text

from bnmatrix.comparison import Condition
from bnmatrix.render import over_time, wording
from bnmatrix.render.diff_page import change
from bnmatrix.render.layout import (
    INDENT,
    STYLES,
    Sheet,
    View,
    columns,
    entry,
    heading,
    indented,
    labelled,
    room,
    ruled,
    separated,
)
from bnmatrix.render.over_time import Doubt, Piece, Strip
from bnmatrix.timeline import Changes, Timeline

BAR = "|"
GAP = 2
MOST_LINES = 3
"""More lines of names of releases than this are left to `--expand`."""


def page(timeline: Timeline, expand: bool = False) -> View:
    """The page of a timeline; `expand` shows the history of every cell that changes."""

    def view(sheet: Sheet) -> list[Text]:
        parts = [
            header(timeline, sheet, expand),
            changes(timeline, sheet, expand),
            laws(timeline, sheet, expand),
            every_cell(timeline, sheet) if expand else [],
            the_same(timeline, sheet),
            not_comparable(timeline, sheet, expand),
            doubts("undecided", over_time.undecided(timeline), sheet, expand),
            doubts("unstable", over_time.unstable(timeline), sheet, expand),
        ]
        lines = [line for part in parts if part for line in (*part, Text())]
        return lines[:-1]

    return view


def header(timeline: Timeline, sheet: Sheet, expand: bool) -> list[Text]:
    """Which releases of what, how many cells change, and what could not be measured."""
    lines = ruled(over_time.range_of(timeline), over_time.size(timeline), sheet)
    if expand:
        return [*lines, *every_release(timeline, sheet)]
    names = separated([release.release for release in timeline.releases], sheet, room(sheet))
    lines += labelled("releases", names, sheet) if len(names) <= MOST_LINES else []
    for which, reason in over_time.not_measured(timeline):
        text = _no_result(which, reason, sheet)
        lines += labelled("no result", indented(text, room(sheet), 0, INDENT), sheet)
    return lines


def every_release(timeline: Timeline, sheet: Sheet) -> list[Text]:
    """What each release was measured with, or why it was not."""
    lines: list[Text] = []
    longest = max(len(release.release) for release in timeline.releases)
    for release in timeline.releases:
        if release.reason is None:
            what = Text(f" {sheet.signs.dot} ".join(wording.versions(release)), STYLES["dim"])
        else:
            what = _no_result("no result", release.reason, sheet)
        lines += indented(Text(f"{release.release:<{longest + GAP}}") + what, sheet.width, INDENT, INDENT)
    return lines


def _no_result(what: str, reason: str, sheet: Sheet) -> Text:
    return Text(f"{sheet.signs.bad} {what}", STYLES["bad"]).append(f": {reason}", "default")


def changes(timeline: Timeline, sheet: Sheet, expand: bool) -> list[Text]:
    """What changed between two releases, by the cells in which it did, in order of release."""
    lines: list[Text] = []
    for step in timeline.changes:
        lines += [*([Text()] if lines else []), *_step(step, timeline, sheet, expand)]
    return [*heading("what changed", "", sheet), *lines] if lines else []


def _step(step: Changes, timeline: Timeline, sheet: Sheet, expand: bool) -> list[Text]:
    title = Text(over_time.between(step), STYLES["head"])
    title.append(f"  {wording.cells(step.cells)}", "not bold dim")
    if silent := over_time.in_between(step, timeline):
        title.append(f"  {sheet.signs.undecided} {silent}", STYLES["doubtful"])
    lines = indented(title, sheet.width, INDENT, INDENT)
    in_full: list[Condition] = []
    counted: list[Condition] = []
    apart: list[Condition] = []
    for one in step.conditions:
        short = counted if one.severity == "descriptive" else apart if wording.one_sided(one) else in_full
        (in_full if expand else short).append(one)
    for conditions in wording.by_place(in_full):
        lines += change(conditions, sheet, with_ids=False, indent=2 * INDENT)
    rest = [*over_time.appearing(apart), *([f"also {wording.counted(counted)}"] if counted else [])]
    return [
        *lines,
        *(line for text in rest for line in indented(Text(text), sheet.width, 2 * INDENT, INDENT)),
    ]


def laws(timeline: Timeline, sheet: Sheet, expand: bool) -> list[Text]:
    """The laws that change, run by run; with `expand` those that do not as well."""
    lines: list[Text] = []
    for layer in dict.fromkeys(law.layer for law in timeline.laws):
        if found := over_time.law_strips(timeline, layer, aside=expand):
            lines += [*([Text()] if lines else []), *heading("laws", layer, sheet)]
            lines += strips(found, _of_law, sheet)
    return lines


def every_cell(timeline: Timeline, sheet: Sheet) -> list[Text]:
    """The facts of every cell that changes, run by run."""
    lines: list[Text] = []
    for identity, rows in over_time.by_cell(timeline).items():
        lines += indented(Text(identity), sheet.width, INDENT, INDENT)
        lines += strips(over_time.cell_strips(rows, timeline), of_fact, sheet, 2 * INDENT)
    return [*heading("cells", "that change", sheet), *lines] if lines else []


def strips(
    found: Sequence[Strip], piece_of: Callable[[Piece, Sheet], Text], sheet: Sheet, indent: int = INDENT
) -> list[Text]:
    """A row each: what, and its runs beside it; beneath it where one of them is too wide."""
    rows = [(Text(strip.subject), [piece_of(piece, sheet) for piece in strip.pieces]) for strip in found]
    left = max(len(subject) for subject, _ in rows)
    right = sheet.width - indent - left - GAP
    beside = [[subject, *separated(parts, sheet, max(right, 1), BAR)] for subject, parts in rows]
    if all(len(row) == 2 for row in beside):
        return [Text(" " * indent) + line for line in columns(beside, [left, right], GAP)]
    lines: list[Text] = []
    for subject, parts in rows:
        lines += indented(subject, sheet.width, indent, INDENT)
        runs = separated(parts, sheet, sheet.width - indent - INDENT, BAR)
        lines += [Text(" " * (indent + INDENT)) + line for line in runs]
    return lines


def _of_law(piece: Piece, sheet: Sheet) -> Text:
    which, rule, is_gap = piece
    if is_gap:
        return _gap(piece, sheet)
    return Text(f"{which}: ", STYLES["dim"]).append(str(rule), "not dim bold")


def of_fact(piece: Piece, sheet: Sheet) -> Text:
    which, value, is_gap = piece
    if is_gap:
        return _gap(piece, sheet)
    return Text(f"{which}: ", STYLES["dim"]) + entry(value, sheet.signs)


def _gap(piece: Piece, sheet: Sheet) -> Text:
    """A gap with its sign: what a release does not have is no doubt."""
    which, says, _ = piece
    text = Text(f"{which}: ", STYLES["dim"])
    if says in wording.DOUBTFUL:
        return text + entry(says, sheet.signs)
    return text.append(f"{sheet.signs.none} {str(says).replace('_', ' ')}", STYLES["dim"])


def the_same(timeline: Timeline, sheet: Sheet) -> list[Text]:
    """How much never changed."""
    parts = over_time.the_same(timeline)
    return labelled("the same", separated(parts, sheet, room(sheet)), sheet) if parts else []


def not_comparable(timeline: Timeline, sheet: Sheet, expand: bool) -> list[Text]:
    """Cells of which some releases say nothing: counted by reason; their ids under `expand`."""
    found = over_time.silences(timeline)
    if not found:
        return []
    count = len({identity for _, _, ids in found for identity in ids})
    lines = heading("not comparable", f"{wording.cells(count)} of which some releases say nothing", sheet)
    for reason, which, ids in found:
        lines += indented(Text(f"{len(ids):>3}  {which}: {reason}"), sheet.width, INDENT, 5)
        if expand:
            for identity in ids:
                lines += indented(Text(identity, STYLES["dim"]), sheet.width, INDENT + 5, INDENT)
    return lines


def doubts(word: str, found: Sequence[Doubt], sheet: Sheet, expand: bool) -> list[Text]:
    """Facts that are `undecided` or `unstable` in some releases: in how many cells; which under `expand`."""
    if not found:
        return []
    lines = heading(word, wording.GLOSSARY[word], sheet)
    for doubt in found:
        text = Text(f"{getattr(sheet.signs, word)} {doubt.what}", STYLES["doubtful"])
        lines += indented(text.append(f": {doubt.which}", "default"), sheet.width, INDENT, INDENT)
        for cell in doubt.cells if expand else []:
            lines += indented(Text(cell, STYLES["dim"]), sheet.width, 2 * INDENT, INDENT)
    return lines

"""The page of a difference: conventions, what changed and where, laws, and what cannot be compared."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.comparison import Condition, Diff, NotComparable, Side, Unstable
from bnmatrix.render import wording
from bnmatrix.render.law_lines import laws_of_sides
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

HEADINGS = {
    "semantic": "what changed",
    "numeric": "by how much",
    "descriptive": "also",
}

MOST_PLACES = {"semantic": 12, "numeric": 6, "descriptive": 0}
"""Places shown unless the page is expanded: the widest."""

MOST_LAWS = 8
MOST_REASONS = 8
MOST_UNSTABLE = 5
"""Likewise."""


def page(diff: Diff, expand: bool = False) -> View:
    """The page of a difference; `expand` lists every cell."""

    def view(sheet: Sheet) -> list[Text]:
        parts = [
            header(diff, sheet),
            conventions(diff, sheet),
            changes(diff, sheet, expand),
            laws(diff, sheet, expand),
            not_comparable(diff, sheet, expand),
            one_sided(diff, sheet, expand),
            unstable(diff, sheet, expand),
        ]
        lines = [line for part in parts if part for line in (*part, Text())]
        return lines[:-1]

    return view


def header(diff: Diff, sheet: Sheet) -> list[Text]:
    """Who is compared with whom, and how many cells differ."""
    arrow = sheet.signs.arrow
    lines = ruled(f"{diff.old.target} {arrow} {diff.new.target}", "", sheet)
    for name, side in (("old", diff.old), ("new", diff.new)):
        lines += labelled(name, who(side, sheet), sheet)
    summary = diff.summary
    counts = {
        "changed": (summary.changed, "doubtful"),
        "the same": (summary.same, ""),
        "not comparable": (summary.not_comparable, ""),
        "unstable": (summary.unstable, "doubtful"),
    }
    parts = [
        Text(f"{count} {word}", STYLES.get(style, "") if count else STYLES["dim"])
        for word, (count, style) in counts.items()
    ]
    lines += labelled("cells", separated(parts, sheet, room(sheet)), sheet)
    if not summary.changed:
        lines += labelled(
            "", indented(Text("no difference in what could be compared"), room(sheet), 0), sheet
        )
    return lines


def who(side: Side, sheet: Sheet) -> list[Text]:
    """A target and its versions."""
    parts = [
        Text(side.target, STYLES["head"]),
        *(Text(part, STYLES["dim"]) for part in wording.versions(side)),
    ]
    return separated(parts, sheet, room(sheet))


def conventions(diff: Diff, sheet: Sheet) -> list[Text]:
    """The choices that the two sides make differently throughout."""
    lines: list[Text] = []
    for layer in dict.fromkeys(convention.layer for convention in diff.conventions):
        own = [convention for convention in diff.conventions if convention.layer == layer]
        lines += heading("conventions", layer, sheet)
        lines += _old_beside_new(
            [(one.name, Text(wording.number(one.old)), Text(wording.number(one.new))) for one in own],
            sheet,
            INDENT,
        )
    return lines


def changes(diff: Diff, sheet: Sheet, expand: bool) -> list[Text]:
    """What changed, by where it did: the weightiest first, descriptions in a line.

    What is a matter of degree stands with the weightier changes of the same place.
    """
    beyond = diff.conditions if expand else wording.beyond_conventions(diff)
    in_full = [one for one in beyond if not wording.one_sided(one) and (expand or not _is_aside(one))]
    apart = [one for one in beyond if wording.one_sided(one)]
    groups = wording.by_place(in_full)
    parts: dict[str, list[list[Text]]] = {name: [] for name in HEADINGS}
    for severity, most in MOST_PLACES.items():
        own = [group for group in groups if group[0].severity == severity]
        shown = own if expand else own[:most]
        for group in shown:
            parts[severity].append(change(group, sheet, expand))
        if rest := own[len(shown) :]:
            parts[severity].append(indented(Text(_more(rest)), sheet.width, INDENT, INDENT))
    for only in wording.only_one_has(diff, apart):
        parts["semantic"].append(indented(Text(only), sheet.width, INDENT, INDENT))
    for group in wording.by_place(apart if expand else []):
        parts["semantic"].append(change(group, sheet, expand))
    if aside := [one for one in beyond if _is_aside(one) and not expand and not wording.one_sided(one)]:
        parts["descriptive"].append(indented(Text(wording.counted(aside)), sheet.width, INDENT))
    lines: list[Text] = []
    for severity, name in HEADINGS.items():
        if parts[severity]:
            lines += [*([Text()] if lines else []), *heading(name, "", sheet)]
            lines += [line for part in parts[severity] for line in part]
    return lines


def _is_aside(condition: Condition) -> bool:
    return condition.severity == "descriptive"


def _more(groups: Sequence[Sequence[Condition]]) -> str:
    """What is left out: `and 12 more places, 40 cells: --expand`"""
    count = len(wording.ids(one for group in groups for one in group))
    places = "1 more place" if len(groups) == 1 else f"{len(groups)} more places"
    return f"and {places}, {wording.cells(count)}: --expand"


def change(
    conditions: Sequence[Condition],
    sheet: Sheet,
    with_ids: bool,
    indent: int = INDENT,
    name: Text | None = None,
) -> list[Text]:
    """Where, in how many cells, and what: the facts that changed there, old beside new.

    `name` stands before the place.
    """
    ids = wording.ids(conditions)
    place = wording.condition(conditions[0].when, conditions[0].but) or "wherever it was compared"
    more = any(one.cells > len(one.ids) for one in conditions)
    title = name.copy().append(" ") if name is not None else Text()
    title.append(place, STYLES["head"]).append(f"  {wording.cells(len(ids), more)}", "not bold dim")
    lines = indented(title, sheet.width, indent, INDENT)
    lines += change_of(conditions, sheet, indent + INDENT)
    for one in conditions:
        if one.because:
            lines += indented(Text(one.because, STYLES["dim"]), sheet.width, indent + 2 * INDENT, INDENT)
    if with_ids:
        for identity in ids:
            lines += indented(Text(f"in {identity}", STYLES["dim"]), sheet.width, indent + 2 * INDENT, INDENT)
    return lines


def change_of(conditions: Sequence[Condition], sheet: Sheet, indent: int) -> list[Text]:
    """The facts that changed in a place, old beside new."""
    rows = [
        (facts, entry(old, sheet.signs), entry(new, sheet.signs))
        for facts, old, new in wording.by_change(conditions)
    ]
    return _old_beside_new(rows, sheet, indent)


def _old_beside_new(rows: Sequence[tuple[str, Text, Text]], sheet: Sheet, indent: int) -> list[Text]:
    """`fact   old → new` in columns; one under the other where that is too wide."""
    arrow = Text(sheet.signs.arrow, STYLES["dim"])
    widths = [max(len(row[0]) for row in rows), max(len(row[1]) for row in rows), len(arrow), 0]
    last = max(len(row[2]) for row in rows)
    if indent + sum(widths) + last + 6 <= sheet.width:
        lines = columns([[Text(name), old, arrow, new] for name, old, new in rows], [*widths[:3], last])
        return [Text(" " * indent) + line for line in lines]
    lines = []
    for name, old, new in rows:
        lines += indented(Text(name), sheet.width, indent, INDENT)
        change = old.copy().append(f" {sheet.signs.arrow} ", "default").append_text(new)
        lines += indented(change, sheet.width, indent + INDENT, INDENT)
    return lines


def laws(diff: Diff, sheet: Sheet, expand: bool) -> list[Text]:
    """The laws of both sides: old beside new where they differ, once where they agree."""
    lines: list[Text] = []
    names = {"old": f"old {diff.old.target}", "new": f"new {diff.new.target}"}
    for layer in dict.fromkeys(law.layer for law in diff.laws):
        sides = [
            (name, [law for law in diff.laws if law.side == side and law.layer == layer])
            for side, name in names.items()
        ]
        found = wording.side_by_side(sides)
        differing = [entry for entry in found if not wording.agree(entry[1])]
        same: list[tuple[str, list[tuple[str, wording.Told]]]] = []
        if found:
            lines += [*([Text()] if lines else []), *heading("laws", layer, sheet)]
            same = [
                (subject, [("both", law) for name, law in laws if name == laws[0][0]])
                for subject, laws in found
                if wording.agree(laws)
            ]
        every = [*differing, *same]
        shown = every if expand else [entry for entry in every if len(entry[1]) <= MOST_LAWS]
        lines += laws_of_sides(shown, sheet)
        if untold := [subject for subject, laws in every if (subject, laws) not in shown]:
            text = f"too many for a page: {', '.join(untold)}; --expand tells them"
            lines += indented(Text(text), sheet.width, INDENT, INDENT)
    return lines


def not_comparable(diff: Diff, sheet: Sheet, expand: bool) -> list[Text]:
    """What cannot be compared: counted by reason; the cells under `expand`."""
    if not diff.not_comparable:
        return []
    lines = heading("not comparable", wording.cells(len(diff.not_comparable)), sheet)
    return lines + reasons(diff.not_comparable, sheet, expand)


def reasons(cells: Sequence[NotComparable], sheet: Sheet, expand: bool) -> list[Text]:
    """Why cells cannot be compared, counted: the most frequent reason first; the cells under `expand`."""
    lines: list[Text] = []
    found = wording.reasons(cells)
    shown = found if expand else found[:MOST_REASONS]
    for reason, ids in shown:
        lines += indented(Text(f"{len(ids):>3}  {reason}"), sheet.width, INDENT, 5)
        if expand:
            for identity in ids:
                lines += indented(Text(identity, STYLES["dim"]), sheet.width, INDENT + 5, INDENT)
    if rest := found[len(shown) :]:
        text = f"{sum(len(ids) for _, ids in rest):>3}  for {len(rest)} other reasons: --expand"
        lines += indented(Text(text), sheet.width, INDENT, 5)
    return lines


def one_sided(diff: Diff, sheet: Sheet, expand: bool) -> list[Text]:
    """Facts that only one side decided, of cells in which nothing else differs."""
    if not diff.one_sided:
        return []
    count = len({each.id for each in diff.one_sided})
    lines = heading("undecided", f"on one side, in {wording.cells(count)}", sheet)
    facts: dict[str, int] = {}
    for each in diff.one_sided:
        facts[each.fact] = facts.get(each.fact, 0) + 1
    told = ", ".join(f"{fact} ({number})" for fact, number in facts.items())
    lines += indented(
        Text(f"{sheet.signs.undecided} {told}", STYLES["doubtful"]), sheet.width, INDENT, INDENT
    )
    for each in diff.one_sided if expand else []:
        values = f"{wording.number(each.old)} {sheet.signs.arrow} {wording.number(each.new)}"
        text = f"{each.fact} {values} in {each.id}"
        lines += indented(Text(text, STYLES["dim"]), sheet.width, 2 * INDENT, INDENT)
    return lines


def unstable(diff: Diff, sheet: Sheet, expand: bool) -> list[Text]:
    """What flickers between identical runs."""
    if not diff.unstable:
        return []
    lines = heading("unstable", "differs between identical runs", sheet)
    return lines + flickering([(one, "") for one in diff.unstable], sheet, expand)


def flickering(found: Sequence[tuple[Unstable, str]], sheet: Sheet, expand: bool) -> list[Text]:
    """A line for each fact that flickers, and whose it is."""
    lines: list[Text] = []
    shown = found if expand else found[:MOST_UNSTABLE]
    for one, whose in shown:
        text = Text(f"{sheet.signs.unstable} {one.fact}", STYLES["doubtful"])
        text.append(f" in {one.id}{whose}, rate {one.rate}", "default")
        lines += indented(text, sheet.width, INDENT, INDENT)
    if len(shown) < len(found):
        lines += indented(Text(f"and {len(found) - len(shown)} more: --expand"), sheet.width, INDENT)
    return lines

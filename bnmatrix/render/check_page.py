"""The page of a check: what changed, what became of accepted changes, what could not be compared."""

from __future__ import annotations

from collections.abc import Sequence
from io import StringIO

from rich.console import Console
from rich.text import Text

from bnmatrix.accepted import EXPIRED, MET, NOT_TRIED, UNMATCHED, Answer
from bnmatrix.checked import Check, CheckedCondition, CheckedNotComparable
from bnmatrix.comparison import MEASURED
from bnmatrix.render import wording
from bnmatrix.render.diff_page import MOST_UNSTABLE, change, flickering, reasons, who
from bnmatrix.render.layout import (
    INDENT,
    STYLES,
    UNICODE,
    Sheet,
    View,
    heading,
    indented,
    labelled,
    room,
    ruled,
    separated,
)

MOST_PLACES = 12
"""Shown unless the page is expanded: the widest."""

STATUS = {
    UNMATCHED: "nothing changes so any more: --forget takes it out of the baseline",
    EXPIRED: "is past its date: decide anew, or --forget it",
}


def page(check: Check, expand: bool = False) -> View:
    """The page of a check; `expand` lists every cell."""

    def view(sheet: Sheet) -> list[Text]:
        parts = [
            header(check, sheet),
            changes(check, sheet, expand),
            expectations(check, sheet, expand),
            not_comparable(check, sheet, expand),
            one_sided(check, sheet, expand),
            unstable(check, sheet, expand),
        ]
        lines = [line for part in parts if part for line in (*part, Text())]
        return lines[:-1]

    return view


def header(check: Check, sheet: Sheet) -> list[Text]:
    """What was held against what, the counts, and whether that fails."""
    title = f"{check.baseline} {sheet.signs.arrow} now" if check.baseline else "check"
    lines = ruled(title, "", sheet)
    for old, new in zip(check.old.targets, check.new.targets, strict=True):
        lines += labelled("was", who(old, sheet), sheet)
        lines += labelled("is", who(new, sheet), sheet)
    summary = check.summary
    counts = {
        "changed": (summary.changed, "doubtful"),
        "the same": (summary.same, ""),
        "accepted": (summary.accepted, ""),
        "not comparable": (summary.not_comparable, ""),
        "unstable": (summary.unstable, "doubtful"),
    }
    parts = [
        Text(f"{count} {word}", STYLES.get(style, "") if count else STYLES["dim"])
        for word, (count, style) in counts.items()
        if count or word in ("changed", "the same")
    ]
    lines += labelled("cells", separated(parts, sheet, room(sheet)), sheet)
    lines += labelled("answer", indented(_answer(check, sheet), room(sheet), 0), sheet)
    return lines


def _answer(check: Check, sheet: Sheet) -> Text:
    stale = sum(answer.status in STATUS for answer in check.expectations)
    failing = sum(condition.fails for condition in check.conditions)
    counts = check.summary
    if not check.fails and not counts.same + counts.accepted + counts.changed:
        said = "nothing could be compared" if not counts.unstable else "nothing in it is stable"
        return Text(f"{sheet.signs.undecided} {said}", STYLES["doubtful"])
    if not check.fails:
        said = "nothing that fails changed" if check.conditions else "nothing changed that was not accepted"
        lost = [each.lost for each in check.not_comparable] + [each.lost for each in check.one_sided]
        if any(lost):
            return Text(f"{sheet.signs.undecided} {said}, of what could be measured", STYLES["doubtful"])
        return Text(f"{sheet.signs.good} {said}", STYLES["moves"])
    parts = [_count(failing, "change")] if failing else []
    if stale:
        parts.append(f"{_count(stale, 'accepted change')} not met any more, or past the date")
    return Text(f"{sheet.signs.bad} {', and '.join(parts)}", STYLES["bad"])


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def changes(check: Check, sheet: Sheet, expand: bool) -> list[Text]:
    """What changed, by target and place: the weightiest first, with the numbers to accept it by."""
    lines: list[Text] = []
    several = len(check.new.targets) > 1
    for target in dict.fromkeys(condition.target for condition in check.conditions):
        own = [condition for condition in check.conditions if condition.target == target]
        groups = _by_place(own)
        shown = groups if expand else groups[:MOST_PLACES]
        lines += [*([Text()] if lines else []), *heading("what changed", target if several else "", sheet)]
        for group in shown:
            lines += _place(group, sheet, expand)
        if rest := groups[len(shown) :]:
            count = len(wording.ids(one for group in rest for one in group))
            text = f"and {_count(len(rest), 'more place')}, {wording.cells(count)}: --expand"
            lines += indented(Text(text), sheet.width, INDENT, INDENT)
    return lines


def _by_place(conditions: Sequence[CheckedCondition]) -> list[list[CheckedCondition]]:
    """Those of one place together: that which fails apart from that which does not."""
    grouped: dict[tuple[str, bool], list[CheckedCondition]] = {}
    for one in conditions:
        grouped.setdefault((wording.condition(one.when), one.fails), []).append(one)
    return sorted(grouped.values(), key=lambda group: not group[0].fails)


def _place(group: Sequence[CheckedCondition], sheet: Sheet, expand: bool) -> list[Text]:
    numbers = f"[{','.join(str(one.number) for one in group)}]"
    name = (
        Text(numbers, STYLES["bad"]) if group[0].fails else Text(f"{numbers} does not fail:", STYLES["dim"])
    )
    return change(group, sheet, expand, name=name)


def told(condition: CheckedCondition) -> str:
    """One change as plain text, 80 characters wide: for a question on a terminal."""
    console = Console(file=StringIO(), width=80, color_system=None)
    lines = _place([condition], Sheet(console.width, UNICODE), False)
    return "\n".join(line.plain for line in lines)


def expectations(check: Check, sheet: Sheet, expand: bool) -> list[Text]:
    """What became of accepted changes: those that fail in full, the others counted."""
    if not check.expectations:
        return []
    lines = heading("accepted changes", "", sheet)
    for answer in check.expectations:
        if answer.status in STATUS or expand:
            lines += _expectation(answer, sheet)
    met = [answer for answer in check.expectations if answer.status == MET]
    if met and not expand:
        cells = sum(len(ids) for answer in met for ids in answer.ids.values())
        text = f"{sheet.signs.good} {_count(len(met), 'accepted change')} met, in {wording.cells(cells)}"
        lines += indented(Text(text), sheet.width, INDENT, INDENT)
    return lines


def _expectation(answer: Answer, sheet: Sheet) -> list[Text]:
    one = answer.accepted
    where = ", ".join(one.cells) or wording.condition(one.when) or "wherever it changes"
    change = f"{one.fact} {wording.number(one.old)} {sheet.signs.arrow} {wording.number(one.new)}"
    sign, style = (sheet.signs.bad, "bad") if answer.status in STATUS else (sheet.signs.good, "dim")
    sign = sheet.signs.undecided if answer.status == NOT_TRIED else sign
    until = f", until {one.expires}" if one.expires else ""
    status = STATUS.get(answer.status, answer.status.replace("_", " "))
    lines = indented(
        Text(f"{sign} {change}", STYLES[style]).append(f"  {where}", "default"), sheet.width, INDENT, 4
    )
    lines += indented(Text(f"{status}", STYLES[style]), sheet.width, 2 * INDENT, INDENT)
    told = f'"{one.reason}", {one.owner}{until}{", of " + ", ".join(one.targets) if one.targets else ""}'
    return lines + indented(Text(told, STYLES["dim"]), sheet.width, 2 * INDENT, INDENT)


def not_comparable(check: Check, sheet: Sheet, expand: bool) -> list[Text]:
    """What could not be compared: what the baseline has measured first, with the reason."""
    kinds: dict[str, list[CheckedNotComparable]] = {"lost": [], "not comparable": [], "neither": []}
    for each in check.not_comparable:
        on_neither = each.old not in MEASURED and each.new not in MEASURED
        kinds["lost" if each.lost else "neither" if on_neither else "not comparable"].append(each)
    lines: list[Text] = []
    if lost := kinds["lost"]:
        lines += heading("lost", "measured in the baseline, and could not be now", sheet)
        lines += reasons(lost, sheet, expand)
    if others := kinds["not comparable"] + (kinds["neither"] if expand else []):
        lines += [*([Text()] if lines else []), *heading("not comparable", wording.cells(len(others)), sheet)]
        lines += reasons(others, sheet, expand)
    if kinds["neither"] and not expand:
        count = wording.cells(len(kinds["neither"]))
        text = f"{count} could be measured neither then nor now: --expand says why"
        lines += [*([Text()] if lines else []), *indented(Text(text, STYLES["dim"]), sheet.width, 0, INDENT)]
    return lines


def one_sided(check: Check, sheet: Sheet, expand: bool) -> list[Text]:
    """Facts that the baseline decided and the present does not."""
    lost = [each for each in check.one_sided if each.lost]
    if not lost:
        return []
    lines = heading("undecided", "decided in the baseline, and could not be now", sheet)
    shown = lost if expand else lost[:MOST_UNSTABLE]
    for one in shown:
        text = Text(f"{sheet.signs.undecided} {one.fact}", STYLES["doubtful"])
        text.append(f" in {one.id} of {one.target}, was {wording.number(one.old)}", "default")
        lines += indented(text, sheet.width, INDENT, INDENT)
    if len(shown) < len(lost):
        lines += indented(Text(f"and {len(lost) - len(shown)} more: --expand"), sheet.width, INDENT)
    return lines


def unstable(check: Check, sheet: Sheet, expand: bool) -> list[Text]:
    """What flickers between identical runs."""
    if not check.unstable:
        return []
    lines = heading("unstable", "differs between identical runs", sheet)
    return lines + flickering([(one, f" of {one.target}") for one in check.unstable], sheet, expand)

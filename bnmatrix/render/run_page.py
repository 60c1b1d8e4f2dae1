"""The page of a run: for each target and layer the folded truth table, its laws, and what else it takes."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.facts import FACTS
from bnmatrix.layers import layers
from bnmatrix.matrix import CellResult, ExpectationResult, Law, Matrix, TargetMatrix
from bnmatrix.render import wording
from bnmatrix.render.folding import Folded, NotOk, by_layer, fold
from bnmatrix.render.law_lines import laws_in_columns, laws_of_sides
from bnmatrix.render.layout import (
    INDENT,
    STYLES,
    Sheet,
    View,
    entry,
    indented,
    labelled,
    room,
    ruled,
    separated,
    wrapped,
)
from bnmatrix.render.truth_table import not_ok, table

MANY_CELLS = 200
"""Of so many cells it is told how many had which outcome."""

MOST_LAWS = 4
"""Of each subject; those that hold in the most cells."""

ORDER = {fact: number for number, fact in enumerate(FACTS)}


def page(matrix: Matrix, expand: bool = False) -> View:
    """The page of a matrix; `expand` shows every cell in place of the folded tables."""

    def view(sheet: Sheet) -> list[Text]:
        lines: list[Text] = []
        several = len(matrix.targets) > 1
        if several:  # the answer first, with what its signs mean
            lines += [*all_targets(matrix.targets, sheet), Text(), *side_by_side(matrix.targets, sheet)]
            lines += [*key(matrix, sheet), Text()]
        for target in matrix.targets:
            lines += title(target, sheet)
            for layer, cells in by_layer(target.cells).items():
                laws = [law for law in target.laws if law.layer == layer]
                lines += [*of_layer(target, layer, cells, laws, sheet, expand), Text()]
        lines += expectations(matrix.expectations, sheet)
        if not several:
            lines += key(matrix, sheet)
        while lines and not lines[-1].plain:
            lines.pop()
        return lines

    return view


def all_targets(targets: Sequence[TargetMatrix], sheet: Sheet) -> list[Text]:
    """Who was measured, by name alone."""
    names = dict.fromkeys(target.target for target in targets)
    return separated([Text(name, STYLES["head"]) for name in names], sheet, sheet.width)


def title(target: TargetMatrix, sheet: Sheet) -> list[Text]:
    """Who was measured, over a rule."""
    name = Text(target.target, STYLES["head"])
    if target.given_by:
        name.append(f" with the numbers of {target.given_by}", "not bold")
    parts = [name, *(Text(part, STYLES["dim"]) for part in wording.versions(target))]
    return [*separated(parts, sheet, sheet.width), Text(sheet.signs.rule * sheet.width, STYLES["dim"])]


def of_layer(
    target: TargetMatrix,
    layer: str,
    cells: Sequence[CellResult],
    laws: Sequence[Law],
    sheet: Sheet,
    expand: bool,
) -> list[Text]:
    """Heading, answer, table and what is told beneath, of one layer."""
    called = [_called(target.framework, layer, api) for api in dict.fromkeys(c.axes["api"] for c in cells)]
    likes = dict.fromkeys(c.axes["like"] for c in cells if c.axes["like"] != "none")
    name = ", ".join(filter(None, [*called, *(f"examined as {like}" for like in likes)]))
    heading = Text(layer, STYLES["head"])
    if name:
        heading.append(f"  {name}", STYLES["dim"])
    folded = fold(cells)
    if folded.only is not None and not expand:
        return [*indented(heading, sheet.width, 0), *indented(not_ok(folded.only, sheet), sheet.width)]
    lines = [*indented(heading, sheet.width, 0), *answer(laws, sheet), Text()]
    if expand:
        lines += every_cell(cells, sheet)
    else:
        lines += table(cells, folded, sheet)
    return [*lines, Text(), *beneath(target, layer, folded, laws, sheet, expand)]


def _called(framework: str, layer: str, api: str) -> str:
    """What the framework calls the layer; of another api than its usual one, that api."""
    known = layers().get(layer)
    name = known.classes.get(framework, "") if known else ""
    of_other_api = "(api=" in name
    return ("" if of_other_api else name) if api == "default" else f"api={api}"


def answer(laws: Sequence[Law], sheet: Sheet) -> list[Text]:
    """What each flag decides: the question that most readers come with."""
    lines = []
    for who, decided in wording.answer(laws):
        decide = "decides" if who.endswith("alone") else "decide"
        text = Text(f"{who} {decide}")
        for number, (facts, where) in enumerate(decided):
            text.append("; " if number else " ").append(wording.enumerated(facts), STYLES["head"])
            text.append(f" {where}" if where else "")
        lines += indented(text, sheet.width, hanging=INDENT)
    return lines


def every_cell(cells: Sequence[CellResult], sheet: Sheet) -> list[Text]:
    """Every cell with all its facts."""
    lines: list[Text] = []
    for cell in cells:
        lines += indented(Text(cell.id, STYLES["head"]), sheet.width, INDENT, INDENT)
        if cell.outcome != "ok":
            lines += indented(not_ok(NotOk(cell.outcome, cell.reason or ""), sheet), sheet.width, 2 * INDENT)
        facts = sorted(cell.facts.items(), key=lambda pair: ORDER.get(pair[0], len(ORDER)))
        parts = [Text(f"{fact} ") + entry(value, sheet.signs) for fact, value in facts]
        for fact, flicker in cell.measured.get("unstable", {}).items():
            parts.append(Text(f"{fact} flickers, rate {flicker['rate']}", STYLES["doubtful"]))
        lines += [Text(" " * 2 * INDENT) + line for line in separated(parts, sheet, sheet.width - 2 * INDENT)]
    return lines


def beneath(
    target: TargetMatrix, layer: str, folded: Folded, laws: Sequence[Law], sheet: Sheet, expand: bool
) -> list[Text]:
    """Laws, what training not given acts as, facts that need no column, and what was folded."""
    lines: list[Text] = []
    cells = [cell for cell in target.cells if cell.axes["layer"] == layer]
    if len(cells) >= MANY_CELLS:
        lines += labelled("cells", wrapped(Text(wording.outcomes(cells)), room(sheet)), sheet)
    if told := wording.told(laws, aside=expand):
        told, left_out = (told, 0) if expand else wording.widest(told, MOST_LAWS)
        found = laws_in_columns([(law.subject, law) for law in told], room(sheet))
        if where := wording.where_laws_range(cells):
            found += wrapped(Text(where, STYLES["dim"]), room(sheet))
        if left_out:
            text = f"and {left_out} of fewer cells: --expand tells them"
            found += wrapped(Text(text, STYLES["dim"]), room(sheet))
        lines += labelled("laws", found, sheet)
    if acts := wording.default_acts([default for default in target.defaults if default.layer == layer]):
        lines += labelled("default", wrapped(Text(f"training not given {acts}"), room(sheet)), sheet)
    width = room(sheet)
    follow = [
        told_fact
        for told_fact in folded.beneath
        if told_fact.follows and not _has_column(told_fact.fact, folded)
    ]
    for told_fact in follow:
        label = "gradient" if told_fact.fact == "input_gradient" else told_fact.fact
        lines += labelled(label, separated(wording.following(told_fact), sheet, width), sheet)
    if facts := [wording.beneath(fact) for fact in folded.beneath if not fact.follows]:
        lines += labelled("facts", separated(facts, sheet, width), sheet)
    if folded.fixed:
        lines += labelled(
            "all at",
            wrapped(Text(wording.condition({k: [v] for k, v in folded.fixed.items()})), width),
            sheet,
        )
    if folded.alike and not expand:
        lines += labelled("folded", separated(wording.folded(folded.alike), sheet, width), sheet)
    if folded.untold and not expand:
        text = f"{wording.enumerated(folded.untold)}: --expand shows every cell"
        lines += labelled("varies", wrapped(Text(text), width), sheet)
    return lines


def _has_column(fact: str, folded: Folded) -> bool:
    return any(fact in column for column in folded.columns)


def side_by_side(targets: Sequence[TargetMatrix], sheet: Sheet) -> list[Text]:
    """The headline laws of several targets under each other."""
    lines: list[Text] = []
    for layer in dict.fromkeys(law.layer for target in targets for law in target.laws):
        sides = [(target.target, [law for law in target.laws if law.layer == layer]) for target in targets]
        if found := wording.side_by_side(sides):
            lines += [*ruled("side by side", layer, sheet), Text(), *laws_of_sides(found, sheet), Text()]
    return lines


def expectations(results: Sequence[ExpectationResult], sheet: Sheet) -> list[Text]:
    """What scenarios expect: holds, contradicted (by which cells) or untested, with the source."""
    lines: list[Text] = []
    signs = {
        "holds": (sheet.signs.good, STYLES["moves"]),
        "contradicted": (sheet.signs.bad, STYLES["bad"]),
        "untested": (sheet.signs.none, STYLES["doubtful"]),
    }
    for scenario in dict.fromkeys(result.scenario for result in results):
        own = [result for result in results if result.scenario == scenario]
        counts = [f"{count} {answer}" for answer in signs if (count := sum(r.answer == answer for r in own))]
        lines += [*ruled("expectations", f"{scenario}: {', '.join(counts)}", sheet), Text()]
        for result in own:
            sign, style = signs.get(result.answer, ("", ""))
            text = Text(f"{sign} {result.answer}", style).append(f" {result.target}: ", "default")
            lines += indented(text.append(result.says, "default"), sheet.width, INDENT, INDENT)
            for identity in result.contradicted_by:
                because = f"by {identity}: {result.because.get(identity, '')}".rstrip(": ")
                lines += indented(Text(because), sheet.width, 2 * INDENT, INDENT)
            if result.source:
                lines += indented(
                    Text(f"source: {result.source}", STYLES["dim"]), sheet.width, 2 * INDENT, INDENT
                )
        lines.append(Text())
    return lines


def key(matrix: Matrix, sheet: Sheet) -> list[Text]:
    """What the words of the tables mean."""
    words = [value for target in matrix.targets for cell in target.cells for value in cell.facts.values()]
    parts = []
    for word, meaning in wording.glossary(words):
        parts.append(entry(word, sheet.signs).append(f": {meaning}", STYLES["dim"]))
    return labelled("key", separated(parts, sheet, room(sheet)), sheet) if parts else []

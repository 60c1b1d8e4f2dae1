"""The folded truth table on a terminal: in columns, or a short paragraph a row where it is too narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.matrix import CellResult
from bnmatrix.render import wording
from bnmatrix.render.beneath import FOLLOWERS, follows
from bnmatrix.render.folding import Block, Folded, NotOk, Row, fold
from bnmatrix.render.layout import INDENT, STYLES, Sheet, columns, entry, indented, wrapped

HEADINGS = ("training", "trainable")
GAP = 2
NARROWEST = 16
"""A column whose heading can be broken is at least as wide."""

MOST_BLOCKS = 12
"""Of more, those of the most cells are shown; of blocks without facts likewise."""


def table(cells: Sequence[CellResult], folded: Folded, sheet: Sheet) -> list[Text]:
    """The truth table in columns; with a column even for what another one tells, where there is room."""
    has_more = any(follows(cells, fact) for fact in FOLLOWERS)
    full = fold(cells, with_followers=True) if has_more else folded
    for candidate in (full, folded):
        widths = _widths(candidate, sheet)
        if INDENT + sum(widths) + GAP * (len(widths) - 1) <= sheet.width and not sheet.narrow:
            return _in_columns(candidate, widths, sheet)
    return _in_one_column(folded, sheet)


def _widths(folded: Folded, sheet: Sheet) -> list[int]:
    rows = [row for block in folded.blocks if block.only is None for row in block.rows]
    firsts = [max([len(name), *(len(", ".join(getattr(row, name))) for row in rows)]) for name in HEADINGS]
    widths = []
    for number, facts in enumerate(folded.columns):
        shown = [
            len(entry(row.shows[number], sheet.signs)) for row in rows if not isinstance(row.shows, NotOk)
        ]
        widths.append(max([*shown, *(len(line) for line in _heading(facts))]))
    return [*firsts, *widths]


def _heading(facts: Sequence[str]) -> list[str]:
    """Facts that share a column, one after another, in lines about as wide as the longest."""
    longest = max(NARROWEST, *(len(fact) + 1 for fact in facts))
    lines = [""]
    for number, fact in enumerate(facts):
        word = fact + ("," if number < len(facts) - 1 else "")
        joined = f"{lines[-1]} {word}".strip()
        if len(joined) <= longest:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _in_columns(folded: Folded, widths: Sequence[int], sheet: Sheet) -> list[Text]:
    headings = [[name] for name in HEADINGS] + [_heading(facts) for facts in folded.columns]
    height = max(len(heading) for heading in headings)
    # Headings stand on the rule: shorter ones have their empty lines above.
    tops = [[""] * (height - len(heading)) + heading for heading in headings]
    lines = columns(
        [[Text(top[number], STYLES["head"]) for top in tops] for number in range(height)], widths, GAP
    )
    lines.append(Text((" " * GAP).join(sheet.signs.rule * width for width in widths), STYLES["dim"]))
    blocks, _, further = _selected(folded)
    for number, block in enumerate(blocks):
        if number:
            lines.append(Text())
        lines += _where(block, sum(widths))
        for row in block.rows:
            firsts = [Text(", ".join(row.training)), Text(", ".join(row.trainable))]
            if isinstance(row.shows, NotOk):
                rest = sheet.width - INDENT - sum(widths[:2]) - 2 * GAP
                lines += columns([[*firsts, not_ok(row.shows, sheet)]], [*widths[:2], rest], GAP)
            else:
                entries = [entry(value, sheet.signs) for value in row.shows]
                lines += columns([[*firsts, *entries]], widths, GAP)
    lines += _without_facts(folded, sheet)
    if further:
        lines += [Text(), *wrapped(Text(further, STYLES["dim"]), sheet.width - INDENT)]
    return [Text(" " * INDENT) + line if line.plain else line for line in lines]


def _selected(folded: Folded) -> tuple[list[Block], list[Block], str]:
    """The blocks that are shown, with facts and without, and what is said of the others."""
    with_facts = [block for block in folded.blocks if block.only is None]
    without = [block for block in folded.blocks if block.only is not None]
    parts = []
    for blocks, noun in ((with_facts, "tables"), (without, "places without facts")):
        if len(blocks) > MOST_BLOCKS:
            blocks.sort(key=lambda block: -block.cells)
            left = blocks[MOST_BLOCKS:]
            del blocks[MOST_BLOCKS:]
            parts.append(f"{len(left)} further {noun}, of {sum(block.cells for block in left)} cells")
    return with_facts, without, f"{'; '.join(parts)}: --expand shows every cell" if parts else ""


def _without_facts(folded: Folded, sheet: Sheet) -> list[Text]:
    """The blocks in which nothing could be measured, a line each."""
    whys = [(_place(block), block.only) for block in _selected(folded)[1] if block.only is not None]
    if not whys:
        return []
    left = max(len(place) for place, _ in whys)
    if left > sheet.width // 2:
        return [
            Text(),
            *(line for place, why in whys for line in _why(place, why, sheet, sheet.width - INDENT)),
        ]
    rows = [[Text(place, STYLES["place"]), not_ok(why, sheet)] for place, why in whys]
    return [Text(), *columns(rows, [left, max(sheet.width - INDENT - left - GAP, NARROWEST)], GAP)]


def _why(place: str, why: NotOk, sheet: Sheet, width: int) -> list[Text]:
    return indented(Text(f"{place} ", STYLES["place"]) + not_ok(why, sheet), width, 0, INDENT)


def _in_one_column(folded: Folded, sheet: Sheet) -> list[Text]:
    """A short paragraph a row, for pages too narrow for columns."""
    lines: list[Text] = []
    with_facts, without, further = _selected(folded)
    shown = [block for block in folded.blocks if block in with_facts or block in without]
    for block in shown:
        if block.only is not None:
            text = Text(f"{_place(block)} ", STYLES["place"]) + not_ok(block.only, sheet)
            lines += [*indented(text, sheet.width, INDENT, INDENT), Text()]
            continue
        lines += [Text(" " * INDENT) + line for line in _where(block, sheet.width - INDENT)]
        for row in block.rows:
            lines += indented(Text(_row_name(row), STYLES["head"]), sheet.width, INDENT, INDENT)
            if isinstance(row.shows, NotOk):
                lines += indented(not_ok(row.shows, sheet), sheet.width, 2 * INDENT)
                continue
            entries = [entry(value, sheet.signs) for value in row.shows]
            widths = [max(len(text) for text in entries)]
            widths.append(max(sheet.width - 2 * INDENT - GAP - widths[0], NARROWEST))
            pairs = [
                [text, Text(", ".join(facts))] for text, facts in zip(entries, folded.columns, strict=True)
            ]
            lines += [Text(" " * 2 * INDENT) + line for line in columns(pairs, widths, GAP)]
        lines.append(Text())
    if further:
        return [*lines, *indented(Text(further, STYLES["dim"]), sheet.width)]
    return lines[:-1]


def _row_name(row: Row) -> str:
    return f"training {', '.join(row.training)}; trainable {', '.join(row.trainable)}"


def _place(block: Block) -> str:
    places = [wording.context(*entry) for entry in zip(block.where, block.but, strict=True)]
    shown, further = wording.briefly(places)
    return wording.or_else([*shown, wording.further_places(further)] if further else shown)


def _where(block: Block, width: int) -> list[Text]:
    """The heading of a block: the executions, and what else singles it out."""
    return wrapped(Text(place, STYLES["place"]), width) if (place := _place(block)) else []


def not_ok(why: NotOk, sheet: Sheet) -> Text:
    """`✗ raised: ValueError: ...`; what a target simply does not have is no fault."""
    if why.outcome == "unavailable":
        return Text(f"{sheet.signs.none} {why.outcome}: {why.why}", STYLES["dim"])
    return Text(f"{sheet.signs.bad} {why.outcome}", STYLES["bad"]).append(
        f": {why.why}" if why.why else "", "default"
    )

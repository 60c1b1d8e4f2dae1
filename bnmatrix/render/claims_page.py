"""The page of claims: what is said, and what became of it on each target, or release after release."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.claims import Claimed, Claims
from bnmatrix.render import over_time, wording
from bnmatrix.render.layout import INDENT, STYLES, Sheet, View, indented, ruled
from bnmatrix.verdicts import (
    CONTRADICTED,
    HOLDS,
    INCOMPLETE,
    PARTLY,
    UNTRIED,
    VERDICTS,
    Deciding,
    Verdict,
    in_words,
)

GAP = 2
MOST_CELLS = 3
"""More cells that are against a claim than this are left to `--expand`."""

_MARKS = {
    HOLDS: ("good", "moves"),
    PARTLY: ("unstable", "doubtful"),
    CONTRADICTED: ("bad", "bad"),
    UNTRIED: ("none", "dim"),
    INCOMPLETE: ("undecided", "doubtful"),
}
"""{verdict: (its sign, its style)}"""


def page(claims: Claims, expand: bool = False) -> View:
    """The page; `expand` shows all cells that decide."""

    def view(sheet: Sheet) -> list[Text]:
        lines = ruled(title(claims), "", sheet)
        for claim in claims.claims:
            lines += [*_claim(claim, bool(claims.timeline), sheet, expand), Text()]
        for text in beneath(claims):
            lines += indented(Text(text, STYLES["dim"]), sheet.width, 0, INDENT)
        return lines if lines[-1].plain else lines[:-1]

    return view


def title(claims: Claims) -> str:
    """`17 claims, on tf2 and torch`, or a range of releases"""
    count = f"{len(claims.claims)} claim{'' if len(claims.claims) == 1 else 's'}"
    if not claims.targets:
        return count
    if claims.timeline:
        first, last = claims.targets[0].release, claims.targets[-1].release
        return f"{count}, {claims.timeline} {over_time.span(first, last)}"
    return f"{count}, on {', '.join(each.target for each in claims.targets)}"


def beneath(claims: Claims) -> list[str]:
    """How many verdicts there are of each kind; and which claims say nothing of the targets."""
    found = [each.verdict for claim in claims.claims for each in claim.verdicts]
    counted = [f"{word} {found.count(word)}" for word in VERDICTS if word in found]
    lines = [f"verdicts: {', '.join(counted)}"] if counted else []
    if claims.silent:
        lines.append(f"not about what was asked for: {', '.join(claims.silent)}")
    return lines


def _claim(claim: Claimed, over_releases: bool, sheet: Sheet, expand: bool) -> list[Text]:
    lines = indented(Text(claim.id, STYLES["head"]), sheet.width, 0, INDENT)
    said = Text(f'"{claim.says}"').append(f" ({claim.source})", STYLES["dim"])
    lines += indented(said, sheet.width, INDENT, INDENT)
    if over_releases:
        named = [(over_time.span(run.first, run.last), run.verdict, run.answer) for run in claim.runs]
    else:
        named = [(each.target, each.verdict, each.answer) for each in claim.verdicts]
    longest = max(len(name) for name, _, _ in named)
    for number, (name, word, answer) in enumerate(named):
        lines += _line(name, word, answer, longest, sheet)
        if not over_releases:
            lines += _cells(claim.verdicts[number], sheet, expand)
    if over_releases and expand:
        for each in claim.verdicts:
            lines += indented(Text(each.target, STYLES["head"]), sheet.width, INDENT, INDENT)
            lines += _cells(each, sheet, expand)
    return lines


def _line(name: str, word: str, answer: str, longest: int, sheet: Sheet) -> list[Text]:
    """`tf2  ✓ holds: ...`; the rest below, where the page is narrow."""
    sign, style = _MARKS[word]
    text = Text(name if sheet.narrow else f"{name:<{longest}}").append(" " * GAP)
    text.append(f"{getattr(sheet.signs, sign)} {word}", STYLES[style]).append(f": {answer}", "default")
    return indented(text, sheet.width, INDENT, INDENT if sheet.narrow else longest + GAP)


def _cells(verdict: Verdict, sheet: Sheet, expand: bool) -> list[Text]:
    """The cells that are against the claim, and where they are; all that decide under `expand`."""
    lines: list[Text] = []
    for text in remarks(verdict, verdict.cells if expand else None):
        lines += indented(Text(text, STYLES["dim"]), sheet.width, 2 * INDENT, INDENT)
    return lines


def remarks(verdict: Verdict, shown: Sequence[Deciding] | None = None) -> list[str]:
    """What is told beneath a verdict: where cells are against it, these cells, and what was not tried.

    shown: the cells to tell, in place of some that are against it
    """
    lines = []
    if is_against := verdict.verdict in (PARTLY, CONTRADICTED):
        where = " or ".join(map(in_words, verdict.where))
        count = f"{verdict.against} of {wording.cells(verdict.agree + verdict.against)}"
        lines.append(f"against it: {count}{', where ' if where else ''}{where}")
    if shown is not None:
        lines += cells(shown)
    elif is_against:
        told = cells([each for each in verdict.cells if each.agrees is False])
        lines += told[:MOST_CELLS]
        lines += [f"and {len(told) - MOST_CELLS} more (--expand)"] if len(told) > MOST_CELLS else []
    return [*lines, *(f"not tried: {text}" for text in verdict.not_tried)]


def cells(deciding: Sequence[Deciding]) -> list[str]:
    """`dense execution=fit: kernel, bias updated, not unchanged`, one a cell"""
    by_cell: dict[str, dict[str, list[str]]] = {}
    for each in deciding:
        said = each.measured if each.agrees else f"{each.measured}, not {each.expected}"
        if each.agrees is None:
            said = f"{each.measured}, which does not tell"
        if each.reason and not each.agrees:
            said += f" ({_short(each.reason)})"
        facts = by_cell.setdefault(each.id, {}).setdefault(said, [])
        if each.fact not in facts:
            facts.append(each.fact)
    return [
        f"{identity}: " + "; ".join(f"{', '.join(facts)} {said}" for said, facts in found.items())
        for identity, found in by_cell.items()
    ]


def _short(reason: str) -> str:
    """The first sentence of a reason."""
    return reason.partition(". ")[0].strip()

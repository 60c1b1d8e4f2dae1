"""What a bisection found, in plain words: text without layout or colour, the same in every format."""

from __future__ import annotations

from bnmatrix.bisect import Bisection
from bnmatrix.comparison import Condition
from bnmatrix.render import over_time, wording
from bnmatrix.render.over_time import Piece
from bnmatrix.timeline import Changes, Row

AMONG = {
    "all": "",
    "minor": ", the newest patch of each minor one",
    "here": " that are here",
}


def range_of(result: Bisection) -> str:
    """`tf2 2.10.1 to 2.21.0`"""
    return f"{result.framework} {over_time.span(result.releases[0].release, result.releases[-1].release)}"


def size(result: Bisection) -> str:
    """`6 measured of 22 releases that are here`"""
    return f"{result.measured} measured of {over_time.releases(result.total)}{AMONG[result.among]}"


def answer(step: Changes) -> str:
    """`first in 1.4.0, not yet in 1.3.1`; `between 1.7.1 and 1.8.1` where releases between do not tell."""
    return over_time.between(step) if step.in_between else f"first in {step.new}, not yet in {step.old}"


def in_between(step: Changes, result: Bisection) -> list[tuple[str, str]]:
    """[(`1.8.0`, `does not tell: torch has no silu`), ...]: each release between, and why it does not."""
    order = {each.release: number for number, each in enumerate(result.releases)}
    reasons = {each.release: each.reason for each in result.releases}
    ids = set(wording.ids(step.conditions))
    found = []
    for name in step.in_between:
        said = dict.fromkeys(
            each.reason
            for each in result.silent
            if each.id in ids and order[each.first] <= order[name] <= order[each.last]
        )
        if reasons[name] is not None:
            found.append((name, "could not be measured"))  # why is told of all that were skipped
        else:
            found.append((name, f"does not tell: {'; '.join(said)}" if said else "does not tell"))
    return found


def skipped(result: Bisection) -> list[tuple[str, str]]:
    """The releases that could not be measured, and why."""
    return [(each.release, each.reason) for each in result.releases if each.reason is not None]


def measured(result: Bisection) -> list[str]:
    """The releases that were measured."""
    return [each.release for each in result.releases if each.reason is None]


def shown(step: Changes, expand: bool) -> tuple[list[Condition], list[Condition], list[Condition]]:
    """The conditions told in full, those that are counted, and state that one side does not have."""
    in_full: list[Condition] = []
    counted: list[Condition] = []
    apart: list[Condition] = []
    for one in step.conditions:
        short = counted if one.severity == "descriptive" else apart if wording.one_sided(one) else in_full
        (in_full if expand else short).append(one)
    return (in_full, counted, apart) if in_full or apart else (counted, [], [])


def more_than_once(result: Bisection) -> list[tuple[list[str], str, list[Piece]]]:
    """Facts that changed more than once: the cells, the facts, and what the releases say in their order."""
    order = {each.release: number for number, each in enumerate(result.releases)}
    of_cell: dict[tuple[str, tuple[Piece, ...]], list[str]] = {}
    for row in result.rows:
        if len(row.runs) > 2:
            of_cell.setdefault((row.id, tuple(_pieces(row, order))), []).append(row.fact)
    alike: dict[tuple[str, tuple[Piece, ...]], list[str]] = {}
    for (identity, pieces), facts in of_cell.items():
        alike.setdefault((", ".join(facts), pieces), []).append(identity)
    return [(ids, facts, list(pieces)) for (facts, pieces), ids in alike.items()]


def _pieces(row: Row, order: dict[str, int]) -> list[Piece]:
    runs = [(order[run.first], (over_time.span(run.first, run.last), run.value, False)) for run in row.runs]
    gaps = [(order[gap.first], (over_time.span(gap.first, gap.last), gap.says, True)) for gap in row.gaps]
    return [piece for _, piece in sorted([*runs, *gaps], key=lambda entry: entry[0])]


def nothing(result: Bisection) -> str:
    """Where nothing changed."""
    return (
        "the first and the last do not differ in what was compared; what came and went in between "
        "is not seen: bnmatrix timeline measures every release"
    )

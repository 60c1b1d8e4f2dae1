"""Changes are measured again before they are reported: each cell alone, in a fresh probe, with new seeds.

Few changed cells are all measured again; of many, cells that stand for every condition. Where one of them
does not change this time, so are all that it stood for. What is confirmed is marked, and kept so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bnmatrix.comparison import Diff, compare
from bnmatrix.matrix import AGAIN, TargetMatrix

FEW = 8
"""Changed cells that are all measured again."""

Sides = tuple[TargetMatrix, TargetMatrix]

Again = Callable[[Sequence[str]], Sides | None]
"""Measure cells again: both sides with what was found; None where that is not possible."""


def confirmed(sides: Sides, measured: tuple[bool, bool], again: Again, version: str) -> tuple[Sides, Diff]:
    """What differs between two targets, confirmed, and the sides as they are then known.

    measured: which sides can be measured again; `version` is that of bnmatrix
    """
    diff = compare(*sides, version)
    suspects: set[str] = set()
    tried: set[str] = set()
    while True:
        marked = [
            {cell.id for cell in side.cells if AGAIN in cell.measured}
            for side, can_be in zip(sides, measured, strict=True)
            if can_be
        ]
        done = set.intersection(*marked)
        wanted = [identity for identity in _wanted(diff, suspects, done) if identity not in tried]
        found = again(wanted) if wanted else None
        if found is None:
            return sides, diff
        tried.update(wanted)
        sides, before, diff = found, diff, compare(*found, version)
        changed = {(change.fact, change.id) for change in diff.changes}
        for condition in before.conditions:
            if any((condition.fact, each) not in changed for each in tried.intersection(condition.ids)):
                suspects.update(condition.ids)


def _wanted(diff: Diff, suspects: set[str], done: set[str]) -> list[str]:
    """The cells to be measured again, less those that are `done`; in the order of the cells."""
    changed = dict.fromkeys(change.id for change in diff.changes)
    slow = [each.id for each in diff.not_comparable if (each.old == "timed_out") != (each.new == "timed_out")]
    wanted = set(changed) if len(changed) <= FEW else suspects & changed.keys()
    standing = [set(condition.ids) for condition in diff.conditions]
    standing = [ids for ids in standing if not ids & (wanted | done)]
    counts: dict[str, int] = {}
    for ids in standing:
        for identity in ids:
            counts[identity] = counts.get(identity, 0) + 1
    while standing:
        # Whoever stands for most; the first where several do, so that it is the same the next time.
        best = max((each for each in changed if each in counts), key=counts.__getitem__)
        wanted.add(best)
        for ids in [ids for ids in standing if best in ids]:
            standing.remove(ids)
            for identity in ids:
                counts[identity] -= 1
    wanted.update(slow)
    return [each for each in (*changed, *slow) if each in wanted - done]

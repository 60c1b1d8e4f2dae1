"""Measuring cells of two sides again, each alone in a fresh probe, as far as the sides are targets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from bnmatrix.axes import parse_id
from bnmatrix.confirmation import Sides
from bnmatrix.errors import BnmatrixError
from bnmatrix.laws import defaults, laws
from bnmatrix.matrix import TargetMatrix
from bnmatrix.measurement import Measure, Plan
from bnmatrix.target import Target

Side = Target | TargetMatrix
"""One that can be measured, or one that was saved."""

Tell = Callable[[str], None]


class Remeasuring:
    """Measures cells of `sides` again; `found` is what is known of them."""

    def __init__(self, sides: Sequence[Side], found: Sides, measure: Measure, tell: Tell) -> None:
        self.sides = sides
        self.found = found
        self.measure = measure
        self.tell = tell

    def __call__(self, ids: Sequence[str]) -> Sides | None:
        """The sides with what was found; None, and a line that says why, where they cannot be measured."""
        plans = []
        for side, known in zip(self.sides, self.found, strict=True):
            if isinstance(side, Target):
                results = known.by_id()
                before = {identity: results[identity] for identity in ids if identity in results}
                plans.append(Plan(side, tuple(map(parse_id, before)), before=before))
        title = f"measuring {len(ids)} change{'s' if len(ids) > 1 else ''} again, each in a fresh process"
        try:
            fresh = iter(self.measure(plans, title).targets)
        except BnmatrixError as error:
            self.tell(f"changes were not measured again: {error.message}")
            return None
        old, new = [
            replaced(known, next(fresh)) if isinstance(side, Target) else known
            for side, known in zip(self.sides, self.found, strict=True)
        ]
        self.found = old, new
        return self.found


def replaced(side: TargetMatrix, again: TargetMatrix) -> TargetMatrix:
    """`side` with the results of `again`."""
    results = again.by_id()
    cells = [
        results[cell.id] if cell.id in results and results[cell.id].outcome != "skipped" else cell
        for cell in side.cells
    ]
    if all(cell.facts == other.facts for cell, other in zip(cells, side.cells, strict=True)):
        return msgspec.structs.replace(side, cells=cells)
    return msgspec.structs.replace(side, cells=cells, laws=laws(cells), defaults=defaults(cells))

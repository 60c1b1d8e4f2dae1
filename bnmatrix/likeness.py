"""A layer of the user's own beside the framework's layer that it is like: where do they differ."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bnmatrix import __version__
from bnmatrix.axes import Cell, as_like, as_own, examined_as, parse_id
from bnmatrix.comparison import Likened
from bnmatrix.confirmation import Sides, confirmed
from bnmatrix.errors import BnmatrixError, UsageError
from bnmatrix.expectations import answered
from bnmatrix.matrix import CellResult, Matrix, TargetMatrix
from bnmatrix.measurement import Measure, Plan
from bnmatrix.own_layers import NOT_MADE, hint, is_own
from bnmatrix.remeasuring import Tell, replaced
from bnmatrix.selection import Task

WRITE_ARGUMENTS = "give it what it wants: --layer 'package.module:Class(features=4)'; inputs have 4 channels"


def check_own_layers(matrix: Matrix, made: bool = False) -> None:
    """Raise UsageError for a layer of the user's own of which nothing could be measured, and say why.

    made: also for one that could never be made
    """
    results: dict[str, list[CellResult]] = {}
    for target in matrix.targets:
        for cell in target.cells:
            if is_own(cell.axes["layer"]):
                results.setdefault(cell.axes["layer"], []).append(cell)
    for layer, cells in results.items():
        ((outcome, reason), *others) = {(cell.outcome, cell.reason or "") for cell in cells}
        never_made = made and outcome == "raised" and reason.endswith(NOT_MADE)
        if others or not (outcome == "unavailable" or never_made):
            continue
        told = reason if reason.startswith(layer.partition(":")[0]) else f"{layer}: {reason}"
        raise UsageError(told, WRITE_ARGUMENTS if never_made else hint(reason, layer))


def check_alike(cells: Sequence[Cell], like: str) -> None:
    """Raise UsageError unless the `cells` are all of layers of the user's own that are examined as `like`."""
    for cell in cells:
        if cell.axes["like"] != like:
            raise UsageError(
                f"the cell {cell.id!r} is not of a layer of your own that is like {like}",
                f"write it package.module:Class like={like} ...",
            )


def beside(plans: Sequence[Plan]) -> list[Plan]:
    """Plans of the framework's layers, for those of `plans` that have layers of the user's own."""
    found = []
    for plan in plans:
        cells = dict.fromkeys(as_like(cell) for cell in plan.cells if is_own(cell.axes["layer"]))
        if cells and plan.given is None:
            found.append(Plan(plan.target, tuple(cells)))
    return found


def likened(everything: Matrix, work: Sequence[Task], measure: Measure, tell: Tell) -> Likened:
    """The run, and what differs from the framework's layers, which is measured again.

    everything: what was measured by the plans of `work`, then by those `beside` them
    """
    plans = [task.plan for task in work]
    own, left = everything.targets[: len(plans)], iter(everything.targets[len(plans) :])
    matrix = answered(work, msgspec.structs.replace(everything, targets=own))
    diffs = []
    for plan, target in zip(plans, matrix.targets, strict=True):
        if not beside([plan]):
            continue
        other = next(left)
        kinds = dict.fromkeys(
            (cell.axes["layer"], cell.axes["like"]) for cell in plan.cells if is_own(cell.axes["layer"])
        )
        for layer, like in kinds:
            cells = [cell for cell in plan.cells if (cell.axes["layer"], cell.axes["like"]) == (layer, like)]
            again = _Again(plan, cells, other, target, measure, tell)
            diffs.append(confirmed(again.sides(), (True, True), again, __version__)[1])
    fields = {name: getattr(matrix, name) for name in matrix.__struct_fields__}
    return Likened(**fields, likeness=diffs)


class _Again:
    """Measures cells of a layer and of the one that it is like again; the sides as they are then known."""

    def __init__(
        self,
        plan: Plan,
        cells: Sequence[Cell],
        other: TargetMatrix,
        own: TargetMatrix,
        measure: Measure,
        tell: Tell,
    ) -> None:
        self.target, self.layer = plan.target, cells[0].axes["layer"]
        self.like = examined_as(cells[0].axes)
        self.other = _only(other, [as_like(cell) for cell in cells])
        self.own = _only(own, cells)
        self.measure, self.tell = measure, tell

    def sides(self) -> Sides:
        """The framework's layer by the ids of the user's own, and that."""
        cells = [
            msgspec.structs.replace(cell, id=named.id, axes=named.axes)
            for cell in self.other.cells
            for named in [as_own(parse_id(cell.id), self.layer)]
        ]
        return (
            msgspec.structs.replace(
                self.other, target=f"{self.like} of {self.target.text}", cells=cells, laws=[], defaults=[]
            ),
            msgspec.structs.replace(self.own, target=self.layer, laws=[], defaults=[]),
        )

    def __call__(self, ids: Sequence[str]) -> Sides | None:
        """The sides, these cells of both measured anew."""
        cells = [parse_id(identity) for identity in ids]
        plans = []
        for side, those in ((self.other, list(map(as_like, cells))), (self.own, cells)):
            known = side.by_id()
            before = {cell.id: known[cell.id] for cell in those if cell.id in known}
            plans.append(Plan(self.target, tuple(those), before=before))
        title = f"measuring {len(ids)} difference{'s' if len(ids) > 1 else ''} again, each in a fresh process"
        try:
            other, own = self.measure(plans, title).targets
        except BnmatrixError as error:
            self.tell(f"differences were not measured again: {error.message}")
            return None
        self.other, self.own = replaced(self.other, other), replaced(self.own, own)
        return self.sides()


def _only(side: TargetMatrix, cells: Sequence[Cell]) -> TargetMatrix:
    wanted = {cell.id for cell in cells}
    return msgspec.structs.replace(side, cells=[cell for cell in side.cells if cell.id in wanted])

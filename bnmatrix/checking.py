"""Measure what a check compares: the cells of a baseline anew, or two targets side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from bnmatrix import __version__
from bnmatrix.axes import parse_id
from bnmatrix.baseline import Baseline
from bnmatrix.checked import Compared
from bnmatrix.comparison import compare
from bnmatrix.confirmation import confirmed
from bnmatrix.errors import UsageError
from bnmatrix.laws import laws
from bnmatrix.matrix import CellResult, TargetMatrix
from bnmatrix.measurement import Measure, Plan
from bnmatrix.remeasuring import Remeasuring, Tell
from bnmatrix.target import CHOSEN_BACKENDS, Target, parse, version_of

if TYPE_CHECKING:
    from bnmatrix.selection import Selection

Tolerances = Mapping[str, float]
"""{fact: the share of its value that a number may differ by}"""


def plans_of(baseline: Baseline, only: Sequence[str]) -> list[Plan]:
    """What is measured for the targets of `baseline`, or for those of `only`. Raises UsageError."""
    names = [target.target for target in baseline.targets]
    for name in only:
        if name not in names:
            raise UsageError(f"the baseline has no target {name!r}", f"it has {', '.join(names)}")
    plans = []
    for held in baseline.targets:
        if only and held.target not in only:
            continue
        target = parse(held.target)
        if target.framework != held.framework:
            raise UsageError(
                f"{held.target} was {held.framework} in the baseline, and is {target.framework} now",
                "give it a name of its own, or write the baseline anew: bnmatrix lock",
            )
        plans.append(Plan(target, tuple(parse_id(cell.id) for cell in held.cells)))
    return plans


def past_of(held: TargetMatrix) -> Target:
    """The target as it was: of the version that the baseline tells. Raises UsageError where it tells none."""
    now = parse(held.target)
    package = now.family.package
    version = version_of(package, held.versions)
    if version is None:
        raise UsageError(f"the baseline does not tell which {package} {held.target} was")
    backend = f"[{now.backend}]" if now.backend in CHOSEN_BACKENDS else ""
    return parse(f"{now.framework}{backend}=={version.partition('+')[0]}")


def held_against(
    baseline: Baseline, plans: Sequence[Plan], measure: Measure, tell: Tell, tolerances: Tolerances
) -> list[Compared]:
    """The targets of `plans` as they were and as they are, what changed confirmed. Raises BnmatrixError.

    `measure` need not tell laws: those of both sides are found where anything changed.
    """
    held = {target.target: target for target in baseline.targets}
    found = []
    for plan, new in zip(plans, measure(plans, None).targets, strict=True):
        old = tolerant(held[plan.target.text], tolerances)
        again = Remeasuring((old, plan.target), (old, new), measure, tell)
        (old, new), diff = confirmed((old, new), (False, True), again, __version__)
        if diff.changes:  # only then are the laws of both sides of interest
            old, new = (msgspec.structs.replace(side, laws=laws(side.cells)) for side in (old, new))
            diff = compare(old, new, __version__)
        found.append(Compared(name=plan.target.text, old=old, new=new, diff=diff))
    return found


def present_of(against: str, only: Sequence[str]) -> str:
    """What is held against `against`: the one target of `only`, else that framework as it is installed."""
    if len(only) > 1:
        raise UsageError("--against compares with one target", f"name one --framework, not {len(only)}")
    if only:
        return only[0]
    old = parse(against)
    return f"{old.framework}[{old.backend}]" if old.backend in CHOSEN_BACKENDS else old.framework


def plans_against(old: str, new: str, selection: Selection) -> list[Plan]:
    """What `against` measures."""
    from bnmatrix import sides  # a check of a baseline needs no selection

    return sides.plans_of(old, new, selection)


def against(
    old: str, new: str, selection: Selection, measure: Measure, tell: Tell, tolerances: Tolerances
) -> Compared:
    """Two targets side by side. Raises BnmatrixError."""
    from bnmatrix import sides

    matrix, diff = sides.compared(old, new, selection, measure, tell)
    first, second = matrix.targets
    if tolerances:
        first = tolerant(first, tolerances)
        diff = compare(first, second, __version__)
    return Compared(name=new, old=first, new=second, diff=diff)


def tolerant(side: TargetMatrix, tolerances: Tolerances) -> TargetMatrix:
    """`side`, its numbers with as much room as the tolerances leave."""
    if not tolerances:
        return side
    return msgspec.structs.replace(side, cells=[_tolerant(cell, tolerances) for cell in side.cells])


def _tolerant(cell: CellResult, tolerances: Tolerances) -> CellResult:
    intervals = dict(cell.measured.get("intervals", {}))
    for fact, share in tolerances.items():
        value = cell.facts.get(fact)
        if isinstance(value, (int, float)):
            low, high = intervals.get(fact, (value, value))
            intervals[fact] = low - share * abs(low), high + share * abs(high)
    return msgspec.structs.replace(cell, measured={**cell.measured, "intervals": intervals})

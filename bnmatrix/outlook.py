"""What a measurement would be: how many cells, where they run, and about how long. Nothing is started."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bnmatrix.measurement import Options, Plan, device_of, place_of, processors, project_of, users_code
from bnmatrix.own_layers import Project
from bnmatrix.placement import Placement, place
from bnmatrix.records import Records
from bnmatrix.runner.schedule import START, estimate

OBSERVATIONS = 2
"""Of a cell that is not in doubt."""

ENVIRONMENTS = {
    "current": "the current environment",
    "isolated": "an environment of its own, which is there",
    "to be made": "an environment of its own, which would be made",
}


class TargetOutlook(msgspec.Struct, frozen=True, kw_only=True):
    """Of one target: the environment (one of `ENVIRONMENTS`), its interpreter, and the cells.

    seconds: of work, as if one probe did it
    """

    target: str
    environment: str
    python: str
    cells: int
    known: int
    seconds: float


class Outlook(msgspec.Struct, frozen=True, kw_only=True):
    """Of all targets. `seconds` until it is done with `jobs` probes at a time, environments apart."""

    cells: int
    known: int
    jobs: int
    seconds: float
    targets: list[TargetOutlook]


def outlook(plans: Sequence[Plan], options: Options, records: Records | None = None) -> Outlook:
    """What measuring `plans` would be. Asks no package index: what is not resolved is to be made.

    Raises BnmatrixError where a target cannot be had as asked for.
    """
    project = project_of(plans)
    targets = [_of_target(plan, project, options, records) for plan in plans]
    jobs = options.jobs or processors()
    work = sum(target.seconds for target in targets)
    return Outlook(
        cells=sum(target.cells for target in targets),
        known=sum(target.known for target in targets),
        jobs=jobs,
        seconds=round(work / jobs, 1) if work else 0.0,
        targets=targets,
    )


def _of_target(
    plan: Plan, project: Project | None, options: Options, records: Records | None
) -> TargetOutlook:
    target = plan.target
    placement = place(target, options.wishes, from_index=False)
    known = {}
    if placement is not None and records is not None:
        where = place_of(placement, device_of(target, options))
        code = users_code(plan, placement, project, options)
        known = records.known(where, plan.cells, options.seed, plan.given_as_sent(), code)[1]
    work = sum(estimate(cell.axes, target.framework) for cell in plan.cells if cell not in known)
    return TargetOutlook(
        target=target.text,
        environment=_environment(placement, options),
        python=_python(placement),
        cells=len(plan.cells),
        known=len(known),
        seconds=round(START + OBSERVATIONS * work, 1) if work else 0.0,
    )


def _environment(placement: Placement | None, options: Options) -> str:
    if placement is None:
        return "to be made"
    if placement.lock is None:
        return "current"
    from bnmatrix import environment

    is_there = environment.is_made(placement.lock, options.wishes.settings())
    return "isolated" if is_there else "to be made"


def _python(placement: Placement | None) -> str:
    """Which interpreter: its path, or its version where it would be one of an isolated environment."""
    if placement is None:
        return ""
    return placement.python or (f"Python {placement.lock.python}" if placement.lock else "")

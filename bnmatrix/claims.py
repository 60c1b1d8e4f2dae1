"""Claims measured: a verdict on each, for each target that it speaks of, or release after release.

What a claim says of whole models is measured by a function that is given, where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bnmatrix.claim import Claim
from bnmatrix.errors import NothingSelectedError
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Matrix, Tabular, TargetMatrix
from bnmatrix.measurement import Measure, Plan
from bnmatrix.runs import stretches
from bnmatrix.scenario import Given, cells
from bnmatrix.target import Target
from bnmatrix.timeline import Release, releases_of
from bnmatrix.verdicts import UNTRIED, Models, Verdict, verdict


class ClaimRun(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring releases of which the same is to be said."""

    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    verdict: str
    answer: str


class Claimed(msgspec.Struct, frozen=True, kw_only=True):
    """A claim, with a verdict for each target that it speaks of; of a timeline also with runs of releases."""

    id: str
    says: str
    source: str
    frameworks: list[str]
    verdicts: list[Verdict]
    runs: list[ClaimRun] = []


class Claims(msgspec.Struct, Tabular, frozen=True, kw_only=True):
    """What `bnmatrix claims --format json` prints.

    targets:  what was measured; of a timeline in order of release
    timeline: the framework of a timeline, else null
    silent:   claims that speak of none of the targets
    """

    schema_version: int
    bnmatrix: str
    timeline: str | None
    targets: list[Release]
    claims: list[Claimed]
    silent: list[str] = []


def plans_of(claims: Sequence[Claim], targets: Sequence[Target]) -> list[Plan]:
    """What to measure: for each target all its cells, those with given numbers apart.

    Raises NothingSelectedError where no claim speaks of any of the targets.
    """
    plans = []
    for target in targets:
        own = [claim for claim in claims if claim.speaks_of(target.framework)]
        for given in _givens(own):
            of_plan = [claim.scenario for claim in own if claim.scenario.given == given]
            found = dict.fromkeys(cell for scenario in of_plan for cell in cells(scenario, target.family))
            if found:
                plans.append(Plan(target, tuple(found), given))
    if not plans and not any(claim.unknown_frameworks() for claim in claims):
        names = ", ".join(target.text for target in targets)
        about = sorted({name for claim in claims for name in claim.frameworks})
        raise NothingSelectedError(
            f"none of these claims speaks of {names}", f"they speak of {', '.join(about)}"
        )
    return plans


def _givens(claims: Sequence[Claim]) -> list[Given | None]:
    """The numbers that are given, each once."""
    found: list[Given | None] = []
    for claim in claims:
        if claim.scenario.given not in found:
            found.append(claim.scenario.given)
    return found


def measured(
    claims: Sequence[Claim],
    targets: Sequence[Target],
    measure: Measure,
    version: str,
    timeline: str | None = None,
    models: Models | None = None,
) -> tuple[Claims, Matrix]:
    """The verdict on each claim on each target that it speaks of; and what was measured for it.

    timeline: the targets are releases of this framework, oldest first
    models:   measures whole models
    Raises BnmatrixError.
    """
    plans = plans_of(claims, targets)
    matrix = Matrix(schema_version=SCHEMA_VERSION, bnmatrix=version, targets=[])
    if plans:
        matrix = measure(plans, None)
    by_target: dict[Target, list[tuple[Plan, TargetMatrix]]] = {}
    for plan, side in zip(plans, matrix.targets, strict=True):
        by_target.setdefault(plan.target, []).append((plan, side))
    releases = releases_of([_together([side for _, side in found]) for found in by_target.values()])
    told, silent = [], []
    for claim in claims:
        verdicts = [
            verdict(claim, target, _own_cells(claim, target, found), models)
            for target, found in by_target.items()
            if claim.speaks_of(target.framework)
        ]
        verdicts += [] if timeline else [_unknown(name) for name in claim.unknown_frameworks()]
        if not verdicts:
            silent.append(claim.id)
            continue
        claimed = Claimed(
            id=claim.id,
            says=claim.says,
            source=claim.source,
            frameworks=list(claim.frameworks),
            verdicts=verdicts,
            runs=runs(verdicts, [each.release for each in releases]) if timeline else [],
        )
        told.append(claimed)
    found = Claims(
        schema_version=SCHEMA_VERSION,
        bnmatrix=version,
        timeline=timeline,
        targets=releases,
        claims=told,
        silent=silent,
    )
    return found, matrix


def _together(sides: Sequence[TargetMatrix]) -> TargetMatrix:
    """What was measured of one target, with whatever numbers."""
    best = next((side for side in sides if side.versions), sides[0])
    return msgspec.structs.replace(best, cells=[cell for side in sides for cell in side.cells])


def _own_cells(claim: Claim, target: Target, found: Sequence[tuple[Plan, TargetMatrix]]) -> list[CellResult]:
    """The claim's own cells on a target."""
    wanted = {cell.id for cell in cells(claim.scenario, target.family)}
    return [
        cell
        for plan, side in found
        if plan.given == claim.scenario.given
        for cell in side.cells
        if cell.id in wanted
    ]


def _unknown(framework: str) -> Verdict:
    return Verdict(target=framework, verdict=UNTRIED, answer=f"bnmatrix knows no framework {framework}")


def runs(verdicts: Sequence[Verdict], names: Sequence[str]) -> list[ClaimRun]:
    """Releases folded that have the same verdict, for the same reason."""
    said = {number: (each.verdict, each.answer) for number, each in enumerate(verdicts)}
    return [
        ClaimRun(first=names[first], last=names[last], verdict=word, answer=answer)
        for first, last, (word, answer) in stretches(said, range(len(verdicts)))
    ]

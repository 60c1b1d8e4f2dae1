"""Measuring as the commands do it: progress on stderr while it lasts, and what went wrong afterwards."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from bnmatrix.cli.progress import Reporter, note
from bnmatrix.cli.selection import Task, counts
from bnmatrix.measurement import FAULTS, Options, Plan, measure

if TYPE_CHECKING:
    from bnmatrix.matrix import Matrix


def measured(plans: Sequence[Plan], options: Options, quiet: bool, verbose: bool) -> Matrix:
    """Measure `plans`, telling how far it is."""
    started = time.monotonic()
    note(f"measuring {counts(plans)}", quiet)
    with Reporter(quiet) as report:
        matrix = measure(plans, options, report)
    if verbose:
        note(f"measured in {time.monotonic() - started:.1f} s", quiet)
    return matrix


def check(tasks: Sequence[Task], matrix: Matrix) -> Matrix:
    """`matrix` with what became of the scenarios' expectations, and with whose numbers were given."""
    import msgspec

    from bnmatrix.expectations import check as answers

    targets = [
        target
        if task.plan.given is None
        else msgspec.structs.replace(target, given_by=task.scenarios[0].name)
        for task, target in zip(tasks, matrix.targets, strict=True)
    ]
    found = []
    scenarios = {scenario.name: scenario for task in tasks for scenario in task.scenarios if scenario.expect}
    for scenario in scenarios.values():
        # Plans and targets correspond; a scenario is asked of the plans that measured it only.
        own = [target for task, target in zip(tasks, targets, strict=True) if scenario in task.scenarios]
        found += answers(scenario, msgspec.structs.replace(matrix, targets=own))
    return msgspec.structs.replace(matrix, targets=targets, expectations=found)


def say_unasked(tasks: Sequence[Task], matrix: Matrix, quiet: bool) -> None:
    """Say on stderr which scenarios expect nothing of what was measured: that is no success of theirs."""
    answered = {result.scenario for result in matrix.expectations}
    names = {scenario.name: None for task in tasks for scenario in task.scenarios if scenario.expect}
    for name in names:
        if name not in answered:
            note(f"{name} expects nothing of what was measured", quiet)


def say_incomplete(matrix: Matrix) -> None:
    """Count on stderr what could not be run."""
    for target in matrix.targets:
        outcomes = [cell.outcome for cell in target.cells if cell.outcome in FAULTS]
        if outcomes:
            each = ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes))
            typer.echo(f"incomplete: of {target.target}'s {len(target.cells)} cells {each}", err=True)

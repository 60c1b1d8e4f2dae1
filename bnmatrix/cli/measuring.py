"""Measuring as the commands do it: the store, progress on stderr, and what went wrong afterwards."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import typer

from bnmatrix.cli.progress import Reporter, note
from bnmatrix.errors import Exit
from bnmatrix.matrix import FAULTS, Matrix, is_complete
from bnmatrix.measurement import Measure, Options, Plan, counts, measure
from bnmatrix.placement import Wishes

if TYPE_CHECKING:
    from bnmatrix.records import Records
    from bnmatrix.selection import Task


@dataclass
class Means:
    """The options of a command that measures: how, and how loud; `lost` says why results were not kept."""

    options: Options
    no_cache: bool = False
    refresh: bool = False
    quiet: bool = False
    verbose: bool = False
    lost: str | None = None


def means(
    seed: int,
    jobs: int | None,
    timeout: float,
    device: str | None,
    python: str | None,
    offline: bool,
    yes: bool,
    no_cache: bool,
    refresh: bool,
    quiet: bool,
    verbose: bool,
    known: bool = False,
) -> Means:
    """`Means` from the options as the commands declare them."""
    options = Options(seed, jobs, timeout, device, Wishes(python, offline, yes), known)
    return Means(options, no_cache, refresh, quiet, verbose)


def measured(plans: Sequence[Plan], means: Means, title: str | None = None) -> Matrix:
    """Measure `plans`, telling how far it is."""
    started = time.monotonic()
    with (
        opened(means) as records,
        Reporter(title or f"measuring {counts(plans)}", means.quiet) as report,
    ):
        wishes = replace(means.options.wishes, tell=report.say)
        matrix = measure(plans, replace(means.options, wishes=wishes), report, records)
    if records is not None and records.found:
        total = sum(len(plan.cells) for plan in plans)
        note(f"{records.found} of {total} cells were known; --refresh measures them anew", means.quiet)
    if means.verbose:
        note(f"done in {time.monotonic() - started:.1f} s", means.quiet)
    return matrix


def measurer(means: Means) -> Measure:
    """`measured`, for what does not know of `Means`."""
    return lambda plans, title: measured(plans, means, title)


def teller(means: Means) -> Callable[[str], None]:
    """Says a line on stderr."""
    return lambda text: note(text, means.quiet)


@contextmanager
def opened(means: Means) -> Iterator[Records | None]:
    """What is known, unless it is not to be used; afterwards what befell the store is told."""
    from bnmatrix import records

    if means.no_cache:
        yield None
        return
    with records.opened(means.refresh, teller(means)) as known:
        yield known
    means.lost = means.lost or known.lost


def code_of(matrix: Matrix, means: Means) -> int:
    """The exit code of a run in which nothing changed; says on stderr what could not be run or kept."""
    for target in matrix.targets:
        outcomes = [cell.outcome for cell in target.cells if cell.outcome in FAULTS]
        if outcomes:
            each = ", ".join(f"{outcomes.count(word)} {word}" for word in dict.fromkeys(outcomes))
            typer.echo(f"incomplete: of {target.target}'s {len(target.cells)} cells {each}", err=True)
    if means.lost:
        typer.echo(f"the results could not be kept: {means.lost}", err=True)
    if not is_complete(matrix):
        return Exit.INCOMPLETE
    return Exit.STORE if means.lost else Exit.DONE


def say_unasked(tasks: Sequence[Task], matrix: Matrix, quiet: bool) -> None:
    """Say on stderr which scenarios expect nothing of what was measured: that is no success of theirs."""
    answered = {result.scenario for result in matrix.expectations}
    names = {scenario.name: None for task in tasks for scenario in task.scenarios if scenario.expect}
    for name in names:
        if name not in answered:
            note(f"{name} expects nothing of what was measured", quiet)

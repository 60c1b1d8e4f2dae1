"""Measure: plans in, a matrix out. Drives the runner and the judge, and decides when a fact is settled.

Every cell is observed with two seeds, each time freshly built and compiled. Where those disagree or
leave something open it is observed again, up to `MOST` times; what still disagrees is `unstable`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from bnmatrix import __version__
from bnmatrix.axes import Cell
from bnmatrix.errors import UsageError
from bnmatrix.layers import layers
from bnmatrix.runner import Answer, Greeting, Guest, ProbeFailed, Request, Runner
from bnmatrix.scenario import Given
from bnmatrix.target import Target, how_to_install

if TYPE_CHECKING:
    from bnmatrix.judge import Judgement, Settled
    from bnmatrix.matrix import CellResult, Matrix, TargetMatrix

CONFIRMING = 2
"""Observations of every cell."""

MOST = 5
"""Observations of a cell at the most."""

RESTARTS = 12
"""Fresh probes a target may have after cells that were given up: then the rest of it is, too."""

FAULTS = ("crashed", "timed_out", "skipped")
"""Outcomes that make a run incomplete."""

Progress = Callable[[int, int, str], None]
"""(cells settled, cells in all, a note)"""

_Key = tuple[int, str]
"""Of a request: the place of its plan, the id of its cell."""


@dataclass(frozen=True)
class Plan:
    """What to measure of one target. `given` replaces generated inputs."""

    target: Target
    cells: tuple[Cell, ...]
    given: Given | None = None


@dataclass(frozen=True)
class Options:
    """How to measure: the first seed, the seconds a cell may take, the device of targets that name none."""

    seed: int = 0
    jobs: int | None = None
    timeout: float = 60.0
    device: str | None = None


@dataclass
class _Subject:
    """A cell of a plan while it is being measured."""

    plan: int
    cell: Cell
    wanted: int = CONFIRMING
    answers: list[Answer] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    result: CellResult | None = None


def guest_of(target: Target, device: str | None) -> Guest:
    """How the current environment runs `target`."""
    variables = dict(target.family.variables)
    if target.backend:
        variables["KERAS_BACKEND"] = target.backend
    return Guest(
        target=target.text,
        framework=target.framework,
        backend=target.backend,
        device=target.device or device or "cpu",
        variables=tuple(variables.items()),
    )


def measure(
    plans: Sequence[Plan], options: Options, progress: Progress = lambda done, total, note: None
) -> Matrix:
    """Measure every cell of every plan.

    Raises UsageError where a target's package or device is not there. Where its probe cannot start for
    another reason all its cells are `crashed`; what befalls single cells is their outcome.
    """
    from bnmatrix.matrix import SCHEMA_VERSION, Matrix

    guests = [guest_of(plan.target, options.device) for plan in plans]
    subjects = {
        (number, cell.id): _Subject(number, cell) for number, plan in enumerate(plans) for cell in plan.cells
    }
    total, done = len(subjects), 0
    greetings: dict[Guest, Greeting] = {}
    with Runner(jobs=options.jobs or processors(), timeout=options.timeout, restarts=RESTARTS) as runner:
        for number, (guest, plan) in enumerate(zip(guests, plans, strict=True)):
            runner.submit(guest, _requests(number, plan, options.seed))
        runner.start()
        # The judge brings numpy; it loads while the probes import their frameworks.
        progress(0, total, "starting the frameworks")
        for event in runner.results():
            if isinstance(event, Greeting):
                greetings[event.guest] = event
            elif isinstance(event, ProbeFailed):
                # What only the user can mend ends the run; else its cells are crashed and the others go on.
                if event.kind != "failed":
                    raise _not_there(event, plans[guests.index(event.guest)].target)
            else:
                number, identity = cast(_Key, event.request.key)
                subject = subjects[number, identity]
                _take(subject, event)
                missing = subject.wanted - len(subject.answers)
                if not missing and subject.result is None:
                    missing = _settle(subject)
                    if missing:
                        subject.wanted += missing
                        runner.submit(guests[number], _further(subject, plans[number], options.seed))
                    else:
                        done += 1
                        progress(done, total, plans[number].target.text)
    return Matrix(
        schema_version=SCHEMA_VERSION,
        bnmatrix=__version__,
        targets=[
            _target_matrix(plan, greetings.get(guest), [subjects[number, cell.id] for cell in plan.cells])
            for number, (plan, guest) in enumerate(zip(plans, guests, strict=True))
        ],
    )


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def is_complete(matrix: Matrix) -> bool:
    """Whether every cell could be run (an exception of the framework is a result, too)."""
    return not any(cell.outcome in FAULTS for target in matrix.targets for cell in target.cells)


def _requests(number: int, plan: Plan, seed: int) -> list[Request]:
    """Every cell once, then every cell again with another seed: a confirmation comes from a fresh build."""
    return [_request(number, plan, cell, seed + turn) for turn in range(CONFIRMING) for cell in plan.cells]


def _further(subject: _Subject, plan: Plan, seed: int) -> list[Request]:
    turns = range(len(subject.answers), subject.wanted)
    return [_request(subject.plan, plan, subject.cell, seed + turn) for turn in turns]


def _request(number: int, plan: Plan, cell: Cell, seed: int) -> Request:
    given: dict[str, Any] | None = None
    if plan.given is not None:
        given = {"state": plan.given.state, "options": plan.given.options}
        if plan.given.input is not None:
            given["input"] = plan.given.input
    key: _Key = (number, cell.id)
    return Request(cell.axes, seed, given, key)


def _take(subject: _Subject, answer: Answer) -> None:
    from bnmatrix.judge import judge

    if answer.observation is not None:
        axes = subject.cell.axes
        try:
            subject.judgements.append(judge(answer.observation, layers()[axes["layer"]], axes))
        except Exception as error:  # a fault of ours must not cost the other cells
            reason = f"bnmatrix could not judge it: {type(error).__name__}: {error}; please report this"
            answer = replace(answer, outcome="crashed", observation=None, reason=reason)
    subject.answers.append(answer)


def _settle(subject: _Subject) -> int:
    """Set the subject's result, or return how many more observations it needs."""
    from bnmatrix.judge import settle

    outcomes = {answer.outcome for answer in subject.answers}
    settled = settle(subject.judgements)
    flickers = len(outcomes) > 1 and not outcomes & set(FAULTS)
    missing = max(settled.missing, CONFIRMING if flickers else 0)
    if missing and len(subject.answers) < MOST:
        return min(missing, MOST - len(subject.answers))
    subject.result = _result(subject, settled)
    return 0


def _result(subject: _Subject, settled: Settled) -> CellResult:
    from bnmatrix.matrix import CellResult

    # A fault in one observation of a cell is a fault of the cell; else what most of them say.
    outcomes = [answer.outcome for answer in subject.answers]
    faults = [outcome for outcome in outcomes if outcome in FAULTS]
    outcome = faults[0] if faults else max(outcomes, key=outcomes.count)
    first = next(answer for answer in subject.answers if answer.outcome == outcome)
    measured: dict[str, Any] = dict(subject.judgements[0].readings) if subject.judgements else {}
    if settled.intervals:
        measured["intervals"] = {fact: list(interval) for fact, interval in settled.intervals.items()}
    unstable = dict(settled.unstable)
    if len(set(outcomes)) > 1:
        unstable["outcome"] = {
            "rate": round(1 - outcomes.count(outcome) / len(outcomes), 3),
            "values": {word: outcomes.count(word) for word in dict.fromkeys(outcomes)},
        }
    if unstable:
        measured["unstable"] = unstable
    return CellResult(
        id=subject.cell.id,
        axes=subject.cell.axes,
        outcome=outcome,
        facts=settled.facts if outcome != "unavailable" else {},
        measured=measured,
        seconds=round(sum(answer.seconds for answer in subject.answers), 6),
        reason=_reason(first),
    )


def _reason(answer: Answer) -> str | None:
    """Why an outcome is not ok, in a line."""
    if answer.observation is not None and answer.observation.exception is not None:
        exception = answer.observation.exception
        return f"{exception.type}: {exception.message}"
    if answer.observation is not None and answer.observation.reason is not None:
        return answer.observation.reason
    return answer.reason


def _target_matrix(plan: Plan, greeting: Greeting | None, subjects: Sequence[_Subject]) -> TargetMatrix:
    from bnmatrix.laws import defaults, laws
    from bnmatrix.matrix import TargetMatrix

    cells = [subject.result for subject in subjects if subject.result is not None]
    return TargetMatrix(
        target=plan.target.text,
        framework=plan.target.framework,
        versions=dict(greeting.versions) if greeting else {},
        python=greeting.python if greeting else "",
        device=greeting.device if greeting else "",
        cells=cells,
        laws=laws(cells),
        defaults=defaults(cells),
    )


def _not_there(failure: ProbeFailed, target: Target) -> UsageError:
    """The error for a package or device that is not there."""
    if failure.kind == "missing":
        what = failure.what or ""
        return UsageError(
            f"{target.text} cannot be imported: no module {what}", how_to_install(target, [what])
        )
    return UsageError(
        f"{target.text}: {failure.message}", failure.hint or "choose one with --device cpu|gpu|auto"
    )

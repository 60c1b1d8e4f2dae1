"""Measure: plans in, a matrix out. Places the targets, drives the runner, and keeps what was found.

What is known already comes from the store; only for the rest are environments made and probes started.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, cast

from bnmatrix import __version__
from bnmatrix.axes import Cell, as_like
from bnmatrix.errors import BnmatrixError, Exit, UsageError
from bnmatrix.laws import defaults, laws
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Matrix, TargetMatrix
from bnmatrix.own_layers import Project, as_sent, examples, is_own, is_shipped, project
from bnmatrix.placement import Placement, Wishes, code_of, place, ready, with_module
from bnmatrix.records import Header, Place, Records
from bnmatrix.scenario import Given
from bnmatrix.target import Target, how_to_install

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from bnmatrix.runner import Answer, Event, Guest, ProbeFailed, Request, Runner
    from bnmatrix.settling import Subject

RESTARTS = 12
"""Fresh probes a target may have without an answer between, for cells that were given up; then all are."""

ASKING = 4
"""Targets that the package index is asked about at a time."""

TOGETHER = 100
"""Cells that are observed once before the first of them is observed again."""

MAKING = 2
"""Environments that are made at a time."""

MANY = 5
"""Targets that are named one by one at the most."""

Progress = Callable[[int, int, str], None]
"""(cells settled, cells in all, a note)"""

_Key = tuple[int, str]
"""Of a request: the place of its plan, the id of its cell."""


@dataclass(frozen=True)
class Plan:
    """What to measure of one target.

    given:  replaces generated inputs
    before: what was found of the cells, which are then measured again, each alone in a fresh probe
    """

    target: Target
    cells: tuple[Cell, ...]
    given: Given | None = None
    before: Mapping[str, CellResult] = field(default_factory=dict)

    def given_as_sent(self) -> dict[str, Any] | None:
        """`given` as the probe is told it."""
        if self.given is None:
            return None
        sent = {"state": self.given.state, "options": self.given.options}
        return sent if self.given.input is None else {**sent, "input": self.given.input}

    def own_layers(self) -> tuple[str, ...]:
        """The layers of the user's own among its cells."""
        return tuple(sorted({layer for cell in self.cells if is_own(layer := cell.axes["layer"])}))


@dataclass(frozen=True)
class Options:
    """How to measure.

    seed:    the first seed
    timeout: seconds a cell may take
    device:  of targets that name none
    wishes:  where targets run
    known:   measure nothing: what is not known is `skipped`
    with_laws: tell the laws of what was measured
    """

    seed: int = 0
    jobs: int | None = None
    timeout: float = 60.0
    device: str | None = None
    wishes: Wishes = field(default_factory=Wishes)
    known: bool = False
    with_laws: bool = True

    def __post_init__(self) -> None:
        """Raise UsageError for what no probe can be told."""
        if not (isinstance(self.seed, int) and 0 <= self.seed < 2**32 - 9):
            raise UsageError(f"the seed {self.seed!r} is not a number from 0 to {2**32 - 10}")
        if not (isinstance(self.timeout, (int, float)) and 0.1 <= self.timeout <= 86400):
            raise UsageError(f"the timeout {self.timeout!r} is not a number of seconds from 0.1 to 86400")
        if self.jobs is not None and not (isinstance(self.jobs, int) and self.jobs > 0):
            raise UsageError(f"{self.jobs!r} is not a number of probes")


Measure = Callable[[Sequence[Plan], str | None], Matrix]
"""`measure` with everything else decided; the text says what for, where it is not plain."""


def counts(plans: Sequence[Plan]) -> str:
    """`40 cells of tf2, 24 of torch`; of many targets their number"""
    if len(plans) > MANY:
        return f"{sum(len(plan.cells) for plan in plans)} cells of {len(plans)} targets"
    first, *rest = plans
    noun = "cell" if len(first.cells) == 1 else "cells"
    parts = [f"{len(first.cells)} {noun} of {first.target.text}"]
    return ", ".join([*parts, *(f"{len(plan.cells)} of {plan.target.text}" for plan in rest)])


def device_of(target: Target, options: Options) -> str:
    """Where `target` computes."""
    return target.device or options.device or "cpu"


def place_of(placement: Placement, device: str) -> Place:
    """Of the results of a target in the store."""
    target = placement.target
    variables = target.probe_variables()
    return Place(target.framework, target.backend, device, placement.identity, variables)


def project_of(plans: Sequence[Plan]) -> Project | None:
    """Where layers of the user's own lie, if one of the plans has any."""
    own = [layer for plan in plans for layer in plan.own_layers()]
    if not own:
        return None
    return examples() if all(map(is_shipped, own)) else project()


def users_code(plan: Plan, placement: Placement, project: Project | None, options: Options) -> str | None:
    """A digest of the code of the user's own layers; None where there are none, or too much code to tell."""
    if project is None or project.digest is None:
        return None
    own = [layer for layer in plan.own_layers() if not is_shipped(layer)]
    modules = tuple(sorted({layer.partition(":")[0].partition(".")[0] for layer in own}))
    with_examples = f" {examples().digest}" if len(own) < len(plan.own_layers()) else ""
    return f"{project.digest} {project.path} {code_of(placement, modules, options.wishes)}{with_examples}"


def request_of(
    plan: Plan, cell: Cell, project: Project | None
) -> tuple[Mapping[str, str], dict[str, Any] | None]:
    """What a probe is asked for: axes that it knows, and what is given."""
    given, layer = plan.given_as_sent(), cell.axes["layer"]
    if project is None or not is_own(layer):
        return cell.axes, given
    return as_like(cell).axes, {**(given or {}), "own": as_sent(layer, project.path)}


def guest_for(guest: Guest, cell: Cell) -> Guest:
    """The `guest` as it runs the `cell`: apart where the layer is the user's own."""
    layer = cell.axes["layer"]
    return replace(guest, users=layer.partition(":")[0]) if is_own(layer) else guest


def guest_of(target: Target, python: str, device: str) -> Guest:
    """How `target` runs in the environment of the interpreter `python`."""
    from bnmatrix.runner import Guest

    return Guest(
        target=target.text,
        framework=target.framework,
        backend=target.backend,
        device=device,
        python=python,
        variables=target.probe_variables(),
    )


def measure(
    plans: Sequence[Plan],
    options: Options,
    progress: Progress = lambda done, total, note: None,
    records: Records | None = None,
) -> Matrix:
    """The matrix of every cell of every plan: known from `records`, or measured and put there.

    Raises BnmatrixError where a target, its package or its device cannot be had as asked for, and where
    no target has an environment. One among others that has none is `skipped`, one whose probe cannot start
    `crashed`; what befalls single cells is their outcome.
    """
    project = project_of(plans)
    parts = [_Part(plan, device_of(plan.target, options), project) for plan in plans]
    _place(parts, options, progress)
    for part in parts:
        part.look_up(records, options)
    unknown = [part for part in parts if part.is_open]
    if unknown and not options.known:
        _Measuring(parts, options, progress, records).run(unknown)
        for part in parts:
            if part.failure and all(each.failure for each in parts):
                raise part.failure
    targets = [part.matrix(options.with_laws) for part in parts]
    return Matrix(schema_version=SCHEMA_VERSION, bnmatrix=__version__, targets=targets)


def processors() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass
class _Part:
    """A plan on its way: where it runs, what is known of it, and why it cannot be had."""

    plan: Plan
    device: str
    project: Project | None
    placement: Placement | None = None
    guest: Guest | None = None
    header: Header | None = None
    results: dict[Cell, CellResult] = field(default_factory=dict)
    failure: BnmatrixError | None = None
    users_code: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is anything left to measure."""
        if self.failure is not None:
            return False
        return self.header is None or len(self.results) < len(self.plan.cells)

    def place_key(self) -> Place:
        """Of its results in the store."""
        assert self.placement is not None
        return place_of(self.placement, self.device)

    def look_up(self, records: Records | None, options: Options) -> None:
        """Take what is known."""
        if records is not None and self.placement is not None:
            self.users_code = users_code(self.plan, self.placement, self.project, options)
            if not self.plan.before:
                self.header, self.results = records.known(
                    self.place_key(),
                    self.plan.cells,
                    options.seed,
                    self.plan.given_as_sent(),
                    self.users_code,
                )

    def matrix(self, with_laws: bool) -> TargetMatrix:
        """What became of it; a cell without a result is `skipped`."""
        reason = _in_a_line(self.failure) if self.failure else "not measured yet"
        cells = [
            self.results.get(cell)
            or CellResult(
                id=cell.id,
                axes=cell.axes,
                outcome="skipped",
                facts={},
                measured={},
                seconds=0.0,
                reason=reason,
            )
            for cell in self.plan.cells
        ]
        header = self.header or Header({}, "", "")
        return TargetMatrix(
            target=self.plan.target.text,
            framework=self.plan.target.framework,
            versions=header.versions,
            python=header.python,
            device=header.device,
            cells=cells,
            laws=laws(cells) if with_laws else [],
            defaults=defaults(cells) if with_laws else [],
        )


def _place(parts: Sequence[_Part], options: Options, progress: Progress) -> None:
    """Place every part. Raises what the user has to mend, and what befell all of them."""
    errors: list[BnmatrixError] = []

    def place_one(part: _Part, from_index: bool) -> None:
        try:
            part.placement = place(part.plan.target, options.wishes, from_index)
        except BnmatrixError as error:
            part.failure = error
            errors.append(error)

    for part in parts:
        place_one(part, from_index=False)
    unplaced = [part for part in parts if part.placement is None and part.failure is None]
    if unplaced and not options.known:
        progress(0, sum(len(part.plan.cells) for part in parts), "asking the package index")
        with _workers(ASKING) as pool:
            list(pool.map(lambda part: place_one(part, from_index=True), unplaced))
    for error in errors:
        if error.exit_code == Exit.USAGE or len(errors) == len(parts):
            raise error
        options.wishes.tell(_in_a_line(error))


@contextmanager
def _workers(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that have uv run; an exception here, Ctrl-C too, ends what they wait for."""
    from concurrent.futures import ThreadPoolExecutor

    pool = ThreadPoolExecutor(count)
    try:
        yield pool
    except BaseException:
        from bnmatrix import environment

        pool.shutdown(wait=False, cancel_futures=True)
        environment.stop()
        raise
    finally:
        pool.shutdown()


def _in_a_line(error: BnmatrixError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message


class _Measuring:
    """Parts being measured: environments are made while those that are there are at work."""

    def __init__(
        self, parts: Sequence[_Part], options: Options, progress: Progress, records: Records | None
    ) -> None:
        self.parts = parts
        self.options = options
        self.progress = progress
        self.records = records
        self.subjects: dict[_Key, Subject] = {}
        self.making: set[Future[None]] = set()
        self.modules: set[tuple[int, str]] = set()
        self.unkept: list[tuple[_Part, Cell]] = []

    def run(self, unknown: Sequence[_Part]) -> None:
        """Measure what the parts `unknown` lack."""
        from concurrent.futures import FIRST_COMPLETED, wait

        from bnmatrix.runner import Runner

        jobs = self.options.jobs or processors()
        with (
            Runner(jobs=jobs, timeout=self.options.timeout, restarts=RESTARTS) as runner,
            _workers(MAKING) as pool,
        ):
            for part in unknown:
                self._begin(part, runner, pool)
            runner.start()
            # The judge brings numpy; it loads while the probes import their frameworks.
            self._report("starting the frameworks")
            try:
                while True:
                    for event in runner.results():
                        self._handle(event, runner, pool)
                    if not self.making:
                        return
                    done, self.making = wait(self.making, return_when=FIRST_COMPLETED)
                    for future in done:
                        future.result()
            finally:
                self._keep_own()

    def _begin(self, part: _Part, runner: Runner, pool: ThreadPoolExecutor) -> None:
        assert part.placement is not None
        if part.placement.python is not None:
            self._submit(part, runner, part.placement.python)
        else:
            self.making.add(pool.submit(self._make, part, runner, None))

    def _make(self, part: _Part, runner: Runner, module: str | None) -> None:
        """In a thread: make the part's environment, with a `module` that it lacked, and submit its cells."""
        assert part.placement is not None
        wishes = self.options.wishes
        try:
            if module is not None:
                part.placement = with_module(part.placement, module, wishes) or part.placement
            python = ready(part.placement, wishes)
        except BnmatrixError as error:
            part.failure = error
            if len(self.parts) > 1:
                wishes.tell(_in_a_line(error))
            return
        self._submit(part, runner, python)

    def _submit(self, part: _Part, runner: Runner, python: str) -> None:
        from bnmatrix.settling import subject

        number = self.parts.index(part)
        part.guest = guest_of(part.plan.target, python, part.device)
        subjects = [
            subject(cell, part.plan.before.get(cell.id))
            for cell in part.plan.cells
            if cell not in part.results
        ]
        self.subjects.update({(number, subject.cell.id): subject for subject in subjects})
        # Every cell once, then every cell again with another seed: a confirmation comes from a fresh build.
        # Of many cells some at a time, so that results are kept and counted before all are observed.
        requests = [self._requests(number, subject) for subject in subjects]
        parts = [requests[start : start + TOGETHER] for start in range(0, len(requests), TOGETHER)]
        turns = [turn for some in parts for turn in zip_longest(*some)]
        queues: dict[Guest, list[Request]] = {}
        for request in (request for turn in turns for request in turn if request is not None):
            cell = self.subjects[cast(_Key, request.key)].cell
            queues.setdefault(guest_for(part.guest, cell), []).append(request)
        for guest, queue in queues.items():
            runner.submit(guest, queue)

    def _requests(self, number: int, subject: Subject) -> list[Request]:
        """What `subject` still wants to be observed, with the seeds that follow."""
        from bnmatrix.runner import Request
        from bnmatrix.settling import MOST

        part = self.parts[number]
        axes, given = request_of(part.plan, subject.cell, part.project)
        key = (number, subject.cell.id)
        first = self.options.seed + (MOST if subject.fresh else 0)
        return [
            Request(axes, first + turn, given, key, subject.fresh)
            for turn in range(len(subject.answers), subject.wanted)
        ]

    def _handle(self, event: Event, runner: Runner, pool: ThreadPoolExecutor) -> None:
        from bnmatrix.runner import Answer, Greeting

        if isinstance(event, Greeting):
            for part in self.parts:
                if part.guest == replace(event.guest, users=""):
                    part.header = Header(dict(event.versions), event.python, event.device)
        elif isinstance(event, Answer):
            self._take(event, runner)
        else:
            self._failed(event, runner, pool)

    def _take(self, answer: Answer, runner: Runner) -> None:
        number, identity = cast(_Key, answer.request.key)
        part, subject = self.parts[number], self.subjects[number, identity]
        if replace(answer.guest, users="") != part.guest:  # of an environment that lacked a module
            return
        missing = subject.take(answer)
        if missing:
            runner.submit(answer.guest, self._requests(number, subject))
        elif subject.result is not None and subject.cell not in part.results:
            part.results[subject.cell] = subject.result
            if is_own(subject.cell.axes["layer"]):
                self.unkept.append((part, subject.cell))
            else:
                self._keep(part, subject.cell)
            self._report(part.plan.target.text)

    def _keep(self, part: _Part, cell: Cell) -> None:
        if self.records is not None and part.header is not None:
            self.records.keep(
                part.place_key(),
                part.header,
                cell,
                self.options.seed,
                part.plan.given_as_sent(),
                part.results[cell],
                part.users_code,
            )

    def _keep_own(self) -> None:
        """Keep the results of the user's own layers, unless their code was changed meanwhile."""
        if self.unkept and project_of([part.plan for part, _ in self.unkept]) == self.unkept[0][0].project:
            for part, cell in self.unkept:
                self._keep(part, cell)

    def _failed(self, failure: ProbeFailed, runner: Runner, pool: ThreadPoolExecutor) -> None:
        """What only the user can mend ends the run; a module that an environment of ours lacks is added."""
        own = [part for part in self.parts if part.guest == replace(failure.guest, users="")]
        if failure.kind == "failed":  # its cells come as crashed
            return
        for part in own:
            module = failure.what or ""
            key = (self.parts.index(part), module)
            is_ours = part.placement is not None and part.placement.lock is not None
            if failure.kind != "missing" or not is_ours or key in self.modules:
                raise _not_there(failure, part.plan.target)
            self.modules.add(key)
            part.guest = None
            self.making.add(pool.submit(self._make, part, runner, module))

    def _report(self, note: str) -> None:
        total = sum(len(part.plan.cells) for part in self.parts)
        self.progress(sum(len(part.results) for part in self.parts), total, note)


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

"""The queue of one guest: what waits, what is tried again, what is left of its restarts.

Every method is called with the runner's lock held.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bnmatrix.runner.schedule import Load
from bnmatrix.runner.work import Answer, Event, Guest, Outcome, ProbeFailed, Request

if TYPE_CHECKING:
    from bnmatrix.runner.supervisor import Supervisor


@dataclass(eq=False)
class Job:
    """A request on its way.

    number, line: on the channel;  estimate: seconds it may take;  deaths: how often it ended a probe
    """

    number: int
    request: Request
    line: bytes
    estimate: float
    deaths: int = 0

    @property
    def needs_fresh(self) -> bool:
        """Whether it has to be the first in a probe: where that is asked for, and a second try."""
        return self.request.fresh or self.deaths > 0


class Line:
    """A guest, and the requests that stand in line for its probes.

    unsettled: events that are still to come or not yet consumed; the greeting is one
    """

    def __init__(self, guest: Guest, restarts: int, emit: Callable[[Event], None]) -> None:
        self.guest = guest
        self.supervisors: list[Supervisor] = []
        self.unsettled = 1
        self.start: float | None = None
        self._emit = emit
        self._waiting: deque[Job] = deque()
        self._first: deque[Job] = deque()  # each the first of a fresh probe; second tries before the others
        self._running: dict[int, Job] = {}
        self._greeted = False
        self._failed: str | None = None
        self._died = False
        self._allowed = self._restarts = restarts
        self._seconds = 0.0

    @property
    def has_work(self) -> bool:
        """Whether there is anything for a probe to begin."""
        return self._failed is None and bool(self._waiting or self._first or not self._greeted)

    @property
    def has_retry(self) -> bool:
        """Whether the next that wants a fresh probe is a second try."""
        return bool(self._first) and self._first[0].deaths > 0

    @property
    def needs_fresh(self) -> bool:
        """Whether all that waits wants a fresh probe."""
        return self._failed is None and bool(self._first) and not self._waiting

    def load(self) -> Load:
        """For the schedule."""
        return Load(self._seconds, len(self.supervisors), self.start, self._died)

    def add(self, jobs: Iterable[Job]) -> None:
        """Put new work at the end."""
        for job in jobs:
            self.unsettled += 1
            self._seconds += job.estimate
            (self._first if job.needs_fresh else self._waiting).append(job)
            if self._failed is not None:
                self._give_up(self._failed)

    def take(self) -> Job | None:
        """The next in line."""
        return self._start(self._waiting)

    def take_first(self) -> Job | None:
        """The next that wants a fresh probe."""
        return self._start(self._first)

    def put_back(self, jobs: Iterable[Job]) -> None:
        """What a probe was sent and did not begin."""
        for job in reversed(list(jobs)):
            del self._running[job.number]
            (self._first if job.needs_fresh else self._waiting).appendleft(job)

    def answer(self, job: Job, answer: Answer) -> None:
        """A job is done."""
        del self._running[job.number]
        self._seconds -= job.estimate
        if answer.observation is not None:
            self._restarts = self._allowed  # it still gets somewhere
        self._emit(answer)

    def crashed(self, job: Job, reason: str, seconds: float, output: str) -> None:
        """A job ended its probe: once more, or never again."""
        self._died = True
        job.deaths += 1
        if job.deaths == 1:
            self.put_back([job])
        else:
            self.answer(job, self._without(job, "crashed", reason, seconds, output))

    def timed_out(self, job: Job, reason: str, seconds: float, output: str) -> None:
        """A job took too long."""
        self._died = True
        self.answer(job, self._without(job, "timed_out", reason, seconds, output))

    def greet(self, greeting: Event, seconds: float) -> None:
        """A probe is up; the first one is told."""
        if not self._greeted:
            self._greeted = True
            self.start = seconds
            self._emit(greeting)

    def start_failed(self, failure: ProbeFailed) -> bool:
        """A probe did not start: the guest has failed, unless an earlier one did. Returns whether it has."""
        self._died = True
        if self._greeted:
            return False
        if self._failed is None:
            self._emit(failure)
            self._give_up(failure.message)
        return True

    def may_restart(self, last_death: str) -> bool:
        """Whether a dead probe is replaced for more than a free second try.

        Where it is not, what waits is given up, unless another probe of the guest is still there for it.
        """
        if self._restarts > 0:
            self._restarts -= 1
            return True
        reason = f"the probe died too often (last: {last_death})"
        if len(self.supervisors) == 1:
            self._give_up(reason)
        else:  # the others go on with what waits; nobody starts a fresh probe any more
            self._drop(self._first, reason)
        return False

    def _start(self, queue: deque[Job]) -> Job | None:
        if not queue:
            return None
        job = queue.popleft()
        self._running[job.number] = job
        return job

    def _give_up(self, reason: str) -> None:
        self._failed = reason
        self._drop(self._first, reason)
        self._drop(self._waiting, reason)

    def _drop(self, queue: deque[Job], reason: str) -> None:
        while (job := self._start(queue)) is not None:
            self.answer(job, self._without(job, "crashed", reason, 0.0, ""))

    def _without(self, job: Job, outcome: Outcome, reason: str, seconds: float, output: str) -> Answer:
        return Answer(self.guest, job.request, outcome, None, reason, seconds, output)

"""Runs requests in probes: who gets a place, and what comes out.

`Runner` owns everything that must be gone at the end: probes, threads, folders, signal handlers.
"""

from __future__ import annotations

import atexit
import itertools
import json
import queue
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import NoReturn

from bnmatrix.runner.line import Job, Line
from bnmatrix.runner.schedule import START, estimate, next_place
from bnmatrix.runner.supervisor import Supervisor
from bnmatrix.runner.work import Event, Guest, Request

_ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Runner:
    """Runs requests in at most `jobs` probes at once.

        with Runner(jobs=2, timeout=60) as runner:
            runner.submit(guest, requests)
            for event in runner.results():
                ...

    timeout:       seconds for a cell, from the answer to the one before it
    start_timeout: seconds for a probe to greet
    restarts:      fresh probes a guest may have without an answer, beyond those for second tries
    growth:        bytes a probe may grow by before a fresh one takes its place: frameworks keep what they
                   compile
    most_cells:    cells a probe may answer before that

    While it is open, SIGTERM and SIGHUP end the program by `SystemExit`, so that `close` is reached.
    """

    def __init__(
        self,
        jobs: int,
        timeout: float,
        start_timeout: float = 180.0,
        restarts: int = 3,
        growth: int = 2 * 2**30,
        most_cells: int = 10_000,
    ) -> None:
        self.timeout = timeout
        self.start_timeout = start_timeout
        self.growth = growth
        self.most_cells = most_cells
        self.lock = threading.RLock()
        self._jobs = max(1, jobs)
        self._restarts = restarts
        self._events: queue.SimpleQueue[Event | BaseException] = queue.SimpleQueue()
        self._lines: dict[Guest, Line] = {}
        self._supervisors: list[Supervisor] = []
        self._numbers = itertools.count(1)
        self._folders = itertools.count(1)
        self._root = Path(tempfile.mkdtemp(prefix="bnmatrix-"))
        self._started = False
        self._closing = False
        self._handlers: dict[signal.Signals, signal.Handlers] = {}
        atexit.register(self.close)

    def __enter__(self) -> Runner:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDING_SIGNALS:
                if signal.getsignal(number) is signal.SIG_DFL:  # not where the program has its own way
                    self._handlers[number] = signal.SIG_DFL
                    signal.signal(number, _end)
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def submit(self, guest: Guest, requests: Iterable[Request]) -> None:
        """Put requests in the guest's line, behind what is there. No request at all asks for its greeting.

        May be called while results are iterated. Raises TypeError where JSON cannot tell a [given].
        """
        jobs = [self._job(guest, request) for request in requests]
        with self.lock:
            if self._closing:
                raise RuntimeError("the runner is closed")
            line = self._lines.get(guest)
            if line is None:
                line = self._lines[guest] = Line(guest, self._restarts, self._events.put)
            line.add(jobs)
            for supervisor in line.supervisors:
                supervisor.nudge()
            self._arrange()

    def start(self) -> None:
        """Start probes now; `results` does it otherwise. Submit all guests before: they share the places."""
        with self.lock:
            self._started = True
            self._arrange()

    def results(self) -> Iterator[Event]:
        """Events as they come: each guest's Greeting or ProbeFailed, and an Answer for each of its requests.

        Ends when nothing is outstanding. A guest whose events were all consumed may lose its probe
        to one that has none, so submit what follows from an event before asking for the next.
        """
        self.start()
        while any(line.unsettled for line in self._lines.values()):
            event = self._events.get()
            if isinstance(event, BaseException):
                raise event
            try:
                yield event
            finally:
                with self.lock:
                    self._lines[event.guest].unsettled -= 1
                    self._arrange()

    def close(self) -> None:
        """Kill every probe, wait for them, and take away their folders. May be called again."""
        with self.lock:
            self._closing = True
            supervisors = list(self._supervisors)
        for supervisor in supervisors:  # all killed before any is waited for
            supervisor.stop()
        for supervisor in supervisors:
            if supervisor.thread.is_alive():  # Ctrl-C may have come before it was started
                supervisor.thread.join(15)
        shutil.rmtree(self._root, ignore_errors=True)
        while self._handlers:
            number, handler = self._handlers.popitem()
            if signal.getsignal(number) is _end:
                signal.signal(number, handler)
        atexit.unregister(self.close)

    # What supervisors ask for.

    def new_folder(self) -> Path:
        """A path for the folders of one probe."""
        return self._root / str(next(self._folders))

    def left(self, supervisor: Supervisor) -> None:
        """A supervisor has ended: its place is free."""
        with self.lock:
            self._supervisors.remove(supervisor)
            supervisor.line.supervisors.remove(supervisor)
            self._arrange()

    def broke(self, error: BaseException) -> None:
        """A supervisor has failed by a fault of ours: raised to the consumer."""
        self._events.put(error)

    def _job(self, guest: Guest, request: Request) -> Job:
        number = next(self._numbers)
        message: dict[str, object]
        if request.audit is not None:
            message = {"type": "audit", "id": number, "audit": dict(request.audit)}
        else:
            message = {
                "type": "observe",
                "id": number,
                "cell": dict(request.cell),
                "seed": request.seed,
                "given": None if request.given is None else dict(request.given),
            }
        line = json.dumps(message).encode("ascii") + b"\n"
        seconds = estimate(request.cell, guest.framework) + (START if request.fresh else 0.0)
        return Job(number, request, line, seconds)

    def _arrange(self) -> None:
        """Fill free places, or free one for a guest that has no probe. With the lock held."""
        if not self._started or self._closing:
            return
        while True:
            lines = [line for line in self._lines.values() if line.has_work]
            place = next_place([line.load() for line in lines])
            if place is None:
                return
            if len(self._supervisors) >= self._jobs:
                break
            supervisor = Supervisor(self, lines[place])
            self._supervisors.append(supervisor)
            lines[place].supervisors.append(supervisor)
            supervisor.thread.start()
        if not any(supervisor.is_stopping for supervisor in self._supervisors):
            for supervisor in self._supervisors:
                line = supervisor.line
                if supervisor.is_idle and (line.unsettled == 0 or len(line.supervisors) > 1):
                    supervisor.stop()  # and arrange again when it has left
                    return


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)

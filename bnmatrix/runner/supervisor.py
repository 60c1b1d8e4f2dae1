"""The thread that keeps one probe at work: starts it, feeds it, replaces it when it dies.

starting --hello--> serving <--answer-- (idle: waits for work or for a nudge)
   |                   |
   | failed, dead,     | dead, lied, too slow; or it has served enough
   v                   v
 ended  <--no restart left, nothing to do--  deciding  --> starting
"""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal, NoReturn

from bnmatrix.runner.line import Job, Line
from bnmatrix.runner.process import Fault, Process, TooSlow
from bnmatrix.runner.schedule import may_send_ahead
from bnmatrix.runner.work import Answer, Greeting, ProbeFailed

if TYPE_CHECKING:
    from bnmatrix.runner.messages import Audited, Failed, Observed
    from bnmatrix.runner.runner import Runner


class _Stopped(Exception):
    """This supervisor was told to end."""


class _DidNotStart(Exception):
    """The probe never greeted. Carries the event that says so."""

    def __init__(self, failure: ProbeFailed) -> None:
        super().__init__(failure.message)
        self.failure = failure


class _Died(Exception):
    """The probe greeted, and ended or had to be ended since. Says how."""


class _Retired(Exception):
    """The probe has nothing in flight, and a fresh one is to go on."""


class Supervisor:
    """Keeps a probe at work for one line until it is stopped or nothing is left to do."""

    def __init__(self, runner: Runner, line: Line) -> None:
        self.line = line
        self.thread = threading.Thread(target=self._run, name=f"probe of {line.guest.target}", daemon=True)
        self._runner = runner
        self._lock = runner.lock
        self._process: Process | None = None
        self._in_flight: deque[Job] = deque()
        self._stopping = False

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to end."""
        return self._stopping

    @property
    def is_idle(self) -> bool:
        """Whether its probe has nothing to do. With the lock held."""
        return not self._in_flight and self._process is not None and not self.line.has_work

    def nudge(self) -> None:
        """Look for work."""
        process = self._process
        if process is not None:
            process.nudge()

    def stop(self) -> None:
        """Kill the probe, here and now; the thread then ends by itself."""
        self._stopping = True
        process = self._process
        if process is not None:
            process.kill()
            process.nudge()

    def _run(self) -> None:
        try:
            self._keep_at_work()
        except _Stopped:
            pass
        except BaseException as error:  # a fault of ours; the consumer must not wait for ever
            self._runner.broke(error)
        finally:
            with self._lock:
                self._put_back()  # what it took between being found idle and being stopped
                self._runner.left(self)

    def _keep_at_work(self) -> None:
        last_death: str | None = None
        while True:
            with self._lock:
                if self._stopping:
                    return
                is_retry = self.line.has_retry
                if not self.line.has_work:
                    return
                if last_death and not is_retry and not self.line.may_restart(last_death):
                    return
                first = self.line.take_first()
                if first is not None:
                    self._in_flight.append(first)
            try:
                self._one_probe(first)
            except _Retired:
                last_death = None
            except _Died as death:
                last_death = str(death)
            except _DidNotStart as error:
                last_death = str(error)
                with self._lock:
                    self._put_back()
                    if self.line.start_failed(error.failure):
                        return
                    # A second try is free once; if its probe does not even start it costs like any other.
                    if is_retry and not self.line.may_restart(last_death):
                        return

    def _one_probe(self, first: Job | None) -> None:
        """Start a probe and serve with it.

        Always ends in an exception: _DidNotStart, _Died, _Retired or _Stopped.
        """
        began = time.monotonic()
        try:
            process = Process(self.line.guest, self._runner.new_folder())
        except OSError as error:
            raise self._did_not_start(f"cannot run {self.line.guest.python}: {error.strerror}") from error
        with self._lock:
            self._process = process
        try:
            self._check()  # told to end while it was started
            self._handshake(process, began)
            self._serve(process, first)
        finally:
            with self._lock:
                self._process = None
            process.end()

    def _handshake(self, process: Process, began: float) -> None:
        # numpy comes with it, while the probe imports its framework.
        from bnmatrix.runner.messages import PROTOCOL, Failed, Lie, WrongProtocol, first

        patience = self._runner.start_timeout
        try:
            while (line := process.read(began + patience)) is None:
                self._check()
            said = first(line)
        except TooSlow:
            self._check()
            hint = "give it more time, or see what it waits for"
            message = f"the probe said nothing within {patience:g} s"
            raise self._did_not_start(message, process, hint) from None
        except Fault as fault:
            self._check()
            raise self._did_not_start(f"the probe did not start: {fault}", process) from None
        except WrongProtocol as error:
            hint = f"bnmatrix is installed in part: install it anew (protocol {PROTOCOL})"
            raise self._did_not_start(str(error), process, hint) from None
        except Lie as lie:
            raise self._did_not_start(f"the probe answered {lie}", process) from None
        if isinstance(said, Failed):
            raise self._refused(said, process)
        greeting = Greeting(self.line.guest, said.versions, said.python, tuple(said.devices), said.device)
        with self._lock:
            self.line.greet(greeting, time.monotonic() - began)

    def _serve(self, process: Process, first: Job | None) -> None:
        from bnmatrix.runner.messages import Failed, Lie, later

        since = time.monotonic()
        size = process.size()
        served = 0
        if first is not None:  # and nothing behind it
            process.write(first.line)
        try:
            while True:
                is_worn = served >= self._runner.most_cells or process.size() - size > self._runner.growth
                if not self._in_flight:
                    with self._lock:
                        if self.line.needs_fresh or (is_worn and self.line.has_work):
                            raise _Retired
                if first is None and not is_worn and self._fill(process):
                    since = time.monotonic()
                line = process.read(since + self._runner.timeout if self._in_flight else None)
                if line is None:
                    self._check()
                    continue
                said = later(line)
                if isinstance(said, Failed):
                    raise Fault(f"failed: {said.reason}")
                if not self._in_flight or said.id != self._in_flight[0].number:
                    raise Lie(f"cell {said.id}, which is not the one that was running")
                self._answered(said)
                since = time.monotonic()
                served += 1
                first = None
        except TooSlow:
            self._check()
            self._died(process, since, f"no answer within {self._runner.timeout:g} s", in_time=False)
        except Fault as fault:
            self._check()
            self._died(process, since, str(fault))
        except Lie as lie:
            self._check()
            self._died(process, since, f"answered {lie}")

    def _fill(self, process: Process) -> bool:
        """Send cells ahead. Returns whether there was nothing in flight, and now is."""
        with self._lock:
            before = len(self._in_flight)
            while may_send_ahead([job.estimate for job in self._in_flight]):
                job = self.line.take()
                if job is None:
                    break
                self._in_flight.append(job)
            new = list(self._in_flight)[before:]
        if new:
            process.write(b"".join(job.line for job in new))
        return before == 0 and bool(new)

    def _answered(self, said: Observed | Audited) -> None:
        from bnmatrix.runner.messages import Audited

        if isinstance(said, Audited):
            with self._lock:
                job = self._in_flight.popleft()
                record = said.record
                self.line.answer(
                    job,
                    Answer(
                        self.line.guest, job.request, "ok", None, record.reason, said.seconds, audit=record
                    ),
                )
            return
        observation = said.observation
        reason = observation.reason
        if observation.exception is not None:
            reason = f"{observation.exception.type}: {observation.exception.message}"
        with self._lock:
            job = self._in_flight.popleft()
            answer = Answer(
                self.line.guest, job.request, observation.outcome, observation, reason, said.seconds
            )
            self.line.answer(job, answer)

    def _died(self, process: Process, since: float, how: str, in_time: bool = True) -> NoReturn:
        """Settle what was in flight: the first was running, the others go back."""
        with self._lock:
            running = self._in_flight.popleft() if self._in_flight else None
            self._put_back()
            if running is not None:
                settle = self.line.crashed if in_time else self.line.timed_out
                settle(running, how, time.monotonic() - since, process.printed())
        raise _Died(how)

    def _put_back(self) -> None:
        self.line.put_back(self._in_flight)
        self._in_flight.clear()
        for other in self.line.supervisors:
            other.nudge()

    def _check(self) -> None:
        if self._stopping:
            raise _Stopped

    def _refused(self, said: Failed, process: Process) -> _DidNotStart:
        """It says itself why it cannot start."""
        guest = self.line.guest
        if said.missing is not None:
            message = f"{said.missing} is not installed for {guest.python}"
            hint = f"{guest.python} -m pip install {said.missing.partition('.')[0]}"
            return self._did_not_start(message, process, hint, "missing", said.missing)
        if said.absent_device is not None:
            return self._did_not_start(said.reason, process, None, "absent_device", said.absent_device)
        return self._did_not_start(f"the probe did not start: {said.reason}", process)

    def _did_not_start(
        self,
        message: str,
        process: Process | None = None,
        hint: str | None = None,
        kind: Literal["missing", "absent_device", "failed"] = "failed",
        what: str | None = None,
    ) -> _DidNotStart:
        guest = self.line.guest
        output = process.printed() if process is not None else ""
        return _DidNotStart(ProbeFailed(guest, kind, message, hint, what, output))

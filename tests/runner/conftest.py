"""Faulty probes as guests, what became of their cells, and who of them still lives."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bnmatrix.runner import Answer, Event, Greeting, Guest, ProbeFailed, Request, Runner
from bnmatrix.runner.process import PROBE

FAULTY = Path(__file__).parent / "faulty"


@dataclass
class Diary:
    """The folder in which probes of one test say that they lived."""

    folder: Path

    def pids(self, kind: str = "lived") -> list[int]:
        file = self.folder / kind
        return [int(line) for line in file.read_text().split()] if file.exists() else []

    def wait_for(self, count: int, kind: str = "lived") -> None:
        until = time.monotonic() + 10
        while len(self.pids(kind)) < count:
            assert time.monotonic() < until, f"{self.pids(kind)} and no more came"
            time.sleep(0.01)

    def assert_nobody_lives(self, within: float = 2.0) -> None:
        """No probe, and nothing of its process group."""
        until = time.monotonic() + within
        for pid in self.pids():
            while is_group_alive(pid):
                assert time.monotonic() < until, f"something of the probe {pid} still lives"
                time.sleep(0.01)


def is_group_alive(pid: int) -> bool:
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS, of a zombie
        return False
    if sys.platform != "linux":
        return True
    # Who is dead and not yet reaped, by whoever inherited it, counts as dead.
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                state, _, group = (folder / "stat").read_text().rpartition(")")[2].split()[:3]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(group) == pid and state not in "ZX":
                return True
    return False


@pytest.fixture
def diary(tmp_path: Path) -> Iterable[Diary]:
    diary = Diary(tmp_path)
    yield diary
    diary.assert_nobody_lives()


@pytest.fixture
def guest(diary: Diary) -> Callable[..., Guest]:
    """Make a guest of the faulty probe of that name."""

    def make(fault: str, target: str | None = None, device: str = "cpu") -> Guest:
        return Guest(
            target=target or fault,
            framework="stand_in",
            device=device,
            variables=(("DIARY", str(diary.folder)),),
            program=(sys.executable, "-S", "-E", str(FAULTY / f"{fault}.py")),
        )

    return make


@pytest.fixture
def real(diary: Diary) -> Callable[..., Guest]:
    """Make a guest of the real probe with a stand-in for the framework."""

    def make(backend: str | None = None, device: str = "cpu", **variables: str) -> Guest:
        return Guest(
            target="stand_in",
            framework="stand_in",
            backend=backend,
            device=device,
            variables=(("DIARY", str(diary.folder)), *variables.items()),
            program=(sys.executable, "-I", str(FAULTY / "real_probe.py"), str(PROBE)),
        )

    return make


def cells(*layers: str, variant: str = "default", execution: str = "call") -> list[Request]:
    """A request for each of the layers; `trouble` is the one with which probes have trouble."""
    rest = {"rank": "2", "batch": "normal", "variant": variant, "execution": execution}
    rest |= {"freeze": "before_build", "mask": "none"}
    return [Request({"layer": layer, **rest}, seed=0, key=index) for index, layer in enumerate(layers)]


@dataclass
class Outcome:
    """Everything that came out of a run."""

    events: list[Event] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def greetings(self) -> list[Greeting]:
        return [event for event in self.events if isinstance(event, Greeting)]

    @property
    def failures(self) -> list[ProbeFailed]:
        return [event for event in self.events if isinstance(event, ProbeFailed)]

    @property
    def answers(self) -> list[Answer]:
        found = [event for event in self.events if isinstance(event, Answer)]
        return sorted(found, key=lambda answer: (answer.guest.target, str(answer.request.key)))

    @property
    def words(self) -> list[str]:
        """The outcomes, in the order of the requests."""
        return [answer.outcome for answer in self.answers]

    @property
    def trouble(self) -> Answer:
        """The answer to the one cell with which probes have trouble."""
        (found,) = (answer for answer in self.answers if answer.request.cell["layer"] == "trouble")
        return found


def run(
    guest: Guest,
    requests: list[Request],
    *others: Guest,
    jobs: int = 1,
    timeout: float = 10.0,
    start_timeout: float = 10.0,
    restarts: int = 3,
) -> Outcome:
    """Run the same requests in each guest, to the end."""
    outcome = Outcome()
    began = time.monotonic()
    with Runner(jobs, timeout, start_timeout, restarts) as runner:
        for each in (guest, *others):
            runner.submit(each, requests)
        outcome.events.extend(runner.results())
    outcome.seconds = time.monotonic() - began
    return outcome

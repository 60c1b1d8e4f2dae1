"""What is made ready in the background: what is still wanted, and nothing that anybody waits for in vain."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from bnmatrix import environment, preparing
from bnmatrix.errors import BnmatrixError
from bnmatrix.placement import Placement, Wishes
from bnmatrix.preparing import Preparing
from bnmatrix.target import Target, parse


@dataclass
class Making:
    """Stands for making environments: each takes until `go`; `stop` ends those that are being made."""

    begun: list[str] = field(default_factory=list)
    made: list[str] = field(default_factory=list)
    busy: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    go: threading.Event = field(default_factory=threading.Event)
    there: set[str] = field(default_factory=lambda: {"torch==1.0.0"})
    stopped: bool = False

    def ready(self, placement: Placement, wishes: Wishes) -> str:
        self.begun.append(placement.target.text)
        self.busy.release()
        assert self.go.wait(20)
        if self.stopped:
            raise BnmatrixError("stopped")
        self.made.append(placement.target.text)
        return "python"

    def stop(self) -> None:
        self.stopped = True
        self.go.set()


@pytest.fixture
def making(monkeypatch: pytest.MonkeyPatch) -> Iterator[Making]:
    found = Making()

    def place(target: Target, wishes: Wishes, from_index: bool = True) -> Placement | None:
        return Placement(target, "", "python") if from_index or target.text in found.there else None

    monkeypatch.setattr(preparing, "place", place)
    monkeypatch.setattr(preparing, "ready", found.ready)
    monkeypatch.setattr(preparing, "LOOKING", 0.01)
    monkeypatch.setattr(environment, "stop", found.stop, raising=False)
    yield found
    found.go.set()


def releases(*versions: str) -> list[Target]:
    return [parse(f"torch=={version}") for version in versions]


PRESENT = parse("torch==1.0.0")


def test_what_is_begun_is_made_and_what_is_no_longer_wanted_is_not(making: Making) -> None:
    with Preparing(Wishes()) as prepared:
        prepared.ask(PRESENT, releases("1.4.0", "1.5.0"))
        assert making.busy.acquire(timeout=20)
        prepared.ask(PRESENT, releases("1.7.0"))
        making.go.set()
        for future in prepared.asked:
            future.result(20)
    assert making.made == ["torch==1.4.0", "torch==1.7.0"]
    assert not making.stopped


def test_it_waits_until_the_present_environment_is_there(making: Making) -> None:
    making.there.clear()
    making.go.set()
    with Preparing(Wishes()) as prepared:
        prepared.ask(PRESENT, releases("1.4.0"))
        assert not making.busy.acquire(timeout=0.3)
        making.there.add(PRESENT.text)
        assert making.busy.acquire(timeout=20)


def test_it_does_not_wait_for_what_could_not_be_made(making: Making) -> None:
    making.there.clear()
    making.go.set()
    with Preparing(Wishes()) as prepared:
        prepared.ask(PRESENT, releases("1.4.0"))
        making.there.add("torch==1.1.0")
        prepared.ask(parse("torch==1.1.0"), releases("1.5.0"))
        assert making.busy.acquire(timeout=20)
    assert making.begun == ["torch==1.5.0"]


def test_at_the_end_what_is_being_made_is_given_up(making: Making) -> None:
    with Preparing(Wishes()) as prepared:
        prepared.ask(PRESENT, releases("1.4.0", "1.5.0"))
        assert making.busy.acquire(timeout=20)
    assert making.stopped
    assert making.made == []
    assert making.begun == ["torch==1.4.0"]


def test_an_interruption_ends_it_as_well(making: Making) -> None:
    def interrupted() -> None:
        with Preparing(Wishes()) as prepared:
            prepared.ask(PRESENT, releases("1.4.0"))
            assert making.busy.acquire(timeout=20)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert making.stopped


def test_what_goes_wrong_is_left_to_who_needs_it(making: Making, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(target: Target, wishes: Wishes, from_index: bool = True) -> Placement:
        raise BnmatrixError("no wheel")

    monkeypatch.setattr(preparing, "place", fails)
    with Preparing(Wishes()) as prepared:
        prepared.ask(PRESENT, releases("1.4.0"))
        prepared.asked[0].result(20)


def test_without_anything_to_make_there_is_no_thread() -> None:
    before = threading.active_count()
    with Preparing(Wishes()) as prepared:
        assert prepared.pool is None
    assert threading.active_count() == before

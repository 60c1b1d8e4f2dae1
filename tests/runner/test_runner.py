"""Who gets a place, what comes out and in which order, when nothing goes wrong."""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bnmatrix.runner import Answer, Greeting, Guest, Request, Runner
from bnmatrix.runner.process import Process
from tests.runner.conftest import Diary, cells, run

Maker = Callable[..., Guest]


def test_greeting_comes_once_and_before_the_answers(guest: Maker) -> None:
    outcome = run(guest("behaves"), cells("dense", "conv"))
    assert [type(event) for event in outcome.events] == [Greeting, Answer, Answer]


def test_no_request_asks_for_the_greeting_only(guest: Maker) -> None:
    assert len(run(guest("behaves"), []).events) == 1


def test_results_of_nothing_are_nothing() -> None:
    with Runner(1, 1) as runner:
        assert list(runner.results()) == []


def test_confirmations_are_submitted_from_within_the_results_and_go_to_the_same_probe(
    guest: Maker, diary: Diary
) -> None:
    seeds = []
    with Runner(1, 10) as runner:
        target = guest("behaves")
        runner.submit(target, cells("dense"))
        for event in runner.results():
            if isinstance(event, Answer):
                seeds.append(event.request.seed)
                if event.request.seed < 5:
                    runner.submit(target, [Request(event.request.cell, event.request.seed + 1)])
    assert seeds == [0, 1, 2, 3, 4, 5]
    assert len(diary.pids()) == 1


def test_results_can_be_asked_for_again(guest: Maker, diary: Diary) -> None:
    with Runner(1, 10) as runner:
        for _ in range(3):
            runner.submit(guest("behaves"), cells("dense"))
            assert [event for event in runner.results() if isinstance(event, Answer)]
    assert len(diary.pids()) == 1


def test_more_targets_than_places_take_turns(guest: Maker, diary: Diary) -> None:
    targets = [guest("behaves", target=f"target {number}") for number in range(5)]
    outcome = run(targets[0], cells("dense", "conv"), *targets[1:], jobs=2)
    assert outcome.words == ["ok"] * 10
    assert len(outcome.greetings) == 5
    assert len(diary.pids()) == 5


def test_target_that_lost_its_probe_to_another_gets_one_again(guest: Maker, diary: Diary) -> None:
    one, two = guest("behaves", target="one"), guest("behaves", target="two")
    with Runner(1, 10) as runner:
        runner.submit(one, cells("dense"))
        runner.submit(two, cells("dense"))
        assert len(list(runner.results())) == 4
        runner.submit(one, cells("conv"))
        assert len(list(runner.results())) == 1
    assert len(diary.pids()) == 3


def test_targets_are_measured_side_by_side(guest: Maker) -> None:
    outcome = run(guest("slow", target="one"), cells(*["dense"] * 5), guest("slow", target="two"), jobs=2)
    assert outcome.words == ["ok"] * 10
    assert outcome.seconds < 1.4, "1.5 s one after the other"


def test_much_work_is_shared_by_two_probes(guest: Maker, diary: Diary) -> None:
    outcome = run(guest("slow"), cells(*["dense"] * 16, execution="fit"), jobs=2)
    assert outcome.words == ["ok"] * 16
    assert len(diary.pids()) == 2
    assert outcome.seconds < 2.2, "2.4 s in one probe"


def test_little_work_is_not(guest: Maker, diary: Diary) -> None:
    run(guest("behaves"), cells(*["dense"] * 16), jobs=2)
    assert len(diary.pids()) == 1


def test_place_that_becomes_free_goes_to_who_has_most_left(guest: Maker, diary: Diary) -> None:
    with Runner(2, 10) as runner:
        runner.submit(guest("behaves", target="quick"), cells("dense"))
        runner.submit(guest("slow", target="long"), cells(*["dense"] * 16, execution="fit"))
        began = time.monotonic()
        assert len(list(runner.results())) == 19
    assert len(diary.pids()) == 3
    assert time.monotonic() - began < 2.3, "2.4 s in one probe"


def test_folders_of_a_probe_go_with_it(guest: Maker, tmp_path: Path) -> None:
    process = Process(guest("behaves"), tmp_path / "probe")
    assert (tmp_path / "probe").exists()
    process.end()
    assert not (tmp_path / "probe").exists()


def test_closing_in_the_middle_kills_at_once_and_twice_is_once(guest: Maker, diary: Diary) -> None:
    runner = Runner(1, 60)
    runner.submit(guest("hangs"), cells("trouble"))
    next(iter(runner.results()))
    diary.wait_for(1, "children")
    began = time.monotonic()
    runner.close()
    assert time.monotonic() - began < 1
    diary.assert_nobody_lives()
    runner.close()
    with pytest.raises(RuntimeError, match="closed"):
        runner.submit(guest("behaves"), [])


def test_error_in_the_consumer_ends_everything(guest: Maker, diary: Diary) -> None:
    def consume() -> None:
        with Runner(1, 60) as runner:
            runner.submit(guest("hangs"), cells("trouble"))
            for _ in runner.results():
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        consume()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("probe of")]


def test_fault_of_the_runner_itself_reaches_the_consumer(
    guest: Maker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_arguments: object) -> None:
        raise AssertionError("a fault of ours")

    monkeypatch.setattr("bnmatrix.runner.supervisor.Supervisor._answered", broken)
    with pytest.raises(AssertionError, match="a fault of ours"):
        run(guest("behaves"), cells("dense"))


def test_signal_handlers_are_put_back(guest: Maker) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with Runner(1, 1):
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_work_is_plain_data(guest: Maker) -> None:
    work = (guest("behaves"), cells("dense"))
    assert pickle.loads(pickle.dumps(work)) == work


def test_request_that_json_cannot_tell_is_refused_at_once(guest: Maker) -> None:
    with Runner(1, 1) as runner, pytest.raises(TypeError):
        runner.submit(guest("behaves"), [Request({}, 0, {"input": object()})])

"""Steps 3 and 4 of the failure model: probes that die, hang or lie in a cell."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from bnmatrix.runner import Guest, Request
from bnmatrix.runner.process import KEPT_OUTPUT
from tests.runner.conftest import Diary, cells, run

Maker = Callable[..., Guest]

AROUND = cells("dense", "conv", "trouble", "gru", "lstm")
OTHERS_MEASURED = ["ok", "ok", "crashed", "ok", "ok"]


def test_probe_that_behaves_is_started_once_and_answers_everything(guest: Maker, diary: Diary) -> None:
    outcome = run(guest("behaves"), AROUND)
    assert outcome.words == ["ok"] * 5
    assert outcome.failures == []
    assert outcome.greetings[0].versions == {"stand-in": "1.0"}
    assert [answer.request for answer in outcome.answers] == AROUND
    assert len(diary.pids()) == 1


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("dies_in_a_cell", "killed by signal 11 (SIGSEGV)"),
        ("exits_early", "exited with status 1: the framework called exit"),
        ("closes_its_channel", "closed its channel and went on running"),
        ("garbage_on_channel", "answered what is no message"),
        ("wrong_shape", "answered a message of another shape"),
        ("nan_outside_an_array", "answered what is no message"),
        ("fills_a_line_without_end", "answered a line of more than 64 MB"),
        ("answers_wrong_cell", "which is not the one that was running"),
        ("fails_outside_the_experiment", "failed: KeyError: 'layer'"),
    ],
)
def test_cell_that_ends_its_probe_twice_is_crashed_and_the_others_are_measured(
    guest: Maker, diary: Diary, fault: str, reason: str
) -> None:
    outcome = run(guest(fault), AROUND)
    assert outcome.words == OTHERS_MEASURED
    assert reason in str(outcome.trouble.reason)
    assert outcome.trouble.observation is None
    assert len(outcome.greetings) == 1
    assert len(diary.pids()) == 3, "one for the first try, one for the second, one for the rest"
    assert outcome.seconds < 4


def test_shape_that_is_wrong_is_told_with_its_place(guest: Maker) -> None:
    reason = str(run(guest("wrong_shape"), AROUND).trouble.reason)
    assert "$.observation.states" in reason


def test_cell_that_ends_its_probe_only_once_is_measured_at_the_second_try(guest: Maker, diary: Diary) -> None:
    assert run(guest("dies_once"), AROUND, restarts=0).words == ["ok"] * 5
    assert len(diary.pids()) == 2, "the probe of the second try goes on with the rest"


@pytest.mark.parametrize("fault", ["dies_between_cells", "answers_twice"])
def test_fault_between_cells_costs_no_cell(guest: Maker, fault: str) -> None:
    assert run(guest(fault), AROUND).words == ["ok"] * 5


def test_hanging_cell_times_out_once_and_its_children_die_with_it(guest: Maker, diary: Diary) -> None:
    outcome = run(guest("hangs"), AROUND, timeout=0.4)
    assert outcome.words == ["ok", "ok", "timed_out", "ok", "ok"]
    assert outcome.trouble.reason == "no answer within 0.4 s"
    assert 0.4 <= outcome.trouble.seconds < 1
    assert len(diary.pids("children")) == 1, "it was tried again"
    assert len(diary.pids()) == 2
    assert outcome.seconds < 2.5


@pytest.mark.parametrize("fault", ["trickles", "reads_nothing"])
def test_deadline_holds_whatever_the_probe_does_meanwhile(guest: Maker, fault: str) -> None:
    outcome = run(guest(fault), cells("trouble"), timeout=0.4)
    assert outcome.words == ["timed_out"]
    assert outcome.seconds < 2


def test_deadline_runs_for_each_cell_on_its_own(guest: Maker) -> None:
    assert run(guest("slow"), cells(*["dense"] * 6), timeout=0.5).words == ["ok"] * 6


def test_large_requests_to_a_probe_that_reads_nothing_do_not_block(guest: Maker) -> None:
    large = Request({"layer": "dense"}, 0, {"input": [0.5] * 200_000})
    assert run(guest("reads_nothing"), [large], timeout=0.4).words == ["timed_out"]
    assert run(guest("behaves"), [large]).words == ["ok"]


def test_megabytes_of_prints_neither_block_nor_pile_up(guest: Maker) -> None:
    outcome = run(guest("floods_stdout"), AROUND)
    assert outcome.words == ["ok"] * 5
    flooded = run(guest("floods_stdout_and_dies"), AROUND).trouble
    assert "last words" in flooded.output
    assert len(flooded.output) <= 4 * KEPT_OUTPUT


def test_nan_and_infinities_in_arrays_survive(guest: Maker) -> None:
    observation = run(guest("sends_nan"), AROUND).trouble.observation
    assert observation is not None
    array = observation.states["start"]["gamma"]
    assert array.dtype == "float16"
    assert array.shape == (2, 2)
    assert math.isnan(array[0, 0])
    assert array[0, 1] == math.inf
    assert array[1, 0] == -math.inf
    assert array[1, 1] == 2.0**-24


def test_exception_of_the_framework_is_an_answer(guest: Maker, diary: Diary) -> None:
    outcome = run(guest("raises"), AROUND)
    assert outcome.trouble.outcome == "raised"
    assert outcome.trouble.reason == "ValueError: shapes do not match"
    assert outcome.trouble.observation is not None
    assert len(diary.pids()) == 1


def test_probe_that_dies_too_often_is_given_up(guest: Maker, diary: Diary) -> None:
    outcome = run(guest("dies_in_a_cell"), cells(*["trouble"] * 6, "dense"), restarts=2)
    assert outcome.words == ["crashed"] * 7
    reasons = [str(answer.reason) for answer in outcome.answers]
    assert reasons[:3] == ["killed by signal 11 (SIGSEGV)"] * 3
    assert all("died too often (last: killed by signal 11" in reason for reason in reasons[3:])
    assert len(diary.pids()) == 6


def test_probe_that_dies_often_and_gets_somewhere_goes_on(guest: Maker) -> None:
    outcome = run(guest("dies_in_a_cell"), cells(*["trouble", "dense"] * 6), restarts=1)
    assert outcome.words == ["crashed", "ok"] * 6


def test_second_probe_of_a_target_goes_on_when_the_first_is_given_up(guest: Maker, diary: Diary) -> None:
    requests = cells("trouble", *["dense"] * 40, execution="fit")
    outcome = run(guest("dies_among_slow_cells"), requests, jobs=2, restarts=0)
    assert len(diary.pids()) == 3
    assert outcome.words == ["crashed", *["ok"] * 40]

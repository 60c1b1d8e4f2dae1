"""When a probe is replaced that has done nothing wrong: a cell wants a fresh one, or it has served enough."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable

import pytest

from bnmatrix.runner import Answer, Guest, Request, Runner
from tests.runner.conftest import Diary, cells, run

Maker = Callable[..., Guest]


def fresh(*layers: str) -> list[Request]:
    return [dataclasses.replace(request, fresh=True) for request in cells(*layers)]


def test_what_cells_leave_behind_is_seen_by_those_that_follow(guest: Maker) -> None:
    outcome = run(guest("leaves_something_behind"), cells(*["dense"] * 3))
    assert [answer.reason for answer in outcome.answers] == ["0 before", "1 before", "2 before"]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_cell_that_wants_a_fresh_probe_is_the_first_in_it(guest: Maker, diary: Diary, jobs: int) -> None:
    outcome = run(
        guest("leaves_something_behind"), [*fresh("dense"), *cells("dense"), *fresh("conv")], jobs=jobs
    )
    found = sorted((answer.request.fresh, answer.reason) for answer in outcome.answers)
    assert [reason for is_fresh, reason in found if is_fresh] == ["0 before"] * 2
    assert len(outcome.greetings) == 1
    assert len(diary.pids()) <= 3


def test_a_fresh_probe_is_had_while_results_are_iterated(guest: Maker, diary: Diary) -> None:
    reasons = []
    with Runner(1, 10) as runner:
        target = guest("leaves_something_behind")
        runner.submit(target, [])
        for event in runner.results():
            if len(reasons) < 3:
                runner.submit(target, fresh("dense"))
            if isinstance(event, Answer):
                reasons.append(event.reason)
    assert set(reasons) == {"0 before"}


def test_a_cell_that_kills_fresh_probes_is_tried_twice_and_the_others_are_measured(guest: Maker) -> None:
    outcome = run(guest("dies_in_a_cell"), fresh("dense", "trouble", "dense", "dense"), restarts=1)
    assert outcome.words == ["ok", "crashed", "ok", "ok"]


def test_fresh_probes_take_no_restarts(guest: Maker) -> None:
    assert run(guest("behaves"), fresh(*["dense"] * 4), restarts=0).words == ["ok"] * 4


def test_a_probe_is_replaced_after_so_many_cells(guest: Maker, diary: Diary) -> None:
    with Runner(1, 10, most_cells=2) as runner:
        runner.submit(guest("slow"), cells(*["dense"] * 5, execution="fit"))
        answers = [event for event in runner.results() if isinstance(event, Answer)]
    assert len(answers) == 5
    assert len(diary.pids()) == 3


@pytest.mark.skipif(sys.platform != "linux", reason="the system does not tell how large a process is")
def test_a_probe_that_grew_is_replaced(guest: Maker, diary: Diary) -> None:
    with Runner(1, 10, growth=48 << 20) as runner:
        runner.submit(guest("grows"), cells(*["dense"] * 4, execution="fit"))
        answers = [event for event in runner.results() if isinstance(event, Answer)]
    assert [answer.outcome for answer in answers] == ["ok"] * 4
    assert len(diary.pids()) == 2

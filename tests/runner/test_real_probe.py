"""The real `probe/__main__.py`, with a stand-in for the framework."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from bnmatrix.runner import Guest
from tests.runner.conftest import Diary, cells, run

Maker = Callable[..., Guest]


def surroundings(guest: Guest) -> dict[str, Any]:
    (answer,) = run(guest, cells("dense")).answers
    assert answer.outcome == "unavailable"
    found: dict[str, Any] = json.loads(str(answer.reason))
    return found


def test_probe_sees_nothing_of_the_user(real: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "PYTHONPATH",
        "TF_ENABLE_ONEDNN_OPTS",
        "KERAS_BACKEND",
        "XLA_FLAGS",
        "THEANO_FLAGS",
        "XDG_CACHE_HOME",
    ):
        monkeypatch.setenv(name, "/of/the/user")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    monkeypatch.setenv("SOME_LIBRARY_PATH", "/opt")
    seen = surroundings(real())
    environment = seen["environment"]
    assert "/of/the/user" not in environment.values()
    assert seen["files"] == []
    assert seen["home"] == []
    assert seen["isolated"] == 1
    assert seen["cwd"] not in environment["HOME"]
    assert environment["OMP_NUM_THREADS"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    assert environment["SOME_LIBRARY_PATH"] == "/opt"
    assert all(name.startswith("_bnmatrix_probe") for name in seen["modules"])
    assert surroundings(real(device="auto"))["environment"]["CUDA_VISIBLE_DEVICES"] == "3"


def test_variables_of_the_target_come_last(real: Maker) -> None:
    environment = surroundings(real(TF_USE_LEGACY_KERAS="1", OMP_NUM_THREADS="2"))["environment"]
    assert environment["TF_USE_LEGACY_KERAS"] == "1"
    assert environment["OMP_NUM_THREADS"] == "2"


@pytest.mark.skipif(sys.platform != "linux", reason="a thing of Linux")
def test_probe_dies_first_where_memory_runs_out(real: Maker) -> None:
    assert surroundings(real())["oom_score_adj"] == 1000


@pytest.mark.parametrize(
    ("backend", "device", "kind", "words"),
    [
        ("missing", "cpu", "missing", "no_such_framework is not installed"),
        ("broken", "cpu", "failed", "cannot import name 'no_such_name'"),
        (None, "cuda:0", "absent_device", "there is no cuda:0"),
        ("exits", "cpu", "failed", "exited with status 1: I would rather not"),
    ],
)
def test_probe_tells_why_it_cannot_start(
    real: Maker, backend: str | None, device: str, kind: str, words: str
) -> None:
    (failure,) = run(real(backend, device), []).failures
    assert (failure.kind, words in failure.message) == (kind, True), failure


def test_framework_that_exits_in_a_cell_costs_this_cell(real: Maker) -> None:
    outcome = run(real(), [*cells("dense"), *cells("trouble"), *cells("dense", variant="exits")])
    reasons = sorted((answer.outcome, answer.reason or "") for answer in outcome.answers)
    assert reasons[0] == ("crashed", "exited with status 1: the framework called exit")
    # A layer that the experiment does not know is a KeyError there, hence an answer.
    assert [outcome for outcome, _ in reasons] == ["crashed", "raised", "unavailable"]


def test_cell_that_holds_the_lock_of_the_interpreter_times_out(real: Maker, diary: Diary) -> None:
    outcome = run(real(), [*cells("dense", variant="deaf"), *cells("dense")], timeout=0.5)
    assert sorted(outcome.words) == ["timed_out", "unavailable"]

"""Step 1 and 2 of the failure model: probes that do not start, or do not greet."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnmatrix.runner import Guest, Runner
from tests.runner.conftest import Diary, Outcome, cells, run

Maker = Callable[..., Guest]


def assert_failed(outcome: Outcome, kind: str, *words: str) -> None:
    """The target failed, once, and each of its cells says so too."""
    (failure,) = outcome.failures
    assert failure.kind == kind
    for word in words:
        assert word in f"{failure.message}\n{failure.hint}"
    assert outcome.words == ["crashed", "crashed"]
    assert all(answer.reason == failure.message for answer in outcome.answers)
    assert outcome.greetings == []
    assert outcome.events[0] is failure


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        ("dies_at_start", "failed", ["exited with status 7", "libfault.so: cannot open"]),
        ("is_killed_at_start", "failed", ["killed by signal 4 (SIGILL)"]),
        ("lacks_a_package", "missing", ["torch is not installed", "pip install torch"]),
        ("lacks_the_device", "absent_device", ["there is no device cpu"]),
        ("wrong_protocol", "failed", ["protocol 99", "protocol 1", "install it anew"]),
        ("greets_with_garbage", "failed", ["no message", "Hello, world!"]),
    ],
)
def test_probe_that_does_not_start_fails_its_target_at_once(
    guest: Maker, diary: Diary, fault: str, kind: str, words: list[str]
) -> None:
    outcome = run(guest(fault), cells("dense", "conv"))
    assert_failed(outcome, kind, *words)
    assert fault not in outcome.failures[0].message  # who shows it says of whom
    assert len(diary.pids()) == 1, "it was tried again"
    assert outcome.seconds < 2


def test_missing_package_and_absent_device_are_named(guest: Maker) -> None:
    assert run(guest("lacks_a_package"), []).failures[0].what == "torch"
    assert run(guest("lacks_the_device", device="cuda:0"), []).failures[0].what == "cuda:0"


def test_probe_that_says_nothing_is_given_up(guest: Maker) -> None:
    outcome = run(guest("never_greets"), cells("dense", "conv"), start_timeout=0.3)
    assert_failed(outcome, "failed", "said nothing within 0.3 s")
    assert outcome.seconds < 2


@pytest.mark.parametrize(("program", "why"), [("/no/such/python", "No such file"), ("/", "ermission")])
def test_interpreter_that_cannot_be_run_is_named(program: str, why: str) -> None:
    target = Guest("tf2", "tf2", python=program)
    assert_failed(run(target, cells("dense", "conv")), "failed", program, why)


def test_relative_path_of_an_interpreter_is_meant_from_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "python").symlink_to(sys.executable)
    monkeypatch.chdir(tmp_path)
    (failure,) = run(Guest("tf2", "no_such_framework", python="./python"), []).failures
    assert "cannot run" not in failure.message


def test_what_a_probe_printed_is_kept_for_diagnosis(guest: Maker) -> None:
    assert "loading the framework" in run(guest("dies_at_start"), []).failures[0].output


def test_other_targets_are_measured_all_the_same(guest: Maker) -> None:
    outcome = run(guest("dies_at_start"), cells("dense", "conv"), guest("behaves"), jobs=2)
    assert {(answer.guest.target, answer.outcome) for answer in outcome.answers} == {
        ("dies_at_start", "crashed"),
        ("behaves", "ok"),
    }


def test_later_requests_for_a_failed_target_are_answered_the_same_way(guest: Maker) -> None:
    with Runner(1, 10) as runner:
        target = guest("dies_at_start")
        runner.submit(target, cells("dense"))
        assert len(list(runner.results())) == 2
        runner.submit(target, cells("conv"))
        (answer,) = runner.results()
    assert "exited with status 7" in str(getattr(answer, "reason", None))

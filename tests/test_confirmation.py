"""A change is measured again, alone in a fresh probe, before it is reported."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from bnmatrix import measurement
from bnmatrix.cli.measuring import Means, measurer, teller
from bnmatrix.comparison import Diff
from bnmatrix.confirmation import FEW, Sides, confirmed
from bnmatrix.matrix import AGAIN, CellResult, TargetMatrix, dump
from bnmatrix.measurement import Options
from bnmatrix.runner import Guest
from bnmatrix.runner.process import PROBE
from bnmatrix.selection import cells_of, select
from bnmatrix.sides import compared
from bnmatrix.target import FAMILIES, Target, parse
from tests.tables import cell, target

IDS = [
    f"batch_norm optimizer={optimizer} rank={rank} trainable={trainable}"
    for optimizer in ("none", "sgd", "adam")
    for rank in (2, 3, 4, 5)
    for trainable in ("true", "false")
]


def sides(changed: Callable[[dict[str, str]], bool]) -> Sides:
    """An old side that says `batch`, and a new one that says `moving` where `changed`."""
    old = [cell(identity, normalised_by="batch") for identity in IDS]
    new = [
        msgspec.structs.replace(each, facts={"normalised_by": "moving"}) if changed(each.axes) else each
        for each in old
    ]
    return target(old, "old"), target(new, "new")


class Again:
    """Measures cells of made-up sides again; those of `flickering` are not the same then."""

    def __init__(
        self, given: Sides, flickering: Callable[[dict[str, str]], bool] = lambda axes: False
    ) -> None:
        self.sides = given
        self.flickering = flickering
        self.asked: list[list[str]] = []

    def __call__(self, ids: Sequence[str]) -> Sides:
        self.asked.append(list(ids))
        old, new = (self._again(side, set(ids)) for side in self.sides)
        self.sides = old, new
        return self.sides

    def _again(self, side: TargetMatrix, ids: set[str]) -> TargetMatrix:
        return msgspec.structs.replace(
            side, cells=[self._cell(each) if each.id in ids else each for each in side.cells]
        )

    def _cell(self, one: CellResult) -> CellResult:
        measured = {AGAIN: 1}
        facts = one.facts
        if self.flickering(one.axes):
            measured["unstable"] = {"normalised_by": {"rate": 0.4, "values": {}}}
            facts = {"normalised_by": "unstable"}
        return msgspec.structs.replace(one, measured=measured, facts=facts)


def outcome(given: Sides, again: Again) -> Diff:
    return confirmed(given, (True, True), again, "")[1]


def test_where_nothing_changed_nothing_is_measured_again() -> None:
    given = sides(lambda axes: False)
    again = Again(given)
    assert outcome(given, again).changes == []
    assert again.asked == []


def test_few_changes_are_all_measured_again() -> None:
    given = sides(lambda axes: axes["rank"] == "4")
    again = Again(given)
    assert len(outcome(given, again).changes) == 6 <= FEW
    assert [len(ids) for ids in again.asked] == [6]


def test_of_many_one_stands_for_each_condition() -> None:
    given = sides(lambda axes: axes["trainable"] == "false" or axes["optimizer"] == "adam")
    again = Again(given)
    diff = outcome(given, again)
    assert len(diff.changes) == 16
    assert len(diff.conditions) == 2
    assert [len(ids) for ids in again.asked] == [2]


def test_a_change_that_is_not_there_the_second_time_is_unstable() -> None:
    given = sides(lambda axes: axes["rank"] == "4")
    diff = outcome(given, Again(given, lambda axes: axes["optimizer"] == "sgd"))
    assert diff.summary.changed == 4
    assert {(each.fact, each.rate) for each in diff.unstable} == {("normalised_by", 0.4)}


def test_what_it_stood_for_is_then_measured_again_as_well() -> None:
    given = sides(lambda axes: axes["trainable"] == "false")
    again = Again(given, lambda axes: True)
    diff = outcome(given, again)
    assert diff.changes == []
    assert diff.summary.unstable == 12
    assert [len(ids) for ids in again.asked] == [1, 11]


def test_what_is_confirmed_is_not_measured_again() -> None:
    given = sides(lambda axes: axes["trainable"] == "false")
    again = Again(given)
    first = outcome(given, again)
    second = Again(again.sides)
    assert outcome(again.sides, second) == first
    assert second.asked == []


def test_where_it_cannot_be_measured_again_it_is_reported_as_it_is() -> None:
    given = sides(lambda axes: axes["rank"] == "4")
    assert len(confirmed(given, (True, True), lambda ids: None, "")[1].changes) == 6


def test_a_cell_that_timed_out_on_one_side_is_measured_again() -> None:
    slow = cell(IDS[0], "timed_out")
    given = target([cell(IDS[0], normalised_by="batch")], "old"), target([slow], "new")
    again = Again(given)
    outcome(given, again)
    assert again.asked == [[slow.id]]


def test_of_saved_sides_only_the_others_count() -> None:
    given = sides(lambda axes: axes["rank"] == "4")
    again = Again(given)
    confirmed(given, (False, True), again, "")
    assert [len(ids) for ids in again.asked] == [6]


@pytest.fixture
def leaking(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """`torch:cpu` is a torch whose cells leave something behind."""
    pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")
    monkeypatch.setenv("BNMATRIX_HOME", str(tmp_path))
    usual = measurement.guest_of

    def guest_of(target: Target, python: str, device: str) -> Guest:
        guest = usual(target, python, device)
        program = (sys.executable, str(Path(__file__).parent / "leaking_probe.py"), str(PROBE))
        return dataclasses.replace(guest, program=program) if target.text == "torch:cpu" else guest

    monkeypatch.setattr(measurement, "guest_of", guest_of)


@pytest.mark.usefixtures("leaking")
def test_what_cells_leave_behind_is_no_change(capfd: pytest.CaptureFixture[str]) -> None:
    selection = select(None, None, ["execution=call", "rank=2", "training=true,false"], None, None)
    means = Means(Options(), no_cache=True)
    _, diff = compared(
        "torch", "torch:cpu", selection, measurer(means), teller(means)
    )  # without a store, for they would share it
    assert diff.changes == []
    assert diff.summary.unstable == 4
    assert {each.fact for each in diff.unstable} == {"epsilon"}
    assert "measuring 3 changes again" in capfd.readouterr().err


@pytest.mark.usefixtures("leaking")
def test_what_was_measured_again_is_known(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    selection = select(None, None, ["execution=call", "rank=2", "training=true"], None, None)
    saved = tmp_path / "torch.json"
    plan = measurement.Plan(parse("torch"), cells_of(selection, FAMILIES["torch"], selection.scenarios))
    saved.write_bytes(dump(measurement.measure([plan], Options())))

    def outcome(**options: bool) -> tuple[Diff, bool]:
        capfd.readouterr()
        means = Means(Options(), **options)
        diff = compared(str(saved), "torch:cpu", selection, measurer(means), teller(means))[1]
        return diff, "measuring 1 change again" in capfd.readouterr().err

    first, was_measured = outcome()
    assert first.changes == []
    assert was_measured
    assert outcome() == (first, False)
    assert outcome(refresh=True) == (first, True)

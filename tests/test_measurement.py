"""One part that fails costs what it must and no more: the others are measured, and the run is incomplete."""

from __future__ import annotations

import dataclasses
import sys

import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

from bnmatrix import judge as judging
from bnmatrix import measurement
from bnmatrix.axes import parse_id
from bnmatrix.errors import UsageError
from bnmatrix.measurement import Options, Plan, is_complete, measure
from bnmatrix.runner import Guest
from bnmatrix.target import Target, parse

CELLS = tuple(parse_id(f"batch_norm training={training}") for training in ("true", "false"))
TORCH = Plan(parse("torch"), CELLS)


def test_a_framework_that_does_not_start_leaves_the_others_their_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = measurement.guest_of

    def guest_of(target: Target, device: str | None) -> Guest:
        broken = (sys.executable, "-c", "import sys; sys.exit('ImportError: libfoo.so is broken')")
        guest = usual(target, device)
        return dataclasses.replace(guest, program=broken) if target.framework == "tf2" else guest

    monkeypatch.setattr(measurement, "guest_of", guest_of)
    found = measure([Plan(parse("tf2"), CELLS), TORCH], Options())
    outcomes = {target.target: {cell.outcome for cell in target.cells} for target in found.targets}
    assert outcomes == {"tf2": {"crashed"}, "torch": {"ok"}}
    assert "libfoo.so is broken" in (found.targets[0].cells[0].reason or "")
    assert not is_complete(found)


def test_a_judge_that_fails_costs_its_cell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = judging.judge

    def failing(observation, layer, axes):
        if axes["training"] == "true":
            raise ZeroDivisionError("a mistake of ours")
        return usual(observation, layer, axes)

    monkeypatch.setattr(judging, "judge", failing)
    (target,) = measure([TORCH], Options()).targets
    assert [cell.outcome for cell in target.cells] == ["crashed", "ok"]
    assert "a mistake of ours" in (target.cells[0].reason or "")


def test_a_device_that_is_absent_is_the_users_to_mend() -> None:
    with pytest.raises(UsageError, match="cuda:7"):
        measure([Plan(parse("torch:cuda:7"), CELLS)], Options())


def test_seeds_of_a_run_follow_from_the_first() -> None:
    one, other = (measure([TORCH], Options(seed=seed)).targets[0].cells[0].measured for seed in (5, 5))
    assert one == other
    assert one != measure([TORCH], Options(seed=6)).targets[0].cells[0].measured

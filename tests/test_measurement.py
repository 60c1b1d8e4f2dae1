"""One part that fails costs what it must and no more: the others are measured, and the run is incomplete."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

from bnmatrix import measurement, settling
from bnmatrix.axes import parse_id
from bnmatrix.errors import BnmatrixError, Exit, UsageError
from bnmatrix.matrix import dump, is_complete
from bnmatrix.measurement import Options, Plan, measure
from bnmatrix.placement import Wishes
from bnmatrix.records import Records
from bnmatrix.runner import Guest
from bnmatrix.store import Store
from bnmatrix.target import Target, parse

CELLS = tuple(parse_id(f"batch_norm training={training}") for training in ("true", "false"))
TORCH = Plan(parse("torch"), CELLS)


def test_a_framework_that_does_not_start_leaves_the_others_their_results(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    usual = measurement.guest_of

    def guest_of(target: Target, python: str, device: str) -> Guest:
        broken = (sys.executable, "-c", "import sys; sys.exit('ImportError: libfoo.so is broken')")
        guest = usual(target, python, device)
        return dataclasses.replace(guest, program=broken) if target.framework == "tf2" else guest

    monkeypatch.setattr(measurement, "guest_of", guest_of)
    found = measure([Plan(parse("tf2"), CELLS), TORCH], Options())
    outcomes = {target.target: {cell.outcome for cell in target.cells} for target in found.targets}
    assert outcomes == {"tf2": {"crashed"}, "torch": {"ok"}}
    assert "libfoo.so is broken" in (found.targets[0].cells[0].reason or "")
    assert not is_complete(found)


def test_a_judge_that_fails_costs_its_cell_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = settling.judge

    def failing(observation, layer, axes):
        if axes["training"] == "true":
            raise ZeroDivisionError("a mistake of ours")
        return usual(observation, layer, axes)

    monkeypatch.setattr(settling, "judge", failing)
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


OFFLINE = Options(wishes=Wishes(offline=True))
ABSENT = Plan(parse("torch==1.4.0"), CELLS)


def test_an_environment_that_cannot_be_had_leaves_the_others_their_results() -> None:
    found = measure([ABSENT, TORCH], OFFLINE)
    assert [{cell.outcome for cell in target.cells} for target in found.targets] == [{"skipped"}, {"ok"}]
    assert "--offline" in (found.targets[0].cells[0].reason or "")
    assert not is_complete(found)


def test_where_no_target_has_an_environment_that_is_the_error() -> None:
    with pytest.raises(BnmatrixError, match=r"torch==1\.4\.0") as caught:
        measure([ABSENT], OFFLINE)
    assert caught.value.exit_code == Exit.INCOMPLETE


def test_what_is_known_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store.open(tmp_path) as store:
        first = measure([TORCH], Options(), records=Records(store))
    monkeypatch.setattr(measurement, "_Measuring", None)  # nothing can be measured from here on
    with Store.open(tmp_path) as store:
        again = measure([TORCH], Options(), records=Records(store))
        assert dump(again) == dump(first)
        with pytest.raises(TypeError):
            measure([TORCH], Options(seed=1), records=Records(store))
        known = measure([TORCH], Options(seed=1, known=True), records=Records(store))
    assert {cell.outcome for cell in known.targets[0].cells} == {"skipped"}


def test_only_what_is_missing_is_measured(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        measure([dataclasses.replace(TORCH, cells=CELLS[:1])], Options(), records=Records(store))
    totals = []
    with Store.open(tmp_path) as store:
        records = Records(store)
        measure([TORCH], Options(), lambda done, total, note: totals.append(done), records)
    assert records.found == 1
    assert totals[0] == 1

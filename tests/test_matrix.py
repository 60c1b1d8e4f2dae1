"""A saved matrix reads back whole, or the error names the file and the place."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bnmatrix.axes import AXES
from bnmatrix.errors import UsageError
from bnmatrix.matrix import dump, load
from tests.render.miniature import matrix
from tests.tables import cell, target

Edit = Callable[[dict[str, Any]], object]
"""Changes the second of two saved cells."""


def saved(path: Path, edit: Edit) -> Path:
    """A file of two cells, the second edited."""
    cells = [cell("batch_norm", gamma="updated"), cell("batch_norm rank=4", gamma="updated")]
    data = json.loads(dump(matrix(target(cells))))
    edit(data["targets"][0]["cells"][1])
    path.write_text(json.dumps(data), encoding="utf-8")
    return path


FAULTS: dict[str, tuple[Edit, str]] = {
    "no axes": (lambda cell: cell.update(axes={}), "without the axis `layer`"),
    "an unknown layer": (lambda cell: cell["axes"].update(layer="batchnorm"), "unknown layer 'batchnorm'"),
    "an unknown axis": (lambda cell: cell["axes"].update(colour="red"), "unknown axis 'colour'"),
    "an unknown value": (lambda cell: cell["axes"].update(training="yes"), "unknown value of axis training"),
    "axes of another cell": (
        lambda cell: cell["axes"].update(rank="3"),
        "the axes of the cell 'batch_norm rank=4' are those of 'batch_norm rank=3'",
    ),
    "an unknown outcome": (lambda cell: cell.update(outcome="fine"), "unknown outcome 'fine'"),
    "an interval that is a number": (
        lambda cell: cell.update(measured={"intervals": {"epsilon": 3}}),
        "Expected `array`, got `int` - at `$.intervals[...]`",
    ),
    "an interval of one end": (
        lambda cell: cell.update(measured={"intervals": {"epsilon": [1]}}),
        "length 2",
    ),
    "intervals that are a list": (lambda cell: cell.update(measured={"intervals": []}), "`$.intervals`"),
    "unstable facts as a list": (lambda cell: cell.update(measured={"unstable": ["gamma"]}), "`$.unstable`"),
    "an unstable fact without its rate": (
        lambda cell: cell.update(measured={"unstable": {"gamma": {"values": []}}}),
        "`rate`",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_cell_that_cannot_be_is_told_with_its_place(fault: str, tmp_path: Path) -> None:
    edit, says = FAULTS[fault]
    with pytest.raises(UsageError) as caught:
        load(saved(tmp_path / "run.json", edit))
    assert f"{tmp_path / 'run.json'} is not a saved matrix: " in caught.value.message
    assert says in caught.value.message
    assert caught.value.message.endswith("at `$.targets[0].cells[1]`")


def test_a_cell_that_is_there_twice_is_told(tmp_path: Path) -> None:
    path = saved(tmp_path / "run.json", lambda cell: (cell.update(id="batch_norm"), cell["axes"].pop("rank")))
    with pytest.raises(UsageError, match="the cell 'batch_norm' is there twice"):
        load(path)


@pytest.mark.parametrize("axis", [axis for axis in AXES if axis not in ("layer", "rank")])
def test_a_file_older_than_an_axis_is_at_its_default(axis: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "run.json", lambda cell: cell["axes"].pop(axis))
    whole = saved(tmp_path / "whole.json", lambda cell: None)
    assert load(path) == load(whole)


def test_bytes_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(b'{"schema_version": "\xff"}')
    with pytest.raises(UsageError, match="is not a saved matrix"):
        load(tmp_path / "run.json")

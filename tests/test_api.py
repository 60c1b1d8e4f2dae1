"""The commands as functions."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

import bnmatrix
from bnmatrix.baseline import SCHEMA_VERSION, Baseline, Selected, text
from bnmatrix.errors import NothingSelectedError, UsageError
from bnmatrix.matrix import dump

pytest.importorskip("torch")

README = Path(__file__).parent.parent / "README.md"

BLOCKS = re.findall(r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

EXAMPLES = [block for block in BLOCKS if "def test_" not in block]  # the others run with the plugin's tests

FEW: dict[str, Any] = {"axes": {"execution": "call", "rank": "2"}}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.splitlines()[0])
def test_the_examples_of_the_readme_run(
    example: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(example, "README.md", "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().err == ""


def test_numbers_and_truth_values_are_words() -> None:
    matrix = bnmatrix.run("torch", axes={"rank": 2, "training": [True], "execution": "call"})  # type: ignore[dict-item]
    assert {cell.axes["training"] for cell in matrix.targets[0].cells} == {"true"}


def test_a_run_is_a_matrix(capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    matrix = bnmatrix.run("torch", layers=["dropout"], tell=said.append, **FEW)
    assert [cell.axes["layer"] for cell in matrix.targets[0].cells] == ["dropout"] * 6
    assert matrix.schema_version == 1
    assert capsys.readouterr() == ("", "")


def test_matrices_files_and_targets_are_compared(tmp_path: Path) -> None:
    matrix = bnmatrix.run("torch", **FEW)
    file = tmp_path / "torch.json"
    file.write_bytes(dump(matrix))
    for old in (matrix, file, "torch"):
        assert bnmatrix.diff(old, "torch", **FEW).summary.same == 6
    assert bnmatrix.load(file) == matrix


def test_a_baseline_is_loaded_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    held = Baseline(
        schema_version=SCHEMA_VERSION,
        bnmatrix=bnmatrix.__version__,
        seed=0,
        selection=Selected(),
        targets=bnmatrix.run("torch", **FEW).targets,
    )
    (tmp_path / "bnmatrix.lock").write_text(text(held), encoding="utf-8")
    loaded = bnmatrix.load("bnmatrix.lock")
    assert isinstance(loaded, Baseline)
    assert text(loaded) == text(held)
    assert not bnmatrix.check().fails
    for side in (loaded, "bnmatrix.lock", Path("bnmatrix.lock")):
        assert bnmatrix.diff(side, "torch").summary.same == 6
    cells = [
        msgspec.structs.replace(cell, facts={**cell.facts, "gamma": "absent"})
        for cell in loaded.targets[0].cells
    ]
    other = msgspec.structs.replace(loaded, targets=[msgspec.structs.replace(loaded.targets[0], cells=cells)])
    found = bnmatrix.check(other)
    assert found.fails
    assert {change.fact for change in found.changes} == {"gamma"}


def test_a_result_is_a_data_frame(monkeypatch: pytest.MonkeyPatch) -> None:
    pandas = pytest.importorskip("pandas")
    matrix = bnmatrix.run("torch", **FEW)
    frame = matrix.to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert len(frame) == 6
    assert set(frame.loc[frame["training"] == "true", "moving_mean"]) == {"updated"}
    changes = bnmatrix.diff("torch", "tf2", **FEW).to_pandas()
    assert {"id", "fact", "old", "new", "severity"} <= set(changes.columns)


def test_mistakes_are_raised_as_the_commands_tell_them() -> None:
    with pytest.raises(UsageError, match="unknown layer 'bach_norm'") as error:
        bnmatrix.run("torch", layers="bach_norm")
    assert error.value.hint == "did you mean 'batch_norm'?"
    with pytest.raises(bnmatrix.BnmatrixError, match="unknown framework"):
        bnmatrix.run("torhc")
    with pytest.raises(NothingSelectedError):
        bnmatrix.run("torch", axes={"execution": "fit", "training": "true"})
    with pytest.raises(UsageError, match="a matrix of one target is compared"):
        bnmatrix.diff(bnmatrix.run(["torch", "tf2"], cells="batch_norm"), "torch")
    with pytest.raises(UsageError, match="unknown argument 'layer'") as error:
        bnmatrix.run("torch", layer="dropout")  # type: ignore[call-arg]
    assert error.value.hint == "did you mean 'layers'?"
    with pytest.raises(UsageError, match="the seed -1 is not a number"):
        bnmatrix.run("torch", seed=-1)
    with pytest.raises(UsageError, match="the timeout 'long'"):
        bnmatrix.run("torch", timeout="long")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="the seed of a check is that of the baseline"):
        bnmatrix.check(seed=3)
    with pytest.raises(AttributeError, match="no attribute 'runn'"):
        bnmatrix.runn  # noqa: B018

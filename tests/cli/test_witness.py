"""`--witness DIR`: what is wrong with it is said before anything is measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run


def test_a_saved_side_has_no_interpreter(bnmatrix: Run, saved: Path) -> None:
    done = bnmatrix("diff", str(saved / "tf2.json"), "tf2==2.15.1", "--offline", "--witness", "out")
    assert done.returncode == 2
    assert "a saved one has no interpreter" in done.stderr
    assert not (saved / "out").exists()


def test_a_witness_needs_one_framework(bnmatrix: Run) -> None:
    done = bnmatrix("diff", "torch==1.12.1", "tf2==2.15.1", "--offline", "--witness", "out")
    assert done.returncode == 2
    assert "needs one framework on both sides" in done.stderr


@pytest.mark.parametrize("name", ["", "file/below", "file"])
def test_a_folder_that_cannot_be_used_is_told_at_once(bnmatrix: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    done = bnmatrix("diff", "torch==1.5.1", "torch==1.6.0", "--offline", "--witness", name)
    assert done.returncode == 2
    assert "measuring" not in done.stderr
    assert "Traceback" not in done.stderr

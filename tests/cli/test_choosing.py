"""Choosing cells on the command line, and what would be measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.test_light import ALWAYS, imported

WRONG = {
    "run --full --cell batch_norm": "--full chooses the cells itself",
    "run --full --scenario core": "--full chooses the cells itself",
    "run --full --coverage pairwise": "--full chooses the cells itself",
    "run --cell batch_norm --coverage pairwise": "--cell names whole cells",
    "run --coverage pairwize": "did you mean 'pairwise'?",
    "diff torch tf2 --full --cell batch_norm": "--full chooses the cells itself",
    "timeline torch --full --scenario core": "--full chooses the cells itself",
    "run --dry-run --format csv": "--dry-run is not told as csv",
}

TORCH = "torch==2.4.1"
"""A target that is not installed, whether or not torch is: nothing is resolved for it."""


@pytest.mark.parametrize("command", WRONG)
def test_what_excludes_each_other_is_told(command: str, bnmatrix: Run) -> None:
    done = bnmatrix(*command.split())
    assert done.returncode == 2
    assert WRONG[command] in done.stderr


def ahead(bnmatrix: Run, home: Path, *arguments: str) -> dict[str, object]:
    env = {"BNMATRIX_HOME": str(home)}
    done = bnmatrix(*arguments, "--dry-run", "--format", "json", env=env)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_dry_run_tells_cells_environment_and_time(bnmatrix: Run, tmp_path: Path) -> None:
    found = ahead(bnmatrix, tmp_path / "home", "run", "--framework", TORCH, "--full", "--jobs", "4")
    [target] = found["targets"]  # type: ignore[misc]
    assert target["target"] == TORCH  # type: ignore[index]
    assert target["environment"] == "to be made"  # type: ignore[index]
    assert found["cells"] > 5000  # type: ignore[operator]
    assert found["known"] == 0
    assert 20 < found["seconds"] < 2000  # type: ignore[operator]
    assert not (tmp_path / "home" / "environments").exists()


def test_a_dry_run_is_told_in_words(bnmatrix: Run, tmp_path: Path) -> None:
    env = {"BNMATRIX_HOME": str(tmp_path / "home")}
    arguments = ("diff", TORCH, "keras==3.8.0", "--layer", "dense", "--coverage", "pairwise", "--dry-run")
    done = bnmatrix(*arguments, env=env)
    assert done.returncode == 0
    assert "and what it takes to make 2 environments" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_coverage_lowers_the_number_of_cells(bnmatrix: Run, tmp_path: Path) -> None:
    def cells(*arguments: str) -> int:
        found = ahead(bnmatrix, tmp_path / "home", "run", "--framework", TORCH, *arguments)["cells"]
        assert isinstance(found, int)
        return found

    everything = cells("--full")
    assert cells("--coverage", "pairwise") < everything / 10
    assert cells("--scenario", "core", "--coverage", "pairwise") < cells("--scenario", "core")
    assert cells("--full", "--axis", "execution=call") < everything
    assert cells("--coverage", "product") == cells()
    assert cells("--full", "--layer", "dropout", "--layer", "batch_norm") > everything


def test_a_dry_run_imports_neither_framework_nor_judge(tmp_path: Path) -> None:
    found = imported("run --framework torch==2.4.1 --full --dry-run", tmp_path)
    assert "bnmatrix.outlook" in found
    assert not found & {*ALWAYS, "bnmatrix.judge", "allpairspy"}

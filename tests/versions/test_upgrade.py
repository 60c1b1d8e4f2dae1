"""A project that upgrades TensorFlow from 2.15 to 2.21: locked, checked, accepted, and taken back."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import msgspec
import pytest

from bnmatrix.axes import parse_id
from bnmatrix.baseline import load, text
from tests.cli.conftest import environment
from tests.versions.releases import MAKING, need
from tests.versions.test_known_changes import CATALOGUE

OLD, NEW = "tf2==2.15.1", "tf2==2.21.0"

PROJECT = """
[tool.bnmatrix]
frameworks = ["production"]
layers = ["batch_norm", "dropout"]
coverage = "full"

[tool.bnmatrix.axes]    # of the whole: what the known changes are about
execution = ["call", "fit", "train_on_batch", "predict"]
context = ["direct", "model", "pinned_false", "pinned_true", "no_argument"]
outer = ["functional", "subclassed"]
freeze = ["before_build", "before_compile", "after_compile"]
rank = ["2", "4"]
dtype = ["float32"]
optimizer = ["none", "sgd"]
variant = ["default"]
batch = ["normal"]
mask = ["none"]
training_as = ["bool"]
data_format = ["default"]
saved_as = ["default"]
mode_set = ["before"]
freeze_on = ["layer"]
depth = ["1"]

[tool.bnmatrix.targets.production]
target = "{}"
"""


@pytest.mark.versions
@pytest.mark.timeout(1800)
def test_an_upgrade_is_found_accepted_and_taken_back(tmp_path: Path) -> None:
    need(OLD, NEW)

    def bnmatrix(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bnmatrix", *arguments],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=MAKING,
            check=False,
        )

    def pin(version: str) -> None:
        (tmp_path / "pyproject.toml").write_text(PROJECT.replace("{}", version), encoding="utf-8")

    pin(OLD)
    done = bnmatrix("lock")
    assert done.returncode == 0, done.stderr
    assert bnmatrix("check").returncode == 0
    pin(NEW)
    done = bnmatrix("check", "--format", "json")
    assert done.returncode == 1, done.stderr
    changes = json.loads(done.stdout)["changes"]
    for entry in CATALOGUE["change"]:
        if (entry["old"], entry["new"]) == (OLD, NEW):
            wanted = {axis: str(value) for axis, value in entry["cell"].items()}
            assert any(
                (change["fact"], change["old"], change["new"]) == (entry["fact"], entry["was"], entry["is"])
                and wanted.items() <= parse_id(change["id"]).axes.items()
                for change in changes
            ), entry["id"]
    accepted = bnmatrix("check", "--accept", "--reason", "the upgrade to Keras 3", "--owner", "us")
    assert accepted.returncode == 0, accepted.stdout
    file = tmp_path / "bnmatrix.lock"
    held = load(file)
    past = [msgspec.structs.replace(each, expires=date.today() - timedelta(days=7)) for each in held.accepted]
    file.write_text(text(msgspec.structs.replace(held, accepted=past)), encoding="utf-8")
    assert bnmatrix("check").returncode == 1
    file.write_text(text(held), encoding="utf-8")
    pin(OLD)
    done = bnmatrix("check")
    assert done.returncode == 1
    assert done.stdout.count("nothing changes so any more") == len(held.accepted)

"""The lines that decide `training and trainable`, in releases that are not installed."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.cli.conftest import environment
from tests.versions.releases import MAKING, need

LINES = {
    "tf2==2.15.1": ("trainable", "_get_training_value", "if not self.trainable:", "training = False"),
    "tf1==1.15.5": ("training", "call", "if training_value == False:", "if self.adjustment:"),
    "keras[torch]==3.0.5": ("trainable", "call", "if training and self.trainable:", "mean = moving_mean"),
}
"""{target: (axis, function, the beginning of the line that decides, what is run then)}"""


@pytest.mark.versions
@pytest.mark.timeout(MAKING)
@pytest.mark.parametrize("target", LINES)
def test_the_line_that_decides_is_found(target: str) -> None:
    need(target)
    done = subprocess.run(
        [sys.executable, "-m", "bnmatrix", "explain", target, "batch_norm", "training=true", "trainable=false",
         "--format", "json", "--quiet"],
        env=environment(), stdout=subprocess.PIPE, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0
    (cell,) = json.loads(done.stdout)["cells"]
    axis, function, text, here = LINES[target]
    found = [each for each in cell["decided_by"] if each["text"].startswith(text)]
    assert [(each["axis"], each["function"], each["here"]) for each in found[:1]] == [(axis, function, here)]

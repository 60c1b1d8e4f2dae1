"""The lines that decide `training and trainable`, in releases that are not installed."""

from __future__ import annotations

import json

import pytest

from tests.versions.releases import MAKING, bnmatrix, need

FROZEN_IN_3_0 = "moving_mean = ops.cast(self.moving_mean, inputs.dtype)"

LINES = {
    "tf2==2.15.1": ("trainable", "_get_training_value", "if not self.trainable:", "training = False"),
    "tf1==1.15.5": ("training", "call", "if training_value == False:", "if self.adjustment:"),
    "keras[torch]==3.0.5": ("trainable", "call", "if training and self.trainable:", FROZEN_IN_3_0),
}
"""{target: (axis, function, the beginning of the line that decides, what is run then)}"""


@pytest.mark.versions
@pytest.mark.timeout(MAKING)
@pytest.mark.parametrize("target", LINES)
def test_the_line_that_decides_is_found(target: str) -> None:
    need(target)
    words = (target, "batch_norm", "training=true", "trainable=false")
    done = bnmatrix("explain", *words, "--format", "json", "--quiet")
    assert done.returncode == 0
    (cell,) = json.loads(done.stdout)["cells"]
    axis, function, text, here = LINES[target]
    found = [each for each in cell["decided_by"] if each["text"].startswith(text)]
    assert [(each["axis"], each["function"], each["here"]) for each in found[:1]] == [(axis, function, here)]

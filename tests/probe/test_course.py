"""Many steps in a row: what is recorded, and what is mended after each step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bnmatrix.axes import parse_id
from bnmatrix.runner.messages import Course
from tests.laboratory import adapter, observe, probe

CELL = "batch_norm training=true"


def course(**given: Any) -> Course:
    pytest.importorskip("torch")
    found = observe(adapter("torch"), CELL, 0, {"course": {"steps": 4, **given}}).course
    assert found is not None
    return found


def test_only_who_asks_for_a_course_gets_one() -> None:
    pytest.importorskip("torch")
    record = probe("experiment").observe(adapter("torch"), parse_id(CELL).axes, 0)
    assert "course" not in record
    assert set(record["passes"]) == {"first", "second", "repeat"}


def test_each_step_goes_on_from_the_one_before_by_its_gradient() -> None:
    found = course()
    states = [found.start, *(step.state for step in found.steps)]
    assert len(states) == 5
    for before, after, step in zip(states, states[1:], found.steps, strict=False):
        np.testing.assert_array_equal(after["gamma"], before["gamma"] - step.gradients["gamma"])
        assert not np.array_equal(after["moving_mean"], before["moving_mean"])
    batches = [step.inputs.tobytes() for step in found.steps]
    assert len(set(batches)) == 4  # none is used twice
    assert found.code == "torch.nn.BatchNorm1d(channels)"


def test_what_is_held_is_put_back() -> None:
    found = course(hold=["moving_mean"])
    for step in found.steps:
        np.testing.assert_array_equal(step.state["moving_mean"], found.start["moving_mean"])
    assert not np.array_equal(found.steps[0].state["moving_variance"], found.start["moving_variance"])


def test_a_variance_is_corrected_after_each_step() -> None:
    plain, corrected = course(), course(variance={"kept": 0.9, "factor": 0.5})
    old = plain.start["moving_variance"]
    taken = plain.steps[0].state["moving_variance"] - 0.9 * old
    np.testing.assert_allclose(corrected.steps[0].state["moving_variance"], 0.9 * old + taken / 2, rtol=1e-6)

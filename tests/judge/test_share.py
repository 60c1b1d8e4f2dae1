"""The share of the batch's mean that the moving mean took in, where some channels cannot tell it."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from bnmatrix.judge.state import share

OLD = np.array([1.0, -2.0, 0.0])


def shares(batch: list[float], new: list[float]) -> tuple[float, float] | None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return share({"moving_mean": OLD}, {"moving_mean": np.array(new)}, np.array(batch), 1e-7)


def test_a_channel_that_is_at_the_batchs_mean_already_tells_nothing() -> None:
    found = shares([2.0, -2.0, 0.0], [1.1, -2.0, 0.0])
    assert found is not None
    assert found == pytest.approx((0.1, 0.1), rel=1e-4)


def test_it_contradicts_where_it_moves_all_the_same() -> None:
    found = shares([2.0, -2.0, 0.0], [1.1, -2.1, 0.0])
    assert found is not None
    assert found[0] > found[1]


def test_where_no_channel_tells_there_is_none() -> None:
    assert shares([1.0, -2.0, 0.0], [1.0, -2.0 + 1e-8, 0.0]) is None

"""A number prints as the shortest decimal that its measurement allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnmatrix.judge.numbers import number, shortest

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0099999, 0.0100001, 0.01),
        (9.8e-6, 1.02e-5, 1e-5),
        (0.0999, 0.1001, 0.1),
        (1.9999, 2.0001, 2.0),
        (-1, 1, 0.0),
    ],
)
def test_the_shortest_decimal_is_found(low: float, high: float, expected: float) -> None:
    assert shortest(low, high) == expected


@given(FINITE, FINITE)
def test_the_shortest_decimal_lies_in_its_interval(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert low <= shortest(low, high) <= high


@pytest.mark.parametrize(("low", "high"), [(1.0, 0.0), (float("nan"), 1.0), (0.0, float("inf"))])
def test_an_empty_or_endless_interval_is_undecided(low: float, high: float) -> None:
    assert number((low, high)).value == "undecided"

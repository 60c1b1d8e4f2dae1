"""Where the next probe goes."""

from __future__ import annotations

import pytest

from bnmatrix.runner.schedule import Load, estimate, may_send_ahead, next_place


@pytest.mark.parametrize(
    ("loads", "place"),
    [
        ([], None),
        ([Load(0.1, 0)], 0),
        ([Load(0.1, 0), Load(9, 0)], 1),  # what starts last ends last
        ([Load(0.1, 0), Load(99, 1)], 0),  # a first probe before any second
        ([Load(1.0, 1)], None),
        ([Load(2.5, 1)], None),
        ([Load(3.5, 1)], 0),
        ([Load(3.5, 1, start=6.0)], None),  # known to start slowly
        ([Load(3.5, 2)], None),
        ([Load(9.0, 1, alone=True)], None),
        ([Load(9.0, 1), Load(20.0, 1)], 1),
        ([Load(9.0, 1), Load(20.0, 3)], 0),
    ],
)
def test_place_goes_to_whom_it_saves_most(loads: list[Load], place: int | None) -> None:
    assert next_place(loads) == place


def test_compiling_costs_most() -> None:
    seconds = [estimate({"execution": execution}) for execution in ("call", "graph", "train_on_batch")]
    assert seconds == sorted(seconds)
    assert estimate({}) == estimate({"execution": "call"})


def test_probe_is_sent_cells_ahead_as_long_as_they_are_short() -> None:
    assert may_send_ahead([])
    assert may_send_ahead([0.02, 0.02])
    assert not may_send_ahead([0.25])
    assert not may_send_ahead([0.0] * 32)

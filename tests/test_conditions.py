"""Conditions are sufficient and necessary, on any truth table."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from bnmatrix.conditions import boxes

AXES = {
    "training": ("true", "false"),
    "trainable": ("true", "false"),
    "execution": ("call", "fit", "predict"),
}
CELLS = {
    values: dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())
}  # every cell, keyed by its values
TABLES = st.sets(st.sampled_from(sorted(CELLS)), min_size=1)


def meets(axes: dict[str, str], when: dict[str, list[str]]) -> bool:
    return all(axes[axis] in values for axis, values in when.items())


@given(universe=TABLES, data=st.data())
def test_a_cell_meets_a_condition_exactly_if_it_was_chosen(universe: set, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(universe)), unique=True))
    table = {key: CELLS[key] for key in universe}
    found = boxes(table, chosen)
    for key, axes in table.items():
        assert any(meets(axes, when) for when, _ in found) == (key in chosen)
    assert sorted(key for _, keys in found for key in keys) == sorted(chosen)


def test_everything_needs_no_condition() -> None:
    assert boxes(CELLS, list(CELLS)) == [({}, list(CELLS))]


def test_nothing_has_no_condition() -> None:
    assert boxes(CELLS, []) == []


def test_only_axes_that_matter_are_named() -> None:
    chosen = [
        key for key, axes in CELLS.items() if axes["execution"] == "fit" and axes["trainable"] == "false"
    ]
    assert [when for when, _ in boxes(CELLS, chosen)] == [{"trainable": ["false"], "execution": ["fit"]}]


def test_two_separate_causes_are_two_conditions() -> None:
    chosen = [
        key for key, axes in CELLS.items()
        if (axes["training"], axes["trainable"]) in {("true", "true"), ("false", "false")}
    ]  # fmt: skip
    assert len(boxes(CELLS, chosen)) == 2

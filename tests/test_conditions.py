"""Conditions are sufficient, necessary and short, on any truth table."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnmatrix.axes import AXES as ALL_AXES
from bnmatrix.axes import is_sensible, make_cell
from bnmatrix.conditions import Table, When, boxes

AXES = {
    "training": ("true", "false"),
    "trainable": ("true", "false"),
    "execution": ("call", "fit", "predict"),
}
CELLS = {
    values: dict(zip(AXES, values, strict=True)) for values in itertools.product(*AXES.values())
}  # every cell, keyed by its values
TABLES = st.sets(st.sampled_from(sorted(CELLS)), min_size=1)


@cache
def sparse(count: int, seed: int) -> dict[str, dict[str, str]]:
    """Cells as `--full` has them: few axes are off their default."""
    chance = random.Random(seed)
    others = [axis for axis in ALL_AXES if axis not in ("layer", "training", "trainable")]
    found: dict[str, dict[str, str]] = {}
    while len(found) < count:
        axes = ["training", "trainable", *chance.sample(others, chance.choice([1, 2, 2, 2]))]
        cell = make_cell({axis: chance.choice(list(ALL_AXES[axis].values)) for axis in axes})
        if is_sensible(cell.axes):
            found[cell.id] = cell.axes
    return found


SPARSE = sparse(300, 0)


def meets(axes: Mapping[str, str], when: Mapping[str, Sequence[str]]) -> bool:
    return all(axes[axis] in values for axis, values in when.items())


def check(table: Mapping, chosen: Sequence) -> list[tuple[When, list]]:
    """The conditions, once they are found to be what they should."""
    found = boxes(table, chosen)
    for key, axes in table.items():
        assert any(meets(axes, when) for when, _ in found) == (key in chosen)
    listed = [key for _, keys in found for key in keys]
    assert sorted(listed) == sorted(chosen)
    for when, keys in found:
        assert keys
        assert all(meets(table[key], when) for key in keys)
        for axis in when:
            rest = {name: values for name, values in when.items() if name != axis}
            assert any(meets(axes, rest) and key not in chosen for key, axes in table.items())
    return found


@given(universe=TABLES, data=st.data())
def test_a_cell_meets_a_condition_exactly_if_it_was_chosen(universe: set, data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(sorted(universe)), unique=True))
    check({key: CELLS[key] for key in universe}, chosen)


@given(chosen=st.lists(st.sampled_from(sorted(SPARSE)), unique=True))
def test_of_sparse_tables_as_well(chosen: list[str]) -> None:
    check(SPARSE, chosen)


@given(
    literals=st.dictionaries(
        st.sampled_from(["training", "trainable", "execution", "context", "dtype", "optimizer"]),
        st.integers(1, 2**6 - 1),
        min_size=1,
        max_size=3,
    )
)
def test_one_cause_is_one_condition(literals: dict[str, int]) -> None:
    cause = {
        axis: [value for number, value in enumerate(ALL_AXES[axis].values) if mask >> number % 6 & 1]
        for axis, mask in literals.items()
    }
    chosen = [key for key, axes in SPARSE.items() if meets(axes, cause)]
    found = check(SPARSE, chosen)
    assert len(found) <= 1
    assert all(len(when) <= len(cause) for when, _ in found)


@given(chosen=st.sets(st.sampled_from(sorted(SPARSE)), max_size=40), order=st.randoms(use_true_random=False))
def test_the_order_of_the_cells_decides_nothing(chosen: set[str], order: random.Random) -> None:
    def found(keys: list[str]) -> list[tuple[When, set[str]]]:
        own = [key for key in keys if key in chosen]
        return [(when, set(part)) for when, part in boxes({key: SPARSE[key] for key in keys}, own)]

    shuffled = sorted(SPARSE)
    order.shuffle(shuffled)
    assert found(shuffled) == found(sorted(SPARSE))


def test_everything_needs_no_condition() -> None:
    assert boxes(CELLS, list(CELLS)) == [({}, list(CELLS))]


def test_nothing_has_no_condition() -> None:
    assert boxes(CELLS, []) == []
    assert boxes({}, []) == []


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


def test_causes_that_overlap_are_told_whole_and_a_cell_once() -> None:
    chosen = [key for key, axes in CELLS.items() if "fit" in key or axes["training"] == "true"]
    table = Table(CELLS)
    assert [(when, len(keys), table.count(when, chosen)) for when, keys in table.boxes(chosen)] == [
        ({"training": ["true"]}, 6, 6),
        ({"execution": ["fit"]}, 2, 4),
    ]


def test_among_fewer_cells_less_needs_to_be_said() -> None:
    table = Table(CELLS)
    chosen = [key for key in CELLS if key[0] == "true" and key[2] == "fit"]
    among = [key for key in CELLS if key[0] == "true"]
    assert [when for when, _ in table.boxes(chosen, among)] == [{"execution": ["fit"]}]


def test_a_condition_that_is_known_is_taken_where_it_fits() -> None:
    table = Table({key: CELLS[key] for key in (("true", "true", "fit"), ("false", "false", "call"))})
    for known in ({"training": ["true"]}, {"execution": ["fit"]}):
        assert table.boxes([("true", "true", "fit")], known=[known])[0][0] == known
    longer = {"training": ["true"], "execution": ["fit"]}
    assert len(table.boxes([("true", "true", "fit")], known=[longer])[0][0]) == 1


@pytest.mark.parametrize("planted", ["one cause", "three causes", "no pattern"])
def test_ten_thousand_cells_take_no_time(planted: str) -> None:
    table = sparse(10_000, 1)
    chance = random.Random(2)
    causes = {
        "one cause": lambda axes: axes["training"] == "true" and axes["execution"] != "no_grad",
        "three causes": lambda axes: (
            axes["dtype"] == "bfloat16" or axes["context"] == "shared"
            or (axes["trainable"] == "true" and axes["optimizer"].startswith("adam"))
        ),
        "no pattern": lambda axes: chance.random() < 0.02,
    }  # fmt: skip
    chosen = [key for key, axes in table.items() if causes[planted](axes)]
    began = time.process_time()
    found = boxes(table, chosen)
    assert time.process_time() - began < 2, "0.2 s"
    if planted != "no pattern":
        assert len(found) == {"one cause": 1, "three causes": 3}[planted]

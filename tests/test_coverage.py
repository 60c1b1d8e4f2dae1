"""Which cells are chosen: the sensible ones, covering sets of them, and those of --full."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnmatrix.axes import AXES, is_sensible, make_cell
from bnmatrix.coverage import chosen, covering, every_value, full, parts
from bnmatrix.layers import layers
from bnmatrix.space import Space, cell_of, clauses
from bnmatrix.target import FAMILIES

ROOT = Path(__file__).parent.parent

AXES_BUT_LAYER = [axis for axis in AXES if axis not in ("layer", "like")]


@st.composite
def small_values(draw: st.DrawFn) -> dict[str, tuple[str, ...]]:
    """A few values of a few axes, such that their product is small."""
    names = draw(st.lists(st.sampled_from(AXES_BUT_LAYER), min_size=1, max_size=6, unique=True))
    return {
        name: tuple(
            draw(st.lists(st.sampled_from(sorted(AXES[name].values)), min_size=1, max_size=4, unique=True))
        )
        for name in names
    }


@st.composite
def selections(draw: st.DrawFn, values: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """A `where` over some of `values`."""
    names = draw(st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=2, unique=True))
    return {name: (draw(st.sampled_from(values[name])),) for name in names}


def plain_product(
    layer: str, values: dict[str, tuple[str, ...]], excluded: Sequence[dict[str, tuple[str, ...]]] = ()
) -> list[dict[str, str]]:
    """Every sensible combination, found the slow way."""
    found = []
    for combination in itertools.product(*values.values()):
        axes = make_cell({"layer": layer, **dict(zip(values, combination, strict=True))}).axes
        known = all(axes[name] in values.get(name, (axes[name],)) for name in axes)
        out = any(all(axes[name] in some for name, some in entry.items()) for entry in excluded)
        if known and is_sensible(axes) and not out:
            found.append(axes)
    return found


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_a_space_holds_what_is_sensible_in_the_order_of_its_product(data: st.DataObject) -> None:
    values = data.draw(small_values())
    layer = data.draw(st.sampled_from(["batch_norm", "lstm", "dropout"]))
    excluded = data.draw(st.lists(selections(values), max_size=2))
    rules = [rule for entry in excluded for rule in clauses(entry, ())]
    space = Space(layer, values, rules)
    found = [cell_of(combination).axes for combination in space.combinations()]
    assert found == plain_product(layer, values, excluded)


@pytest.mark.parametrize(("coverage", "strength"), [("pairwise", 2), ("threewise", 3)])
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_whatever_occurs_together_in_any_sensible_combination_is_covered(
    coverage: str, strength: int, data: st.DataObject
) -> None:
    values = data.draw(small_values())
    excluded = data.draw(st.lists(selections(values), max_size=3))
    rules = [rule for entry in excluded for rule in clauses(entry, ())]
    every = plain_product("batch_norm", values, excluded)
    taken = [cell.axes for cell in chosen(Space("batch_norm", values, rules), coverage)]

    def together(cells: Sequence[dict[str, str]]) -> set[tuple[tuple[str, str], ...]]:
        return {
            part
            for axes in cells
            for part in itertools.combinations(
                [(name, axes[name]) for name in values], min(strength, len(values))
            )
        }

    assert together(taken) == together(every)
    assert all(axes in every for axes in taken)
    assert len({tuple(axes.values()) for axes in taken}) == len(taken)


def test_every_pair_that_is_possible_is_covered_over_all_axes() -> None:
    space = Space("batch_norm", every_value("batch_norm", FAMILIES["keras"]))
    rows = covering(space, 2)
    assert len(rows) < 300
    missing = []
    bits = [bit for axis in AXES for bit in space.values_of(axis)]
    for one, other in itertools.combinations(bits, 2):
        if not any(row & one and row & other for row in rows):
            narrowed = space.with_value(space.with_value(space.domain, one), other)
            missing.append(bool(narrowed))
    assert not any(missing)


CHOSEN = """
import sys
from bnmatrix.coverage import chosen, every_value, full, of_every_axis
from bnmatrix.space import Space
from bnmatrix.target import FAMILIES
for name in ("torch", "keras"):
    values = every_value("batch_norm", FAMILIES[name])
    rows = of_every_axis("batch_norm", FAMILIES[name], "pairwise", {})
    for cell in [*rows, *full("batch_norm", FAMILIES[name])]:
        print(cell.id)
small = {name: values[name] for name in ("optimizer", "context", "dtype", "batch")}
for cell in chosen(Space("batch_norm", small), "threewise"):
    print(cell.id)
"""


def test_the_same_cells_are_chosen_whatever_the_hashes() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", CHOSEN],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        ).stdout
        for seed in ("0", "4711")
    }
    assert len(told) == 1
    assert told.pop().count("\n") > 15_000


@pytest.mark.parametrize("name", FAMILIES)
def test_full_is_every_pair_of_the_other_axes_with_training_and_trainable(name: str) -> None:
    family = FAMILIES[name]
    found = full("batch_norm", family)
    assert len({cell.id for cell in found}) == len(found)
    assert all(is_sensible(cell.axes) for cell in found)
    there = {cell.values for cell in found}
    for values, base in itertools.product(parts("batch_norm", family), ("call", "fit")):
        others = [axis for axis in values if axis not in ("training", "trainable")]
        if base in values["execution"]:
            for one, other in itertools.combinations([axis for axis in others if axis != "execution"], 2):
                for pair in itertools.product(values[one], values[other]):
                    rest = {"execution": base, "api": values["api"][0]}
                    chosen_values = {**rest, one: pair[0], other: pair[1]}
                    for training, trainable in itertools.product(values["training"], values["trainable"]):
                        cell = make_cell({**chosen_values, "training": training, "trainable": trainable})
                        assert (cell.values in there) == is_sensible(cell.axes), cell.id


def test_full_takes_three_axes_that_belong_together() -> None:
    there = {cell.id for cell in full("batch_norm", FAMILIES["keras"])}
    for id in (
        "batch_norm context=pinned_false execution=evaluate outer=subclassed",
        "batch_norm execution=fit freeze=after_compile freeze_on=parent trainable=false",
    ):
        assert id in there


def test_neighbours_of_full_share_their_execution() -> None:
    executions = [cell.axes["execution"] for cell in full("dense", FAMILIES["keras"])]
    assert len(list(itertools.groupby(executions))) == len(set(executions))


def test_full_is_narrowed_by_values_of_an_axis() -> None:
    found = full("batch_norm", FAMILIES["keras"], {"execution": ("fit", "predict"), "dtype": ("float16",)})
    assert {cell.axes["execution"] for cell in found} == {"fit", "predict"}
    assert {cell.axes["dtype"] for cell in found} == {"float16"}
    assert any(cell.axes["optimizer"] == "adam" for cell in found)


def test_full_is_there_soon() -> None:
    full("batch_norm", FAMILIES["torch"])  # what is made once
    started = time.process_time()
    for layer in layers():
        full(layer, FAMILIES["torch"])
    assert time.process_time() - started < 6.0  # 1.5 s on an idle machine

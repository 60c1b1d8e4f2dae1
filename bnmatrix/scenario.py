"""What a scenario is, and the cells it selects for a target.

How one is written in a file is told in `scenario_file.py`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from bnmatrix.axes import Cell, is_sensible, make_cell
from bnmatrix.layers import layers
from bnmatrix.target import Family

Values = dict[str, tuple[str, ...]]
"""{axis: values}, as text."""


class Product(msgspec.Struct, frozen=True):
    """Every combination of `values`, less what matches an entry of `exclude`."""

    values: Values
    exclude: tuple[Values, ...] = ()


class Given(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Numbers that replace the generated ones: the input batch, the state of slots, constructor options."""

    input: list[Any] | None = None
    state: dict[str, list[float] | float] = {}
    options: dict[str, float] = {}


class Expectation(msgspec.Struct, frozen=True):
    """What somebody says of the cells that match `where`, in `frameworks` (empty: in any)."""

    says: str
    where: Values
    facts: dict[str, tuple[str, ...]] = {}
    measured: dict[str, list[float]] = {}
    frameworks: tuple[str, ...] = ()
    source: str | None = None


class Scenario(msgspec.Struct, frozen=True):
    """A scenario file, validated."""

    name: str
    title: str
    products: tuple[Product, ...]
    question: str = ""
    source: str = ""
    frameworks: tuple[str, ...] = ()
    given: Given | None = None
    expect: tuple[Expectation, ...] = ()


def cells(
    scenario: Scenario,
    family: Family,
    chosen_layers: tuple[str, ...] = (),
    overrides: Mapping[str, tuple[str, ...]] = {},
) -> list[Cell]:
    """The cells of `scenario` for a target of `family`, in the scenario's order, each once.

    `chosen_layers` replaces its layers and `overrides` its values of an axis: what is asked for by name is
    kept even where the target can only answer `unavailable`. The scenario's own values are narrowed
    to what the target and the layer have.
    """
    found: dict[Cell, None] = {}
    for product in scenario.products:
        own: Values = dict(product.values)
        if chosen_layers:
            own["layer"] = chosen_layers
        for layer in own.pop("layer", ("batch_norm",)):
            values = {**_narrowed(own, layer, family), **overrides}
            for axes in _combinations({"layer": (layer,), **values}):
                cell = make_cell(axes)
                if is_sensible(cell.axes) and not any(matches(cell.axes, entry) for entry in product.exclude):
                    found[cell] = None
    return list(found)


def _narrowed(values: Values, layer: str, family: Family) -> Values:
    """`values`, less the ranks that `layer` does not take and the ways that `family` does not have.

    Of a rank or an api that has none of these, the default remains; an execution is the question itself:
    without one there are no cells.
    """
    has = {
        "rank": tuple(str(rank) for rank in layers()[layer].ranks),
        "execution": family.executions,
        "api": family.apis,
    }
    narrowed = {}
    for axis, found in values.items():
        kept = tuple(value for value in found if axis not in has or value in has[axis])
        if kept or axis == "execution":
            narrowed[axis] = kept
    return narrowed


def _combinations(values: Mapping[str, Iterable[str]]) -> Iterator[dict[str, str]]:
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def matches(axes: Mapping[str, str], selection: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a cell's `axes` have one of the values of each axis of `selection`."""
    return all(axes[axis] in values for axis, values in selection.items())

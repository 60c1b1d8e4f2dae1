"""What a scenario is, and the cells it selects for a target.

How one is written in a file is told in `scenario_file.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bnmatrix.axes import AXES, Cell, as_own
from bnmatrix.coverage import chosen
from bnmatrix.layers import layers
from bnmatrix.own_layers import is_own
from bnmatrix.space import Entry, Space, clauses, decided, default_entries
from bnmatrix.target import Family

Values = dict[str, tuple[str, ...]]
"""{axis: values}, as text."""


class When(msgspec.Struct, frozen=True):
    """Where a combination matches `if_`, each axis of `values` has these values and no others."""

    if_: Values
    values: Values


class Product(msgspec.Struct, frozen=True):
    """Every combination of `values`, as the entries of `when` replace them, less what matches `exclude`."""

    values: Values
    exclude: tuple[Values, ...] = ()
    when: tuple[When, ...] = ()


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
    sizes: dict[str, int] = {}
    frameworks: tuple[str, ...] = ()
    source: str | None = None


class Scenario(msgspec.Struct, frozen=True):
    """A scenario file, validated."""

    name: str
    title: str
    products: tuple[Product, ...]
    coverage: str = "product"
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
    coverage: str | None = None,
) -> list[Cell]:
    """The cells of `scenario` for a target of `family`, in the scenario's order, each once.

    `chosen_layers` replaces its layers, `overrides` its values of an axis and `coverage` its own: what is
    asked for by name is kept even where the target can only answer `unavailable`. The scenario's own values
    are narrowed to what the target and the layer have. Of each product and layer a covering set is made.
    """
    found: dict[Cell, None] = {}
    for product in scenario.products:
        for layer in chosen_layers or product.values.get("layer", ("batch_norm",)):
            likes = product.values.get("like", (AXES["layer"].default,)) if is_own(layer) else (layer,)
            for like in likes:
                space = _space(product, like, family, overrides)
                made = chosen(space, coverage or scenario.coverage)
                found.update(dict.fromkeys(as_own(cell, layer) if is_own(layer) else cell for cell in made))
    return list(found)


def _space(product: Product, layer: str, family: Family, overrides: Mapping[str, tuple[str, ...]]) -> Space:
    """The combinations of a product for one layer."""
    own = {axis: values for axis, values in product.values.items() if axis not in ("layer", "like")}
    values = {**_narrowed(own, layer, family), **overrides}
    rules = [rule for entry in product.exclude for rule in clauses(entry, ())]
    entries: dict[str, list[Entry]] = {}
    for when in product.when:
        for axis, found in _narrowed(when.values, layer, family).items():
            if axis not in overrides:
                always: list[Entry] = [({}, values[axis])] if axis in values else default_entries(layer, axis)
                entries.setdefault(axis, always).append((when.if_, found))
    for axis, said in entries.items():
        values[axis] = tuple(dict.fromkeys(value for _, some in said for value in some))
        rules += decided(axis, said)
    return Space(layer, values, rules)


def _narrowed(values: Values, layer: str, family: Family) -> Values:
    """`values`, less the ranks that `layer` does not take and what `family` does not have.

    Of an axis that has none of these the default remains; an execution is the question itself: without one
    there are no cells.
    """
    has = {**family.values, "rank": tuple(str(rank) for rank in layers()[layer].ranks)}
    narrowed = {}
    for axis, found in values.items():
        kept = tuple(value for value in found if axis not in has or value in has[axis])
        if kept or axis == "execution":
            narrowed[axis] = kept
    return narrowed


def matches(axes: Mapping[str, str], selection: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether a cell's `axes` have one of the values of each axis of `selection`."""
    return all(axes[axis] in values for axis, values in selection.items())

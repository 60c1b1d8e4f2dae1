"""Fewer cells than a product: covering sets, and the cells of `--full`.

The same on every machine and in every process: nothing here depends on chance or on the order of a set.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from types import MappingProxyType

from bnmatrix.axes import AXES, COMPILING, Cell, default_of
from bnmatrix.layers import layers
from bnmatrix.space import BITS, MASKS, Space, Values, bits, cell_of, sense
from bnmatrix.target import Family

COVERAGES = {
    "product": "every combination",
    "pairwise": "every pair of values",
    "threewise": "every three values",
}
"""How many of the combinations are taken, and what occurs in them."""

FULL = "full"
"""Another name for the cells of `full`, where a coverage is named."""

_STRENGTH = {"pairwise": 2, "threewise": 3}

_BASES = ("call", "fit")
"""Executions from which `--full` varies everything else."""

_TRIPLES = (("context", "outer", "execution"), ("freeze", "freeze_on", "execution"))
"""Axes of which `--full` takes three values at a time: what decides about one of them are the other two."""

_ROWS = ("training", "trainable")

_DEAR: Mapping[tuple[str, str], Values] = {
    ("execution", "jit_compile"): {},
    ("compiler", "inductor"): {"execution": ("compiled",)},
}
"""Values whose cells take seconds each, with what they need: nothing else is varied beside them."""

_ALONE: Mapping[tuple[str, str], Values] = {
    **{("training_as", value): {} for value in ("int", "numpy_bool", "tensor")},
    ("batch", "one_value"): {},
    ("batch", "empty"): {},
    ("exported_as", "onnx"): {"execution": ("exported",)},
    **_DEAR,
}
"""Values that a covering set of every axis has in cells of their own: they are often refused, and what is
refused tells nothing of the values beside it."""


def chosen(space: Space, coverage: str) -> Iterator[Cell]:
    """The cells of `space` that a coverage takes: all in its own order, or a covering set."""
    taken = space.combinations() if coverage == "product" else covering(space, _STRENGTH[coverage])
    return map(cell_of, taken)


def covering(space: Space, strength: int) -> list[int]:
    """Combinations in which every `strength` values occur together that do in any combination of `space`.

    Begins with what allpairspy finds. That ends early where values exclude each other, and takes long for
    three at a time: what it leaves out is added here.
    """
    axes = [found for axis in space.order if len(found := space.values_of(axis)) > 1]
    if len(axes) <= strength:
        return list(space.combinations())
    axes.sort(key=len, reverse=True)
    return sorted(_Covering(space, axes, strength).rows(_pairs(space, axes)))


def _pairs(space: Space, axes: Sequence[Sequence[int]]) -> Iterator[int]:
    from allpairspy import AllPairs

    @cache
    def narrowed(values: tuple[int, ...]) -> int:
        return space.with_value(narrowed(values[:-1]), values[-1]) if values else space.domain

    def is_possible(some: Sequence[int]) -> bool:
        return narrowed(tuple(some)) > 0

    for row in AllPairs([list(values) for values in axes], filter_func=is_possible):
        yield narrowed(tuple(row))


class _Covering:
    """Combinations being collected until nothing is open.

    A set of `strength` values is kept as the bits that complete each of its parts: of a pair, those that go
    with each value; of three, those that go with each two.
    """

    def __init__(self, space: Space, axes: Sequence[Sequence[int]], strength: int) -> None:
        self._space = space
        self._axes = axes
        self._strength = strength
        every = [bit for values in axes for bit in values]
        varying = sum(every)
        beside = {bit: space.with_value(space.domain, bit) & varying for bit in every}
        mask_of = {bit: sum(values) for values in axes for bit in values}
        self._open: dict[tuple[int, ...], int] = {}
        for part in itertools.permutations(every, strength - 1):
            left = varying
            for bit in part:
                left &= beside[bit] & ~mask_of[bit]
            if left and all(beside[one] & other for one, other in itertools.combinations(part, 2)):
                self._open[part] = left

    def rows(self, first: Iterable[int]) -> list[int]:
        """The rows `first`, and those that it takes besides."""
        found = dict.fromkeys(first)
        for known in found:
            self._cover(known)
        for part in list(self._open):
            while left := self._open[part]:
                wanted = (*part, left & -left)
                row = self._row(wanted)
                if row is None:
                    self._close(wanted)  # it occurs in no combination
                else:
                    found[row] = None
                    self._cover(row)
        return list(found)

    def _cover(self, row: int) -> None:
        values = [bit for axis in self._axes for bit in axis if bit & row]
        for part in itertools.permutations(values, self._strength - 1):
            if part in self._open:
                self._open[part] &= ~row

    def _close(self, wanted: Sequence[int]) -> None:
        for *part, last in itertools.permutations(wanted):
            if tuple(part) in self._open:
                self._open[tuple(part)] &= ~last

    def _row(self, wanted: Sequence[int]) -> int | None:
        """A combination with the values `wanted`; of the others, those that leave the least open."""
        domain = self._space.domain
        for bit in wanted:
            domain = self._space.with_value(domain, bit)
        rest = [axis for axis in self._axes if not any(bit in axis for bit in wanted)]
        return self._completed(domain, list(wanted), rest) if domain else None

    def _completed(self, domain: int, values: list[int], rest: Sequence[Sequence[int]]) -> int | None:
        if not rest:
            return domain
        together = sum(values)
        parts = list(itertools.combinations(values, self._strength - 2))

        def gain(bit: int) -> int:
            return sum((self._open.get((bit, *part), 0) & together).bit_count() for part in parts)

        for bit in sorted((bit for bit in rest[0] if bit & domain), key=gain, reverse=True):
            if narrowed := self._space.with_value(domain, bit):
                row = self._completed(narrowed, [*values, bit], rest[1:])
                if row is not None:
                    return row
        return None


def every_value(
    layer: str, family: Family, overrides: Values = MappingProxyType({})
) -> dict[str, Sequence[str]]:
    """{axis: values}: all that `family` and `layer` have; of the axes in `overrides` those values."""
    known = layers()[layer]
    has: dict[str, Sequence[str]] = {
        **{name: tuple(axis.values) for name, axis in AXES.items() if name != "layer"},
        "like": (AXES["like"].default,),
        **family.values,
        "rank": tuple(str(rank) for rank in known.ranks),
        "variant": ("default", *known.variants),
    }
    lacks = known.lacks.get(family.name, {})
    for axis, absent in lacks.items():
        has[axis] = [value for value in has[axis] if value not in absent]
    return {**has, **overrides}


def parts(
    layer: str, family: Family, overrides: Values = MappingProxyType({})
) -> list[dict[str, Sequence[str]]]:
    """`every_value`, apart where values go together: what a family has of one interface only."""
    values = every_value(layer, family, overrides)
    found: list[dict[str, Sequence[str]]] = [
        {axis: [each for each in some if each in part.get(axis, some)] for axis, some in values.items()}
        for part in family.parts
    ]
    return [part for part in found if all(part.values())] or [values]


def of_every_axis(layer: str, family: Family, coverage: str, overrides: Values) -> Iterator[Cell]:
    """A coverage of all that `family` and `layer` have; what is `_ALONE` with training and trainable only."""
    for values in parts(layer, family, overrides):
        apart = [
            (axis, value)
            for (axis, value), needs in _ALONE.items()
            if axis not in overrides
            and value in values[axis]
            and all(set(some) <= set(values[each]) for each, some in needs.items())
        ]
        together = {
            axis: [value for value in found if (axis, value) not in apart] for axis, found in values.items()
        }
        yield from chosen(Space(layer, together), coverage)
        for axis, value in apart:
            kept = {each: values[each] for each in (*_ROWS, "api")}
            kept["api"] = kept["api"][:1]
            space = Space(layer, {**kept, **_ALONE[axis, value], axis: (value,)})
            yield from chosen(space, "product")


def full(layer: str, family: Family, overrides: Values = MappingProxyType({})) -> list[Cell]:
    """training x trainable x every pair of values of the other axes, the rest at its default; sensible ones.

    The rest is that of a direct call, and that of fit. Besides, every three values of `_TRIPLES`, of
    executions that compile a model.
    """
    found = {cell for values in parts(layer, family, overrides) for cell in _full(layer, values)}
    return [cell_of(combination) for combination in sorted(found)]


def _full(layer: str, values: Mapping[str, Sequence[str]]) -> Iterator[int]:
    others = [axis for axis in values if axis not in _ROWS]
    bases = [name for name in _BASES if name in values["execution"]] or list(values["execution"][:1])
    rules = sense(layer)
    rows = [
        bits("training", [training]) | bits("trainable", [trainable])
        for training in values["training"]
        for trainable in values["trainable"]
    ]
    any_row = 0
    for row in rows:
        any_row |= row
    of_rows = [rule for rule in rules if rule & (MASKS["training"] | MASKS["trainable"])]
    rest = {name: _rest(layer, values, name) for name in values["execution"]}

    groups: list[tuple[str, tuple[str, ...]]] = [
        (base, pair) for base in bases for pair in itertools.combinations(others, 2)
    ]
    groups += [(bases[0], triple) for triple in _TRIPLES]
    for base, axes in groups:
        if base != bases[0] and "execution" in axes:
            continue  # whose values were all taken already
        away = ~sum(MASKS[axis] for axis in axes)
        for combination in itertools.product(*(values[axis] for axis in axes)):
            execution = combination[axes.index("execution")] if "execution" in axes else base
            if len(axes) > 2 and execution not in COMPILING:
                continue  # the pairs with a direct call are there already, and what converts is dear
            taken = tuple(map(BITS.__getitem__, zip(axes, combination, strict=True)))
            varied = [axis for axis, bit in zip(axes, taken, strict=True) if not bit & rest[execution]]
            if _is_too_dear(varied, dict(zip(axes, combination, strict=True))):
                continue
            cell = rest[execution] & away | sum(taken)
            if all(rule & (cell | any_row) for rule in rules):
                for row in rows:
                    if all(rule & (cell | row) for rule in of_rows):
                        yield cell | row


def _is_too_dear(varied: Iterable[str], values: Mapping[str, str]) -> bool:
    """Whether one of `values` takes seconds a cell and something is `varied` beside it."""
    return any(
        pair in _DEAR and any(axis != pair[0] and axis not in _DEAR[pair] for axis in varied)
        for pair in values.items()
    )


def _rest(layer: str, values: Mapping[str, Sequence[str]], execution: str) -> int:
    """What is at its default beside an execution: the first value where an axis may not have its default."""
    at = {"layer": layer, "execution": execution}
    combination = bits("layer", (layer,)) | bits("execution", (execution,))
    for axis, found in values.items():
        if axis not in (*_ROWS, "execution"):
            default = default_of(axis, at)
            combination |= bits(axis, (default if default in found else found[0],))
    return combination

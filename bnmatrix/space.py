"""Combinations of values of the axes, and which of them are sensible: fast, for there are many.

Every value of every axis has a bit. A combination is the number with one bit of each axis; what is still
open may have several. A rule ("this value only together with one of those") is a set of *clauses*, each a
number of which a combination must have at least one bit.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache

from bnmatrix.axes import AXES, COMPILING, NEEDS, Cell
from bnmatrix.layers import layers

Values = Mapping[str, Sequence[str]]
"""{axis: values}"""

_LAST = ("layer", "execution", "context", "outer", "depth", "dtype", "rank")
"""Axes that vary last in a sorted list: what is loaded and compiled for a cell serves its neighbours."""

_NUMBERED = [
    (axis, value)
    for axis in (*reversed([axis for axis in AXES if axis not in _LAST]), *reversed(_LAST))
    for value in AXES[axis].values
]
BITS = {pair: 1 << number for number, pair in enumerate(_NUMBERED)}
"""{(axis, value): its bit}. Sorted as numbers, combinations have much in common with their neighbours."""

MASKS = {axis: sum(BITS[axis, value] for value in AXES[axis].values) for axis in AXES}
"""{axis: the bits of all its values}"""

_VALUE = {bit: value for (_, value), bit in BITS.items()}
_MASK = [MASKS[axis] for axis, _ in _NUMBERED]


def bits(axis: str, values: Iterable[str]) -> int:
    """The bits of some values of an axis."""
    return sum({BITS[axis, value] for value in values})


def each(mask: int) -> Iterator[int]:
    """The single bits of `mask`; those of one axis in the order of its values."""
    while mask:
        bit = mask & -mask
        yield bit
        mask ^= bit


def clauses(where: Values, alternatives: Sequence[Values]) -> Iterator[int]:
    """The clauses of a rule: what matches `where` matches one of the `alternatives`, {axis: values}, too."""
    outside = 0
    for axis, values in where.items():
        outside |= MASKS[axis] & ~bits(axis, values)
    for choice in itertools.product(*(alternative.items() for alternative in alternatives)):
        clause = outside
        for axis, values in choice:
            clause |= bits(axis, values)
        yield clause


@cache
def sense(layer: str) -> tuple[int, ...]:
    """The clauses of what exists at all of a layer (`axes.is_sensible`)."""
    found = [
        clause
        for need in NEEDS
        for clause in clauses({need.axis: need.values}, [dict(where) for where in need.where])
    ]
    return (*found, bits("variant", ("default", *layers()[layer].variants)))


Entry = tuple[Values, Sequence[str]]
"""Where a combination matches the one, an axis has the other, unless a later entry matches too."""


def default_entries(layer: str, axis: str) -> list[Entry]:
    """The value that `axis` has where none was asked for (`axes.default_of`)."""
    if axis == "context":
        return [({}, ("direct",)), ({"execution": COMPILING}, ("model",))]
    return [({}, (str(layers()[layer].ranks[0]) if axis == "rank" else AXES[axis].default,))]


def decided(axis: str, entries: Sequence[Entry]) -> Iterator[int]:
    """The clauses of an axis that has what the last entry says that matches; the first one always does."""
    for number, (where, values) in enumerate(entries):
        later = [other for other, _ in entries[number + 1 :]]
        yield from clauses(where, [*later, {axis: values}])


class Space:
    """The sensible combinations of `values` for a layer; axes that are not named are at their default.

    domain: the bits of all values that occur in any combination, as far as that is plain to see
    order:  the axes, as they vary: the last the fastest
    """

    def __init__(self, layer: str, values: Values, rules: Iterable[int] = ()) -> None:
        open_ = {axis: bits(axis, found) for axis, found in {**values, "layer": (layer,)}.items()}
        rules = [*sense(layer), *rules]
        for axis in AXES:
            if axis not in open_:
                entries = default_entries(layer, axis)
                open_[axis] = bits(axis, [value for _, found in entries for value in found])
                rules += decided(axis, entries)
        self.order = list(open_)
        self._listed = {axis: [BITS[axis, value] for value in found] for axis, found in values.items()}
        domain = sum(open_.values())
        # What every combination obeys need not be looked at again.
        masks = list(open_.values())
        told = [rule & domain for rule in rules if not any(mask & rule == mask for mask in masks if mask)]
        self._clauses = list(dict.fromkeys(told))
        possible = all(masks) and all(self._clauses)
        self.domain = self.narrowed(domain, domain) if possible else 0

    def values_of(self, axis: str) -> list[int]:
        """The bits of the values of an axis, in the order in which they were given."""
        found = self._listed.get(axis) or list(each(self.domain & MASKS[axis]))
        return [bit for bit in dict.fromkeys(found) if bit & self.domain]

    def narrowed(self, domain: int, removed: int) -> int:
        """`domain`, from which the bits `removed` were just taken, less what they rule out; 0: nothing.

        That something is left does not mean that a combination is: only trying tells.
        """
        while removed:
            before = domain
            for clause in self._clauses:
                if clause & removed:
                    left = domain & clause
                    if not left:
                        return 0
                    mask = _MASK[left.bit_length() - 1]
                    if not left & ~mask:  # one axis alone can satisfy it
                        domain &= left | ~mask
            removed = before & ~domain
        return domain

    def with_value(self, domain: int, bit: int) -> int:
        """`domain` with the value `bit` on its axis, narrowed; 0 where that is impossible."""
        if not domain & bit:
            return 0
        removed = domain & _MASK[bit.bit_length() - 1] & ~bit
        return self.narrowed(domain & ~removed, removed)

    def combinations(self) -> Iterator[int]:
        """Every combination, in the order of the axes and of their values."""
        varying = [found for axis in self.order if len(found := self.values_of(axis)) > 1]

        def below(domain: int, depth: int) -> Iterator[int]:
            if depth == len(varying):
                yield domain
                return
            for bit in varying[depth]:
                if narrowed := self.with_value(domain, bit):
                    yield from below(narrowed, depth + 1)

        if self.domain:
            yield from below(self.domain, 0)


def cell_of(combination: int) -> Cell:
    """The cell of a combination."""
    return Cell(tuple(_VALUE[combination & mask] for mask in MASKS.values()))

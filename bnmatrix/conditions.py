"""Which axes single out a set of cells: few and short conditions that hold for exactly those.

Shared by laws (where does a rule hold) and comparison (where does a fact differ). Tables may have ten
thousand cells over two dozen axes, of which each cell has but a few off their default; so sets of cells are
kept as bits of an integer, and conditions are grown from single cells instead of cut out of the whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from heapq import heapify, heapreplace
from itertools import combinations
from operator import and_
from typing import Generic, TypeVar

from bnmatrix.axes import AXES

Key = TypeVar("Key", bound=Hashable)
Axes = Mapping[str, str]
When = dict[str, list[str]]

GROWN = 12
"""Conditions tried with each cell that they are grown from."""

THOROUGH = 30
"""Cells from which they are grown with that care; where so many are needed there is no pattern to find."""

LONGEST = 3
"""Axes of a condition up to which all combinations are tried; with more the axes are taken one by one."""


@dataclass(frozen=True)
class _Box:
    """A condition ((axis, its values), ...), the cells that meet it, and how much there is to read."""

    literals: tuple[tuple[str, tuple[str, ...]], ...]
    cells: int
    cost: int


def boxes(universe: Mapping[Key, Axes], chosen: Sequence[Key]) -> list[tuple[When, list[Key]]]:
    """Conditions that are together sufficient and necessary for a cell of `universe` to be `chosen`.

    universe: the axes of every cell considered, by key; no two cells have the same
    chosen:   the keys singled out
    See `Table.boxes`.
    """
    return Table(universe).boxes(chosen)


class Table(Generic[Key]):
    """Cells by the values of their axes: made once, asked often."""

    def __init__(self, universe: Mapping[Key, Axes]) -> None:
        """See `boxes`."""
        self._numbers = {key: number for number, key in enumerate(universe)}
        self._all = (1 << len(universe)) - 1
        self._bits: dict[str, dict[str, int]] = {}
        axes = list(next(iter(universe.values()), ()))
        columns = zip(*([row[axis] for axis in axes] for row in universe.values()), strict=True)
        for axis, column in zip(axes, columns, strict=True):
            counts = Counter(column)
            if len(counts) > 1:
                # Most cells are at the default: they are what the others leave.
                commonest = max(counts, key=counts.__getitem__)
                numbers: dict[str, list[int]] = {value: [] for value in counts}
                for number, value in enumerate(column):
                    if value != commonest:
                        numbers[value].append(number)
                bits = {value: self._set_of(numbers[value]) for value in _ordered(axis, counts)}
                bits[commonest] = self._all & ~_union(bits.values())
                self._bits[axis] = bits

    def boxes(
        self, chosen: Sequence[Key], among: Iterable[Key] | None = None, known: Iterable[When] = ()
    ) -> list[tuple[When, list[Key]]]:
        """Conditions that are together sufficient and necessary for a cell to be `chosen`.

        among: the cells considered, those of `chosen` included; all where it is not given
        known: conditions told already, taken again where they fit
        Returns (condition, keys) pairs, the widest first. A condition allows some values of each axis that it
        names; without any axis it holds everywhere. All cells considered that meet it are chosen; were any
        axis left out of it, others would meet it too. Each chosen key is listed under the first condition
        that it meets. The order of the cells decides nothing.

        Each condition is grown from a cell that none holds yet: the fewest axes on which its values tell it
        from all strangers, then as many values of these as meet no stranger. Of what was grown, those that
        tell most in the fewest words are taken until all cells are told; or a single condition around all
        of them, where there is one and it is shorter.
        """
        wanted = self._set_of(self._numbers[key] for key in chosen)
        considered = self._all if among is None else self._set_of(self._numbers[key] for key in among)
        strangers = considered & ~wanted
        found = [box for when in known if (box := self._again(when, wanted, strangers)) is not None]
        left = wanted
        for box in found:
            left &= ~box.cells
        seeds = 0
        while left:
            seeds += 1
            grown = self._grown(self._typical(left), wanted, strangers, quick=seeds > THOROUGH)
            found += grown
            left &= ~grown[0].cells
        rest = list(dict.fromkeys(chosen))
        told = []
        for box in self._shortest(_cover(found, wanted), wanted, strangers):
            inside = box.cells.to_bytes(len(self._numbers) // 8 + 1, "little")
            keys: list[Key] = []
            others: list[Key] = []
            for key in rest:
                number = self._numbers[key]
                (keys if inside[number >> 3] >> (number & 7) & 1 else others).append(key)
            rest = others
            told.append(({axis: list(values) for axis, values in box.literals}, keys))
        return told

    def count(self, when: Mapping[str, Sequence[str]], keys: Iterable[Key]) -> int:
        """How many of `keys` meet the condition."""
        wanted = self._set_of(self._numbers[key] for key in keys)
        return (self._box(when.items()).cells & wanted).bit_count()

    def left_out(self, when: Mapping[str, Sequence[str]]) -> When:
        """Of each axis of which `when` allows most values, the few that it leaves out."""
        others = {axis: [v for v in self._bits[axis] if v not in values] for axis, values in when.items()}
        return {axis: values for axis, values in others.items() if 2 * len(values) < len(when[axis])}

    def _set_of(self, numbers: Iterable[int]) -> int:
        data = bytearray(len(self._numbers) // 8 + 1)
        for number in numbers:
            data[number >> 3] |= 1 << (number & 7)
        return int.from_bytes(data, "little")

    def _box(self, literals: Iterable[tuple[str, Iterable[str]]]) -> _Box:
        """The box of these literals: axes in their order, values as well."""
        allowed = {axis: set(values) for axis, values in literals}
        cells, cost, sorted_literals = self._all, 20, []
        for axis, bits in self._bits.items():
            if axis in allowed:
                values = tuple(value for value in bits if value in allowed[axis])
                sorted_literals.append((axis, values))
                cells &= _union(bits[value] for value in values)
                cost += 10 + min(len(values), len(bits) - len(values))
        return _Box(tuple(sorted_literals), cells, cost)

    def _again(self, when: Mapping[str, Sequence[str]], wanted: int, strangers: int) -> _Box | None:
        """The box of a condition, if it is sufficient here and needs all its axes."""
        box = self._box(when.items())
        if box.cells & strangers or not box.cells & wanted:
            return None
        parts = [_union(self._bits[axis][value] for value in values) for axis, values in box.literals]
        needed = all(
            reduce(and_, parts[:index] + parts[index + 1 :], strangers) for index in range(len(parts))
        )
        return box if needed else None

    def _shortest(self, taken: list[_Box], wanted: int, strangers: int) -> list[_Box]:
        """The boxes `taken`, or one around all cells wanted."""
        if len(taken) < 2:
            return taken
        values = {
            axis: [value for value, part in bits.items() if part & wanted]
            for axis, bits in self._bits.items()
        }
        kept = {
            axis: strangers & _union(self._bits[axis][value] for value in some)
            for axis, some in values.items()
        }
        telling = {axis: part for axis, part in kept.items() if part != strangers}
        if reduce(and_, telling.values(), strangers):
            return taken
        around = [
            self._box((axis, values[axis]) for axis in axes) for axes in _separating(telling, strangers)
        ]
        best = min(around, key=lambda box: box.cost)
        return [best] if best.cost <= sum(box.cost for box in taken) else taken

    def _typical(self, cells: int) -> dict[str, str]:
        """The axes of the one of `cells` that has most in common with the others."""
        commonest = []
        for order, (axis, bits) in enumerate(self._bits.items()):
            counts = [(cells & part).bit_count() for part in bits.values()]
            commonest.append((-max(counts), order, axis))
        found = {}
        for _, _, axis in sorted(commonest):
            bits = self._bits[axis]
            found[axis] = max(bits, key=lambda value: (cells & bits[value]).bit_count())
            cells &= bits[found[axis]]
        return found

    def _grown(self, seed: Mapping[str, str], wanted: int, strangers: int, quick: bool) -> list[_Box]:
        """Conditions that the cell `seed` meets, and no stranger: the best first; just one if `quick`."""
        kept = {axis: strangers & bits[seed[axis]] for axis, bits in self._bits.items()}
        telling = {axis: part for axis, part in kept.items() if part != strangers}
        if quick:
            return [self._widened(_one_by_one(telling, strangers, ()), seed, wanted, strangers)]

        def worth(axes: Sequence[str]) -> float:
            held = reduce(and_, (self._bits[axis][seed[axis]] for axis in axes), wanted)
            return -held.bit_count() / (2 + len(axes))

        sets = sorted(_separating(telling, strangers), key=worth)[:GROWN]
        grown = [self._widened(axes, seed, wanted, strangers) for axes in sets]
        return sorted(grown, key=lambda box: -(box.cells & wanted).bit_count() / box.cost)

    def _widened(self, axes: Sequence[str], seed: Mapping[str, str], wanted: int, strangers: int) -> _Box:
        """The condition on `axes` that allows, besides the values of `seed`, whatever meets no stranger."""
        values = {axis: [seed[axis]] for axis in axes}
        masks = {axis: self._bits[axis][seed[axis]] for axis in axes}
        narrow = list(axes)
        while narrow:
            best: tuple[int, str, list[str]] | None = None
            for axis in narrow:
                others = reduce(and_, (masks[other] for other in axes if other != axis), self._all)
                # Values that meet no stranger one by one meet none together.
                more, gain = [], 0
                for value, bits in self._bits[axis].items():
                    added = others & bits
                    if value != seed[axis] and not added & strangers and added & wanted:
                        more.append(value)
                        gain += (added & wanted).bit_count()
                if best is None or gain > best[0]:
                    best = gain, axis, more
            assert best is not None
            _, axis, more = best
            values[axis] += more
            masks[axis] = _union(self._bits[axis][value] for value in values[axis])
            narrow.remove(axis)
        return self._box(values.items())


def _separating(kept: Mapping[str, int], strangers: int) -> list[tuple[str, ...]]:
    """Sets of axes, none of which can be spared, that tell a cell from all `strangers`.

    kept: by axis, the strangers that have the cell's value of it
    The smallest ones and those with one axis more, for they may hold wider; beyond `LONGEST` some.
    """
    if not strangers:
        return [()]
    found: list[tuple[str, ...]] = [(axis,) for axis, part in kept.items() if not part]
    partial = {axis: part for axis, part in kept.items() if part}
    pairs = {(a, b): partial[a] & partial[b] for a, b in combinations(partial, 2)}
    smallest = len(found) > 0
    found += [pair for pair, part in pairs.items() if not part]
    if smallest:
        return found
    open_pairs = {pair for pair, part in pairs.items() if part}
    found += [
        (a, b, c)
        for a, b, c in combinations(partial, LONGEST)
        if (a, b) in open_pairs
        and (a, c) in open_pairs
        and (b, c) in open_pairs
        and not pairs[a, b] & partial[c]
    ]
    return found or list(dict.fromkeys(_one_by_one(partial, strangers, (axis,)) for axis in partial))


def _one_by_one(kept: Mapping[str, int], strangers: int, begin: tuple[str, ...]) -> tuple[str, ...]:
    """As `_separating`, one set: on top of `begin` what tells most of the strangers that are left."""
    axes = list(begin)
    left = reduce(and_, (kept[axis] for axis in axes), strangers)
    while left:
        axis = min(kept, key=lambda axis: (left & kept[axis]).bit_count())
        if axis in axes:
            raise ValueError("two cells have the same axes")
        axes.append(axis)
        left &= kept[axis]
    for axis in list(axes):
        others = [kept[other] for other in axes if other != axis]
        if not reduce(and_, others, strangers):
            axes.remove(axis)
    return tuple(axis for axis in kept if axis in axes)


def _cover(found: Sequence[_Box], wanted: int) -> list[_Box]:
    """Boxes that together hold all cells wanted, in few words; the widest first."""
    candidates = list({box.literals: box for box in found}.values())
    worth = [((box.cells & wanted).bit_count() / box.cost) for box in candidates]
    # What a box adds only falls while others are taken: one that still leads with its old worth leads.
    heap = [(-each, number) for number, each in enumerate(worth)]
    heapify(heap)
    taken: list[int] = []
    left = wanted
    while left:
        _, number = heap[0]
        now = -(candidates[number].cells & left).bit_count() / candidates[number].cost
        heapreplace(heap, (now, number))
        if heap[0] == (now, number):
            taken.append(number)
            left &= ~candidates[number].cells
    for number in sorted(taken, key=worth.__getitem__):
        others = _union(candidates[other].cells for other in taken if other != number)
        if not wanted & ~others:
            taken.remove(number)
    return sorted((candidates[number] for number in taken), key=lambda box: -(box.cells & wanted).bit_count())


def _union(sets: Iterable[int]) -> int:
    whole = 0
    for each in sets:
        whole |= each
    return whole


def _ordered(axis: str, values: Iterable[str]) -> list[str]:
    """`values` in the order of the axis."""
    known = AXES[axis].values if axis in AXES else ()
    rank = {value: number for number, value in enumerate(known)}
    return sorted(values, key=lambda value: (rank.get(value, len(rank)), value))

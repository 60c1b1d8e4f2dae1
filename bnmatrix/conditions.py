"""Which axes single out a set of cells: the smallest products of axis values that hold exactly those.

Shared by laws (where does a rule hold) and comparison (where does a fact differ).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)
Axes = Mapping[str, str]
When = dict[str, list[str]]


def boxes(universe: Mapping[Key, Axes], chosen: Sequence[Key]) -> list[tuple[When, list[Key]]]:
    """Conditions that are together sufficient and necessary for a cell of `universe` to be `chosen`.

    universe: the axes of every cell considered, by key
    chosen:   the keys singled out
    Returns (condition, its keys) pairs. A condition names only axes that matter, each with the values
    it allows; an empty one holds everywhere. The cells that meet it are all chosen, and every
    chosen cell meets exactly one.

    Tries the box around all chosen cells; where that holds a stranger, splits the chosen along the axis
    whose parts need the fewest boxes. A single cell is its own box, so this ends.
    """
    if not chosen:
        return []
    box = _box(universe, chosen)
    inside = [key for key, axes in universe.items() if _meets(axes, box)]
    if len(inside) == len(set(chosen)):
        return [(_shortest(universe, box, len(inside)), list(chosen))]
    splits = []
    for axis, values in box.items():
        if len(values) > 1:
            parts = [[key for key in chosen if universe[key][axis] == value] for value in values]
            covers = [(_box(universe, part), len(part)) for part in parts]
            strangers = sum(
                sum(_meets(axes, cover) for axes in universe.values()) - size for cover, size in covers
            )
            splits.append((strangers, len(parts), axis, parts))
    _, _, _, best = min(splits, key=lambda split: split[:3])
    return [found for part in best for found in boxes(universe, part)]


def _box(universe: Mapping[Key, Axes], keys: Sequence[Key]) -> When:
    """For each axis, the values that `keys` take."""
    return {axis: _ordered(universe[key][axis] for key in keys) for axis in universe[keys[0]]}


def _shortest(universe: Mapping[Key, Axes], box: When, size: int) -> When:
    """`box` without the axes that it can do without: the last first, so that of `execution` and the `context`
    that comes with it the telling one stays."""
    for axis in reversed(list(box)):
        without = {name: values for name, values in box.items() if name != axis}
        if sum(_meets(axes, without) for axes in universe.values()) == size:
            box = without
    return box


def _meets(axes: Axes, box: When) -> bool:
    return all(axes[axis] in values for axis, values in box.items())


def _ordered(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))

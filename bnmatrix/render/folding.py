"""A truth table with everything left out that makes no difference: pure data, no text, no colour.

The rows of a table are `training` x `trainable`. All other axes together make a *context* (execution
`fit` at rank 4, say). Four foldings, each of which loses nothing:

1. contexts whose rows agree in every shown fact share one block of rows;
2. within a block, values of `training` whose rows agree share them; so do values of `trainable`;
3. shown facts that agree in every cell share one column;
4. a fact that is the same in all cells, or needs only a few words to say where it is what, is not a column.

What was folded is part of the result, so that a page can say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bnmatrix.axes import AXES, default_of
from bnmatrix.conditions import Table, When
from bnmatrix.facts import FACTS, SLOT_VALUES
from bnmatrix.matrix import CellResult, Value
from bnmatrix.render.beneath import (
    EXPECTED,
    FOLLOWERS,
    MODES,
    ROW_AXES,
    Beneath,
    beneath,
    depending,
    follows,
    varied,
)

MISSING = ""
"""The entry of a fact that a cell does not have."""

SAYS_NOTHING = ("undecided", "unstable")
MANY_VALUES = 5
"""So many values of an axis are told by those that are left out, if these are fewer."""

Entry = Value
Profile = tuple[Entry, ...]
"""What a row shows: one entry a fact; or, for a cell that is not ok, its outcome and why."""


@dataclass(frozen=True)
class NotOk:
    """Why a row has no facts."""

    outcome: str
    why: str


@dataclass(frozen=True)
class Row:
    """Cells that show the same: the values of both axes, and one entry a column, or why there are none."""

    training: tuple[str, ...]
    trainable: tuple[str, ...]
    shows: Profile | NotOk


@dataclass(frozen=True)
class Block:
    """Contexts that behave alike: where they are (any of these conditions), and their rows.

    cells: how many there are
    but:   of each condition {axis: values} that it leaves out, where it names most of them
    """

    where: list[When]
    rows: list[Row]
    cells: int
    but: list[When]

    @property
    def only(self) -> NotOk | None:
        """Why it shows no facts, where that is the same for all its cells."""
        return self.rows[0].shows if len(self.rows) == 1 and isinstance(self.rows[0].shows, NotOk) else None


@dataclass(frozen=True)
class Alike:
    """Values of an axis that make no difference to the table; `but_for`: facts beneath it that differ."""

    axis: str
    values: tuple[str, ...]
    but_for: tuple[str, ...] = ()


@dataclass(frozen=True)
class Folded:
    """The folded table of one layer of one target.

    fixed:  {axis: value} where all cells have the same value, and not the default one
    untold: facts that would take too many words
    """

    layer: str
    columns: list[tuple[str, ...]]
    blocks: list[Block]
    beneath: list[Beneath]
    alike: list[Alike]
    fixed: dict[str, str]
    untold: list[str]

    @property
    def only(self) -> NotOk | None:
        """Why nothing was measured, where it is the same for all cells."""
        return self.blocks[0].only if len(self.blocks) == 1 else None


def by_layer(cells: Sequence[CellResult]) -> dict[str, list[CellResult]]:
    """The cells of each layer, in the order in which layers first occur."""
    found: dict[str, list[CellResult]] = {}
    for cell in cells:
        found.setdefault(cell.axes["layer"], []).append(cell)
    return found


def fold(cells: Sequence[CellResult], with_followers: bool = False) -> Folded:
    """The folded table of the `cells` of one layer.

    with_followers: a column even for what another one tells
    """
    columns = join([fact for fact in shown(cells) if with_followers or follows(cells, fact) is None], cells)
    first = [column[0] for column in columns]
    contexts: dict[tuple[str, ...], dict[tuple[str, str], Profile | NotOk]] = {}
    universe: dict[tuple[str, ...], dict[str, str]] = {}
    axes = varied(cells)
    for cell in cells:
        key = tuple(cell.axes[axis] for axis in axes)
        universe[key] = dict(zip(axes, key, strict=True))
        contexts.setdefault(key, {})[row_of(cell)] = shows(cell, first)
    alike: dict[frozenset[object], list[tuple[str, ...]]] = {}
    for key, rows in contexts.items():
        alike.setdefault(frozenset(rows.items()), []).append(key)
    places = Table(universe)
    blocks = []
    for keys in alike.values():
        where, rows = [when for when, _ in places.boxes(keys)], contexts[keys[0]]
        but = [
            {axis: left for axis, left in places.left_out(when).items() if len(when[axis]) >= MANY_VALUES}
            for when in where
        ]
        blocks.append(Block(where, list(merge(rows)), len(keys) * len(rows), but))
    told, untold = beneath(cells, {fact for column in columns for fact in column}, axes)
    in_words = [*(fact.fact for fact in told), *untold]
    return Folded(
        layer=cells[0].axes["layer"],
        columns=columns,
        blocks=blocks,
        beneath=told,
        untold=untold,
        fixed={
            axis: value
            for axis, value in cells[0].axes.items()
            if axis not in ("layer", *ROW_AXES)
            and value != default_of(axis, cells[0].axes)
            and all(cell.axes[axis] == value for cell in cells)
        },
        alike=[
            Alike(axis, tuple(values), tuple(depending(cells, axis, values, in_words, axes)))
            for axis in axes
            for values in values_alike(axis, universe, list(alike.values()))
        ],
    )


def row_of(cell: CellResult) -> tuple[str, str]:
    """Which row of the truth table a cell is in."""
    return cell.axes["training"], cell.axes["trainable"]


def shows(cell: CellResult, facts: Sequence[str]) -> Profile | NotOk:
    """What a cell shows of `facts`."""
    if cell.outcome != "ok":
        return NotOk(cell.outcome, str(cell.reason or cell.facts.get("exception", "")))
    return tuple(cell.facts.get(fact, MISSING) for fact in facts)


def shown(cells: Sequence[CellResult]) -> list[str]:
    """The facts that make a column: state that is there, what normalises or is left to chance."""
    values: dict[str, list[Value]] = {}
    for cell in cells:
        if cell.outcome == "ok":
            for fact, value in cell.facts.items():
                values.setdefault(fact, []).append(value)
    found = []
    own = any(cell.axes["like"] != "none" for cell in cells)  # whose states have names that nobody foresaw
    for fact in (*FACTS, *(sorted(values.keys() - FACTS.keys()) if own else ())):
        seen = set(values.get(fact, ())) - {"absent", "not_applicable"}
        if (
            (fact not in (*MODES, *FOLLOWERS) and is_state(seen))
            or (fact in MODES and seen - {EXPECTED[fact], "neither"})
            or (fact in FOLLOWERS and len(seen) > 1)
        ):
            found.append(fact)
    return found


def is_state(values: Iterable[Value]) -> bool:
    """Whether these are the values of a slot."""
    values = set(values)
    return bool(values & set(SLOT_VALUES)) and values <= {*SLOT_VALUES, *SAYS_NOTHING}


def join(facts: Sequence[str], cells: Sequence[CellResult]) -> list[tuple[str, ...]]:
    """`facts`, those together that agree in every cell."""
    columns: dict[tuple[object, ...], list[str]] = {}
    for fact in facts:
        column = tuple(cell.facts.get(fact, MISSING) for cell in cells if cell.outcome == "ok")
        columns.setdefault(column, []).append(fact)
    return [tuple(joined) for joined in columns.values()]


def merge(rows: Mapping[tuple[str, str], Profile | NotOk]) -> Iterable[Row]:
    """The rows of a block: values of `training` that agree together, then values of `trainable`."""
    modes: dict[tuple[object, ...], list[str]] = {}
    order = {value: index for index, value in enumerate(AXES["training"].values)}
    for training in sorted({row[0] for row in rows}, key=order.__getitem__):
        column = tuple((trainable, rows[training, trainable]) for trainable in trainables(rows, training))
        modes.setdefault(column, []).append(training)
    for trainings in modes.values():
        same: dict[Profile | NotOk, list[str]] = {}
        for trainable in trainables(rows, trainings[0]):
            same.setdefault(rows[trainings[0], trainable], []).append(trainable)
        for shown_here, values in same.items():
            yield Row(tuple(trainings), tuple(values), shown_here)


def trainables(rows: Mapping[tuple[str, str], object], training: str) -> list[str]:
    """The values of `trainable` that were measured at `training`, in the order of the axis."""
    return [value for value in AXES["trainable"].values if (training, value) in rows]


def values_alike(
    axis: str,
    universe: Mapping[tuple[str, ...], Mapping[str, str]],
    classes: Sequence[Sequence[tuple[str, ...]]],
) -> list[list[str]]:
    """The values of `axis` that make no difference to the table, grouped: swapping them changes no block."""
    label = {key: index for index, keys in enumerate(classes) for key in keys}
    number = list(next(iter(universe.values()))).index(axis)
    columns: dict[str, set[tuple[tuple[str, ...], int]]] = {}
    for key in universe:
        columns.setdefault(key[number], set()).add((key[:number] + key[number + 1 :], label[key]))
    seen: dict[frozenset[tuple[tuple[str, ...], int]], list[str]] = {}
    for value, column in columns.items():
        seen.setdefault(frozenset(column), []).append(value)
    return [values for values in seen.values() if len(values) > 1]

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
from bnmatrix.conditions import When, boxes
from bnmatrix.facts import FACTS, SLOT_VALUES
from bnmatrix.matrix import CellResult, Value

ROW_AXES = ("training", "trainable")
MISSING = ""
"""The entry of a fact that a cell does not have."""

SAYS_NOTHING = ("undecided", "unstable")
MODES = ("normalised_by", "stochastic")
"""Facts besides the state that make a column, wherever they apply."""

FOLLOWERS = ("input_gradient",)
"""Facts that make a column only if no other column tells them."""

BENEATH = (
    "input_gradient", "stochastic", "normalised_by", "variance_estimator", "update_rate", "next_update_rate",
    "updates_per_step", "epsilon", "output_scale", "dropped_unit", "expected_output", "statistics_dtype",
    "output_dtype", "trainable_weights", "non_trainable_weights", "regularisation_losses",
)  # fmt: skip
"""Facts told beneath the table, in this order."""

EXPECTED: dict[str, Value] = {
    "updates_per_step": 1, "statistics_dtype": "float32", "output_dtype": "float32", "regularisation_losses": 0,
    "normalised_by": "not_applicable", "stochastic": "no", "input_gradient": "elementwise",
}  # fmt: skip
"""What goes without saying: told only where a cell says otherwise."""

MOST_CONDITIONS = 4
"""A fact that needs more conditions than this is told by `--expand` only."""

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
    """Contexts that behave alike: where they are (any of these conditions), and their rows."""

    where: list[When]
    rows: list[Row]


@dataclass(frozen=True)
class Beneath:
    """A fact told in words: each value with the conditions under which it holds; none where it always does.

    `follows` names the column that decides it, if one does: the conditions are then that column's values.
    """

    fact: str
    values: list[tuple[Value, list[When]]]
    follows: str | None = None


@dataclass(frozen=True)
class Folded:
    """The folded table of one layer of one target.

    alike:  {axis: groups of values that make no difference to the table}
    fixed:  {axis: value} where all cells have the same value, and not the default one
    untold: facts that would take too many words
    """

    layer: str
    columns: list[tuple[str, ...]]
    blocks: list[Block]
    beneath: list[Beneath]
    alike: dict[str, list[list[str]]]
    fixed: dict[str, str]
    untold: list[str]

    @property
    def only(self) -> NotOk | None:
        """Why nothing was measured, where it is the same for all cells."""
        rows = [row.shows for block in self.blocks for row in block.rows]
        return rows[0] if len(rows) == 1 and isinstance(rows[0], NotOk) else None


def by_layer(cells: Sequence[CellResult]) -> dict[str, list[CellResult]]:
    """The cells of each layer, in the order in which layers first occur."""
    found: dict[str, list[CellResult]] = {}
    for cell in cells:
        found.setdefault(cell.axes["layer"], []).append(cell)
    return found


def fold(cells: Sequence[CellResult], with_followers: bool = False) -> Folded:
    """The folded table of the `cells` of one layer. `with_followers`: a column even for what another one tells."""
    columns = join([fact for fact in shown(cells) if with_followers or follows(cells, fact) is None], cells)
    first = [column[0] for column in columns]
    contexts: dict[tuple[str, ...], dict[tuple[str, str], Profile | NotOk]] = {}
    universe: dict[tuple[str, ...], dict[str, str]] = {}
    axes = varied(cells)
    for cell in cells:
        key = tuple(cell.axes[axis] for axis in axes)
        universe[key] = dict(zip(axes, key, strict=True))
        contexts.setdefault(key, {})[row_of(cell)] = shows(cell, first)
    alike: dict[tuple[object, ...], list[tuple[str, ...]]] = {}
    for key, rows in contexts.items():
        alike.setdefault(tuple(sorted(rows.items(), key=lambda entry: entry[0])), []).append(key)
    blocks = [
        Block([when for when, _ in boxes(universe, keys)], list(merge(contexts[keys[0]]))) for keys in alike.values()
    ]
    told, untold = beneath(cells, {fact for column in columns for fact in column})
    return Folded(
        layer=cells[0].axes["layer"], columns=columns, blocks=blocks, beneath=told, untold=untold,
        fixed={
            axis: value for axis, value in cells[0].axes.items()
            if axis not in ("layer", *ROW_AXES) and value != default_of(axis, cells[0].axes)
            and all(cell.axes[axis] == value for cell in cells)
        },
        alike={axis: groups for axis in axes if (groups := values_alike(axis, universe, list(alike.values())))},
    )  # fmt: skip


def row_of(cell: CellResult) -> tuple[str, str]:
    """Which row of the truth table a cell is in."""
    return cell.axes["training"], cell.axes["trainable"]


def shows(cell: CellResult, facts: Sequence[str]) -> Profile | NotOk:
    """What a cell shows of `facts`."""
    if cell.outcome != "ok":
        return NotOk(cell.outcome, str(cell.reason or cell.facts.get("exception", "")))
    return tuple(cell.facts.get(fact, MISSING) for fact in facts)


def shown(cells: Sequence[CellResult]) -> list[str]:
    """The facts that make a column: state that is there, what normalises or is left to chance, what varies."""
    values: dict[str, list[Value]] = {}
    for cell in cells:
        if cell.outcome == "ok":
            for fact, value in cell.facts.items():
                values.setdefault(fact, []).append(value)
    found = []
    for fact in FACTS:
        seen = set(values.get(fact, ())) - {"absent", "not_applicable"}
        if (fact not in (*MODES, *FOLLOWERS) and is_state(seen)) or (
            fact in MODES and seen - {EXPECTED[fact], "neither"}
        ):
            found.append(fact)
        elif fact in FOLLOWERS and len(seen) > 1:
            found.append(fact)
    return found


def is_state(values: Iterable[Value]) -> bool:
    """Whether these are the values of a slot."""
    values = set(values)
    return bool(values & set(SLOT_VALUES)) and values <= {*SLOT_VALUES, *SAYS_NOTHING}


def follows(cells: Sequence[CellResult], fact: str) -> str | None:
    """The column that decides `fact`, which would only repeat it; None where there is none.

    Cells that have no gradient at all (`none`) are told apart from those that do.
    """
    if fact not in FOLLOWERS:
        return None
    for leader in MODES:
        told: dict[Value, set[Value]] = {}
        for cell in cells:
            if cell.facts.get(fact, "none") != "none" and cell.outcome == "ok" and leader in cell.facts:
                told.setdefault(cell.facts[leader], set()).add(cell.facts[fact])
        if len(told) > 1 and all(len(values) == 1 for values in told.values()):
            return leader
    return None


def join(facts: Sequence[str], cells: Sequence[CellResult]) -> list[tuple[str, ...]]:
    """`facts`, those together that agree in every cell."""
    columns: dict[tuple[object, ...], list[str]] = {}
    for fact in facts:
        column = tuple(cell.facts.get(fact, MISSING) for cell in cells if cell.outcome == "ok")
        columns.setdefault(column, []).append(fact)
    return [tuple(joined) for joined in columns.values()]


def varied(cells: Sequence[CellResult]) -> list[str]:
    """The axes, besides those of the rows, whose value is not the same in all cells, or not decided by the others."""
    found = []
    for axis in AXES:
        if axis in ("layer", *ROW_AXES) or len({cell.axes[axis] for cell in cells}) < 2:
            continue
        if any(cell.axes[axis] != default_of(axis, cell.axes) for cell in cells):
            found.append(axis)
    return found


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
    axis: str, universe: Mapping[tuple[str, ...], Mapping[str, str]], classes: Sequence[Sequence[tuple[str, ...]]]
) -> list[list[str]]:
    """The values of `axis` that make no difference to the table, grouped: swapping them changes no block."""
    label = {key: index for index, keys in enumerate(classes) for key in keys}
    seen: dict[frozenset[tuple[tuple[str, ...], int]], list[str]] = {}
    for value in dict.fromkeys(axes[axis] for axes in universe.values()):
        column = frozenset(
            (tuple(part for name, part in axes.items() if name != axis), label[key])
            for key, axes in universe.items() if axes[axis] == value
        )  # fmt: skip
        seen.setdefault(column, []).append(value)
    return [values for values in seen.values() if len(values) > 1]


def beneath(cells: Sequence[CellResult], columns: set[str]) -> tuple[list[Beneath], list[str]]:
    """The facts told in words, and those that would take too many."""
    told, untold = [], []
    for fact in BENEATH:
        having = [cell for cell in cells if cell.outcome == "ok" and fact in cell.facts and fact not in columns]
        values = list(dict.fromkeys(cell.facts[fact] for cell in having))
        if not values or values == [EXPECTED.get(fact)] or values == ["not_applicable"]:
            continue
        if fact == "next_update_rate" and all(cell.facts[fact] == cell.facts.get("update_rate") for cell in having):
            continue
        axes = [*ROW_AXES, *varied(cells)]
        universe = {cell.id: {axis: cell.axes[axis] for axis in axes} for cell in having}
        conditions = [
            (value, [when for when, _ in boxes(universe, [c.id for c in having if c.facts[fact] == value])])
            for value in values
        ]
        leader = follows(cells, fact)
        if leader is not None:
            pairs = {c.facts[leader]: c.facts[fact] for c in having if leader in c.facts and c.facts[fact] != "none"}
            by_leader: list[tuple[Value, list[When]]] = [
                (value, [{leader: [str(by)]}]) for by, value in pairs.items()
            ]
            told.append(Beneath(fact, by_leader + [pair for pair in conditions if pair[0] == "none"], leader))
        elif sum(len(where) for _, where in conditions) > MOST_CONDITIONS:
            untold.append(fact)
        else:
            told.append(Beneath(fact, conditions))
    return told, untold

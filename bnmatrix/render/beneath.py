"""What is told of a table's cells beneath it, because it needs no column: pure data.

A fact that is the same in all cells, that follows a column, or that few conditions sort out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from bnmatrix.axes import AXES, default_of
from bnmatrix.conditions import Table, When
from bnmatrix.matrix import CellResult, Value

ROW_AXES = ("training", "trainable")
MODES = ("normalised_by", "stochastic")
"""Facts besides the state that make a column, wherever they apply."""

FOLLOWERS = ("input_gradient",)
"""Facts that make a column only if no other column tells them."""

BENEATH = (
    "input_gradient",
    "stochastic",
    "normalised_by",
    "variance_estimator",
    "update_rate",
    "next_update_rate",
    "updates_per_step",
    "epsilon",
    "output_scale",
    "dropped_unit",
    "expected_output",
    "statistics_dtype",
    "output_dtype",
    "trainable_weights",
    "non_trainable_weights",
    "regularisation_losses",
)
"""Facts told beneath the table, in this order."""

EXPECTED: dict[str, Value] = {
    "statistics_dtype": "float32",
    "output_dtype": "float32",
    "trainable_weights": 0,
    "non_trainable_weights": 0,
    "regularisation_losses": 0,
    "normalised_by": "not_applicable",
    "stochastic": "no",
    "input_gradient": "elementwise",
}
"""What goes without saying: told only where a cell says otherwise."""

MOST_CONDITIONS = 4
"""A fact that needs more conditions than this is told by `--expand` only."""


@dataclass(frozen=True)
class Beneath:
    """A fact told in words: each value with the conditions under which it holds; none where it always does.

    `follows` names the column that decides it, if one does: the conditions are then that column's values.
    `only_in` names the executions whose cells have the fact, unless all have it.
    """

    fact: str
    values: list[tuple[Value, list[When]]]
    follows: str | None = None
    only_in: tuple[str, ...] = ()


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


def varied(cells: Sequence[CellResult]) -> list[str]:
    """The axes, besides those of the rows, that vary from cell to cell and do not follow from others."""
    found = []
    for axis in AXES:
        if axis in ("layer", *ROW_AXES):
            continue
        first = cells[0].axes[axis]
        if any(cell.axes[axis] != first for cell in cells) and any(
            cell.axes[axis] != default_of(axis, cell.axes) for cell in cells
        ):
            found.append(axis)
    return found


def beneath(
    cells: Sequence[CellResult], columns: set[str], axes: Sequence[str]
) -> tuple[list[Beneath], list[str]]:
    """The facts told in words, and those that would take too many. `axes`: those that are `varied`."""
    told, untold = [], []
    axes = [*ROW_AXES, *axes]
    table: Table[str] | None = None
    for fact in BENEATH:
        having = [
            cell for cell in cells if cell.outcome == "ok" and fact in cell.facts and fact not in columns
        ]
        values = list(dict.fromkeys(cell.facts[fact] for cell in having))
        if not values or values in ([EXPECTED.get(fact)], ["not_applicable"]):
            continue
        if fact == "next_update_rate" and all(
            cell.facts[fact] == cell.facts.get("update_rate") for cell in having
        ):
            continue
        if fact == "updates_per_step" and set(values) <= {
            0,
            1,
        }:  # once where they move at all: the columns say so
            continue
        if len(values) > MOST_CONDITIONS:
            untold.append(fact)
            continue
        if table is None:
            ran = [cell for cell in cells if cell.outcome == "ok"]
            table = Table({cell.id: {axis: cell.axes[axis] for axis in axes} for cell in ran})
        among = [cell.id for cell in having]
        conditions = [
            (
                value,
                [when for when, _ in table.boxes([c.id for c in having if c.facts[fact] == value], among)],
            )
            for value in values
        ]
        leader = follows(cells, fact) if len(set(values) - {"none"}) > 1 else None
        if leader is not None:
            pairs = {
                c.facts[leader]: c.facts[fact]
                for c in having
                if leader in c.facts and c.facts[fact] != "none"
            }
            by_leader: list[tuple[Value, list[When]]] = [
                (value, [{leader: [str(by)]}]) for by, value in pairs.items()
            ]
            none = [pair for pair in conditions if pair[0] == "none"]
            told.append(Beneath(fact, by_leader + none, leader, _only_in(having, cells)))
        elif sum(len(where) for _, where in conditions) > MOST_CONDITIONS:
            untold.append(fact)
        else:
            told.append(Beneath(fact, conditions))
    return told, untold


def _only_in(having: Sequence[CellResult], cells: Sequence[CellResult]) -> tuple[str, ...]:
    """The executions of the cells `having` a fact; none where these are all that ran."""
    those = dict.fromkeys(cell.axes["execution"] for cell in having)
    ran = {cell.axes["execution"] for cell in cells if cell.outcome == "ok"}
    return tuple(those) if ran > those.keys() else ()


def depending(
    cells: Sequence[CellResult],
    axis: str,
    values: Sequence[str],
    facts: Sequence[str],
    axes: Sequence[str],
) -> list[str]:
    """Those of `facts` that differ between cells of these `values` of `axis`, all else being equal.

    axes: those that are `varied`
    """
    others = itemgetter(*(other for other in (*ROW_AXES, *axes) if other != axis))
    first: dict[Any, dict[str, Value]] = {}
    found = set()
    for cell in cells:
        if cell.axes[axis] in values and cell.outcome == "ok":
            seen = first.setdefault(others(cell.axes), {})
            for fact in facts:
                if fact in cell.facts and seen.setdefault(fact, cell.facts[fact]) != cell.facts[fact]:
                    found.add(fact)
    return [fact for fact in facts if fact in found]

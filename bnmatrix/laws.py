"""Boolean rules of a truth table: the shortest rule of `training` and `trainable` that a fact obeys.

A rule is found from measured cells in which `training` is true or false and all four combinations
were decided. Cells in which it was not given have a line of their own: what they act as.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter

from bnmatrix.axes import AXES
from bnmatrix.conditions import Table
from bnmatrix.facts import FACTS, SLOT_VALUES
from bnmatrix.matrix import CellResult, Default, Law, Value

ROWS = (("true", "true"), ("true", "false"), ("false", "true"), ("false", "false"))
"""(training, trainable), in the order of the truth tables below."""

RULES: dict[tuple[bool, ...], str] = {
    (True, True, True, True): "always",
    (False, False, False, False): "never",
    (True, True, False, False): "training",
    (True, False, True, False): "trainable",
    (False, False, True, True): "not training",
    (False, True, False, True): "not trainable",
    (True, False, False, False): "training and trainable",
    (True, True, True, False): "training or trainable",
    (False, True, False, False): "training and not trainable",
    (False, False, True, False): "not training and trainable",
    (False, False, False, True): "not training and not trainable",
    (False, True, True, True): "not training or not trainable",
    (True, True, False, True): "training or not trainable",
    (True, False, True, True): "not training or trainable",
    (True, False, False, True): "training = trainable",
    (False, True, True, False): "training != trainable",
}

MODE_FACTS = (
    "normalised_by", "moving_mean", "moving_variance", "stochastic", "output_scale", "power_iteration_vector",
)  # fmt: skip
"""Facts that the mode decides, whether or not a gradient step is made."""

TOLD = (
    *("gamma", "beta", "moving_mean", "moving_variance", "num_batches_tracked", "kernel", "recurrent_kernel"),
    *("bias", "output_kernel", "output_bias", "magnitude", "direction", "power_iteration_vector"),
    *("normalised_by", "input_gradient", "stochastic", "inference_output"),
)
"""Facts for which laws are told."""

PREFERRED = ("updated", "batch", "yes", "through_batch_statistics", "sample")
"""Of a fact with two values, the one a law is told of; the other is its negation."""

UNDECIDED = ("undecided", "unstable")

OTHERS = tuple(axis for axis in AXES if axis not in ("training", "trainable"))

Place = tuple[str, ...]
"""The values of `OTHERS`: where four cells make a truth table of training and trainable."""


Rows = Mapping[tuple[str, str], CellResult]
"""The cells of a place by training and trainable."""

_place_of = itemgetter(*OTHERS)


def laws(cells: Sequence[CellResult]) -> list[Law]:
    """Every law that `cells` of one target obey, by layer and fact."""
    found = []
    for layer, own in by_layer(cells).items():
        places = by_place(own)
        table = Table({place: axes_of(place) for place in places})
        for fact in (*TOLD, *_own_names(own)):
            for value in values_told(cell.facts[fact] for cell in own if fact in cell.facts):
                found += _of_value(layer, places, table, fact, value)
    return found


def _own_names(cells: Sequence[CellResult]) -> list[str]:
    """The states of a layer of the user's own that have names of their own."""
    named = dict.fromkeys(
        fact for cell in cells if cell.axes["like"] != "none" for fact in cell.facts if fact not in FACTS
    )
    return list(named)


def by_layer(cells: Iterable[CellResult]) -> dict[str, list[CellResult]]:
    """The cells of each layer."""
    found: dict[str, list[CellResult]] = {}
    for cell in cells:
        found.setdefault(cell.axes["layer"], []).append(cell)
    return found


def by_place(cells: Iterable[CellResult]) -> dict[Place, Rows]:
    """The places where all four combinations of training and trainable were measured."""
    found: dict[Place, dict[tuple[str, str], CellResult]] = {}
    for cell in cells:
        row = (cell.axes["training"], cell.axes["trainable"])
        if row in ROWS:
            found.setdefault(_place_of(cell.axes), {})[row] = cell
    return {place: rows for place, rows in found.items() if len(rows) == len(ROWS)}


def values_told(values: Iterable[Value]) -> list[Value]:
    """The values to tell laws of: of two, the preferred one."""
    known = list(
        dict.fromkeys(value for value in values if value not in (*UNDECIDED, "absent", "not_applicable"))
    )
    if len(known) > 2 and "sample" not in known:
        return known
    preferred: list[Value] = [value for value in PREFERRED if value in known]
    return preferred[:1] or (known[:1] if known != [SLOT_VALUES[1]] else known)


def _of_value(
    layer: str, places: Mapping[Place, Rows], table: Table[Place], fact: str, value: Value
) -> list[Law]:
    """The laws of one value of a fact: one rule everywhere, or one for each part of the other axes."""
    ruled = rules(places, fact, value)
    by_rule: dict[str, list[Place]] = {}
    for place, rule in ruled.items():
        by_rule.setdefault(rule, []).append(place)

    def widest_first(rule: str) -> tuple[int, bool, str]:
        return -len(by_rule[rule]), rule in ("always", "never"), rule

    return [
        Law(layer=layer, fact=fact, value=value, rule=rule, when=when, but=table.left_out(when))
        for rule in sorted(by_rule, key=widest_first)
        for when, _ in table.boxes(by_rule[rule], ruled)
    ]


def rules(places: Mapping[Place, Rows], fact: str, value: Value) -> dict[Place, str]:
    """The rule under which `fact` has `value`, in each of the `places` where it was decided."""
    ruled = {}
    for place, rows in places.items():
        column = [rows[row].facts.get(fact) for row in ROWS]
        if all(entry is not None and entry not in UNDECIDED for entry in column):
            ruled[place] = RULES[tuple(entry == value for entry in column)]
    return ruled


def axes_of(place: Place) -> dict[str, str]:
    """A place as {axis: value}."""
    return dict(zip(OTHERS, place, strict=True))


def defaults(cells: Sequence[CellResult]) -> list[Default]:
    """What `training` not given acts as, for each layer and execution."""
    found = []
    for layer in dict.fromkeys(cell.axes["layer"] for cell in cells):
        own = [cell for cell in cells if cell.axes["layer"] == layer and cell.outcome == "ok"]
        for execution in dict.fromkeys(cell.axes["execution"] for cell in own):
            not_given = [
                c for c in own if c.axes["execution"] == execution and c.axes["training"] == "default"
            ]
            if not_given:
                acts_as = _acts_as(not_given, own)
                if acts_as is not None:
                    found.append(Default(layer=layer, execution=execution, acts_as=acts_as))
    return found


def _acts_as(not_given: Sequence[CellResult], cells: Sequence[CellResult]) -> str | None:
    """The value of `training` whose cells show the same mode facts; None where nothing can be compared."""
    index = {tuple(cell.axes.values()): cell for cell in cells}
    fits: dict[str, list[bool]] = {"true": [], "false": []}
    for cell in not_given:
        for value, verdicts in fits.items():
            same_way = {**cell.axes, "training": value}
            by_call = {**same_way, "execution": "call", "context": "direct"}
            other = index.get(tuple(same_way.values())) or index.get(tuple(by_call.values()))
            if other is not None:
                verdicts.append(_same_mode(cell, other))
    if not fits["true"] or not fits["false"]:
        return None
    true, false = all(fits["true"]), all(fits["false"])
    return {(True, True): "either", (True, False): "true", (False, True): "false", (False, False): "neither"}[
        true, false
    ]


def _same_mode(cell: CellResult, other: CellResult) -> bool:
    return all(
        cell.facts[fact] == other.facts[fact]
        for fact in (*MODE_FACTS, *_own_names([cell]))
        if fact in cell.facts
        and fact in other.facts
        and not {cell.facts[fact], other.facts[fact]} & set(UNDECIDED)
    )

"""From one framework to another: options and weights under which one layer behaves like the other, and proof.

1. What the source layer does is measured, and from its facts follow the options of the destination.
2. Both get the same values and make the same steps side by side (`side_by_side.py`): in training mode,
   frozen, in inference mode, and with no mode given.
3. Where they part, the destination is tried in its other modes, frozen in another way, and with its
   statistics mended after each step. What then agrees is the remedy; where nothing does, that is said.

Nothing here knows what a framework does: what parts was measured, and so was every remedy.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Mapping, Sequence

import msgspec

from bnmatrix import __version__
from bnmatrix.axes import AXES, Cell, check_value, make_cell
from bnmatrix.comparison import disagree, reading
from bnmatrix.converted import Conversion, Party
from bnmatrix.errors import UsageError, unknown
from bnmatrix.layers import layers
from bnmatrix.matrix import FAULTS, SCHEMA_VERSION, CellResult, TargetMatrix, Value
from bnmatrix.measurement import Measure, Options, Plan
from bnmatrix.own_layers import is_own
from bnmatrix.remeasuring import Tell
from bnmatrix.scenario import Given, Values
from bnmatrix.scenario_file import OPTIONS
from bnmatrix.target import Target

STEPS = 10

MOST_STEPS = 1000

SCENARIOS = {
    "training": {"training": "true", "trainable": "true"},
    "frozen": {"training": "true", "trainable": "false"},
    "inference": {"training": "false", "trainable": "true"},
    "mode not given": {"training": "default", "trainable": "true"},
}

CHOICES = ("rank", "api", "variant", "dtype", "data_format")
"""Axes that may be chosen: of the layer and its numbers, not of what lies around it."""

DTYPES = ("float32", "float64")
"""In a half precision the rounding of ten steps hides a momentum, an epsilon, an estimator."""

USUAL_RANKS = ("2", "4")
"""Fused kernels are of rank 4."""

# What is asked.


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion that is asked for, checked by `question`."""

    layer: str
    source: Target
    destination: Target
    axes: tuple[dict[str, str], ...]
    options: dict[str, float]
    steps: int


def question(
    layer: str,
    source: Target,
    destination: Target,
    axes: Values,
    options: Mapping[str, float],
    steps: int = STEPS,
) -> Question:
    """Check what is asked for. Raises UsageError."""
    if is_own(layer):
        raise UsageError(
            f"{layer} is a layer of your own, which no other framework has",
            "hold it against the layer that it is like: bnmatrix run --layer ... --like batch_norm",
        )
    check_value("layer", layer)
    for target in (source, destination):
        has = layers()[layer].classes
        if target.framework not in has:
            raise UsageError(f"{target.text} has no {layer}", f"it is in {', '.join(has)}")
    for axis, values in axes.items():
        if axis not in CHOICES:
            known = f"it can be {', '.join(CHOICES)}"
            raise UsageError(f"the axis {axis} is no choice in a conversion", known)
        for value in values:
            check_value(axis, value)
            if axis == "dtype" and value not in DTYPES:
                raise UsageError(
                    f"ten steps in {value} tell no momentum or estimator from another",
                    f"compare in {' or '.join(DTYPES)}",
                )
    for name in options:
        if name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
    if not 1 <= steps <= MOST_STEPS:
        raise UsageError(f"{steps} is not a number of steps from 1 to {MOST_STEPS}")
    known_ranks = tuple(map(str, layers()[layer].ranks))
    ranks = axes.get("rank") or tuple(rank for rank in USUAL_RANKS if rank in known_ranks) or known_ranks[:1]
    chosen = {"rank": ranks, **{axis: values for axis, values in axes.items() if axis != "rank"}}
    combinations = tuple(
        dict(zip(chosen, values, strict=True)) for values in itertools.product(*chosen.values())
    )
    return Question(
        layer=layer, source=source, destination=destination, axes=combinations, options=dict(options),
        steps=steps,
    )  # fmt: skip


def numbers(texts: Sequence[str]) -> dict[str, float]:
    """{option: number} of `NAME=NUMBER`. Raises UsageError."""
    found: dict[str, float] = {}
    for text in texts:
        name, separator, written = text.partition("=")
        if name and name not in OPTIONS:
            raise unknown("option", name, OPTIONS)
        try:
            value = float(written)
        except ValueError:
            value = math.nan
        if not separator or not math.isfinite(value):
            raise UsageError(
                f"--option {text!r} is not of the form NAME=NUMBER", "write --option momentum=0.9"
            )
        found[name] = int(value) if name == "units" else value
    return found


def cell_of(asked: Question, target: Target, axes: Mapping[str, str], chosen: Mapping[str, str]) -> Cell:
    """The cell of `target`; a value that its framework does not have is the default there."""
    own = target.family.values
    values = {
        axis: value if axis not in own or value in own[axis] else own[axis][0] for axis, value in axes.items()
    }
    return make_cell({"layer": asked.layer, **values, **chosen})


# What follows from the facts.


def derived(trained: CellResult, given: Mapping[str, float]) -> dict[str, float]:
    """The options under which another layer does what this one was measured to do in training mode.

    given: the options it was made with; taken as they are where the measurement allows them
    """
    found = {name: value for name, value in given.items() if name not in ("momentum", "epsilon")}
    for name, value in told(trained).items():
        if isinstance(value, (int, float)):
            found[name] = value
            low, high = _interval(trained, name) or (value, value)
            if name in given and low <= given[name] <= high:
                found[name] = given[name]
    return found


def told(cell: CellResult) -> dict[str, Value]:
    """{option: what was measured of it}, a word where it cannot be told."""
    found: dict[str, Value] = {}
    rate, following = cell.facts.get("update_rate"), cell.facts.get("next_update_rate")
    if rate is not None:
        found["momentum"] = rate if isinstance(rate, str) else round(1.0 - rate, 12)
        if following is not None and disagree(
            reading(cell, "update_rate"), reading(cell, "next_update_rate")
        ):
            # The first update of an average that is rid of its bias towards 0 takes in the whole, the second
            # 1 / (1 + momentum).
            is_rid = rate == 1 and isinstance(following, (int, float)) and 0.5 <= following < 1
            found["momentum"] = round(1.0 / float(following) - 1.0, 4) if is_rid else "varies"
    if "epsilon" in cell.facts:
        found["epsilon"] = cell.facts["epsilon"]
    return found


def _interval(cell: CellResult, option: str) -> tuple[float, float] | None:
    """What the measurement allows of an option."""
    if option == "epsilon":
        return cell.interval("epsilon")
    rate = cell.interval("update_rate")
    return None if rate is None else (1.0 - rate[1], 1.0 - rate[0])


def ways(scenario: Mapping[str, str], framework: str) -> list[Way]:
    """What may be tried at the destination: its own way first, then other modes and ways to freeze."""
    found = []
    for freeze_on in ("layer", "variables") if scenario["trainable"] == "false" else ("layer",):
        for training in dict.fromkeys([scenario["training"], *AXES["training"].values]):
            do = [] if training == scenario["training"] else [_mode(training, framework)]
            if freeze_on == "variables":
                do.insert(0, "freeze each of its variables, not the layer")
            found.append(Way({**scenario, "training": training, "freeze_on": freeze_on}, tuple(do)))
    return sorted(found, key=lambda way: len(way.do))


class Way(msgspec.Struct, frozen=True):
    """A cell's values, and what a user does to have them."""

    chosen: dict[str, str]
    do: tuple[str, ...] = ()


def _mode(training: str, framework: str) -> str:
    if framework == "torch":
        modes = {
            "true": "call .train() on it",
            "false": "call .eval() on it",
            "default": "leave its mode as it comes",
        }
    else:
        modes = {"true": "call it with training=True", "false": "call it with training=False",
                 "default": "call it without training="}  # fmt: skip
    return modes[training]


# The conversion.


def convert(asked: Question, measure: Measure, options: Options, tell: Tell) -> tuple[Conversion, bool]:
    """Measure, derive, and hold side by side; and whether a cell could not be run. Raises BnmatrixError."""
    from bnmatrix.courses import following
    from bnmatrix.side_by_side import SideBySide

    sources = _measured_source(asked, measure)
    given = []
    for axes in asked.axes:
        trained = sources.by_id()[cell_of(asked, asked.source, axes, SCENARIOS["training"]).id]
        _check_there(trained, asked.source, asked.layer)
        given.append(derived(trained, asked.options))
    destinations = _measured_destinations(asked, given, measure)
    tell(f"{asked.steps} steps side by side")
    with following([asked.source, asked.destination], asked.steps, options) as follow:
        cases = [
            SideBySide(asked, axes, some, sources, there, follow).made()
            for axes, some, there in zip(asked.axes, given, destinations, strict=True)
        ]
    conversion = Conversion(
        schema_version=SCHEMA_VERSION,
        bnmatrix=__version__,
        layer=asked.layer,
        source=_party(sources),
        destination=_party(destinations[0]),
        steps=asked.steps,
        seed=options.seed,
        cases=[case for case, _ in cases],
    )
    faults = any(cell.outcome in FAULTS for matrix in (sources, *destinations) for cell in matrix.cells)
    return conversion, faults or any(fault for _, fault in cases)


def _measured_source(asked: Question, measure: Measure) -> TargetMatrix:
    cells = [
        cell_of(asked, asked.source, axes, chosen) for axes in asked.axes for chosen in SCENARIOS.values()
    ]
    plan = Plan(asked.source, tuple(dict.fromkeys(cells)), Given(options=asked.options))
    return measure([plan], f"measuring {asked.layer} of {asked.source.text}").targets[0]


def _measured_destinations(
    asked: Question, given: Sequence[dict[str, float]], measure: Measure
) -> list[TargetMatrix]:
    """One for each combination, with the options `given` for it; what has the same is measured together."""
    together: dict[tuple[tuple[str, float], ...], list[Cell]] = {}
    for axes, some in zip(asked.axes, given, strict=True):
        together.setdefault(tuple(some.items()), []).extend(
            cell_of(asked, asked.destination, axes, chosen) for chosen in SCENARIOS.values()
        )
    plans = [
        Plan(asked.destination, tuple(dict.fromkeys(cells)), Given(options=dict(some)))
        for some, cells in together.items()
    ]
    title = f"measuring {asked.layer} of {asked.destination.text} with the options that follow"
    measured = dict(zip(together, measure(plans, title).targets, strict=True))
    found = [measured[tuple(some.items())] for some in given]
    for axes, matrix in zip(asked.axes, found, strict=True):
        trained = matrix.by_id()[cell_of(asked, asked.destination, axes, SCENARIOS["training"]).id]
        _check_there(trained, asked.destination, asked.layer)
    return found


def _check_there(trained: CellResult, target: Target, layer: str) -> None:
    """Raise UsageError where the target has nothing to be converted."""
    if trained.outcome == "unavailable":
        where = layers()[layer].classes[target.framework]
        api = re.search(r"api=\w+", where)
        hint = f"it is {where} there: --axis {api[0]}" if api else "see `bnmatrix list layers`"
        raise UsageError(f"{target.text}: {trained.reason}", hint)


def _party(matrix: TargetMatrix) -> Party:
    return Party(
        target=matrix.target, framework=matrix.framework, versions=matrix.versions, python=matrix.python,
        device=matrix.device,
    )  # fmt: skip

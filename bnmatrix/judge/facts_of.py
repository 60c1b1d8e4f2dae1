"""The facts of one observation, each from the part of the record that shows it.

After an exception the facts measured before it are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bnmatrix.judge import chance, linear, normalisation
from bnmatrix.judge.closed_forms import Array
from bnmatrix.judge.normalisation import Step
from bnmatrix.judge.numbers import Reading
from bnmatrix.judge.precision import tolerance, unit
from bnmatrix.judge.state import State, moments, slot_facts, statistics_facts
from bnmatrix.layers import Layer
from bnmatrix.runner.messages import Observation, Pass

HIDDEN_WARNINGS = ("DeprecationWarning", "PendingDeprecationWarning", "ImportWarning", "ResourceWarning")
"""What Python's own filters keep from a user."""

LARGEST_READING = 8
"""Arrays up to this size are kept as raw readings."""


@dataclass(frozen=True)
class Judgement:
    """Facts and the raw readings beside them, of one observation."""

    facts: dict[str, Reading]
    readings: dict[str, Any] = field(default_factory=dict)


def judge(observation: Observation, layer: Layer, axes: Mapping[str, str]) -> Judgement:
    """Draw every fact that applies.

    observation: what the probe recorded;  layer: what was examined;  axes: of the cell
    """
    found: dict[str, Reading] = {}
    if observation.exception is not None:
        found["exception"] = Reading(observation.exception.type)
    states = {name: _floats(state) for name, state in observation.states.items()}
    if "start" in states and "first" in states:
        slots = observation.slots
        names = [*layer.slots, *(slot for slot in slots if slot not in layer.slots)]
        trained = [slot for slot in slots if slots[slot].trainable]
        found.update(slot_facts(states["start"], states["first"], names, trained))
    first = observation.passes.get("first")
    if first is not None and first.output is not None:
        found.update(_of_output(observation, layer, axes, states, first))
        stored = observation.slots.get("moving_mean")
        if stored is not None:
            found["statistics_dtype"] = Reading(stored.dtype)
            if "start" in states and "first" in states and first.output.size:
                by_sample = layer.name == "instance_norm"
                one, two = (
                    moments(_float(observation.sample[name]), by_sample) for name in ("first", "second")
                )
                found.update(statistics_facts(states, one, two, precisions(axes, first), stored.dtype))
        found.update(_descriptions(observation, first))
    if observation.outcome == "ok" or observation.warnings:
        found["warnings"] = Reading(_warnings(observation))
    return Judgement(found, _readings(observation, states))


def precisions(axes: Mapping[str, str], made: Pass) -> list[str]:
    """The dtypes the output may have been computed in, finest first: its own, the cell's, float32 below that.

    A closed form that holds in the finer one needs no more doubt; autocast and policies often compute finer
    than they are named, and some of what is called float64 is computed coarser. What the closed forms tell
    apart lies orders of magnitude further apart than that.
    """
    named = {made.output_dtype or axes["dtype"], axes["dtype"].removeprefix("mixed_")}
    return sorted(named | ({"float32"} if "float64" in named else set()), key=unit)


def _of_output(
    observation: Observation, layer: Layer, axes: Mapping[str, str], states: Mapping[str, State], first: Pass
) -> dict[str, Reading]:
    """Facts that the output and the input gradient show."""
    step = _step(observation, "first", "first")
    if step is None:
        return {}
    found: dict[str, Reading] = {}
    for dtype in precisions(axes, first):
        found, explained = _of_step(observation, layer, states, step, dtype)
        if explained:
            break
    if not first.has_gradient or layer.family == "embedding":
        found.pop("input_gradient", None)  # none was asked for; integers have none
    found["stochastic"] = _stochastic(observation, explained, first, precisions(axes, first)[-1])
    before, after = observation.inference.get("before"), observation.inference.get("after")
    if before is not None and after is not None:
        found["inference_output"] = Reading("no" if np.array_equal(before, after, equal_nan=True) else "yes")
    return found


def _of_step(
    observation: Observation, layer: Layer, states: Mapping[str, State], step: Step, dtype: str
) -> tuple[dict[str, Reading], bool]:
    """Facts of the closed forms of the layer's family in `dtype`, and whether one explains the output."""
    start = states["start"]
    if layer.family in ("batch_norm", "sample_norm") and step.x.shape == step.y.shape:
        return normalisation.facts(layer.name, step, start, dtype)
    explained = False
    found = {"normalised_by": Reading("not_applicable")}
    if layer.family == "dropout":
        others = [_step(observation, "second", "second"), _step(observation, "repeat", "first")]
        found.update(chance.facts(layer.name, step, [each for each in others if each is not None], dtype))
    elif layer.family in ("linear", "reparametrised"):
        more, explained = linear.facts(layer.name, step, start, dtype)
        found.update(more)
    else:
        found["input_gradient"] = normalisation.plain_gradient(step.gradient)
        explained = layer.family == "embedding" and linear.looked_up(step, states)
    return found, explained


def _step(observation: Observation, name: str, batch: str) -> Step | None:
    made = observation.passes.get(name)
    if made is None or made.output is None:
        return None
    gradient = None if made.input_gradient is None else _float(made.input_gradient)
    sample = observation.sample
    return Step(_float(sample[batch]), _float(made.output), _float(sample[f"{batch}_weights"]), gradient)


def _stochastic(observation: Observation, explained: bool, first: Pass, dtype: str) -> Reading:
    """From the same step made twice; without that, `no` where a closed form explains the output."""
    repeat = observation.passes.get("repeat")
    if repeat is not None and repeat.output is not None and first.output is not None:
        one, other = _float(first.output), _float(repeat.output)
        if not one.size:
            return Reading("undecided")
        scale = float(np.abs(one[np.isfinite(one)]).max(initial=0.0))
        same = np.allclose(one, other, rtol=0, atol=tolerance(dtype) * scale, equal_nan=True)
        return Reading("no" if same else "yes")
    return Reading("no" if explained else "undecided")


def _descriptions(observation: Observation, first: Pass) -> dict[str, Reading]:
    """Counts, dtypes, order and flags, as the framework states them."""
    found: dict[str, Reading] = {}
    if first.output_dtype:
        found["output_dtype"] = Reading(first.output_dtype)
    found.update({name: Reading(count) for name, count in observation.counts.items()})
    if observation.weight_order:
        found["weight_order"] = Reading(" ".join(observation.weight_order))
    if observation.flags is not None:
        for name, flags in (
            ("mode_after", observation.flags.mode),
            ("trainable_after", observation.flags.trainable),
        ):
            if flags:
                found[name] = Reading(_flags(flags))
    return found


def _flags(flags: Mapping[str, bool]) -> str:
    words = {True: "yes", False: "no"}
    if list(flags) == ["layer"]:
        return words[flags["layer"]]
    return " ".join(f"{name}={words[value]}" for name, value in flags.items())


def _warnings(observation: Observation) -> str:
    """Categories and first lines of those that Python shows by default, without addresses and paths."""
    shown = [each for each in observation.warnings if each.category not in HIDDEN_WARNINGS]
    return "; ".join(sorted({f"{each.category}: {_normalised(each.message)}" for each in shown})) or "none"


def _normalised(message: str) -> str:
    return re.sub(r"0x[0-9a-f]+|(?<![\w:/.])(/[\w.+-]+){2,}", "…", message)[:200]


def _readings(observation: Observation, states: Mapping[str, State]) -> dict[str, Any]:
    """Small state before, after the first and after the second step; which auxiliary measurements failed."""
    readings: dict[str, Any] = {}
    for slot in observation.slots:
        values = {
            moment: states[moment][slot].tolist()
            for moment in ("start", "first", "second")
            if slot in states.get(moment, {}) and states[moment][slot].size <= LARGEST_READING
        }
        if values:
            readings[slot] = values
    if observation.not_measured:
        readings["not_measured"] = dict(observation.not_measured)
    return readings


def _floats(state: Mapping[str, Any]) -> dict[str, Array]:
    return {slot: _float(array) for slot, array in state.items()}


def _float(array: Any) -> Array:
    return np.asarray(array, dtype=np.float64)

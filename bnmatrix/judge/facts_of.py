"""The facts of one observation, each from the part of the record that shows it.

After an exception the facts measured before it are kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnmatrix.judge import chance, linear, normalisation
from bnmatrix.judge.closed_forms import Array
from bnmatrix.judge.normalisation import Step
from bnmatrix.judge.numbers import Reading
from bnmatrix.judge.precision import tolerance, unit
from bnmatrix.judge.state import (
    Moments,
    State,
    driven_by_noise,
    lost_in_rounding,
    moments,
    slot_facts,
    statistics_facts,
    unmasked_moments,
)
from bnmatrix.layers import Layer
from bnmatrix.runner.messages import Observation, Pass

HIDDEN_WARNINGS = ("DeprecationWarning", "PendingDeprecationWarning", "ImportWarning", "ResourceWarning")
"""What Python's own filters keep from a user."""

DIVIDING_BY_THE_GRADIENT = ("adam", "rmsprop", "adam_zeroed", "rmsprop_zeroed")
"""Optimizers that make a full step of the smallest gradient. (AdamW moves every weight by its decay.)"""

CALLED_TWICE = ("shared", "checkpointed")
"""Contexts in which one step calls the layer twice."""

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
    first = observation.passes.get("first")
    stepped = "start" in states and "first" in states
    if stepped:
        found.update(_of_slots(observation, layer, axes, states, first))
    if first is not None and first.output is not None:
        found.update(_of_output(observation, layer, axes, states, first))
    stored = observation.slots.get("moving_mean")
    if stored is not None:
        found["statistics_dtype"] = Reading(stored.dtype)
        if stepped and observation.sample["first"].size:
            one, two = (_moments(observation, layer, which) for which in ("first", "second"))
            calls = 2 if axes["context"] in CALLED_TWICE else 1
            found.update(statistics_facts(states, one, two, precisions(axes, first), stored.dtype, calls))
    found.update(_descriptions(observation, first))
    if observation.outcome != "unavailable":
        found["warnings"] = Reading(_warnings(observation))
    return Judgement(found, _readings(observation, states))


def _of_slots(
    observation: Observation,
    layer: Layer,
    axes: Mapping[str, str],
    states: Mapping[str, State],
    first: Pass | None,
) -> dict[str, Reading]:
    """Whether each slot moved: in the step, or with an optimizer, which may have a memory, in one of two."""
    slots = observation.slots
    names = [*layer.slots, *(slot for slot in slots if slot not in layer.slots)]
    gradients = _floats(first.gradients) if first is not None else {}
    trained = [slot for slot in slots if slots[slot].trainable or slot in gradients]
    start, after = states["start"], states["first"]
    steps = [(start, after)]
    if axes["optimizer"] != "none" and "second" in states:
        steps.append((after, states["second"]))
    doubtful: set[str] = set()
    lost: set[str] = set()
    if axes["optimizer"] in DIVIDING_BY_THE_GRADIENT:
        doubtful = driven_by_noise(start, after, trained, gradients, precisions(axes, first)[-1])
    elif axes["optimizer"] != "none":
        lost = lost_in_rounding(start, gradients, {slot: slots[slot].dtype for slot in slots})
    return slot_facts(steps, names, trained, doubtful, lost)


def _moments(observation: Observation, layer: Layer, which: str) -> list[Moments]:
    """The statistics of a batch that the moving ones may have taken in."""
    x = _float(observation.sample[which])
    found = [moments(x, by_sample=layer.name == "instance_norm")]
    counted = _counted(observation, x)
    if counted is not None and counted.any():
        found.append(unmasked_moments(x, counted))
    return found


def _counted(observation: Observation, x: Array) -> NDArray[np.bool_] | None:
    """Which positions of x the mask lets count, of its shape but for one channel; None where all do."""
    mask = observation.sample.get("mask")
    if mask is None or mask.all():
        return None
    return np.asarray(np.broadcast_to(mask[..., None], (*x.shape[:-1], 1)))


def precisions(axes: Mapping[str, str], made: Pass | None) -> list[str]:
    """The dtypes the output may have been computed in, finest first: its own, the cell's, float32 below that.

    A closed form that holds in the finer one needs no more doubt; autocast and policies often compute finer
    than they are named, and some of what is called float64 is computed coarser. What the closed forms tell
    apart lies orders of magnitude further apart than that.
    """
    named = {axes["dtype"].removeprefix("mixed_")}
    if made is not None and made.output_dtype:
        named.add(made.output_dtype)
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
        found, explained = _of_step(observation, layer, states, step, dtype, axes["context"] == "shared")
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
    observation: Observation,
    layer: Layer,
    states: Mapping[str, State],
    step: Step,
    dtype: str,
    shared: bool,
) -> tuple[dict[str, Reading], bool]:
    """Facts of the closed forms of the layer's family in `dtype`, and whether one explains the output.

    shared: the output is the mean of two applications
    """
    start = states["start"]
    if layer.family in ("batch_norm", "sample_norm") and step.x.shape == step.y.shape:
        told, explained = normalisation.facts(layer.name, step, start, dtype)
        if start and not set(start) & set(layer.slots):
            # A layer of the user's with names of its own: which is the mean is not known.
            guessed = ("neither", "other")
            told = {
                fact: Reading("undecided") if each.value in guessed else each for fact, each in told.items()
            }
        return told, explained
    explained = False
    found = {"normalised_by": Reading("not_applicable")}
    if layer.family == "dropout":
        others = [_step(observation, "second", "second"), _step(observation, "repeat", "first")]
        further = [each for each in others if each is not None]
        found.update(chance.facts(layer.name, step, further, dtype, shared))
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
    x = _float(observation.sample[batch])
    arriving = _float(observation.sample[f"{batch}_weights"])
    return Step(x, _float(made.output), arriving, gradient, _counted(observation, x))


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


def _descriptions(observation: Observation, first: Pass | None) -> dict[str, Reading]:
    """Counts, dtypes, order and flags, as the framework states them."""
    found: dict[str, Reading] = {}
    if first is not None and first.output_dtype:
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
    """Small state before, after the first and after the second step, of larger state how many values it has;
    which auxiliary measurements failed."""
    readings: dict[str, Any] = {}
    for slot in observation.slots:
        values: dict[str, Any] = {
            moment: states[moment][slot].tolist()
            for moment in ("start", "first", "second")
            if slot in states.get(moment, {}) and states[moment][slot].size <= LARGEST_READING
        }
        if slot in states.get("start", {}) and not values:
            values = {"size": int(states["start"][slot].size)}
        if values:
            readings[slot] = values
    if observation.not_measured:
        readings["not_measured"] = dict(observation.not_measured)
    return readings


def _floats(state: Mapping[str, Any]) -> dict[str, Array]:
    return {slot: _float(array) for slot, array in state.items()}


def _float(array: Any) -> Array:
    return np.asarray(array, dtype=np.float64)

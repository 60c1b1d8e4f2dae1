"""By whose statistics a layer normalises, and how the gradient comes back: facts from closed forms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnmatrix.judge import closed_forms
from bnmatrix.judge.closed_forms import Array, Fit, Statistics
from bnmatrix.judge.numbers import UNDECIDED, Reading, number
from bnmatrix.judge.precision import tolerance, unit

NARROWER = 8.0
"""Statistics of a mask's positions lie near those of all. Where the tolerance of a dtype lets both pass, the
one that passes with so much less of it is taken."""


CLEARER = 2.0
"""Of two gradients that the tolerance lets pass, the one that is nearer by this much is taken."""


@dataclass(frozen=True)
class Step:
    """One step as the judge sees it: float64, channels last.

    x, y:     input and output, of one shape
    arriving: d loss / d y
    gradient: d loss / d x, or None
    counted:  which positions a mask lets count, broadcastable to x; None where there is no mask, or all do
    """

    x: Array
    y: Array
    arriving: Array
    gradient: Array | None
    counted: NDArray[np.bool_] | None = None


def fits(layer: str, step: Step, state: Mapping[str, Array], error: float) -> list[Fit]:
    """Every choice of statistics that explains the output at these parameters."""
    x, y = step.x, step.y
    if layer == "group_norm":
        x, y = closed_forms.grouped(x), closed_forms.grouped(y)
    gamma, beta = _affine(layer, state)
    candidates = _candidates(layer, x, state, step.counted)
    found = (closed_forms.explains(each, x, y, gamma, beta, error) for each in candidates)
    return [fit for fit in found if fit is not None]


def _affine(layer: str, state: Mapping[str, Array]) -> tuple[Array, Array]:
    """gamma and beta, of a shape that broadcasts to the input; 1 and 0 where there are none."""
    gamma, beta = state.get("gamma", np.ones(1)), state.get("beta", np.zeros(1))
    if layer == "group_norm":
        gamma, beta = (closed_forms.grouped(each) if each.size > 1 else each for each in (gamma, beta))
    return gamma, beta


def _candidates(
    layer: str, x: Array, state: Mapping[str, Array], counted: NDArray[np.bool_] | None
) -> list[Statistics]:
    found = []
    if layer == "batch_norm":
        found.append(closed_forms.batch(x))
        if counted is not None and counted.any():
            found.append(closed_forms.unmasked_batch(x, counted))
    else:
        found.append(closed_forms.sample(layer, x))
    mean, variance = state.get("moving_mean"), state.get("moving_variance")
    if mean is not None and variance is not None and mean.shape == variance.shape == x.shape[-1:]:
        found.append(closed_forms.moving(x, mean, variance))
    return found


def facts(layer: str, step: Step, start: Mapping[str, Array], dtype: str) -> tuple[dict[str, Reading], bool]:
    """`normalised_by`, `epsilon` and `input_gradient` of one step, and whether a closed form explains it.

    start: the state the step began with;  dtype: of the computation
    """
    if step.x.size == 0:
        return {"normalised_by": UNDECIDED}, False
    error = tolerance(dtype)
    explained = fits(layer, step, start, error)
    if len(explained) > 1 and step.counted is not None:
        explained = fits(layer, step, start, error / NARROWER) or explained
    if len(explained) != 1:
        word = UNDECIDED if explained else Reading(_without_fit(step))
        return {"normalised_by": word, "input_gradient": plain_gradient(step.gradient)}, False
    fit = explained[0]
    found = {"normalised_by": Reading(fit.statistics.by)}
    if fit.epsilon is not None:
        found["epsilon"] = _epsilon(fit.epsilon)
    found["input_gradient"] = _gradient(layer, step, fit, _affine(layer, start)[0], error)
    return found, True


def _without_fit(step: Step) -> str:
    """Nothing explains the output: that is `neither`, if the output is made of numbers at all."""
    return "neither" if np.all(np.isfinite(step.y)) else "undecided"


def _epsilon(interval: tuple[float, float]) -> Reading:
    """An epsilon that may be 0 or as large as 1e-6 is not decided."""
    low, high = interval
    return UNDECIDED if low <= 0 and high > 1e-6 else number(interval)


def plain_gradient(gradient: Array | None) -> Reading:
    """What can be said of an input gradient without a closed form."""
    if gradient is None:
        return Reading("none")
    if not np.all(np.isfinite(gradient)):
        return UNDECIDED
    return Reading("other" if np.any(gradient) else "zero")


def _gradient(layer: str, step: Step, fit: Fit, gamma: Array, error: float) -> Reading:
    plain = plain_gradient(step.gradient)
    if plain.value != "other" or step.gradient is None:
        return plain
    x, arriving, measured = step.x, step.arriving, step.gradient
    if layer == "group_norm" and fit.statistics.own:
        x, arriving, measured = (closed_forms.grouped(each) for each in (x, arriving, measured))
    words = {True: f"through_{fit.statistics.by}_statistics", False: "statistics_held_constant"}
    ways = (True, False) if fit.statistics.own else (False,)
    if not fit.statistics.own:
        words[False] = "elementwise"
    # Differences of near numbers: the means that are subtracted lose as the forward's do.
    scale = np.abs(fit.scale * gamma * arriving)
    lost = error * (1.0 + float(np.max(np.abs(fit.scale * fit.statistics.mean), initial=0.0)) ** 2)
    allowed = np.maximum(lost * _by_group(scale, fit), np.finfo(float).tiny)
    missed = {
        through: float(
            (np.abs(measured - closed_forms.gradient(fit, x, arriving, gamma, through)) / allowed).max()
        )
        for through in ways
    }
    nearest = min(ways, key=lambda through: missed[through])
    if missed[nearest] <= 1.0:
        rivals = [missed[through] for through in ways if through != nearest]
        clear = all(CLEARER * missed[nearest] < each for each in rivals)
        return Reading(words[nearest]) if clear else UNDECIDED
    return UNDECIDED if lost > unit("bfloat16") * 40 else Reading("other")


def _by_group(scale: Array, fit: Fit) -> Array:
    """The largest number in each group: what an element's rounding error is relative to."""
    return np.asarray(scale.max(fit.statistics.over, keepdims=True))

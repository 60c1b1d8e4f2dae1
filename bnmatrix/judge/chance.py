"""What chance does to an output: facts of the dropout family, from the elements themselves.

An affine picture fits every layer that drops elements: y = a x + b where an element was kept, one and
the same value d where it was dropped (dropout: b = d = 0; alpha dropout: Klambauer et al. 2017).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bnmatrix.judge.closed_forms import Array
from bnmatrix.judge.normalisation import Step, plain_gradient
from bnmatrix.judge.numbers import UNDECIDED, Reading, around, number
from bnmatrix.judge.precision import tolerance

SEEN_OFTEN = 0.05
"""A value that a larger share of the elements has is what dropped elements become."""

SIGMAS = 5.0


@dataclass(frozen=True)
class Dropping:
    """Which elements were kept, and what became of those. `doubtful`: dropped, or kept at that very value."""

    kept: Array
    doubtful: Array
    scale: float
    offset: float
    error: float


def dropping(x: Array, y: Array, dtype: str) -> Dropping | None:
    """The affine picture of one output; None where it does not fit."""
    error = tolerance(dtype)
    values, counts = np.unique(y, return_counts=True)
    kept = np.ones(y.shape, dtype=bool)
    if counts.size and counts.max() > SEEN_OFTEN * y.size and values.size > 1:
        kept = y != values[counts.argmax()]
    if np.unique(x[kept]).size < 2:
        return None
    scale, offset = np.polyfit(x[kept], y[kept], 1)
    rest = np.abs(y[kept] - scale * x[kept] - offset)
    size = float(np.abs(y[kept]).max() + abs(offset))
    if rest.max() > error * size:
        return None
    doubtful = ~kept & (np.abs(y - scale * x - offset) <= error * size)
    # Narrow channels say little about a slope: its error is that of the widest.
    return Dropping(kept, doubtful, float(scale), float(offset), error * size / float(np.abs(x[kept]).max()))


def facts(layer: str, step: Step, others: list[Step], dtype: str) -> dict[str, Reading]:
    """`output_scale`, `dropped_unit`, `expected_output` and `input_gradient`.

    others: further steps of the same layer, for the expected value
    """
    if step.x.size == 0:
        return {}
    picture = dropping(step.x, step.y, dtype)
    found = {"input_gradient": _gradient(layer, step, picture, tolerance(dtype))}
    if picture is not None:
        found["output_scale"] = number(around(picture.scale, picture.error))
        unit = _dropped_unit(picture.kept)
        if unit is not None:
            found["dropped_unit"] = Reading(unit)
    if layer != "alpha_dropout":  # keeps mean and variance of standardised inputs only
        found["expected_output"] = _expected(layer, [step, *others])
    return found


def _dropped_unit(kept: Array) -> str | None:
    """Whether a channel of a sample is dropped whole; None where nothing was dropped or no positions are."""
    if kept.ndim < 3 or kept.all():
        return None
    positions = tuple(range(1, kept.ndim - 1))
    if np.prod([kept.shape[axis] for axis in positions]) < 2:
        return None
    by_channel = np.all(kept == kept.any(axis=positions, keepdims=True))
    return "channel" if by_channel else "element"


def _expected(layer: str, steps: list[Step]) -> Reading:
    """Is the output's expected value the input's: within five standard errors of the mean ratio (of the
    mean difference for noise)."""
    draws = []
    for step in steps:
        if layer == "gaussian_noise":
            change = step.y - step.x + 1.0
        else:
            change = np.divide(step.y, step.x, out=np.ones_like(step.y), where=step.x != 0)
        # Positions of a channel may share one draw.
        draws.append(change.reshape(change.shape[0], -1, change.shape[-1]).mean(axis=1).ravel())
    ratios = np.concatenate(draws)
    if not np.all(np.isfinite(ratios)) or ratios.size < 2:
        return UNDECIDED
    error = SIGMAS * ratios.std() / np.sqrt(ratios.size) + 1e-2
    if error > 0.25:
        return UNDECIDED
    return Reading("kept" if abs(ratios.mean() - 1.0) <= error else "shifted")


def _gradient(layer: str, step: Step, picture: Dropping | None, error: float) -> Reading:
    """`elementwise` where each element's gradient is what the same element's draw says."""
    plain = plain_gradient(step.gradient)
    if plain.value != "other" or step.gradient is None:
        return plain
    if layer == "gaussian_noise":
        factor = np.ones_like(step.x)
    elif picture is not None:
        factor = picture.kept * picture.scale
    else:
        factor = np.divide(step.y, step.x, out=np.zeros_like(step.y), where=step.x != 0)
    expected = factor * step.arriving
    known = np.logical_not(picture.doubtful) if picture is not None else step.x != 0
    close = np.abs(step.gradient - expected) <= 4 * error * (np.abs(expected) + np.abs(step.arriving))
    return Reading("elementwise" if np.all(close | ~known) else "other")

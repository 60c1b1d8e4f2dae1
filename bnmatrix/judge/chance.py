"""What chance does to an output: facts of the dropout family, from the elements themselves.

An affine picture fits every layer that drops elements: y = a x + b where an element was kept, one and
the same value d where it was dropped (dropout: b = d = 0; alpha dropout: Klambauer et al. 2017).

Two applications whose mean is taken keep an element twice, once or never: y = d + k a (x - p), k being 1,
1/2 or 0, and p what a dropped element is before the affine map (dropout: 0; alpha dropout: -lambda alpha of
SELU).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnmatrix.judge.closed_forms import Array
from bnmatrix.judge.normalisation import Step, plain_gradient
from bnmatrix.judge.numbers import UNDECIDED, Reading, around, number
from bnmatrix.judge.precision import tolerance

SEEN_OFTEN = 0.05
"""A value that a larger share of the elements has is what dropped elements become."""

SIGMAS = 5.0

DROPPED_TO = {"dropout": 0.0, "spatial_dropout": 0.0, "alpha_dropout": -1.7580993408473766}
"""p, of the layers that drop."""

NEAR = 0.05
"""Elements so near to p, relative to the farthest, say nothing of k."""


@dataclass(frozen=True)
class Dropping:
    """How much of each element was kept (1, 0; of a mean of two also 1/2), and what became of those.
    `doubtful`: which cannot be told, kept and dropped coming to the same there."""

    kept: Array
    doubtful: NDArray[np.bool_]
    scale: float
    offset: float
    error: float


def dropping(x: Array, y: Array, dtype: str) -> Dropping | None:
    """The affine picture of one output; None where it does not fit."""
    error = tolerance(dtype)
    dropped = _seen_often(y)
    kept = np.ones(y.shape, dtype=bool) if dropped is None else y != dropped
    if np.unique(x[kept]).size < 2:
        return None
    scale, offset = np.polyfit(x[kept], y[kept], 1)
    rest = np.abs(y[kept] - scale * x[kept] - offset)
    size = float(np.abs(y[kept]).max() + abs(offset))
    if rest.max() > error * size:
        return None
    doubtful = ~kept & (np.abs(y - scale * x - offset) <= error * size)
    # Narrow channels say little about a slope: its error is that of the widest.
    return Dropping(
        kept.astype(float),
        doubtful,
        float(scale),
        float(offset),
        error * size / float(np.abs(x[kept]).max()),
    )


def dropping_twice(layer: str, x: Array, y: Array, dtype: str) -> Dropping | None:
    """The picture of the mean of two applications; None where it does not fit."""
    dropped, point = _seen_often(y), DROPPED_TO[layer]
    if dropped is None:
        return None
    error = tolerance(dtype)
    distance = x - point
    near = np.abs(distance) <= NEAR * np.abs(distance).max()
    factors = np.divide(y - dropped, distance, out=np.zeros_like(y), where=~near)
    if factors.max() <= 0:
        return None
    kept = np.round(2 * factors / factors.max()) / 2
    wanted = kept * distance
    scale = float((wanted * (y - dropped)).sum() / (wanted**2).sum())
    size = float(np.abs(y).max() + abs(dropped))
    if np.abs(y - dropped - scale * wanted)[~near].max() > error * size:
        return None
    return Dropping(kept, near, scale, dropped - scale * point, error * size / float(np.abs(wanted).max()))


def _seen_often(y: Array) -> float | None:
    """The value that dropped elements have; None where none is seen often."""
    values, counts = np.unique(y, return_counts=True)
    often = values.size > 1 and counts.max() > SEEN_OFTEN * y.size
    return float(values[counts.argmax()]) if often else None


def facts(layer: str, step: Step, others: list[Step], dtype: str, shared: bool) -> dict[str, Reading]:
    """`output_scale`, `dropped_unit`, `expected_output` and `input_gradient`.

    others: further steps of the same layer, for the expected value
    shared: the output is the mean of two applications
    """
    if step.x.size == 0:
        return {}
    picture = dropping(step.x, step.y, dtype)
    if picture is None and shared and layer in DROPPED_TO:
        picture = dropping_twice(layer, step.x, step.y, dtype)
    found = {"input_gradient": _gradient(layer, step, picture, tolerance(dtype))}
    if picture is not None:
        found["output_scale"] = number(around(picture.scale, picture.error))
        unit = _dropped_unit(picture)
        if unit is not None:
            found["dropped_unit"] = Reading(unit)
    if layer != "alpha_dropout":  # keeps mean and variance of standardised inputs only
        found["expected_output"] = _expected(layer, [step, *others])
    return found


def _dropped_unit(picture: Dropping) -> str | None:
    """Whether a channel of a sample is dropped whole; None where nothing was dropped or no positions are."""
    kept, known = picture.kept, ~picture.doubtful
    if kept.ndim < 3 or np.all(kept[known] == 1):
        return None
    positions = tuple(range(1, kept.ndim - 1))
    if np.prod([kept.shape[axis] for axis in positions]) < 2:
        return None
    least = np.where(known, kept, 1.0).min(axis=positions)
    most = np.where(known, kept, 0.0).max(axis=positions)
    return "channel" if np.all(least >= most) else "element"


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

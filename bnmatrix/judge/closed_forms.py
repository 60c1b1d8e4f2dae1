"""Normalisation in closed form, float64: output and input gradient, by whose statistics.

All of them are one formula over groups of elements that share a mean m and a variance v:

    y = gamma t (x - m) + beta,   t = 1 / sqrt(v + epsilon)

(Ioffe and Szegedy 2015; Ba et al. 2016; Wu and He 2018; Zhang and Sennrich 2019 with m = 0 and v the mean
square). With g the gradient that arrives, h = gamma g, z = t (x - m), and w an element's weight in m and v
(1 / N of N that count, 0 where a mask leaves it out), the gradient to x is

    t (h - w sum(h) - w z sum(h z))      where m and v are statistics of x itself,
    t h                                  where they are constants.

Instead of believing an epsilon, t is fitted in every group, and epsilon = 1/t^2 - v must then be the
same number in all of them: a variance that is not v cannot pass.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bnmatrix.judge.numbers import Interval, around, meet
from bnmatrix.judge.precision import unit

Array = NDArray[np.float64]

LARGEST_EPSILON = 0.05
"""What lies above is no epsilon but another variance."""

GROUPS = 2
"""The groups that group normalisation is asked for."""


@dataclass(frozen=True)
class Statistics:
    """Whose statistics may have normalised x.

    by:       the word for it
    mean:     m, broadcastable to x
    variance: v, likewise
    over:     the axes of x that share one statistic
    own:      whether m and v are statistics of x itself
    weights:  of each element in m and v, broadcastable to x
    centred:  whether m depends on x
    total:    v is a sum of squares, not a mean of them (unit normalisation)
    """

    by: str
    mean: Array
    variance: Array
    over: tuple[int, ...]
    own: bool
    weights: Array | float = 0.0
    centred: bool = True
    total: bool = False


@dataclass(frozen=True)
class Fit:
    """Statistics that explain an output; t per group; the epsilon they leave room for."""

    statistics: Statistics
    scale: Array
    epsilon: Interval | None


def batch(x: Array) -> Statistics:
    """Mean and biased variance of each channel over the batch."""
    return _of_itself("batch", x, tuple(range(x.ndim - 1)))


def unmasked_batch(x: Array, counted: NDArray[np.bool_]) -> Statistics:
    """The same over those positions that count: `counted`, broadcastable to x, is true of one at least."""
    over = tuple(range(x.ndim - 1))
    weights = counted / counted.sum()
    mean = (weights * x).sum(over, keepdims=True)
    variance = (weights * (x - mean) ** 2).sum(over, keepdims=True)
    return Statistics("unmasked_batch", mean, variance, over, own=True, weights=weights)


def moving(x: Array, mean: Array, variance: Array) -> Statistics:
    """Stored statistics of each channel."""
    shape = (1,) * (x.ndim - 1) + (-1,)
    return Statistics(
        "moving", mean.reshape(shape), variance.reshape(shape), tuple(range(x.ndim - 1)), own=False
    )


def sample(layer: str, x: Array) -> Statistics:
    """Each sample's own statistics, as `layer` takes them. Group normalisation wants `grouped` arrays."""
    if layer == "instance_norm":
        return _of_itself("sample", x, tuple(range(1, x.ndim - 1)))
    if layer == "group_norm":
        return _of_itself("sample", x, (*range(1, x.ndim - 2), x.ndim - 1))
    last = (x.ndim - 1,)
    if layer == "layer_norm":
        return _of_itself("sample", x, last)
    squares = (x**2).sum(last, keepdims=True) if layer == "unit_norm" else (x**2).mean(last, keepdims=True)
    zero = np.zeros_like(squares)
    total = layer == "unit_norm"
    weight = 1.0 if total else 1.0 / max(x.shape[-1], 1)
    return Statistics("sample", zero, squares, last, own=True, weights=weight, centred=False, total=total)


def grouped(array: Array) -> Array:
    """(..., C) as (..., groups, C / groups)."""
    return array.reshape(*array.shape[:-1], GROUPS, array.shape[-1] // GROUPS)


def _of_itself(by: str, x: Array, over: tuple[int, ...]) -> Statistics:
    mean, variance = x.mean(over, keepdims=True), x.var(over, keepdims=True)
    return Statistics(by, mean, variance, over, own=True, weights=mean.size / max(x.size, 1))


def explains(
    statistics: Statistics, x: Array, y: Array, gamma: Array, beta: Array, error: float
) -> Fit | None:
    """How `statistics` make y of x; None where they do not.

    error: relative error to allow, of the numbers that go into an element (`precision.tolerance`)
    """
    over = statistics.over
    z = x - statistics.mean
    slope, rest = gamma * z, y - beta
    power = (slope**2).sum(over, keepdims=True)
    # A group of equal numbers has no deviation but that of rounding its mean.
    visible = power > (unit("float64") * np.abs(gamma * x).max(initial=0.0)) ** 2 * x.size
    scale = np.where(visible, (slope * rest).sum(over, keepdims=True) / np.where(visible, power, 1.0), 0.0)
    # What was added up to make an element: it bounds the rounding error.
    terms = np.abs(beta) + np.abs(y) + np.abs(gamma * scale) * (np.abs(x) + np.abs(statistics.mean))
    if not np.all(np.abs(rest - slope * scale) <= error * terms):
        return None
    if np.any(scale[visible] <= 0):
        return None
    # Where all values lie close to the mean, little is left of what was added up to tell the scale by.
    spread = np.sqrt(((slope * terms) ** 2).sum(over, keepdims=True))[visible]
    return _with_epsilon(statistics, scale, visible, error * spread / (power * scale)[visible], error)


def _with_epsilon(
    statistics: Statistics, scale: Array, visible: Array, doubt: Array, error: float
) -> Fit | None:
    """The fit, if the groups agree on one epsilon of a plausible size. `doubt`: relative, of the scale."""
    if not visible.any():
        return Fit(statistics, scale, None)
    variance = np.broadcast_to(statistics.variance, scale.shape)[visible]
    found = 1.0 / scale[visible] ** 2
    # A variance computed as E[x^2] - E[x]^2 loses what the mean is larger than the deviation.
    mean = np.broadcast_to(statistics.mean, scale.shape)[visible]
    loss = (
        error * (1.0 + mean**2 / np.maximum(found, unit("float64")))
        if statistics.own
        else np.full_like(found, error)
    )
    loss = np.maximum(loss, doubt)
    low, high = meet([around(f - v, 2.0 * f * e) for f, v, e in zip(found, variance, loss, strict=True)])
    if low > high or high < 0 or low > LARGEST_EPSILON:
        return None
    return Fit(statistics, scale, None if statistics.total else (max(low, 0.0), high))


def gradient(fit: Fit, x: Array, arriving: Array, gamma: Array, through: bool) -> Array:
    """d loss / d x, with the statistics differentiated (`through`) or held constant."""
    statistics, over = fit.statistics, fit.statistics.over
    h = gamma * arriving
    if not through:
        return fit.scale * h
    z = fit.scale * (x - statistics.mean)
    along = (h * z).sum(over, keepdims=True)
    centre = h.sum(over, keepdims=True) if statistics.centred else 0.0
    found: Array = fit.scale * (h - statistics.weights * (centre + z * along))
    return found

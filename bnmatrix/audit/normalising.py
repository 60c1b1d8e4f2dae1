"""What normalised the output of a call, told from moments that the probe took (`probe/live/taps.py`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bnmatrix.runner.messages import Array, Seen

CLOSE = 0.02
"""Of a standard deviation of the output, or of a slope: how well a closed form must be met."""

EXACT = 0.001
"""The same, where an epsilon has to be told from a variance."""

LARGEST_EPSILON = 0.0101
"""What may be added to a variance before it is taken for another one."""

LEAST_BETWEEN = 1e-7
"""Of the variance: differences between samples that are more than rounding."""

ROUNDED = 1e-6
"""Of a mean in float32: what rounding may make of it."""

LEAST_SPREAD = 1e-5
"""Of a mean: a standard deviation of which rounding is less than a hundredth part."""

LEAST_VARIANCE = 1e-30
"""Below it squares are lost in float32."""


def normalised_by(seen: Seen) -> str:
    """What normalised the output of a call, from its moments: batch, moving, sample, neither, undecided.

    With y = a x + b: a batch leaves the output with a mean of beta and a = gamma / sqrt(variance + epsilon);
    moving statistics leave beta + a (mean - moving mean), and their own variance under the root. Either
    leaves a times the differences between samples; what normalises each sample by itself leaves none.
    """
    if seen.seen is None:
        return "unknown"
    moments = np.asarray(seen.seen, np.float64)
    state = np.asarray(seen.state, np.float64) if seen.state is not None else np.full((4, 1), np.nan)
    mean, variance, out_mean, out_variance, covariance, between, between_before = moments
    gamma, beta, moving_mean, moving_variance = (np.broadcast_to(each, mean.shape) for each in state)
    gamma, beta = np.where(np.isnan(gamma), 1.0, gamma), np.where(np.isnan(beta), 0.0, beta)
    if seen.values == 1 or not (variance > 0).any():
        return _of_one_value(mean, out_mean, beta, moving_mean)
    told = _tell(variance, mean) & _tell(out_variance, out_mean) & (gamma != 0)
    if not told.any():
        return "undecided"
    slope = np.where(told, covariance / np.where(variance > 0, variance, 1.0), 1.0)
    spread = np.sqrt(np.where(told, out_variance, 1.0))
    rest = np.abs(out_variance - slope * covariance) / spread**2
    differed = told & (between_before > LEAST_BETWEEN * variance)
    by_sample = between[differed] < CLOSE * (slope**2 * between_before)[differed]
    if seen.values > seen.samples and by_sample.size and by_sample.all():
        return "sample"
    if (rest[told] > CLOSE).any():
        return "neither"
    scale = (gamma / slope) ** 2  # the variance that was divided by, with epsilon
    rounded = CLOSE * spread + ROUNDED * (np.abs(out_mean) + np.abs(beta))
    centred = bool((np.abs(out_mean - beta) <= rounded)[told].all())
    shift = slope * (mean - moving_mean)
    shifted = bool((np.abs(out_mean - beta - shift) <= rounded + EXACT * np.abs(shift))[told].all())
    batch = centred and _is(scale[told], variance[told])
    moving = shifted and _is(scale[told], moving_variance[told])
    if batch != moving:
        return "batch" if batch else "moving"
    return "undecided" if centred or shifted else "neither"


def _tell(variance: Array, mean: Array) -> Array:
    """Whether a variance is more than what rounding of numbers about `mean` makes, in float32."""
    return (variance > (LEAST_SPREAD * mean) ** 2) & (variance > LEAST_VARIANCE)


def _is(scale: Array, variance: Array) -> bool:
    """Whether a variance was divided by, of N or of N - 1: with an epsilon that is usual, or with any that is
    one for channels whose variances differ."""
    rest = scale - variance
    if (np.abs(rest - rest.clip(0, LARGEST_EPSILON)) <= CLOSE * variance).all():
        return True
    epsilon = float(np.median(rest))
    alike = bool((np.abs(rest - epsilon) <= EXACT * scale).all())
    return epsilon > 0 and alike and bool(np.ptp(variance) > 4 * EXACT * scale.max())


def _of_one_value(mean: Array, out_mean: Array, beta: Array, moving_mean: Array) -> str:
    """One value is its own mean: a batch of it leaves beta."""
    is_beta = bool((np.abs(out_mean - beta) <= 1e-3 * (1 + np.abs(beta))).all())
    differs = np.isnan(moving_mean).all() or bool((np.abs(mean - moving_mean) > 1e-2).any())
    return ("batch" if differs else "undecided") if is_beta else "moving"

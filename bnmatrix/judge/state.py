"""What moved, and by how much: facts about slots and moving statistics."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from bnmatrix.judge.numbers import UNDECIDED, Interval, Reading, around, meet, number
from bnmatrix.judge.precision import GRADIENT_NOISE, HALVES, ZERO_GRADIENT, unit, update_tolerance

Array: TypeAlias = NDArray[np.float64]
State: TypeAlias = Mapping[str, Array]

ESTIMATOR_MARGIN = 0.01
"""Estimators lie 20 % apart at 6 values a channel; one is recognised within 1 %."""

HALF_A_STEP = 0.5
"""An optimizer that divides by the gradient's size moves each slot as far as the others, or by noise."""

SMALLEST_STEP = 8.0
"""Units of a slot's largest number that a gradient is to have: optimizers step by an eighth of it."""

CANCELLED = 25
"""What 1 - momentum loses of its precision: with momentum 0.99 a hundred units, beside an error of 4."""


def moved(before: State, after: State, slot: str, rounding: float = 0.0) -> Reading:
    """`updated` if the slot changed by more than `rounding`, else `unchanged`; `absent` if there is none."""
    if slot not in before:
        return Reading("absent")
    if slot not in after:
        return UNDECIDED
    one, other = before[slot], after[slot]
    same = one.shape == other.shape and np.allclose(one, other, rtol=0.0, atol=rounding, equal_nan=True)
    return Reading("unchanged" if same else "updated")


def slot_facts(
    steps: Sequence[tuple[State, State]],
    slots: Sequence[str],
    trained: Container[str],
    doubtful: Container[str] = (),
    lost: Container[str] = (),
) -> dict[str, Reading]:
    """For every slot whether one of the `steps`, (before, after), moved it.

    trained:  the slots that the gradient step may go over
    doubtful: those of them that may have moved by noise alone (`driven_by_noise`): not decided
    lost:     those whose step may vanish (`lost_in_rounding`): that they did not move is not decided
    """
    found: dict[str, Reading] = {}
    made = [_slots_moved(before, after, slots, trained) for before, after in steps]
    for slot in slots:
        readings = [each[slot] for each in made]
        found[slot] = next((each for each in readings if each.value == "updated"), readings[-1])
        if slot in {"updated": doubtful, "unchanged": lost}.get(str(found[slot].value), ()):
            found[slot] = UNDECIDED
    return found


def _slots_moved(
    before: State, after: State, slots: Iterable[str], trained: Container[str]
) -> dict[str, Reading]:
    """`moved` for every slot in one step.

    A gradient that is zero by nature (of the bias of attention's keys) comes out as rounding noise: in the
    trained slots a change that is small beside the step's largest is that noise. Elsewhere every bit counts.
    """
    changes = [np.abs(after[slot] - before[slot]) for slot in before if slot in after]
    largest = max((float(each[np.isfinite(each)].max(initial=0.0)) for each in changes), default=0.0)
    noise = ZERO_GRADIENT * largest
    return {slot: moved(before, after, slot, noise if slot in trained else 0.0) for slot in slots}


def driven_by_noise(
    before: State, after: State, trained: Iterable[str], gradients: State, dtype: str
) -> set[str]:
    """The slots that an optimizer which divides by the gradient's own size (Adam, RMSprop) moved by noise.

    A gradient that is zero by nature becomes a step of full size there, or none where it happens to be
    exactly zero. Where no gradients were seen, a first step below the size of the others' shows it: the
    epsilon that is added to the divisor is as large as the noise.
    """
    if not gradients and dtype in HALVES:
        return set()  # there the epsilon itself is rounded
    if gradients:
        sizes = {slot: _largest(each) for slot, each in gradients.items()}
        noise = max(ZERO_GRADIENT, GRADIENT_NOISE * unit(dtype)) * max(sizes.values())
    else:
        sizes = {slot: _largest(after[slot] - before[slot]) for slot in trained if slot in after}
        noise = HALF_A_STEP * max(sizes.values(), default=0.0)
    return {slot for slot, size in sizes.items() if 0 < size <= noise}


def lost_in_rounding(before: State, gradients: State, dtypes: Mapping[str, str]) -> set[str]:
    """The slots whose gradient is so small that an optimizer's step may vanish in their half precision.

    dtypes: {slot: dtype it is stored in}
    """
    return {
        slot
        for slot, gradient in gradients.items()
        if dtypes.get(slot) in HALVES
        and 0 < _largest(gradient) <= SMALLEST_STEP * unit(dtypes[slot]) * _largest(before[slot])
    }


def _largest(array: Array) -> float:
    return float(np.abs(array[np.isfinite(array)]).max(initial=0.0))


def share(before: State, after: State, batch_mean: Array, error: float) -> Interval | None:
    """The share r of the batch's mean in new = (1 - r) old + r batch, common to all channels.

    before, after: states with `moving_mean` of shape (C,)
    error:         relative error of one number
    None where the mean did not move, was the batch's already, or is not of one value a channel; empty where
    channels disagree.
    """
    if "moving_mean" not in before or "moving_mean" not in after:
        return None
    old, new = before["moving_mean"], after["moving_mean"]
    if old.shape != batch_mean.shape or np.array_equal(old, new):
        return None
    if not np.all(np.isfinite(new)):
        return (math.inf, -math.inf)
    tells = batch_mean != old  # a mean that is the batch's already stays where it is
    if np.any(np.abs(new - old)[~tells] > CANCELLED * error * np.abs(old)[~tells]):
        return (math.inf, -math.inf)
    if not tells.any():
        return None
    old, new, batch_mean = old[tells], new[tells], batch_mean[tells]
    distance = batch_mean - old
    shares = (new - old) / distance
    rounding = error * (np.abs(old) + np.abs(batch_mean)) / np.abs(distance)
    rounding += CANCELLED * error * np.abs(shares)
    return meet([around(r, e) for r, e in zip(shares, rounding, strict=True)])


def share_of_any(before: State, after: State, batches: Sequence[Moments], error: float) -> Interval | None:
    """The share of the mean of whichever of `batches` the moving mean took in; of several that may be, what
    they allow together."""
    shares = [share(before, after, batch.mean, error) for batch in batches]
    fitting = [each for each in shares if each is not None and each[0] <= each[1]]
    if not fitting:
        return shares[0]
    return min(low for low, _ in fitting), max(high for _, high in fitting)


def estimator_of_any(before: State, after: State, batches: Sequence[Moments], error: float) -> Reading:
    """`variance_estimator` by that of `batches` whose mean the moving mean took in."""
    found = []
    for batch in batches:
        rate = share(before, after, batch.mean, error)
        if rate is not None and rate[0] <= rate[1]:
            found.append(variance_estimator(before, after, rate, batch, error))
    named = [each for each in found if each.value not in ("other", "undecided")]
    if len(named) == 1:
        return named[0]
    return Reading("other") if found and all(each.value == "other" for each in found) else UNDECIDED


def variance_estimator(before: State, after: State, rate: Interval, batch: Moments, error: float) -> Reading:
    """Which estimator of the batch's variance the moving variance took in, at the `rate` of the mean.

    biased N, unbiased N - 1, unbiased_twice: the correction N / (N - 1) applied two times.
    """
    old, new = before["moving_variance"], after["moving_variance"]
    share_taken = (rate[0] + rate[1]) / 2
    if rate[0] > rate[1] or share_taken <= 0 or batch.count < 2 or old.shape != batch.variance.shape:
        return UNDECIDED
    # A share as uncertain as this leaves old * uncertainty in the result.
    uncertainty = (rate[1] - rate[0]) / 2 + error
    taken = share_taken * batch.variance
    doubt = (np.abs(old) * uncertainty + error * np.abs(new)) / taken
    clear = doubt < ESTIMATOR_MARGIN
    if not clear.any():
        return UNDECIDED
    ratio = ((new - (1 - share_taken) * old) / taken)[clear]
    bessel = batch.count / (batch.count - 1)
    for name, factor in (("biased", 1.0), ("unbiased", bessel), ("unbiased_twice", bessel**2)):
        if np.all(np.abs(ratio / factor - 1) <= ESTIMATOR_MARGIN + doubt[clear]):
            return Reading(batch.of + name)
    return Reading("other")


def updates_per_step(states: Mapping[str, State], step: Interval | None, single: Interval | None) -> Reading:
    """How often the statistics moved in one step.

    From the counter where there is one; 1 where one direct call in training mode leaves the same behind; else
    log(1 - share) / log(1 - rate), `step` being the share of the step and `single` that of the direct call.
    """
    start, after = states["start"], states["first"]
    if "num_batches_tracked" in start and "num_batches_tracked" in after:
        return Reading(int(np.sum(after["num_batches_tracked"] - start["num_batches_tracked"])))
    if step is None:
        return Reading(0)
    if step[1] < 1 and _same_statistics(after, states.get("reference", {})):
        return Reading(1)
    if single is None or not (0 < single[0] <= single[1] < 1) or not (0 < step[0] <= step[1] < 1):
        return UNDECIDED
    low = math.log1p(-step[0]) / math.log1p(-single[1])
    high = math.log1p(-step[1]) / math.log1p(-single[0])
    possible = range(math.ceil(low), math.floor(high) + 1)
    if len(possible) > 1:
        return UNDECIDED
    return Reading(possible[0]) if possible else number((low, high))


def _same_statistics(one: State, other: State) -> bool:
    """Whether two states have the same moving statistics, to the last bit."""
    slots = ("moving_mean", "moving_variance")
    return all(slot in one and slot in other and np.array_equal(one[slot], other[slot]) for slot in slots)


@dataclass(frozen=True)
class Moments:
    """A batch's statistics, one a channel: mean, biased variance, how many values each is of, and what the
    words for them begin with."""

    mean: Array
    variance: Array
    count: int
    of: str = ""


def moments(x: Array, by_sample: bool) -> Moments:
    """Those of `x`, channels last; `by_sample`: of each sample, averaged (instance normalisation)."""
    over = tuple(range(1 if by_sample else 0, x.ndim - 1))
    mean, variance = x.mean(over), x.var(over)
    if by_sample:
        mean, variance = mean.mean(0), variance.mean(0)
    return Moments(mean, variance, int(np.prod([x.shape[axis] for axis in over])))


def unmasked_moments(x: Array, counted: NDArray[np.bool_]) -> Moments:
    """Those of the positions of `x` that count."""
    chosen = x[np.broadcast_to(counted, (*x.shape[:-1], 1))[..., 0]]
    return Moments(chosen.mean(0), chosen.var(0), len(chosen), of="unmasked_")


def statistics_facts(
    states: Mapping[str, State],
    first: Sequence[Moments],
    second: Sequence[Moments],
    precisions: Sequence[str],
    stored: str,
    calls: int = 1,
) -> dict[str, Reading]:
    """Facts of the moving statistics after one and after two steps.

    first, second: of the batches; several where a mask leaves some positions out
    precisions:    dtypes of the computation, finest first;  stored: of the slots (statistics are often kept,
                   and computed, in a finer one)
    calls:         how often a step may call the layer: each rounds
    """
    for dtype in (stored, *precisions):
        found = _updates(states, first, second, calls * update_tolerance(dtype, stored))
        if not {"undecided", "other"} & {reading.value for reading in found.values()}:
            break
    return found


def _updates(
    states: Mapping[str, State], first: Sequence[Moments], second: Sequence[Moments], error: float
) -> dict[str, Reading]:
    start, after = states["start"], states["first"]
    found: dict[str, Reading] = {}
    rate = share_of_any(start, after, first, error)
    if rate is not None:
        found["update_rate"] = _rate(rate)
        if "moving_variance" in start:
            found["variance_estimator"] = estimator_of_any(start, after, first, error)
    if "second" in states and rate is not None:
        following = share_of_any(after, states["second"], second, error)
        found["next_update_rate"] = Reading(0.0, (0.0, 0.0)) if following is None else _rate(following)
    single = share_of_any(start, states["reference"], first, error) if "reference" in states else None
    found["updates_per_step"] = updates_per_step(states, rate, single)
    return found


def _rate(interval: Interval) -> Reading:
    """A rate of statistics that moved: `other` where the channels have none in common (the mean took in
    something else than the batch's); one that might as well be 0 is not decided."""
    if interval[0] > interval[1]:
        return Reading("other")
    return UNDECIDED if interval[0] <= 0 <= interval[1] else number(interval)

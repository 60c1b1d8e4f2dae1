"""Numbers that carry the interval which a measurement allows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

Interval = tuple[float, float]


@dataclass(frozen=True)
class Reading:
    """One fact: a word, an integer, or the number that stands for `interval`."""

    value: str | int | float
    interval: Interval | None = None


UNDECIDED = Reading("undecided")


def number(interval: Interval) -> Reading:
    """The shortest decimal in `interval`; undecided where that is empty or not finite."""
    low, high = float(interval[0]), float(interval[1])
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        return UNDECIDED
    return Reading(shortest(low, high), (low, high))


def shortest(low: float, high: float) -> float:
    """The decimal with the fewest significant digits in [low, high]; 0 if that is in it."""
    if low <= 0 <= high:
        return 0.0
    middle = (low + high) / 2
    for digits in range(1, 18):
        candidate = float(f"{middle:.{digits - 1}e}")
        if low <= candidate <= high:
            return candidate
    return middle


def meet(intervals: Iterable[Interval]) -> Interval:
    """The interval common to all (empty, low > high, where there is none)."""
    lows, highs = zip(*intervals, strict=True)
    return max(lows), min(highs)


def around(value: float, error: float) -> Interval:
    """`value` give or take `error`."""
    return value - error, value + error

"""A/A: what several observations of one cell, each with a seed of its own and freshly built, agree on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bnmatrix.judge.facts_of import Judgement
from bnmatrix.judge.numbers import UNDECIDED, Interval, Reading, meet, number

CONFIRMATIONS = 2
"""A fact needs that many observations that say so."""

FURTHER = 3
"""More observations of a cell on which the first ones do not agree."""


@dataclass(frozen=True)
class Settled:
    """Facts that were confirmed. `unstable` holds, of what flickers, the rate and the values seen;
    `missing` says how many more observations could settle what is open."""

    facts: dict[str, str | int | float]
    intervals: dict[str, Interval]
    unstable: dict[str, dict[str, Any]]
    missing: int


def settle(judgements: Sequence[Judgement]) -> Settled:
    """Confirmed where all agree; `unstable` where they differ; `undecided` where too few could tell."""
    facts: dict[str, str | int | float] = {}
    intervals: dict[str, Interval] = {}
    unstable: dict[str, dict[str, Any]] = {}
    missing = 0
    needed = min(CONFIRMATIONS, len(judgements))
    for name in dict.fromkeys(fact for judgement in judgements for fact in judgement.facts):
        readings = [judgement.facts.get(name, UNDECIDED) for judgement in judgements]
        if name == "warnings":
            facts[name] = _common_warnings(readings)
            continue
        decided = [reading for reading in readings if reading.value != "undecided"]
        if name == "stochastic" and Reading("yes") in decided:
            decided = [Reading("yes")] * len(
                decided
            )  # one difference proves chance, no likeness disproves it
        agreed = _agreed(decided)
        if decided and agreed is None:
            facts[name] = "unstable"
            unstable[name] = _flicker(decided)
            missing = max(missing, FURTHER)
        elif agreed is None or len(decided) < needed:
            facts[name] = "undecided"
            missing = max(missing, needed - len(decided) if decided else 0)
        else:
            facts[name] = agreed.value
            if agreed.interval is not None:
                intervals[name] = agreed.interval
    return Settled(facts, intervals, unstable, missing)


def _agreed(readings: Sequence[Reading]) -> Reading | None:
    """The reading that all of them share: equal words, or numbers whose intervals have a point in common."""
    if not readings:
        return None
    intervals = [reading.interval for reading in readings if reading.interval is not None]
    if len(intervals) == len(readings):
        common = meet(intervals)
        return number(common) if common[0] <= common[1] else None
    return readings[0] if len({reading.value for reading in readings}) == 1 and not intervals else None


def _flicker(readings: Sequence[Reading]) -> dict[str, Any]:
    """The values seen, and the rate: the share of observations that do not say the most frequent value."""
    counts = Counter(str(reading.value) for reading in readings)
    return {"rate": round(1 - max(counts.values()) / len(readings), 3), "values": dict(counts)}


def _common_warnings(readings: Sequence[Reading]) -> str:
    """Warnings seen every time: one that a process gives only once says nothing about the cell."""
    seen = [set(str(reading.value).split("; ")) - {"none"} for reading in readings]
    return "; ".join(sorted(set.intersection(*seen))) or "none"

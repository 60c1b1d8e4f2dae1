"""A cell while it is being measured, and when it is settled.

Every cell is observed with two seeds, each time freshly built and compiled. Where those disagree or leave
something open, or where chance is known to have a hand in it, it is observed again, up to `MOST` times; what
still disagrees is `unstable`.

A cell of which a change is to be reported is measured *again*: alone in a fresh probe, where no other cell
can have left anything behind. One observation that agrees with what was found will do; else there are
`MOST_AGAIN`, and what they do not agree on is `unstable`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from msgspec.structs import replace as replaced

from bnmatrix.axes import Cell, examined_as
from bnmatrix.judge import UNDECIDED, Judgement, Reading, Settled, judge, settle
from bnmatrix.layers import layers
from bnmatrix.matrix import AGAIN, FAULTS, CellResult
from bnmatrix.runner import Answer

CONFIRMING = 2
"""Observations of every cell."""

MOST = 5
"""Observations of a cell at the most."""

MOST_AGAIN = 3
"""Observations alone in a fresh probe, at the most."""

SILENT = ("timed_out", "skipped")
"""Outcomes that say nothing of what a cell does."""


@dataclass
class Subject:
    """A cell while it is being measured.

    wanted: observations that it is to have;  result: once it is settled
    fresh:  whether each is to be alone in a fresh probe
    """

    cell: Cell
    wanted: int = CONFIRMING
    fresh: bool = False
    answers: list[Answer] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    result: CellResult | None = None

    def take(self, answer: Answer) -> int:
        """Take an answer; how many more observations must be asked for now."""
        if answer.observation is not None:
            axes = self.cell.axes
            try:
                self.judgements.append(judge(answer.observation, layers()[examined_as(axes)], axes))
            except Exception as error:  # a fault of ours must not cost the other cells
                reason = f"bnmatrix could not judge it: {type(error).__name__}: {error}; please report this"
                answer = replace(answer, outcome="crashed", observation=None, reason=reason)
        self.answers.append(answer)
        if len(self.answers) < self.wanted or self.result is not None:
            return 0
        missing = self._further() or self._settle()
        self.wanted += missing
        return missing

    def _further(self) -> int:
        """How many more observations it takes to trust that they agree.

        Two applications in one graph of TensorFlow 1 race for the statistics, and the fused batch norm of its
        Keras reads memory that nothing was written to: both come out alike twice in a row too often.
        """
        if any(answer.outcome != "ok" for answer in self.answers):
            return 0
        doubtful = self.cell.axes["context"] == "shared" or any(map(_lost_numbers, self.answers))
        return max(0, MOST - len(self.answers)) if doubtful else 0

    def _settle(self) -> int:
        """Set the result, or return how many more observations it takes."""
        outcomes = {answer.outcome for answer in self.answers}
        settled = settle(self.judgements)
        flickers = len(outcomes) > 1 and not outcomes & set(FAULTS)
        missing = max(settled.missing, CONFIRMING if flickers else 0)
        if missing and len(self.answers) < MOST:
            return min(missing, MOST - len(self.answers))
        self.result = self._result(settled)
        return 0

    def _result(self, settled: Settled) -> CellResult:
        # A fault in one observation of a cell is a fault of the cell; else what most of them say.
        outcomes: list[str] = [answer.outcome for answer in self.answers]
        faults = [outcome for outcome in outcomes if outcome in FAULTS]
        outcome = faults[0] if faults else max(outcomes, key=outcomes.count)
        first = next(answer for answer in self.answers if answer.outcome == outcome)
        measured: dict[str, Any] = dict(self.judgements[0].readings) if self.judgements else {}
        if settled.intervals:
            measured["intervals"] = {fact: list(interval) for fact, interval in settled.intervals.items()}
        unstable = settled.unstable | _flickering(outcomes, outcome)
        if unstable:
            measured["unstable"] = unstable
        if self.fresh:
            measured[AGAIN] = len(self.answers)
        return CellResult(
            id=self.cell.id,
            axes=self.cell.axes,
            outcome=outcome,
            facts=settled.facts if outcome != "unavailable" else {},
            measured=measured,
            seconds=round(sum(answer.seconds for answer in self.answers), 6),
            reason=_reason(first),
        )


@dataclass
class Repeated(Subject):
    """A cell that is measured again. What was found of it `before` stays where that agrees."""

    wanted: int = 1
    fresh: bool = True
    before: CellResult = field(kw_only=True)

    def _further(self) -> int:
        return 0

    def _settle(self) -> int:
        before = self.before
        found = {
            fact: Reading(value, before.interval(fact))
            for fact, value in before.facts.items()
            if value not in ("undecided", "unstable")
        }
        settled = settle([Judgement(found)] * CONFIRMING + self.judgements)
        outcomes = [before.outcome] * CONFIRMING
        outcomes += [answer.outcome for answer in self.answers if answer.outcome not in SILENT]
        unstable = {fact: entry for fact, entry in settled.unstable.items() if fact in found}
        lost = {
            fact for fact in found
            if all(each.facts.get(fact, UNDECIDED) == UNDECIDED for each in self.judgements)
        }  # fmt: skip
        if (unstable or lost or len(set(outcomes)) > 1) and len(self.answers) < MOST_AGAIN:
            return MOST_AGAIN - len(self.answers)
        self.result = self._merged(settled, outcomes, unstable, found.keys() - unstable.keys(), lost)
        return 0

    def _merged(
        self,
        settled: Settled,
        outcomes: Sequence[str],
        unstable: Mapping[str, dict[str, Any]],
        agreed: Collection[str],
        lost: Collection[str],
    ) -> CellResult:
        """What was found before, less what does not hold; `lost`: facts that could not be decided again."""
        before = self.before
        measured: dict[str, Any] = {**before.measured, AGAIN: len(self.answers)}
        if len(outcomes) == CONFIRMING:
            first = self.answers[0]
            return replaced(before, outcome=first.outcome, reason=_reason(first), measured=measured)
        outcome = max(outcomes, key=outcomes.count)
        if outcome == before.outcome:
            facts, intervals, reason = dict(before.facts), measured.get("intervals", {}), before.reason
            # Words as all say them together: a warning that is given once a process says nothing of the cell.
            facts |= {fact: settled.facts[fact] for fact in facts if fact in agreed and fact not in intervals}
            facts |= dict.fromkeys(lost, "undecided")
        else:
            facts, intervals = settled.facts, settled.intervals
            reason = _reason(next(answer for answer in self.answers if answer.outcome == outcome))
        facts |= dict.fromkeys(unstable, "unstable")
        measured["intervals"] = {fact: list(each) for fact, each in intervals.items() if fact not in unstable}
        flickering = {**measured.get("unstable", {}), **unstable, **_flickering(outcomes, outcome)}
        if flickering:
            measured["unstable"] = flickering
        return replaced(before, outcome=outcome, facts=facts, reason=reason, measured=measured)


def subject(cell: Cell, before: CellResult | None = None) -> Subject:
    """A cell to be measured; again, if something was found of it `before`."""
    if before is None:
        return Subject(cell)
    return Subject(cell, fresh=True) if before.outcome in SILENT else Repeated(cell, before=before)


def _lost_numbers(answer: Answer) -> bool:
    """Whether the first step made NaN of a state."""
    if answer.observation is None:
        return False
    states = answer.observation.states
    before, after = states.get("start", {}), states.get("first", {})
    return any(
        bool(np.isnan(after[slot]).any() and not np.isnan(value).any())
        for slot, value in before.items()
        if slot in after and value.dtype.kind == "f"
    )


def _flickering(outcomes: Sequence[str], outcome: str) -> dict[str, dict[str, Any]]:
    """The entry of `outcome` among what is unstable, if not all are the same."""
    if len(set(outcomes)) == 1:
        return {}
    rate = round(1 - outcomes.count(outcome) / len(outcomes), 3)
    counts = {word: outcomes.count(word) for word in dict.fromkeys(outcomes)}
    return {"outcome": {"rate": rate, "values": counts}}


def _reason(answer: Answer) -> str | None:
    """Why an outcome is not ok, in a line."""
    if answer.observation is not None and answer.observation.exception is not None:
        exception = answer.observation.exception
        return f"{exception.type}: {exception.message}"
    if answer.observation is not None and answer.observation.reason is not None:
        return answer.observation.reason
    return answer.reason

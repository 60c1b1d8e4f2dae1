"""A cell while it is being measured, and when it is settled.

Every cell is observed with two seeds, each time freshly built and compiled. Where those disagree or leave
something open it is observed again, up to `MOST` times; what still disagrees is `unstable`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from bnmatrix.axes import Cell
from bnmatrix.judge import Judgement, Settled, judge, settle
from bnmatrix.layers import layers
from bnmatrix.matrix import FAULTS, CellResult
from bnmatrix.runner import Answer

CONFIRMING = 2
"""Observations of every cell."""

MOST = 5
"""Observations of a cell at the most."""


@dataclass
class Subject:
    """A cell while it is being measured.

    wanted: observations that it is to have;  result: once it is settled
    """

    cell: Cell
    wanted: int = CONFIRMING
    answers: list[Answer] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    result: CellResult | None = None

    def take(self, answer: Answer) -> int:
        """Take an answer; how many more observations must be asked for now."""
        if answer.observation is not None:
            axes = self.cell.axes
            try:
                self.judgements.append(judge(answer.observation, layers()[axes["layer"]], axes))
            except Exception as error:  # a fault of ours must not cost the other cells
                reason = f"bnmatrix could not judge it: {type(error).__name__}: {error}; please report this"
                answer = replace(answer, outcome="crashed", observation=None, reason=reason)
        self.answers.append(answer)
        if len(self.answers) < self.wanted or self.result is not None:
            return 0
        missing = self._settle()
        self.wanted += missing
        return missing

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
        outcomes = [answer.outcome for answer in self.answers]
        faults = [outcome for outcome in outcomes if outcome in FAULTS]
        outcome = faults[0] if faults else max(outcomes, key=outcomes.count)
        first = next(answer for answer in self.answers if answer.outcome == outcome)
        measured: dict[str, Any] = dict(self.judgements[0].readings) if self.judgements else {}
        if settled.intervals:
            measured["intervals"] = {fact: list(interval) for fact, interval in settled.intervals.items()}
        unstable = dict(settled.unstable)
        if len(set(outcomes)) > 1:
            unstable["outcome"] = {
                "rate": round(1 - outcomes.count(outcome) / len(outcomes), 3),
                "values": {word: outcomes.count(word) for word in dict.fromkeys(outcomes)},
            }
        if unstable:
            measured["unstable"] = unstable
        return CellResult(
            id=self.cell.id,
            axes=self.cell.axes,
            outcome=outcome,
            facts=settled.facts if outcome != "unavailable" else {},
            measured=measured,
            seconds=round(sum(answer.seconds for answer in self.answers), 6),
            reason=_reason(first),
        )


def _reason(answer: Answer) -> str | None:
    """Why an outcome is not ok, in a line."""
    if answer.observation is not None and answer.observation.exception is not None:
        exception = answer.observation.exception
        return f"{exception.type}: {exception.message}"
    if answer.observation is not None and answer.observation.reason is not None:
        return answer.observation.reason
    return answer.reason

"""A cell that is measured again keeps what was found of it where that agrees, and is unstable where not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from bnmatrix import settling
from bnmatrix.axes import parse_id
from bnmatrix.judge import Judgement, Reading
from bnmatrix.matrix import AGAIN, CellResult
from bnmatrix.runner import Answer, Guest, Request
from tests.tables import cell

CELL = parse_id("batch_norm training=true")
FOUND = cell(
    CELL.id,
    normalised_by="batch",
    epsilon=0.001,
    warnings="none",
    measured={"intervals": {"epsilon": [0.0009, 0.0011]}, "raw": 1},
)


@pytest.fixture(autouse=True)
def told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Observations are judgements here."""
    monkeypatch.setattr(settling, "judge", lambda observation, layer, axes: observation.judgement)


def said(outcome: str = "ok", reason: str | None = None, **facts: Any) -> Answer:
    readings = {
        fact: value if isinstance(value, Reading) else Reading(value) for fact, value in facts.items()
    }
    observation = SimpleNamespace(judgement=Judgement(readings), exception=None, reason=None, states={})
    seen = observation if outcome in ("ok", "raised") else None
    return Answer(Guest("", ""), Request({}, 0), cast(Any, outcome), cast(Any, seen), reason, 0.0)


def again(before: CellResult, *answers: Answer) -> tuple[CellResult, int]:
    """What comes of it, and how many observations that took."""
    subject = settling.subject(CELL, before)
    assert subject.fresh
    for number, answer in enumerate(answers, 1):
        subject.take(answer)
        if subject.result is not None:
            return subject.result, number
    raise AssertionError(f"{subject.wanted} observations are wanted")


SAME = {"normalised_by": "batch", "epsilon": Reading(0.00105, (0.001, 0.0012)), "warnings": "none"}


def test_one_observation_that_agrees_will_do() -> None:
    result, count = again(FOUND, said(**SAME))
    assert count == 1
    assert result.facts == FOUND.facts
    assert result.measured == {**FOUND.measured, AGAIN: 1}


def test_a_warning_of_a_fresh_process_says_nothing() -> None:
    result, _ = again(FOUND, said(**{**SAME, "warnings": "UserWarning: once"}))
    assert result.facts["warnings"] == "none"


@pytest.mark.parametrize(
    ("fact", "reading"),
    [("normalised_by", Reading("moving")), ("epsilon", Reading(0.002, (0.0019, 0.0021)))],
)
def test_what_does_not_agree_is_unstable(fact: str, reading: Reading) -> None:
    result, count = again(FOUND, *[said(**{**SAME, fact: reading})] * 3)
    assert count == 3
    assert result.facts[fact] == "unstable"
    assert result.measured["unstable"][fact]["rate"] == 0.4
    assert fact not in result.measured["intervals"]
    assert {**result.facts, fact: FOUND.facts[fact]} == FOUND.facts


def test_what_cannot_be_decided_again_is_undecided() -> None:
    unsure = said(**{**SAME, "normalised_by": "undecided"})
    assert again(FOUND, unsure, unsure, unsure)[0].facts["normalised_by"] == "undecided"
    assert again(FOUND, unsure, said(**SAME), unsure)[0].facts["normalised_by"] == "batch"


@pytest.mark.parametrize(("others", "outcome", "rate"), [(1, "ok", 0.2), (3, "raised", 0.4)])
def test_another_outcome_is_unstable(others: int, outcome: str, rate: float) -> None:
    answers = [said("raised", exception="ValueError")] * others + [said(**SAME)] * (3 - others)
    result, _ = again(FOUND, *answers)
    assert result.outcome == outcome
    assert result.measured["unstable"]["outcome"]["rate"] == rate


def test_a_crash_that_does_not_come_again_is_unstable() -> None:
    result, count = again(cell(CELL.id, "crashed", "died"), *[said(**SAME)] * 3)
    assert count == 3
    assert (result.outcome, result.facts["normalised_by"], result.reason) == ("ok", "batch", None)
    assert result.measured["unstable"]["outcome"]["values"] == {"crashed": 2, "ok": 3}


def test_a_crash_that_comes_again_is_one() -> None:
    result, count = again(cell(CELL.id, "crashed", "died"), said("crashed", "died again"))
    assert (count, result.outcome, result.reason) == (1, "crashed", "died")
    assert "unstable" not in result.measured


def test_that_it_took_too_long_is_nothing_found() -> None:
    result, count = again(cell(CELL.id, "timed_out"), said(**SAME), said(**SAME))
    assert (count, result.outcome, result.facts["normalised_by"]) == (2, "ok", "batch")
    assert result.measured[AGAIN] == 2


def test_what_only_takes_too_long_now_is_not_known() -> None:
    result, _ = again(FOUND, *[said("timed_out", "no answer")] * 3)
    assert (result.outcome, result.reason) == ("timed_out", "no answer")


def test_what_flickered_before_still_does() -> None:
    before = cell(
        CELL.id,
        normalised_by="unstable",
        gamma="updated",
        measured={"unstable": {"normalised_by": {"rate": 0.5}}},
    )
    result, count = again(before, said(normalised_by="batch", gamma="updated"))
    assert (count, result.facts) == (1, before.facts)
    assert result.measured["unstable"] == before.measured["unstable"]


def observed(subject: settling.Subject, states: dict[str, Any] | None = None) -> int:
    """How many observations that agree it takes."""
    for number in range(1, 10):
        answer = said(**SAME)
        answer.observation.states.update(states or {})  # type: ignore[union-attr]
        subject.take(answer)
        if subject.result is not None:
            return number
    raise AssertionError("it is never settled")


def test_what_chance_has_a_hand_in_is_observed_more_often() -> None:
    assert observed(settling.subject(CELL)) == settling.CONFIRMING
    assert observed(settling.subject(parse_id("batch_norm context=shared"))) == settling.MOST
    refused = settling.subject(parse_id("batch_norm context=shared"))
    for _ in range(settling.CONFIRMING):
        refused.take(said("timed_out", "no answer"))
    assert refused.result is not None  # it would take as long again
    whole, lost = np.array([1.0, 2.0]), np.array([1.0, np.nan])
    turned = {"start": {"moving_mean": whole}, "first": {"moving_mean": lost}}
    assert observed(settling.subject(CELL), turned) == settling.MOST
    assert observed(settling.subject(CELL), {**turned, "start": {"moving_mean": lost}}) == settling.CONFIRMING
    assert (
        observed(settling.subject(CELL), {**turned, "first": {"moving_mean": whole}}) == settling.CONFIRMING
    )

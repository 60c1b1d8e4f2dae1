"""A fact is what several observations agree on; what flickers is called unstable, with its rate."""

from __future__ import annotations

import pytest

from bnmatrix.judge.agreement import settle
from bnmatrix.judge.facts_of import Judgement
from bnmatrix.judge.numbers import Reading


def settled(*words: str):
    return settle([Judgement({"normalised_by": Reading(word)}) for word in words])


@pytest.mark.parametrize(
    ("words", "fact", "missing", "rate"),
    [
        (("batch", "batch"), "batch", 0, None),
        (("undecided", "undecided"), "undecided", 0, None),
        (("batch", "undecided"), "undecided", 1, None),
        (("batch", "undecided", "batch"), "batch", 0, None),
        (("batch", "moving"), "unstable", 3, 0.5),
        (("batch", "moving", "batch", "batch"), "unstable", 3, 0.25),
    ],
)
def test_observations_settle_a_fact(
    words: tuple[str, ...], fact: str, missing: int, rate: float | None
) -> None:
    found = settled(*words)
    assert (found.facts["normalised_by"], found.missing) == (fact, missing)
    assert found.unstable.get("normalised_by", {}).get("rate") == rate


def test_numbers_agree_where_their_intervals_meet() -> None:
    found = settle([Judgement({"epsilon": Reading(1.0, each)}) for each in ((0.9, 1.1), (1.05, 1.2))])
    assert found.intervals["epsilon"] == (1.05, 1.1)
    assert 1.05 <= float(found.facts["epsilon"]) <= 1.1


def test_numbers_apart_are_unstable() -> None:
    found = settle([Judgement({"epsilon": Reading(1.0, each)}) for each in ((0.9, 1.0), (1.05, 1.2))])
    assert found.facts["epsilon"] == "unstable"


def test_a_warning_that_comes_once_a_process_says_nothing_of_the_cell() -> None:
    found = settle(
        [
            Judgement({"warnings": Reading("UserWarning: a; UserWarning: b")}),
            Judgement({"warnings": Reading("UserWarning: b")}),
        ]
    )
    assert found.facts["warnings"] == "UserWarning: b"

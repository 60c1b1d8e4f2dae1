"""What a check finds: changes less what was accepted, and whether that fails."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import msgspec
import pytest

from bnmatrix.accepted import Accepted
from bnmatrix.checked import Check, Compared, Rules, check
from bnmatrix.checking import tolerant
from bnmatrix.comparison import compare
from bnmatrix.matrix import CellResult
from tests.tables import cell, target

TODAY = date(2026, 11, 21)

OLD = [
    cell(f"batch_norm execution={execution} rank={rank}", gamma="unchanged", warnings="none")
    for execution in ("call", "graph")
    for rank in (2, 4)
]


def now(*changed: str, **facts: Any) -> list[CellResult]:
    """The cells, those of the ids `changed` with other facts."""
    return [
        msgspec.structs.replace(each, facts={**each.facts, **facts}) if each.id in changed else each
        for each in OLD
    ]


GRAPH = ("batch_norm execution=graph", "batch_norm execution=graph rank=4")


def checked(
    new: Sequence[CellResult], *accepted: Accepted, rules: Rules | None = None, name: str = "tf2"
) -> Check:
    before, after = target(OLD, name), target(new, name)
    compared = Compared(name=name, old=before, new=after, diff=compare(before, after, ""))
    return check([compared], accepted, rules or Rules(), TODAY, "", "bnmatrix.lock")


def known(**fields: Any) -> Accepted:
    usual = {"fact": "gamma", "old": "unchanged", "new": "updated", "reason": "upgrade", "owner": "me"}
    return Accepted(**{**usual, **fields})


def counts(found: Check) -> tuple[int, int, int]:
    return found.summary.changed, found.summary.accepted, found.summary.same


def test_nothing_changed() -> None:
    found = checked(OLD)
    assert not found.fails
    assert counts(found) == (0, 0, 4)


def test_a_change_that_nobody_accepted_fails() -> None:
    found = checked(now(*GRAPH, gamma="updated"))
    assert found.fails
    assert counts(found) == (2, 0, 2)
    (condition,) = found.conditions
    assert (condition.number, condition.target, condition.when) == (1, "tf2", {"execution": ["graph"]})


@pytest.mark.parametrize(
    "accepted",
    [
        known(),
        known(when={"execution": ["graph", "compiled"]}),
        known(cells=list(GRAPH)),
        known(targets=["torch", "tf2"], expires=TODAY),
    ],
)
def test_an_accepted_change_does_not_fail(accepted: Accepted) -> None:
    found = checked(now(*GRAPH, gamma="updated"), accepted)
    assert not found.fails
    assert counts(found) == (0, 2, 2)
    assert found.conditions == []
    assert {change.accepted for change in found.changes} == {0}
    assert found.expectations[0].ids == {"tf2": list(GRAPH)}


@pytest.mark.parametrize(
    "accepted",
    [
        known(fact="beta"),
        known(old="absent"),
        known(new="absent"),
        known(when={"rank": ["5"]}),
        known(cells=["batch_norm"]),
    ],
)
def test_one_that_nothing_meets_fails_as_well(accepted: Accepted) -> None:
    found = checked(now(*GRAPH, gamma="updated"), accepted)
    assert found.fails
    assert counts(found) == (2, 0, 2)
    assert [answer.status for answer in found.expectations] == ["unmatched"]
    assert checked(OLD, accepted).fails


def test_what_remains_has_conditions_of_its_own() -> None:
    found = checked(now(*GRAPH, gamma="updated"), known(cells=[GRAPH[1]]))
    (condition,) = found.conditions
    assert condition.ids == [GRAPH[0]]
    assert condition.when == {"execution": ["graph"], "rank": ["2"]}
    assert counts(found) == (1, 1, 2)


def test_one_that_is_past_its_date_fails_and_is_still_matched() -> None:
    found = checked(now(*GRAPH, gamma="updated"), known(expires=TODAY - timedelta(days=1)))
    assert found.fails
    assert counts(found) == (0, 2, 2)
    assert [answer.status for answer in found.expectations] == ["expired"]


def test_one_of_a_target_that_was_not_checked_is_not_judged() -> None:
    found = checked(OLD, known(targets=["torch"]))
    assert not found.fails
    assert [answer.status for answer in found.expectations] == ["not_tried"]


def test_one_about_what_could_not_be_compared_is_not_judged() -> None:
    lost = [cell(GRAPH[0], "timed_out"), *(each for each in OLD if each.id != GRAPH[0])]
    undecided = now(GRAPH[0], gamma="undecided")
    for new in (lost, undecided):
        found = checked(new, known(cells=[GRAPH[0]]))
        assert not found.fails
        assert [answer.status for answer in found.expectations] == ["not_tried"]
        assert checked(new, known(cells=[GRAPH[1]])).fails


def test_a_fact_that_only_one_side_decided_is_told() -> None:
    found = checked(now(GRAPH[0], gamma="undecided", beta="updated"))
    told = {(each.fact, each.old, each.new, each.lost) for each in found.one_sided}
    assert told == {("gamma", "unchanged", "undecided", True), ("beta", "undecided", "updated", False)}
    assert not checked(now(GRAPH[0], gamma="undecided", warnings="UserWarning")).one_sided


def test_severity_decides_what_fails() -> None:
    new = now(*GRAPH, warnings="UserWarning")
    assert checked(new).fails
    assert not checked(new, rules=Rules(fail_on="numeric")).fails
    assert not checked(new, rules=Rules(severity={"warnings": "ignored"})).fails
    assert checked(new, rules=Rules(fail_on="semantic", severity={"warnings": "semantic"})).fails
    told = checked(new, rules=Rules(severity={"warnings": "ignored"}))
    assert [(one.severity, one.fails) for one in told.conditions] == [("ignored", False)]
    assert {change.severity for change in told.changes} == {"ignored"}


def test_a_cell_that_cannot_be_run_any_more_is_lost() -> None:
    new = [cell(OLD[0].id, "unavailable", "no such thing"), *OLD[1:]]
    found = checked(new)
    assert not found.fails
    assert [(each.id, each.lost) for each in found.not_comparable] == [(OLD[0].id, True)]


def test_an_accepted_number_is_met_where_the_measurement_allows_it() -> None:
    old = target(
        [cell("batch_norm", update_rate=0.01, measured={"intervals": {"update_rate": [0.0099, 0.0101]}})]
    )
    new = target(
        [cell("batch_norm", update_rate=0.1, measured={"intervals": {"update_rate": [0.0999, 0.1001]}})]
    )
    compared = Compared(name="tf2", old=old, new=new, diff=compare(old, new, ""))
    for told, fails in ((0.1, False), (0.10005, False), (0.11, True)):
        accepted = known(fact="update_rate", old=0.01, new=told)
        assert check([compared], [accepted], Rules(), TODAY, "").fails is fails


def test_tolerances_leave_room() -> None:
    old = target([cell("batch_norm", epsilon=0.001, measured={"intervals": {"epsilon": [0.00099, 0.00101]}})])
    new = target(
        [cell("batch_norm", epsilon=0.00104, measured={"intervals": {"epsilon": [0.00103, 0.00105]}})]
    )
    assert compare(old, new, "").changes
    assert not compare(tolerant(old, {"epsilon": 0.05}), new, "").changes
    assert compare(tolerant(old, {"epsilon": 0.01}), new, "").changes

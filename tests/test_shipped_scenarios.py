"""What the shipped scenarios state, of claims and of the frameworks' own tests, holds here."""

from __future__ import annotations

import pytest

from bnmatrix import expectations, records, scenario, scenario_file
from bnmatrix.matrix import SCHEMA_VERSION, ExpectationResult, Matrix
from bnmatrix.measurement import Options, Plan, measure
from bnmatrix.placement import Wishes, installed

TARGETS = installed(Wishes())
NAMES = [name for name in scenario_file.names() if name != "core"]
UPSTREAM = [name for name in NAMES if name.startswith("upstream_")]

pytestmark = pytest.mark.timeout(400)


@pytest.fixture(scope="module")
def answers() -> dict[str, list[ExpectationResult]]:
    """Every scenario on every installed target it is about, in one go: each framework is imported once."""
    chosen = [
        (found, target)
        for found in map(scenario_file.find, NAMES)
        for target in TARGETS
        if target.framework in (found.frameworks or (target.framework,))
    ]
    plans = [
        Plan(target, tuple(scenario.cells(found, target.family)), found.given) for found, target in chosen
    ]
    with records.opened(False, print) as known:  # what the claims have in common with it is measured once
        measured = measure(plans, Options(), records=known).targets
    answers: dict[str, list[ExpectationResult]] = {name: [] for name in NAMES}
    for (found, _), target in zip(chosen, measured, strict=True):
        matrix = Matrix(schema_version=SCHEMA_VERSION, bnmatrix="", targets=[target])
        answers[found.name] += expectations.check(found, matrix)
    return answers


@pytest.mark.skipif(not TARGETS, reason="no framework is installed here")
@pytest.mark.parametrize("name", NAMES)
def test_every_expectation_holds(name: str, answers: dict[str, list[ExpectationResult]]) -> None:
    failed = [
        (each.says, each.target, each.contradicted_by) for each in answers[name] if each.answer != "holds"
    ]
    assert failed == []


def test_at_least_twenty_assertions_of_the_frameworks_own_tests_are_restated() -> None:
    restated = [expectation for name in UPSTREAM for expectation in scenario_file.find(name).expect]
    assert len(restated) >= 20
    assert all("test" in (expectation.source or "") for expectation in restated)

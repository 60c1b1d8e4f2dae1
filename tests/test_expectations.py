"""An expectation holds, is contradicted by named cells, or is untested."""

from __future__ import annotations

import pytest

from bnmatrix.expectations import check
from bnmatrix.matrix import Matrix
from bnmatrix.scenario import Expectation, Product, Scenario
from tests.tables import cell, target

TRUE = {"training": ("true",)}
BATCH = cell(
    "batch_norm training=true", normalised_by="batch", update_rate=0.01,
    measured={"intervals": {"update_rate": [0.0099, 0.0101]}, "moving_mean": {"first": [0.5, 1.0]}},
)  # fmt: skip


def answer(expectation: Expectation, *cells: object) -> tuple[str, list[str]]:
    scenario = Scenario(name="mine", title="t", products=(Product({}),), expect=(expectation,))
    matrix = Matrix(schema_version=1, bnmatrix="", targets=[target(cells)])  # type: ignore[arg-type]
    (found,) = check(scenario, matrix)
    return found.answer, found.contradicted_by


@pytest.mark.parametrize(
    ("facts", "measured", "expected"),
    [
        ({"normalised_by": ("batch",)}, {}, "holds"),
        ({"normalised_by": ("moving", "batch")}, {}, "holds"),
        ({"normalised_by": ("moving",)}, {}, "contradicted"),
        ({"update_rate": ("0.01",)}, {}, "holds"),
        ({"update_rate": ("0.1",)}, {}, "contradicted"),
        ({"outcome": ("ok",)}, {}, "holds"),
        ({"outcome": ("raised",)}, {}, "contradicted"),
        ({"gamma": ("updated",)}, {}, "contradicted"),
        ({}, {"moving_mean": [0.5, 1.0000000001]}, "holds"),
        ({}, {"moving_mean": [0.5, 1.001]}, "contradicted"),
        ({}, {"moving_mean": [0.5]}, "contradicted"),
    ],
)
def test_an_expectation_is_held_against_facts_and_numbers(facts: dict, measured: dict, expected: str) -> None:
    found = answer(Expectation(says="s", where=TRUE, facts=facts, measured=measured), BATCH)
    assert found == (expected, [] if expected == "holds" else [BATCH.id])


def test_an_expectation_without_a_measured_cell_is_untested() -> None:
    expectation = Expectation(says="s", where=TRUE, facts={"normalised_by": ("batch",)})
    assert answer(expectation, cell("batch_norm training=true", "unavailable")) == ("untested", [])


def test_an_expectation_speaks_of_its_frameworks_only() -> None:
    expectation = Expectation(
        says="s", where=TRUE, facts={"normalised_by": ("moving",)}, frameworks=("torch",)
    )
    scenario = Scenario(name="mine", title="t", products=(Product({}),), expect=(expectation,))
    assert check(scenario, Matrix(schema_version=1, bnmatrix="", targets=[target([BATCH])])) == []


def test_a_contradiction_says_what_was_measured() -> None:
    expectation = Expectation(
        says="s", where=TRUE, facts={"normalised_by": ("moving",)}, measured={"moving_mean": [9.0, 9.0]}
    )
    scenario = Scenario(name="mine", title="t", products=(Product({}),), expect=(expectation,))
    (found,) = check(scenario, Matrix(schema_version=1, bnmatrix="", targets=[target([BATCH])]))
    assert found.because == {BATCH.id: "normalised_by is batch, not moving; moving_mean reads [0.5, 1.0]"}


@pytest.mark.parametrize(
    ("reading", "size"), [({"first": [0.5, 1.0]}, 2), ({"first": 4.0}, 1), ({"size": 784}, 784), ({}, 0)]
)
def test_an_expectation_may_be_about_how_many_values_a_slot_has(reading: dict, size: int) -> None:
    measured = cell(BATCH.id, measured={"gamma": reading}) if reading else cell(BATCH.id)
    expected = Expectation(says="s", where=TRUE, sizes={"gamma": size})
    assert answer(expected, measured) == ("holds", [])
    assert answer(Expectation(says="s", where=TRUE, sizes={"gamma": size + 1}), measured)[0] == "contradicted"

"""Laws are found from cells, and only where the cells decide them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnmatrix.laws import ROWS, RULES, defaults, laws
from bnmatrix.matrix import CellResult
from tests.tables import cell

WORDS = {True: "batch", False: "moving"}


def table(column: tuple[bool, ...], execution: str = "call") -> list[CellResult]:
    """Four cells whose normalised_by is `batch` where `column` says so."""
    return [
        cell(
            f"batch_norm execution={execution} trainable={trainable} training={training}",
            normalised_by=WORDS[batch],
        )
        for (training, trainable), batch in zip(ROWS, column, strict=True)
    ]


def holds(rule: str, training: bool, trainable: bool) -> bool:
    """What a rule says in Python's own terms: the oracle."""
    rule = {"always": "True", "never": "False"}.get(rule, rule).replace(" = ", " == ")
    return bool(eval(rule, {"training": training, "trainable": trainable}))


@pytest.mark.parametrize("column", RULES)
def test_a_rule_says_what_its_truth_table_says(column: tuple[bool, ...]) -> None:
    values = [holds(RULES[column], training == "true", trainable == "true") for training, trainable in ROWS]
    assert tuple(values) == column


@given(st.tuples(*[st.booleans()] * 4))
def test_a_law_is_the_rule_of_the_measured_column(column: tuple[bool, ...]) -> None:
    found = [law for law in laws(table(column)) if law.fact == "normalised_by"]
    expected = (
        RULES[column] if any(column) else "always"
    )  # of a constant column the law is told of its one value
    assert [law.rule for law in found] == [expected]


def test_executions_that_differ_have_laws_of_their_own() -> None:
    cells = table((True, False, False, False)) + table((True, True, False, False), "graph")
    assert {law.rule: law.when for law in laws(cells)} == {
        "training and trainable": {"execution": ["call"]},
        "training": {"execution": ["graph"]},
    }


def test_there_is_no_law_where_a_cell_is_undecided() -> None:
    cells = table((True, False, False, False))
    undecided = cell(cells[0].id, normalised_by="undecided")
    assert laws([undecided, *cells[1:]]) == []


def test_there_is_no_law_without_all_four_cells() -> None:
    assert laws(table((True, False, False, False))[:3]) == []


@pytest.mark.parametrize(
    ("by", "acts_as"),
    [(("batch", "batch"), "true"), (("moving", "moving"), "false"), (("neither", "batch"), "neither")],
)
def test_default_acts_as_the_mode_whose_cells_look_alike(by: tuple[str, str], acts_as: str) -> None:
    not_given = [
        cell(f"batch_norm trainable={trainable}", normalised_by=word)
        for trainable, word in zip(("true", "false"), by, strict=True)
    ]
    cells = table((True, True, False, False)) + not_given
    assert [(each.execution, each.acts_as) for each in defaults(cells)] == [("call", acts_as)]


def test_default_under_fit_is_compared_with_calls() -> None:
    cells = [*table((True, False, False, False)), cell("batch_norm execution=fit", normalised_by="batch")]
    assert [(each.execution, each.acts_as) for each in defaults(cells)] == [("fit", "true")]

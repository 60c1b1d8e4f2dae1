"""Folding loses nothing: the folded table, unfolded, says of every cell what the cell says."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bnmatrix.axes import is_sensible, make_cell
from bnmatrix.conditions import When
from bnmatrix.matrix import CellResult, Value
from bnmatrix.render import wording
from bnmatrix.render.folding import MISSING, Alike, Folded, NotOk, fold
from tests.render import miniature


def meets(cell: CellResult, where: Sequence[When]) -> bool:
    return any(all(cell.axes[axis] in values for axis, values in when.items()) for when in where)


def unfolded(folded: Folded, cell: CellResult) -> list[dict[str, Value] | NotOk]:
    """What the rows say that a reader would look at for `cell`."""
    found: list[dict[str, Value] | NotOk] = []
    for block in folded.blocks:
        if not meets(cell, block.where):
            continue
        for row in block.rows:
            if cell.axes["training"] in row.training and cell.axes["trainable"] in row.trainable:
                if isinstance(row.shows, NotOk):
                    found.append(row.shows)
                else:
                    pairs = zip(folded.columns, row.shows, strict=True)
                    found.append({fact: value for facts, value in pairs for fact in facts})
    return found


def agrees(folded: Folded, cells: Sequence[CellResult]) -> None:
    for cell in cells:
        if cell.outcome == "ok":
            shown = {fact for facts in folded.columns for fact in facts}
            expected: dict[str, Value] | NotOk = {fact: cell.facts.get(fact, MISSING) for fact in shown}
        else:
            expected = NotOk(cell.outcome, cell.reason or "")
        assert unfolded(folded, cell) == [expected], cell.id


@st.composite
def tables(draw: st.DrawFn) -> list[CellResult]:
    """Cells whose facts follow from some axes by chance rules, some of them not ok, in any order."""
    executions = draw(
        st.lists(st.sampled_from(["call", "graph", "fit", "evaluate"]), min_size=1, unique=True)
    )
    ranks = draw(st.lists(st.sampled_from(["2", "3", "4"]), min_size=1, unique=True))
    deciding = draw(
        st.lists(st.sampled_from(["training", "trainable", "rank", "execution"]), unique=True, max_size=3)
    )
    chance = random.Random(draw(st.integers(0, 2**16)))
    rules: dict[tuple[object, ...], object] = {}
    found = []
    for training in ("true", "false", "default"):
        for trainable in ("true", "false"):
            for execution in executions:
                for rank in ranks:
                    cell = make_cell(
                        {
                            "training": training,
                            "trainable": trainable,
                            "execution": execution,
                            "rank": rank,
                        }
                    )
                    if not is_sensible(cell.axes):
                        continue
                    seen = tuple(cell.axes[axis] for axis in deciding)

                    def rule(fact: str, values: Sequence[str], key: tuple[object, ...] = seen) -> str:
                        return str(rules.setdefault((fact, key), chance.choice(values)))

                    outcome = rule("outcome", ["ok", "ok", "ok", "raised", "unavailable"])
                    facts: dict[str, Value] = {
                        "gamma": rule("gamma", ["updated", "unchanged", "absent"]),
                        "moving_mean": rule("moving_mean", ["updated", "unchanged", "undecided"]),
                        "normalised_by": rule("normalised_by", ["batch", "moving", "unstable"]),
                    }
                    if rule("has_gradient", ["yes", "no"]) == "yes":
                        facts["input_gradient"] = rule(
                            "gradient", ["elementwise", "through_batch_statistics", "none"]
                        )
                    found.append(
                        CellResult(
                            id=cell.id,
                            axes=cell.axes,
                            outcome=outcome,
                            facts=facts if outcome == "ok" else {},
                            measured={},
                            seconds=0.0,
                            reason=None if outcome == "ok" else f"because of {outcome}",
                        )
                    )
    keep = draw(st.integers(1, len(found)))
    chance.shuffle(found)
    return found[:keep]


@settings(max_examples=150, deadline=None)
@given(tables(), st.booleans())
def test_the_folded_table_says_of_every_cell_what_the_cell_says(
    cells: list[CellResult], followers: bool
) -> None:
    agrees(fold(cells, with_followers=followers), cells)


@settings(max_examples=100, deadline=None)
@given(tables())
def test_what_follows_another_column_is_told_by_it(cells: list[CellResult]) -> None:
    for told in fold(cells).beneath:
        if told.follows is None:
            continue
        says = {
            (told.follows, value): fact
            for fact, where in told.values
            for when in where
            for name, values in when.items()
            if name == told.follows
            for value in values
        }
        for cell in cells:
            if cell.facts.get(told.fact, "none") != "none":
                assert says[told.follows, str(cell.facts[told.follows])] == cell.facts[told.fact]


@pytest.mark.parametrize("target", [miniature.tf2, miniature.torch, miniature.tf1])
def test_the_miniature_folds_without_loss(target: object) -> None:
    cells = target().cells  # type: ignore[operator]
    agrees(fold(cells), cells)


def test_what_makes_no_difference_is_folded_and_said() -> None:
    folded = fold(miniature.tf2().cells)
    assert folded.columns == [("gamma", "beta"), ("moving_mean", "moving_variance"), ("normalised_by",)]
    assert [block.where for block in folded.blocks] == [
        [{"execution": ["call", "graph"]}],
        [{"execution": ["fit", "train_on_batch"]}],
        [{"execution": ["evaluate", "predict"]}],
    ]
    assert folded.alike == [
        Alike("rank", ("2", "4")),
        Alike("execution", ("call", "graph")),
        Alike("execution", ("fit", "train_on_batch")),
        Alike("execution", ("evaluate", "predict")),
    ]


def test_what_is_folded_though_a_fact_beneath_tells_it_apart_says_so() -> None:
    cells = [
        replace(
            cell,
            facts={**cell.facts, "variance_estimator": "biased" if cell.axes["rank"] == "2" else "unbiased"},
        )
        for cell in miniature.torch().cells
    ]
    [rank] = fold(cells).alike
    assert rank == Alike("rank", ("2", "4"), but_for=("variance_estimator",))
    assert wording.folded([rank]) == ["rank 2 = 4 but for variance_estimator"]


def test_a_gradient_that_not_every_execution_has_says_where() -> None:
    [told] = [fact for fact in fold(miniature.tf2().cells).beneath if fact.follows]
    assert wording.following(told) == [
        "through_batch_statistics where batch",
        "elementwise where moving",
        "only in call and graph",
    ]


def test_a_layer_that_a_target_does_not_have_is_one_line() -> None:
    cells = [
        CellResult(
            id=cell.id, axes=cell.axes, outcome="unavailable", facts={}, measured={}, seconds=0.0, reason="no"
        )
        for cell in miniature.cells(("call", "fit"))
    ]
    same = [cell for cell in cells if cell.axes["execution"] == "call"]
    assert fold(same).only == NotOk("unavailable", "no")

"""The verdict on a claim follows from its cells: they agree, are against it, or do not tell."""

from __future__ import annotations

import msgspec
import pytest

from bnmatrix.claim import Answer, Claim, ModelPart, Shown
from bnmatrix.matrix import CellResult
from bnmatrix.scenario import Expectation, Product, Scenario
from bnmatrix.target import parse
from bnmatrix.verdicts import Deciding, Verdict, in_words, verdict
from tests.tables import cell

FROZEN = "batch_norm trainable=false"
STILL = Expectation(says="it holds", where={}, facts={"gamma": ("unchanged",), "beta": ("unchanged",)})


def claim(
    *expect: Expectation, answers: tuple[Answer, ...] = (), models: tuple[ModelPart, ...] = ()
) -> Claim:
    scenario = Scenario(name="mine", title="t", products=(Product({}),), expect=expect or (STILL,))
    return Claim("mine", "it holds", "s", ("torch",), (), scenario, answers, models)


def of(*cells: CellResult, **parts: object) -> Verdict:
    return verdict(claim(**parts), parse("torch"), cells)  # type: ignore[arg-type]


def still(identity: str) -> CellResult:
    return cell(identity, gamma="unchanged", beta="unchanged")


def moved(identity: str, beta: str = "updated") -> CellResult:
    return cell(identity, gamma="updated", beta=beta)


@pytest.mark.parametrize(
    ("cells", "word", "counts"),
    [
        ([still(FROZEN), still(f"{FROZEN} training=true")], "holds", (2, 0)),
        ([moved(FROZEN)], "contradicted", (0, 1)),
        # A cell that is against it in one thing is against it.
        ([moved(FROZEN, beta="unchanged")], "contradicted", (0, 1)),
        ([still(FROZEN), moved(f"{FROZEN} training=true")], "partly", (1, 1)),
        ([cell(FROZEN, "raised", "ValueError: no")], "contradicted", (0, 1)),
        ([cell(FROZEN, "unavailable", "there is none")], "cannot be tried", (0, 0)),
        ([still(FROZEN), cell(f"{FROZEN} rank=4", "unavailable", "there is none")], "holds", (1, 0)),
        ([cell(FROZEN, gamma="undecided", beta="unstable")], "cannot be tried", (0, 0)),
        ([cell(FROZEN, gamma="undecided", beta="unchanged")], "holds", (1, 0)),
        ([still(FROZEN), cell(f"{FROZEN} rank=4", "crashed", "signal 11")], "incomplete", (1, 0)),
        ([cell(FROZEN, "skipped", "no such release")], "incomplete", (0, 0)),
        ([], "cannot be tried", (0, 0)),
    ],
)
def test_the_word_follows_from_the_cells(cells: list[CellResult], word: str, counts: tuple[int, int]) -> None:
    found = of(*cells)
    assert (found.verdict, (found.agree, found.against)) == (word, counts)


def test_where_cells_are_against_it_is_told() -> None:
    found = of(still(f"{FROZEN} execution=fit"), still(FROZEN), moved(f"{FROZEN} rank=4"))
    assert [in_words(when) for when in found.where] == ["rank=4"]
    assert found.answer == "gamma, beta updated, not unchanged"


def test_an_execution_is_told_rather_than_the_mode_that_it_has() -> None:
    found = of(still(f"{FROZEN} training=true"), moved(f"{FROZEN} execution=fit"))
    assert [in_words(when) for when in found.where] == ["execution=fit"]


def test_every_cell_that_decides_is_told_with_what_was_expected() -> None:
    found = of(moved(FROZEN, beta="unchanged"), cell(f"{FROZEN} rank=4", "unavailable", "there is none"))
    assert [(each.id, each.fact, each.expected, each.measured, each.agrees) for each in found.cells] == [
        (FROZEN, "gamma", "unchanged", "updated", False),
        (FROZEN, "beta", "unchanged", "unchanged", True),
        ("batch_norm rank=4 trainable=false", "outcome", "ok", "unavailable", None),
    ]
    assert found.cells[2].reason == "there is none"


def test_an_expectation_of_another_framework_decides_nothing() -> None:
    other = msgspec.structs.replace(STILL, facts={"gamma": ("updated",)}, frameworks=("tf2",))
    found = verdict(claim(STILL, other), parse("torch"), [still(FROZEN)])
    assert found.verdict == "holds"


def test_what_is_measured_is_the_answer_where_the_claim_has_no_words_for_it() -> None:
    expect = Expectation(says="s", where={}, facts={"gamma": ("updated", "unchanged"), "epsilon": ("0.001",)})
    cells = [
        cell(FROZEN, gamma="unchanged", epsilon=0.001, measured={"intervals": {"epsilon": [0.0009, 0.0011]}}),
        cell(
            "batch_norm",
            gamma="updated",
            epsilon=0.001,
            measured={"intervals": {"epsilon": [0.0009, 0.0011]}},
        ),
    ]
    found = verdict(claim(expect), parse("torch"), cells)
    assert found.answer == "gamma unchanged (trainable=false), updated (trainable=true); epsilon 0.001"


ANSWERS = (
    Answer("it moves", (Shown({"trainable": ("false",)}, {"gamma": ("updated",)}),)),
    Answer("it holds at rank 4", (Shown({"rank": ("4",)}, {"gamma": ("unchanged",)}),)),
    Answer("nothing is told", (Shown({"rank": ("5",)}, {"gamma": ("unchanged",)}),)),
    Answer("rank 2 moves, rank 4 does not", (
        Shown({"rank": ("2",)}, {"gamma": ("updated",)}), Shown({"rank": ("4",)}, {"gamma": ("unchanged",)}),
    )),
)  # fmt: skip


def test_answers_are_told_that_all_of_their_cells_show() -> None:
    found = of(moved("batch_norm"), still("batch_norm rank=4"), still(FROZEN), answers=ANSWERS)
    assert found.answer == "it holds at rank 4"
    found = of(moved(FROZEN), still(f"{FROZEN.replace('trainable', 'rank=4 trainable')}"), answers=ANSWERS)
    assert found.answer == "it holds at rank 4; rank 2 moves, rank 4 does not"


def test_a_layer_is_as_another_where_no_cell_differs() -> None:
    answers = (Answer("as its parent", (Shown({"layer": ("mine:Norm",)}, same_as="batch_norm"),)),)
    own = still("mine:Norm training=true")
    assert of(own, still("batch_norm training=true"), answers=answers).answer == "as its parent"
    assert of(own, moved("batch_norm training=true"), answers=answers).answer != "as its parent"
    assert of(own, still("batch_norm training=false"), answers=answers).answer != "as its parent"
    raised = cell("mine:Norm training=true", "raised", "TypeError: no")
    assert of(raised, still("batch_norm training=true"), answers=answers).answer != "as its parent"


PART = ModelPart("nothing of it moves", "models:make", "fit", 1, {"a*": {"kernel": ("unchanged",)}})


def test_what_is_said_of_a_model_is_not_tried_where_nothing_measures_models() -> None:
    found = of(still(FROZEN), models=(PART,))
    assert found.verdict == "holds"
    assert found.not_tried == [
        "nothing of it moves (models:make): of whole models nothing is measured over time"
    ]


def test_what_is_measured_of_a_model_decides_as_cells_do() -> None:
    def models(target: object, part: ModelPart) -> list[Deciding]:
        return [
            Deciding(
                id="a1", says=part.says, fact="kernel", expected="unchanged", measured="updated", agrees=False
            )
        ]

    found = verdict(claim(models=(PART,)), parse("torch"), [still(FROZEN)], models)
    assert (found.verdict, found.not_tried, found.against) == ("partly", [], 1)
    assert found.answer == "kernel updated, not unchanged"

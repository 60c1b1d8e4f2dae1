"""Files of claims: what they may say, and what is said of a mistake in one."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from bnmatrix import claim_file, own_layers
from bnmatrix.axes import as_own, parse_id
from bnmatrix.claim import Claim
from bnmatrix.errors import UsageError
from bnmatrix.scenario import cells
from bnmatrix.target import FAMILIES

GATHERED = {
    "trainable-is-about-updates",
    "training-is-about-mode",
    "frozen-gamma-beta-hold",
    "frozen-runs-in-inference-mode",
    "tf1-example",
    "tf1-three-cases",
    "training-false-needs-only-gamma-beta",
    "freezing-recurses",
    "freeze-after-compile-waits",
    "yolov4-batch-norm",
    "base-model-training-false",
    "two-phase-fine-tuning",
    "evaluate-disables-dropout",
    "dropout-keeps-the-expected-value",
    "four-parameters-a-channel",
    "fit-sets-training",
    "lasagne-trainable-tag",
}
"""The statements that the project was made for."""

MINE = """
[[claim]]
id = "mine"
says = "a frozen layer holds"
source = "a colleague"
about = { frameworks = ["torch"] }

[[claim.product]]
trainable = false

[[claim.expect]]
says = "its scale holds"
facts = { gamma = "unchanged" }
"""


MODEL = '[[claim.model]]\nsays = "x"\nfactory = "x"\nexpect = { a = { gamma = "updated" } }'

ANSWER = '[[claim.answer]]\nsays = "x"'


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)

    def write(text: str, name: str = "claims.toml") -> Path:
        (tmp_path / name).write_text(text, encoding="utf-8")
        return tmp_path / name

    return write


def shipped() -> list[Claim]:
    return claim_file.load(claim_file.SHIPPED)


def test_every_statement_that_was_gathered_is_shipped() -> None:
    assert {claim.id for claim in shipped()} == GATHERED


@pytest.mark.parametrize("claim", shipped(), ids=lambda claim: claim.id)
def test_every_claim_is_documented_and_has_cells_where_it_speaks(claim: Claim) -> None:
    assert claim.says
    assert claim.source
    for name in claim.frameworks:
        if name in FAMILIES:
            found = cells(claim.scenario, FAMILIES[name])
            assert found, name
            if claim.layers:
                told = {cell.axes["layer"] for cell in found}
                assert set(claim.layers) <= told, "it speaks of a layer of which nothing is measured"


@pytest.mark.parametrize(
    "part", [part for claim in shipped() for part in claim.models], ids=lambda part: part.factory
)
def test_a_model_of_a_claim_is_made_by_a_shipped_function_without_arguments(part) -> None:
    module, name = part.factory.split(":")
    assert module.startswith(own_layers.SHIPPED)
    file = own_layers.EXAMPLES / f"{module[len(own_layers.SHIPPED) :]}.py"
    found = {
        node.name: node for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)
    }
    assert not found[name].args.args


def test_shipped_examples_are_written_in_python_3_6() -> None:
    for file in own_layers.EXAMPLES.glob("*.py"):
        ast.parse(file.read_text(), feature_version=(3, 6))


def test_a_claim_of_ones_own(write) -> None:
    (claim,) = claim_file.chosen([], [str(write(MINE))])
    assert (claim.id, claim.frameworks, claim.speaks_of("tf2")) == ("mine", ("torch",), False)
    assert [cell.id for cell in cells(claim.scenario, FAMILIES["torch"])] == ["batch_norm trainable=false"]


def test_an_id_takes_shipped_claims_and_those_of_a_file(write) -> None:
    path = str(write(MINE))
    assert [claim.id for claim in claim_file.chosen(["tf1-example", "mine"], [path])] == [
        "tf1-example",
        "mine",
    ]
    assert len(claim_file.chosen([], [])) == len(GATHERED)


def test_a_project_has_claims_of_its_own(write) -> None:
    write(MINE)
    write('[tool.bnmatrix]\nclaims = ["claims.toml"]\n', "pyproject.toml")
    assert claim_file.every()[-1].id == "mine"
    claim_file.chosen([], ["claims.toml"])  # named twice, it is the same file


def test_an_expectation_of_words_alone_is_that_of_the_scenario(write) -> None:
    text = MINE.replace("[[claim.product]]\ntrainable = false", "").replace(
        'about = { frameworks = ["torch"] }', 'scenario = "frozen_gamma_beta_hold"'
    )
    says = "with trainable=True they are, in training and in inference mode"
    (claim,) = claim_file.load(write(text.replace("its scale holds", says).replace(
        'facts = { gamma = "unchanged" }', ""
    )))  # fmt: skip
    (expectation,) = claim.scenario.expect
    assert expectation.facts == {"gamma": ("updated",), "beta": ("updated",)}
    assert claim.frameworks == tuple(FAMILIES)


def test_an_input_is_made_of_a_shape(write) -> None:
    (claim,) = claim_file.load(write(MINE + "[claim.given]\ninput = { shape = [3, 5] }\n"))
    assert claim.scenario.given is not None
    columns = list(zip(*claim.scenario.given.input, strict=True))
    assert (len(columns), len(columns[0]), len(set(columns))) == (5, 3, 5)


def test_a_product_may_have_layers_of_ones_own(write) -> None:
    text = MINE.replace("trainable = false", 'layer = "mine:Norm"\nlike = "layer_norm"')
    (claim,) = claim_file.load(write(text))
    assert cells(claim.scenario, FAMILIES["torch"]) == [as_own(parse_id("layer_norm"), "mine:Norm")]


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ('source = "a colleague"', "", "claims.toml:2: a [[claim]] needs id, says and source", None),
        ('id = "mine"', 'id = "Mine own"', "claims.toml:3: the id 'Mine own' is not written", None),
        ("facts = {", "fact = {", "unknown field of [[claim.expect]] 'fact'", "'facts'"),
        ('"unchanged"', '"unchangd"', "claims.toml:13: unknown value of the fact gamma", "'unchanged'"),
        ('["torch"]', '["torhc"]', "claims.toml:6: unknown framework 'torhc'", "'torch'"),
        ("trainable = false", "trainible = false", "unknown field of [[product]] 'trainible'", "'trainable'"),
        ("[[claim.product]]\ntrainable = false", "", "claims.toml:3: the claim mine has nothing that", None),
        ('facts = { gamma = "unchanged" }', "", "unknown expectation of the scenario 'its scale", None),
        ("[[claim.product]]", 'scenario = "frozn"\n[[claim.product]]', "unknown scenario 'frozn'", None),
        (
            "[[claim.expect]]",
            f"{MODEL}\n[[claim.expect]]",
            "claims.toml:13: 'x' names no function",
            "module:",
        ),
        ("[[claim.expect]]", f"{ANSWER}\n[[claim.expect]]", "claims.toml:11: a [[claim.answer]] needs", None),
        (
            "[[claim.expect]]",
            f"{ANSWER}\nshown = [{{where={{}}}}]\n[[claim.expect]]",
            "needs facts, or same_as",
            None,
        ),
        (MINE, MINE + MINE, "claims.toml:16: there is another claim mine", None),
        (MINE, MINE.replace('"mine"', '"tf1-example"'), "there is another claim tf1-example", "an id of its"),
        (MINE, "", "has no [[claim]]", None),
        (MINE, "[[claim", "is not TOML", None),
    ],
)
def test_a_mistake_is_told_with_its_place(write, old: str, new: str, message: str, hint: str | None) -> None:
    path = write(MINE.replace(old, new))
    with pytest.raises(UsageError) as told:
        claim_file.chosen([], [str(path)])
    assert message in told.value.message
    assert hint is None or hint in (told.value.hint or "")


def test_a_mistake_is_looked_for_in_the_claim_that_has_it(write) -> None:
    second = MINE.replace('"mine"', '"other"').replace('"unchanged"', '"unknown"')
    with pytest.raises(UsageError, match=r"claims\.toml:27: unknown value of the fact gamma 'unknown'"):
        claim_file.load(write(MINE + "# unknown\n" + second))


def test_a_claim_that_is_not_there_is_told_with_the_nearest() -> None:
    with pytest.raises(UsageError) as told:
        claim_file.chosen(["tf1-exmaple"], [])
    assert told.value.hint == "did you mean 'tf1-example'?"


def test_a_framework_that_bnmatrix_does_not_know_may_be_spoken_of() -> None:
    (claim,) = [claim for claim in shipped() if claim.id == "lasagne-trainable-tag"]
    assert claim.unknown_frameworks() == [name for name in ("lasagne",) if name not in FAMILIES]

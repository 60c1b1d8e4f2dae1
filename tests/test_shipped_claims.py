"""What the shipped claims say, held against the installed frameworks."""

from __future__ import annotations

import pytest

from bnmatrix import claim_file, claims, records
from bnmatrix.measurement import Options, measure
from bnmatrix.placement import Wishes, installed
from bnmatrix.verdicts import CONTRADICTED, HOLDS, PARTLY, UNTRIED, Verdict

TARGETS = [target for target in installed(Wishes()) if target.text in ("tf1", "tf2", "torch")]

EXPECTED = {
    "trainable-is-about-updates": {"tf1": PARTLY, "tf2": HOLDS, "torch": HOLDS},
    "training-is-about-mode": {"tf1": HOLDS, "tf2": HOLDS, "torch": HOLDS},
    "frozen-gamma-beta-hold": {"tf1": HOLDS, "tf2": HOLDS, "torch": HOLDS},
    "frozen-runs-in-inference-mode": {"tf1": HOLDS, "tf2": HOLDS},
    "tf1-example": {"tf1": HOLDS},
    "tf1-three-cases": {"tf1": HOLDS},
    "training-false-needs-only-gamma-beta": {"tf1": CONTRADICTED, "tf2": CONTRADICTED, "torch": CONTRADICTED},
    "freezing-recurses": {"tf1": HOLDS, "tf2": HOLDS},
    "freeze-after-compile-waits": {"tf1": HOLDS, "tf2": PARTLY},
    "yolov4-batch-norm": {"tf1": HOLDS, "tf2": PARTLY},
    "base-model-training-false": {"tf1": HOLDS, "tf2": PARTLY},
    "two-phase-fine-tuning": {"tf1": HOLDS, "tf2": HOLDS},
    "evaluate-disables-dropout": {"tf1": HOLDS, "tf2": HOLDS},
    "dropout-keeps-the-expected-value": {"tf1": HOLDS, "tf2": HOLDS, "torch": HOLDS},
    "four-parameters-a-channel": {"tf1": HOLDS, "tf2": HOLDS, "torch": HOLDS},
    "fit-sets-training": {"tf1": HOLDS, "tf2": HOLDS},
    "lasagne-trainable-tag": {"lasagne==0.1": HOLDS},
}

TOLD = {
    ("trainable-is-about-updates", "tf1"): "a step over the collection TRAINABLE_VARIABLES changes a frozen",
    (
        "frozen-runs-in-inference-mode",
        "tf1",
    ): "the batch normalises it, and the moving statistics stand still",
    ("tf1-example", "tf1"): "the unbiased estimator",
    ("tf1-three-cases", "tf1"): "the printed output is right, the text is not",
    (
        "training-false-needs-only-gamma-beta",
        "torch",
    ): "a layer that keeps no statistics normalises by the batch",
    ("freeze-after-compile-waits", "tf2"): "a change before the first step takes effect at once",
    ("yolov4-batch-norm", "tf1"): "needed: its parent, frozen, normalises by the batch in training mode",
    ("yolov4-batch-norm", "tf2"): "it no longer runs: fit() raises; and is not needed",
    ("base-model-training-false", "tf2"): "fit() of a functional model overrules training=False",
    ("dropout-keeps-the-expected-value", "torch"): "by 1/(1-rate) in training; inference is left alone",
    ("four-parameters-a-channel", "tf2"): "4 x 784 = 3,136 values",
    ("four-parameters-a-channel", "torch"): "beside them the layer has one counter of batches",
}

pytestmark = [
    pytest.mark.timeout(400),
    pytest.mark.skipif(not TARGETS, reason="no framework is installed here"),
]


@pytest.fixture(scope="module")
def found() -> dict[tuple[str, str], Verdict]:
    """{(claim, target): the verdict}, measured in one go."""
    shipped = claim_file.load(claim_file.SHIPPED)
    with records.opened(False, print) as known:  # the scenarios of the claims have a test of their own
        told, _ = claims.measured(
            shipped, TARGETS, lambda plans, title: measure(plans, Options(), records=known), "0"
        )
    assert told.silent == ["lasagne-trainable-tag"] or len(TARGETS) < 3
    return {(claim.id, each.target): each for claim in told.claims for each in claim.verdicts}


def test_every_shipped_claim_is_expected_to_be_something() -> None:
    assert list(EXPECTED) == [claim.id for claim in claim_file.load(claim_file.SHIPPED)]


@pytest.mark.parametrize("name", EXPECTED)
def test_the_verdict(name: str, found: dict[tuple[str, str], Verdict]) -> None:
    here = [target.text for target in TARGETS]
    expected = {target: word for target, word in EXPECTED[name].items() if target in here}
    told = {target: each for (claim, target), each in found.items() if claim == name}
    assert {target: each.verdict for target, each in told.items()} == expected, told
    for each in told.values():
        assert each.answer
        assert each.verdict == UNTRIED or each.cells
        assert bool(each.against) == (each.verdict in (PARTLY, CONTRADICTED))


@pytest.mark.parametrize(
    ("place", "words"), TOLD.items(), ids=lambda part: "-".join(part) if part is tuple else ""
)
def test_what_is_told_of_it(
    place: tuple[str, str], words: str, found: dict[tuple[str, str], Verdict]
) -> None:
    if place[1] not in [target.text for target in TARGETS]:
        pytest.skip(f"{place[1]} is not installed")
    assert words in found[place].answer

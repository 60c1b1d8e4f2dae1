"""The verdicts on the shipped claims, on the releases that they were made of and on those of today."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tests.versions.releases import bnmatrix, need

pytestmark = [pytest.mark.versions, pytest.mark.timeout(1800)]

TARGETS = ("tf1==1.15.5", "tf2==2.15.1", "tf2==2.21.0", "torch==2.13.0")

H, P, C, NOT_ABOUT_IT = "holds", "partly", "contradicted", None

EXPECTED = {
    "trainable-is-about-updates": (P, H, H, H),
    "training-is-about-mode": (H, H, H, H),
    "frozen-gamma-beta-hold": (H, H, H, H),
    "frozen-runs-in-inference-mode": (H, H, H, NOT_ABOUT_IT),
    "tf1-example": (H, NOT_ABOUT_IT, NOT_ABOUT_IT, NOT_ABOUT_IT),
    "tf1-three-cases": (H, NOT_ABOUT_IT, NOT_ABOUT_IT, NOT_ABOUT_IT),
    "training-false-needs-only-gamma-beta": (C, C, C, C),
    "freezing-recurses": (H, H, H, NOT_ABOUT_IT),
    "freeze-after-compile-waits": (H, H, P, NOT_ABOUT_IT),
    "yolov4-batch-norm": (H, H, P, NOT_ABOUT_IT),
    "base-model-training-false": (H, H, P, NOT_ABOUT_IT),
    "two-phase-fine-tuning": (H, H, H, NOT_ABOUT_IT),
    "evaluate-disables-dropout": (H, H, H, NOT_ABOUT_IT),
    "dropout-keeps-the-expected-value": (H, H, H, H),
    "four-parameters-a-channel": (H, H, H, H),
    "fit-sets-training": (H, H, H, NOT_ABOUT_IT),
}
"""{claim: what is so on each of TARGETS}"""

OF_LASAGNE = "lasagne==0.1"

YOLOV4 = {
    "tf1==1.15.5": ("needed: ", "keeps fit() from training mode"),
    "tf2==2.15.1": ("not needed: it behaves as its parent",),
    "tf2==2.21.0": ("it no longer runs: fit() raises", "not needed"),
}
"""Where the subclass is needed, where it is not, and where it no longer runs."""


@cache
def told() -> dict[tuple[str, str], Any]:
    """{(claim, target): the verdict}"""
    need(*TARGETS, OF_LASAGNE)
    targets = [word for target in (*TARGETS, OF_LASAGNE) for word in ("--target", target)]
    done = bnmatrix("claims", *targets, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return {(claim["id"], each["target"]): each for claim in found["claims"] for each in claim["verdicts"]}


@pytest.mark.parametrize("claim", EXPECTED)
def test_the_verdict(claim: str) -> None:
    words = tuple(
        told()[claim, target]["verdict"] if (claim, target) in told() else None for target in TARGETS
    )
    assert words == EXPECTED[claim]


@pytest.mark.parametrize("target", YOLOV4)
def test_the_subclass_is_needed_not_needed_or_does_not_run(target: str) -> None:
    answer = told()["yolov4-batch-norm", target]["answer"]
    assert all(words in answer for words in YOLOV4[target]), answer


def test_the_estimator_of_the_published_example_is_told() -> None:
    assert "unbiased" in told()["tf1-example", "tf1==1.15.5"]["answer"]


def test_a_timeline_tells_since_when_a_claim_does_not_hold() -> None:
    need("tf2==2.15.1", "tf2==2.16.2")
    arguments = ("freeze-after-compile-waits", "--timeline", "tf2", "--from", "2.15", "--to", "2.16")
    done = bnmatrix("claims", *arguments, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    ((first, second),) = [claim["runs"] for claim in json.loads(done.stdout)["claims"]]
    assert (first["from"], first["verdict"]) == ("2.15.1", "holds")
    assert (second["from"], second["verdict"]) == ("2.16.2", "partly")


def test_the_claim_on_lasagne() -> None:
    assert told()["lasagne-trainable-tag", OF_LASAGNE]["verdict"] == H


def test_whole_models_are_among_what_decides() -> None:
    found = told()["base-model-training-false", "tf2==2.21.0"]
    models = {each["id"].partition(" ")[0] for each in found["cells"] if each["id"].startswith("bnmatrix.")}
    assert {name.rpartition(":")[2] for name in models} >= {"mobilenet", "xception"}
    assert all(each["agrees"] is False for each in found["cells"] if each["id"].startswith("bnmatrix."))

"""`bnmatrix claims` as a user runs it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bnmatrix.render import as_json
from tests.cli.conftest import Run

IDS = ("frozen-gamma-beta-hold", "training-false-needs-only-gamma-beta", "fit-sets-training")

MINE = """
[[claim]]
id = "mine"
says = "a frozen layer is in inference mode"
source = "a colleague"

[[claim.product]]
training = true
trainable = [true, false]

[[claim.expect]]
says = "the moving statistics normalise"
where = { trainable = false }
facts = { normalised_by = "moving" }
"""


def told(bnmatrix: Run, *arguments: str) -> Any:
    done = bnmatrix("claims", *arguments, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, as_json.schema("claims"))
    return found


def test_a_contradicted_claim_is_an_answer_and_no_failure(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    found = told(bnmatrix, *IDS, "--target", "torch")
    assert [(claim["id"], claim["verdicts"][0]["verdict"]) for claim in found["claims"]] == [
        (IDS[0], "holds"),
        (IDS[1], "contradicted"),
    ]
    assert found["silent"] == [IDS[2]]
    (target,) = found["targets"]
    assert (target["target"], target["reason"], "torch" in target["versions"]) == ("torch", None, True)
    decided = found["claims"][1]["verdicts"][0]["cells"][0]
    assert decided["id"] == "batch_norm training=false"
    assert [decided[key] for key in ("fact", "expected", "measured", "agrees")] == [
        "normalised_by", "neither", "moving", False,
    ]  # fmt: skip


def test_every_format_tells_the_verdicts(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    for form in ("table", "markdown", "csv"):
        done = bnmatrix("claims", *IDS, "--target", "torch", "--format", form)
        assert done.returncode == 0
        assert "contradicted" in done.stdout
        assert IDS[0] in done.stdout
    assert "against it: 3 of 3 cells" in bnmatrix("claims", IDS[1], "--target", "torch").stdout
    expanded = bnmatrix("claims", IDS[0], "--target", "torch", "--expand").stdout
    assert "batch_norm trainable=false training=true: gamma, beta unchanged" in expanded


def test_claims_of_ones_own_are_measured(bnmatrix: Run, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "claims.toml").write_text(MINE)
    found = told(bnmatrix, "--claims", "claims.toml", "--target", "torch")
    (claim,) = found["claims"]
    assert (claim["id"], claim["verdicts"][0]["verdict"]) == ("mine", "contradicted")
    (tmp_path / "bnmatrix.toml").write_text('claims = ["claims.toml"]')
    assert "mine" in bnmatrix("list", "claims").stdout
    explained = bnmatrix("explain", "mine").stdout
    assert "the claim mine: a frozen layer is in inference mode" in explained
    assert "a colleague" in explained


def test_a_release_that_cannot_be_had_is_incomplete_beside_one_that_can(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    done = bnmatrix("claims", IDS[0], "--target", "torch", "--target", "tf2==2.15.1", "--offline")
    assert done.returncode == 3, done.stdout
    assert "tf2==2.15.1  ? incomplete: skipped" in done.stdout
    assert "holds 1, incomplete 1" in done.stdout


def test_it_says_ahead_what_it_would_measure(bnmatrix: Run) -> None:
    done = bnmatrix(
        "claims", IDS[0], "--target", "tf2==2.15.1", "--target", "torch", "--dry-run", "--offline"
    )
    assert "3" in done.stdout
    assert done.returncode in (0, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["frozen-gamma-beta-holds"], 2, "did you mean 'frozen-gamma-beta-hold'?"),
        (["tf1-example", "--target", "torch"], 5, "none of these claims speaks of torch"),
        (["--timeline", "torch", "--target", "torch"], 2, "--timeline chooses the targets itself"),
        (["--from", "1.4"], 2, "--from and --to are of a timeline"),
        (["--timeline", "torch", "--every", "day"], 2, "unknown --every 'day'"),
        (["--claims", "nowhere.toml"], 2, "cannot read the claims"),
        (["--format", "junit"], 2, "unknown format 'junit'"),
        (["--target", "tf9"], 2, "unknown framework 'tf9'"),
    ],
)
def test_what_cannot_be_done_is_told(bnmatrix: Run, arguments: list[str], code: int, message: str) -> None:
    done = bnmatrix("claims", *arguments)
    assert (done.returncode, message in done.stderr) == (code, True), done.stderr


def test_a_shipped_example_can_be_examined_by_hand(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    done = bnmatrix("run", "--framework", "torch", "--layer", "bnmatrix.examples.nothing:Norm")
    assert done.returncode == 2
    assert "No module named 'nothing'" in done.stderr

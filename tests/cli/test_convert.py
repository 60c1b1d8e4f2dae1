"""`bnmatrix convert` as a user runs it."""

from __future__ import annotations

import json

import jsonschema
import pytest

from bnmatrix.render import as_json
from tests.cli.conftest import Run

TWIN = ("dense", "--from", "torch", "--to", "torch", "--axis", "rank=2", "--steps", "3", "--quiet")


def test_a_layer_is_equal_to_its_twin(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    done = bnmatrix("convert", *TWIN, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, as_json.schema("convert"))
    assert (found["steps"], [case["axes"] for case in found["cases"]]) == (3, [{"rank": "2"}])
    assert {proof["answer"] for proof in found["cases"][0]["proofs"]} == {"equal"}
    page = bnmatrix("convert", *TWIN, env={"COLUMNS": "80"})
    assert page.returncode == 0
    assert "torch.nn.Linear(channels, units)" in page.stdout
    assert "options and weights make them equal" in page.stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["batchnorm", "--from", "tf2", "--to", "torch"], "unknown layer 'batchnorm'"),
        (["unit_norm", "--from", "tf2", "--to", "torch"], "torch has no unit_norm"),
        (["batch_norm", "--from", "tf2", "--to", "torhc"], "unknown framework 'torhc'"),
        (["batch_norm", "--from", "tf2", "--to", "torch", "--option", "momentum"], "NAME=NUMBER"),
        (["batch_norm", "--from", "tf2", "--to", "torch", "--option", "epsilon=nan"], "NAME=NUMBER"),
        (["batch_norm", "--from", "tf2", "--to", "torch", "--axis", "rank=9"], "unknown value of axis rank"),
        (["batch_norm", "--from", "tf2", "--to", "torch", "--format", "csv"], "unknown format 'csv'"),
        (["batch_norm", "--from", "tf2"], "--to"),
        (["a.b:Norm", "--from", "tf2", "--to", "torch"], "which no other framework has"),
    ],
)
def test_what_cannot_be_asked(bnmatrix: Run, words: list[str], told: str) -> None:
    done = bnmatrix("convert", *words)
    assert done.returncode == 2, done.stderr
    assert told in done.stderr

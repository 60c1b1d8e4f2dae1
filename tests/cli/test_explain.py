"""`bnmatrix explain` on real frameworks: the lines that decide, by their text."""

from __future__ import annotations

import json
from importlib.util import find_spec
from typing import Any

import jsonschema
import pytest

from bnmatrix.render import as_json
from tests.cli.conftest import Run

FROZEN = ("batch_norm", "training=true", "trainable=false")

NEEDS = {"tf2": "tensorflow", "tf_keras": "tf_keras", "torch": "torch"}

DECIDED = {
    "tf2": ("trainable", "if training and self.trainable:", "call", "mean = moving_mean"),
    "tf_keras": ("trainable", "if not self.trainable:", "_get_training_value", "training = False"),
    "torch": ("training", "if self.training:", "forward", "bn_training = True"),
}
"""{target: (axis, the line that decides, its function, what is run then)}"""


def explained(bnmatrix: Run, *words: str) -> Any:
    done = bnmatrix("explain", *words, "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, as_json.schema("explain"))
    return found


@pytest.mark.parametrize("target", DECIDED)
def test_the_line_that_decides_is_found(bnmatrix: Run, target: str) -> None:
    if find_spec(NEEDS[target]) is None:
        pytest.skip(f"{NEEDS[target]} is not installed")
    (cell,) = explained(bnmatrix, target, *FROZEN)["cells"]
    assert cell["cell"]["id"] == "batch_norm trainable=false training=true"
    found = [(each["axis"], each["text"], each["function"], each["here"]) for each in cell["decided_by"]]
    assert DECIDED[target] in found, found
    decision = cell["decided_by"][found.index(DECIDED[target])]
    assert decision["file"].endswith(("batch_normalization.py", "batchnorm.py"))
    # In torch nothing of the layer looks at the flag; in Keras a frozen layer does not look at `training`.
    assert cell["same_lines"] == ["training" if decision["axis"] == "trainable" else "trainable"]
    assert {law["rule"] for law in cell["laws"]} >= {"trainable"}
    assert {answer["answer"] for answer in cell["said"]} >= {"holds"}
    assert cell["documentation"]


def test_what_is_not_given_is_held_against_both(bnmatrix: Run) -> None:
    """In torch it acts as true: held against that alone, it would seem that nothing looks at the mode."""
    pytest.importorskip("torch")
    (cell,) = explained(bnmatrix, "torch", "batch_norm")["cells"]
    assert ("if self.training:", "false") in {(each["text"], each["other"]) for each in cell["decided_by"]}
    assert cell["same_lines"] == ["trainable"]


def test_the_page_and_markdown_tell_the_same(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    page = bnmatrix("explain", "torch", *FROZEN, env={"COLUMNS": "100"})
    assert page.returncode == 0
    for text in (
        "if self.training:",
        "torch/nn/modules/batchnorm.py, line",
        "here: bn_training = True",
        "another trainable changes no line of the layer's class that is run",
        "holds: in PyTorch freezing the parameters changes neither the mode nor the updates",
    ):
        assert text in " ".join(page.stdout.split()), text
    assert all(len(line) <= 100 for line in page.stdout.splitlines())
    markdown = bnmatrix("explain", "torch", *FROZEN, "--format", "markdown").stdout
    assert "- `if self.training:` (torch/nn/modules/batchnorm.py, line" in markdown
    assert "| `moving_mean` |" in markdown or "| moving_mean |" in markdown


def test_a_cell_without_lines_says_why(bnmatrix: Run) -> None:
    pytest.importorskip("torch")
    (cell,) = explained(bnmatrix, "torch", "batch_norm", "context=stateless")["cells"]
    assert (cell["decided_by"], cell["not_traced"]) == ([], "the cell is unavailable")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["3"], "exit code 3: an environment, probe or cell could not be run"),
        (["normalised_by"], "whose statistics normalise the output"),
        (["freeze"], "after_first_step after a step was made"),
    ],
)
def test_words_are_explained(bnmatrix: Run, words: list[str], told: str) -> None:
    done = bnmatrix("explain", *words)
    assert (done.returncode, told in " ".join(done.stdout.split())) == (0, True), done.stdout
    assert json.loads(bnmatrix("explain", *words, "--format", "json").stdout)["meaning"]
    assert told.split(" after")[0] in bnmatrix("explain", *words, "--format", "markdown").stdout.replace(
        "`", ""
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["normalized_by"], "unknown word 'normalized_by'\n  did you mean 'normalised_by'?"),
        (["7"], "unknown word '7'"),
        (["tf9", "batch_norm"], "unknown framework 'tf9'"),
        (["torch", "batch_norm", "training=maybe"], "unknown value of axis training 'maybe'"),
        ([""], "nothing is named"),
    ],
)
def test_what_cannot_be_explained(bnmatrix: Run, words: list[str], told: str) -> None:
    done = bnmatrix("explain", *words)
    assert done.returncode == 2
    assert told in done.stderr

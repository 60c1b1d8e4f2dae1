"""`bnmatrix audit` as a user runs it."""

from __future__ import annotations

import importlib.util
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run, environment

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("torch") is None, reason="torch is not installed: its models are the quick ones"
)

MODELS = """
import sys

import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, kept=False):
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4)).requires_grad_(False)
        self.head = nn.Linear(4, 2)
        self.kept = kept

    def train(self, mode=True):
        super().train(mode)
        if self.kept:
            self.backbone.eval()
        return self

    def forward(self, x):
        return self.head(self.backbone(x))


def wants(classes):
    return nn.Linear(3, classes)


def raises():
    return {}["missing"]


def text():
    print("what a factory prints is no result")
    return "model"


def without_numbers():
    model = nn.Linear(3, 2)
    model.weight.data.fill_(float("nan"))
    return model


def lost():
    return {"model": nn.Linear(3, 2), "loss": lambda output: (output * float("nan")).sum()}


def ends():
    sys.exit(7)


def dies():
    import os

    os.abort()


def one_value():
    return {"model": Net(), "input": torch.ones(1, 3)}


def batch():
    return torch.ones(5, 3), None
"""


@pytest.fixture
def models(tmp_path: Path) -> Path:
    path = tmp_path / "models.py"
    path.write_text(MODELS, encoding="utf-8")
    return path


def test_a_frozen_backbone_that_moves_is_found(models: Path, bnmatrix: Run) -> None:
    expectations = ("--expect", "backbone.*=frozen", "--expect", "head=trains")
    before = sorted(models.parent.iterdir())
    done = bnmatrix("audit", "models.py:Net", *expectations, "--format", "json", "--input", "models.py:batch")
    assert done.returncode == 1, done.stderr
    found = json.loads(done.stdout)
    assert [(each["id"], each["layers"]) for each in found["findings"]] == [("BN001", ["backbone.1"])]
    assert {each["pattern"]: each["answer"] for each in found["expectations"]} == {
        "backbone.*": "failed",
        "head": "holds",
    }
    assert found["input"] == ["5x3 float32"]
    assert sorted(models.parent.iterdir()) == before, "nothing is left behind, byte code neither"


def test_what_is_in_order_is_told_so(models: Path, bnmatrix: Run) -> None:
    done = bnmatrix("audit", "models:Net", "--arg", "kept=True", "--expect", "backbone=frozen", "--strict")
    assert done.returncode == 0, done.stderr
    assert "BN0" not in done.stdout


def test_on_torch_keras_trains_on_under_the_eyes_of_the_audit(bnmatrix: Run) -> None:
    pytest.importorskip("keras", minversion="3", reason="Keras 3 is not installed")
    plain = Path(__file__).parents[1] / "versions" / "audited_models.py"
    done = bnmatrix("audit", f"{plain}:plain", "--framework", "keras[torch]", "--format", "json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["findings"] == []
    layers = {each["path"]: each for each in found["layers"]}
    assert all(layers[path]["facts"]["parameters"] == "updated" for path in ("base.conv", "base.norm"))
    assert layers["base.norm"]["facts"]["updates_per_step"] == "1"


def test_the_project_may_say_it_all(models: Path, bnmatrix: Run) -> None:
    text = '[tool.bnmatrix.audit]\nmodel = "models:Net"\nexpect = { "backbone" = "frozen" }\n'
    (models.parent / "pyproject.toml").write_text(text, encoding="utf-8")
    done = bnmatrix("audit", "--fix")
    assert done.returncode == 1, done.stderr
    compile(done.stdout, "fix", "exec")
    assert '["backbone.1"]' in done.stdout


REFUSED = {
    "models.py:nope": ("has no nope", "it has Net, batch, dies"),
    "models.py:wants": ("wants the arguments classes", "--arg classes=..."),
    "models.py:raises": ("KeyError: 'missing' (models.py, line 30)", ""),
    "models.py:text": ("returns a str, no model", "a Keras model or a torch.nn.Module"),
    "models.py:without_numbers": ("the weights of the model are no numbers: weight", ""),
    "models.py:lost": ("the loss of step 1 is no number", "give another input"),
    "models.py:ends": ("raised SystemExit: 7 (models.py, line 49)", ""),
    "models.py:one_value": ("Expected more than 1 value per channel", "--input-shape"),
    "absent.py:make": ("there is no file absent.py", "it is looked for in"),
    "absent:make": ("No module named 'absent'", ""),
    "models.py": ("is a file of code", "models.py:build_model"),
    "models.keras": ("holds no model that is known here", "name a factory"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_cannot_be_audited_is_told_with_what_to_do(what: str, models: Path, bnmatrix: Run) -> None:
    (models.parent / "models.keras").write_text("no model", encoding="utf-8")
    done = bnmatrix("audit", what)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    for words in REFUSED[what]:
        assert words in done.stderr


def test_a_batch_of_one_value_is_found_although_the_step_raises(models: Path, bnmatrix: Run) -> None:
    done = bnmatrix("audit", "models.py:one_value", "--format", "json")
    assert done.returncode == 2
    assert [each["id"] for each in json.loads(done.stdout)["findings"]] == ["BN010"]


def test_on_a_terminal_the_page_tells_it_and_nothing_tells_it_again(models: Path) -> None:
    ours, theirs = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "bnmatrix", "audit", "models.py:one_value"],
        cwd=models.parent,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        timeout=100,
        check=False,
    )
    os.close(theirs)
    page = os.read(ours, 100_000)
    os.close(ours)
    assert done.returncode == 2
    assert b"raised ValueError" in page
    assert b"--input-shape" in page, "what to do next"
    assert b"ValueError" not in done.stderr


def test_a_process_that_is_lost_makes_the_audit_incomplete(models: Path, bnmatrix: Run) -> None:
    done = bnmatrix("audit", "models.py:dies")
    assert done.returncode == 3
    assert "SIGABRT" in done.stderr


def test_a_pickled_model_is_loaded_only_where_it_is_trusted(models: Path, bnmatrix: Run) -> None:
    import torch

    torch.save(torch.nn.Sequential(torch.nn.Linear(3, 2)), models.parent / "model.pt")
    refused = bnmatrix("audit", "model.pt")
    assert refused.returncode == 2
    assert "--trust" in refused.stderr
    assert bnmatrix("audit", "model.pt", "--trust").returncode == 0


@pytest.mark.parametrize(
    "options",
    [
        ("--steps", "1"),
        ("--execution", "sideways"),
        ("--expect", "head=frozn"),
        ("--expect", "no_such_layer=frozen"),
        ("--input-shape", "4,x"),
        ("--arg", "kept"),
    ],
)
def test_mistakes_in_options_are_usage_errors(options: tuple[str, ...], models: Path, bnmatrix: Run) -> None:
    assert bnmatrix("audit", "models.py:Net", *options).returncode == 2

"""Layers of the user's own in `run`, `diff`, `lock` and `check`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from bnmatrix.render import as_json
from tests.cli.conftest import Run

torch = pytest.importorskip("torch")

NORMS = """
import torch


class Same(torch.nn.BatchNorm2d):
    pass


class Biased(torch.nn.BatchNorm2d):
    '''It takes the variance of the batch as it is into the moving one.'''

    def forward(self, x):
        rows = x.transpose(0, 1).reshape(x.shape[1], -1)
        if self.training:
            with torch.no_grad():
                self.running_mean.lerp_(rows.mean(1), self.momentum)
                self.running_var.lerp_(rows.var(1, unbiased=False), self.momentum)
                self.num_batches_tracked.add_(1)
        mean, variance = (rows.mean(1), rows.var(1, unbiased=False)) if self.training else (
            self.running_mean, self.running_var
        )
        shape = (1, -1, 1, 1)
        x = (x - mean.reshape(shape)) / (variance.reshape(shape) + self.eps).sqrt()
        return x * self.weight.reshape(shape) + self.bias.reshape(shape)


class Leaky(torch.nn.BatchNorm2d):
    '''Frozen, it trains on.'''

    def requires_grad_(self, requires_grad=True):
        return super().requires_grad_(True)


class Wide(torch.nn.Module):
    def forward(self, x):
        return torch.cat([x, x], 1)


def number():
    return 3
"""

SMALL = ("--framework", "torch", "--axis", "execution=call", "--axis", "rank=4")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder in which the program runs, with the user's layers."""
    (tmp_path / "norms.py").write_text(NORMS)
    return tmp_path


def run(bnmatrix: Run, *arguments: str, code: int = 0) -> Any:
    done = bnmatrix("run", *SMALL, *arguments, "--format", "json")
    assert done.returncode == code, done.stderr
    found = json.loads(done.stdout)
    jsonschema.validate(found, as_json.schema("run"))
    return found


def test_a_subclass_that_changes_nothing_is_equivalent(bnmatrix: Run, project: Path) -> None:
    found = run(bnmatrix, "--layer", "norms:Same", "--like", "batch_norm")
    (diff,) = found["likeness"]
    assert (diff["old"]["target"], diff["new"]["target"]) == ("batch_norm of torch", "norms:Same")
    assert diff["summary"] == {"same": 6, "changed": 0, "not_comparable": 0, "unstable": 0}
    cells = found["targets"][0]["cells"]
    assert [cell["axes"]["layer"] for cell in cells] == ["norms:Same"] * 6
    assert cells[0]["id"] == "norms:Same rank=4 training=true"


def test_what_makes_a_difference_is_found(bnmatrix: Run, project: Path) -> None:
    biased = run(bnmatrix, "--layer", "norms:Biased", "--like", "batch_norm", code=1)["likeness"][0]
    assert {(change["fact"], change["old"], change["new"]) for change in biased["changes"]} == {
        ("variance_estimator", "unbiased", "biased")
    }
    (condition,) = biased["conditions"]
    assert condition["cells"] == 4  # those that take the statistics in
    leaky = run(bnmatrix, "--layer", "norms:Leaky", "--like", "batch_norm", code=1)["likeness"][0]
    assert {"gamma", "beta"} <= {change["fact"] for change in leaky["changes"]}
    assert {change["axes"]["trainable"] for change in leaky["changes"]} == {"false"}
    page = bnmatrix("run", *SMALL, "--layer", "norms:Leaky", "--like", "batch_norm").stdout
    assert "batch_norm of torch → norms:Leaky" in page


def test_arguments_of_the_constructor(bnmatrix: Run, project: Path) -> None:
    found = run(bnmatrix, "--layer", "norms:Same(momentum=0.25, eps=0.001)", "--axis", "training=true,false")
    cells = found["targets"][0]["cells"]
    facts = [cell["facts"] for cell in cells]
    assert {each["update_rate"] for each in facts if "update_rate" in each} == {0.25}
    assert {each["epsilon"] for each in facts if "epsilon" in each} == {0.001}
    assert all(cell["id"].startswith("norms:Same(momentum=0.25,eps=0.001) ") for cell in cells)


def test_a_result_is_known_until_the_code_changes(bnmatrix: Run, project: Path) -> None:
    first = run(bnmatrix, "--layer", "norms:Same")
    again = bnmatrix("run", *SMALL, "--layer", "norms:Same", "--format", "json")
    assert "6 of 6 cells were known" in again.stderr
    assert json.loads(again.stdout) == first
    (project / "norms.py").write_text(NORMS.replace("class Same(", "class Old(") + "\nSame = Biased\n")
    changed = run(bnmatrix, "--layer", "norms:Same")
    assert changed["targets"][0]["cells"][0]["facts"]["variance_estimator"] == "biased"


@pytest.mark.parametrize(
    ("layer", "told", "hint"),
    [
        ("norms:Norm", "norms.py) has no Norm: it has Biased, Leaky, Same, Wide", "it is looked for in /"),
        (
            "nothing:Norm",
            "nothing cannot be imported: ModuleNotFoundError: No module named 'nothing'",
            "it is looked for in /",
        ),
        (
            "norms:number",
            "norms:number makes a int, which is no layer of torch",
            "name a target of its framework",
        ),
        (
            "norms:Wide",
            "norms:Wide: it puts out (3, 1, 2, 8), where batch_norm puts out (3, 1, 2, 4)",
            "--like dense",
        ),
    ],
)
def test_what_cannot_be_examined_says_why(
    bnmatrix: Run, project: Path, layer: str, told: str, hint: str
) -> None:
    done = bnmatrix("run", *SMALL, "--layer", layer, "--axis", "training=true")
    assert done.returncode == 2
    assert told in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr


def test_like_with_a_cell(bnmatrix: Run, project: Path) -> None:
    cell = "norms:Same rank=4 training=true"
    done = bnmatrix("run", "--framework", "torch", "--cell", cell, "--like", "batch_norm")
    assert (done.returncode, "0 changed · 1 the same" in done.stdout) == (0, True), done.stderr
    refused = bnmatrix("run", "--framework", "torch", "--cell", cell, "--like", "dropout")
    assert (refused.returncode, "write it package.module:Class like=dropout" in refused.stderr) == (2, True)


def test_a_constructor_that_raises_is_shown_with_its_line(bnmatrix: Run, project: Path) -> None:
    (project / "broken.py").write_text(
        "class Broken:\n    def __init__(self):\n        raise ValueError('no')\n"
    )
    done = bnmatrix("run", *SMALL, "--layer", "broken:Broken", "--axis", "training=true")
    assert done.returncode == 2
    assert "broken:Broken: ValueError: no (broken.py, line 3; it could not be made)" in done.stderr


def test_a_layer_that_raises_when_it_is_called_is_a_result(bnmatrix: Run, project: Path) -> None:
    source = "import torch\nclass Calls(torch.nn.Module):\n    def forward(self, x): raise ValueError('no')\n"
    (project / "calls.py").write_text(source)
    small = ("--axis", "training=true", "--axis", "trainable=true")
    (cell,) = run(bnmatrix, "--layer", "calls:Calls", *small)["targets"][0]["cells"]
    assert (cell["outcome"], cell["reason"]) == ("raised", "ValueError: no (calls.py, line 3)")


def test_what_the_users_code_sets_reaches_nothing_else(bnmatrix: Run, project: Path) -> None:
    (project / "setting.py").write_text(SETTING)
    layers = ("--layer", "setting:Norm", "--layer", "batch_norm", "--jobs", "1", "--no-cache")
    cells = run(bnmatrix, *layers, "--axis", "training=true")["targets"][0]["cells"]
    shown = {cell["axes"]["layer"]: cell["facts"]["variance_estimator"] for cell in cells}
    assert shown == {"setting:Norm": "biased", "batch_norm": "unbiased"}


SETTING = """
import torch
from norms import Biased

torch.nn.BatchNorm2d.forward = Biased.forward  # for the whole process


class Norm(torch.nn.BatchNorm2d):
    pass
"""


def test_what_was_measured_while_the_code_changed_is_not_kept(bnmatrix: Run, project: Path) -> None:
    source = (
        "from norms import Same as Norm\nwith open(__file__, 'a') as file:\n    file.write('# more\\n')\n"
    )
    for _ in range(2):
        file = project / "changing.py"
        file.write_text(source)
        os.utime(file, ns=(1, 1))  # as it was the first time
        done = bnmatrix("run", *SMALL, "--layer", "changing:Norm", "--axis", "training=true")
        assert (done.returncode, "were known" in done.stderr) == (0, False), done.stderr
        assert file.read_text() != source


def test_a_package_that_is_missing_goes_with_the_target(bnmatrix: Run, project: Path) -> None:
    (project / "needy.py").write_text("import no_such_package\n")
    done = bnmatrix("run", *SMALL, "--layer", "needy:Norm")
    assert (done.returncode, '--framework "TARGET,no_such_package"' in done.stderr) == (2, True), done.stderr
    assert "(needy.py, line 1)" in done.stderr


def test_parts_of_a_layer_go_by_their_names(bnmatrix: Run, project: Path) -> None:
    (project / "parts.py").write_text(PARTS)
    found = run(bnmatrix, "--layer", "parts:Whole", "--like", "batch_norm")
    assert found["likeness"][0]["summary"]["same"] == 6
    other = run(bnmatrix, "--layer", "parts:Renamed")["targets"][0]
    shown = {cell["id"]: cell["facts"] for cell in other["cells"]}
    assert {facts["normalised_by"] for facts in shown.values()} == {"undecided"}
    assert shown["parts:Renamed rank=4 training=true"]["mean"] == "updated"
    assert shown["parts:Renamed rank=4 training=false"]["mean"] == "unchanged"
    assert ("mean", "training") in {(law["fact"], law["rule"]) for law in other["laws"]}


def test_what_cannot_be_compared_is_no_success(bnmatrix: Run, project: Path) -> None:
    small = (
        "--framework",
        "torch",
        "--axis",
        "execution=call",
        "--axis",
        "rank=2",
        "--axis",
        "training=true",
    )
    done = bnmatrix("run", *small, "--layer", "torch.nn:BatchNorm1d", "--like", "unit_norm")
    assert (done.returncode, "no cell could be compared" in done.stderr) == (5, True)


PARTS = """
import torch


class Whole(torch.nn.Module):
    def __init__(self, **options):
        super().__init__()
        self.inner = torch.nn.BatchNorm2d(4, **options)

    def forward(self, x):
        return self.inner(x)


class Renamed(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(4))
        self.register_buffer("mean", torch.zeros(4))
        self.register_buffer("var", torch.ones(4))

    def forward(self, x):
        return torch.nn.functional.batch_norm(x, self.mean, self.var, self.scale, None, self.training)
"""


def test_a_project_locks_and_checks_its_own_layers(bnmatrix: Run, project: Path) -> None:
    (project / "pyproject.toml").write_text(
        "[tool.bnmatrix]\nframeworks = ['torch']\nlayers = ['norms:Same']\n"
        "axes = { rank = ['4'], execution = ['call'] }\n"
    )
    assert bnmatrix("lock").returncode == 0
    assert bnmatrix("check").returncode == 0
    known = bnmatrix("check")
    assert (known.returncode, "6 of 6 cells were known" in known.stderr) == (0, True)
    (project / "norms.py").write_text(NORMS + "\nSame = Biased\n")
    done = bnmatrix("check")
    assert done.returncode == 1, done.stdout
    assert "variance_estimator" in done.stdout
    one = bnmatrix("diff", "bnmatrix.lock", "torch", "--format", "json")
    assert one.returncode == 1
    assert {change["fact"] for change in json.loads(one.stdout)["changes"]} == {"variance_estimator"}


@pytest.mark.parametrize("freeze", ["before_build", pytest.param("constructor", marks=pytest.mark.versions)])
def test_a_keras_layer_on_its_ways_through_a_model(bnmatrix: Run, project: Path, freeze: str) -> None:
    pytest.importorskip("tensorflow")
    (project / "yolo.py").write_text(YOLO)
    selected = ("--axis", "execution=call,fit", "--axis", "context=direct,reloaded", "--axis", "rank=2")
    more = ("--axis", f"freeze={freeze}", "--axis", "dtype=float32,float16", "--quiet")
    arguments = ("--framework", "tf2", "--layer", "yolo:Norm", "--like", "batch_norm", *selected, *more)
    done = bnmatrix("run", *arguments, "--format", "json")
    diff = json.loads(done.stdout)["likeness"][0]
    assert done.returncode == 1
    assert diff["summary"]["not_comparable"] == 0
    raised = {change["id"] for change in diff["changes"] if change["fact"] == "outcome"}
    assert raised
    assert all("execution=fit" in identity for identity in raised)


YOLO = """
import tensorflow as tf


class Norm(tf.keras.layers.BatchNormalization):
    def call(self, x, training=False):
        if training is None:
            training = tf.constant(False)
        training = tf.logical_and(training, self.trainable)
        return super().call(x, training)
"""

"""Targets of the user's own, from pyproject.toml or bnmatrix.toml."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnmatrix.errors import UsageError
from bnmatrix.target import parse

WHOLE = """
[tool.bnmatrix.targets.production]
target = "tf2==2.15.1"
python = "3.10"
packages = ["numpy<1.25", "h5py==3.9.0"]
variables = { TF_ENABLE_ONEDNN_OPTS = "0" }
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's folder; the working directory is one below it."""
    below = tmp_path / "src"
    below.mkdir()
    monkeypatch.chdir(below)
    return tmp_path


def test_a_name_stands_for_framework_python_pins_and_variables(project: Path) -> None:
    (project / "pyproject.toml").write_text(WHOLE)
    target = parse("production:cpu")
    assert (target.text, target.framework, target.device) == ("production:cpu", "tf2", "cpu")
    assert target.requirements() == ("tensorflow==2.15.1", "numpy<1.25", "h5py==3.9.0")
    assert target.python == "3.10"
    assert dict(target.probe_variables()) == {"KERAS_BACKEND": "tensorflow", "TF_ENABLE_ONEDNN_OPTS": "0"}


def test_a_path_is_one_from_where_it_is_written(project: Path) -> None:
    (project / "pyproject.toml").write_text(WHOLE.replace('"3.10"', '"./envs/old/bin/python"'))
    assert parse("production").python == str(project / "envs/old/bin/python")


def test_bnmatrix_toml_goes_first_and_has_a_shorter_heading(project: Path) -> None:
    (project / "pyproject.toml").write_text(WHOLE)
    (project / "bnmatrix.toml").write_text(WHOLE.replace("tool.bnmatrix.", "").replace("2.15.1", "2.14.1"))
    assert parse("production").pins[0] == ("tensorflow", "==2.14.1")


def test_a_pyproject_without_targets_is_passed_by(project: Path) -> None:
    (project / "pyproject.toml").write_text(WHOLE)
    Path("pyproject.toml").write_text("[project]\nname = 'inner'\n")
    assert parse("production").framework == "tf2"


@pytest.mark.parametrize(
    ("text", "file", "message"),
    [
        ("prodction", WHOLE, "unknown framework 'prodction'"),
        ("production==2.15.1", WHOLE, "production has its version in"),
        ("production", WHOLE.replace("target =", "traget ="), "unknown field 'traget'"),
        ("production", WHOLE.replace('"tf2==2.15.1"', "2"), "`int`"),
        ("production", WHOLE.replace("tf2==", "tf9=="), "unknown framework 'tf9'"),
        (
            "production",
            WHOLE.replace("tf2==2.15.1", "production"),
            "the target of production is a name itself",
        ),
        ("production", WHOLE.replace("h5py==3.9.0", "h5py=3"), "'h5py=3' is not a requirement"),
        ("production", WHOLE.replace("TF_ENABLE_ONEDNN_OPTS", '"A=B"'), "is no environment variable"),
        ("production", "[tool.bnmatrix.targets", "is not TOML"),
        ("production", "tool = 3", "tool must be a table"),
    ],
)
def test_a_mistake_says_where(project: Path, text: str, file: str, message: str) -> None:
    (project / "pyproject.toml").write_text(file)
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert message in caught.value.message


def test_the_nearest_name_is_guessed(project: Path) -> None:
    (project / "pyproject.toml").write_text(WHOLE)
    with pytest.raises(UsageError) as caught:
        parse("prodction")
    assert caught.value.hint == "did you mean 'production'?"

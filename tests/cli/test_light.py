"""What must answer at once imports little: no numpy, no framework, nothing that a command alone needs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bnmatrix.audit.findings import findings
from bnmatrix.axes import AXES
from bnmatrix.claim_file import every
from bnmatrix.layers import layers
from bnmatrix.placement import Wishes, installed
from bnmatrix.scenario_file import names
from bnmatrix.target import FAMILIES
from tests.cli.conftest import Run, environment

HERE = [target.text for target in installed(Wishes())]
FRAMEWORKS = {"tensorflow", "keras", "tf_keras", "torch", "jax"}
ALWAYS = {"numpy", "asyncio", *FRAMEWORKS}

LIGHT = {
    "--help": {*ALWAYS, "rich", "msgspec", "packaging", "bnmatrix.axes", "bnmatrix.matrix"},
    "run --help": {*ALWAYS, "rich", "msgspec", "packaging", "bnmatrix.axes", "bnmatrix.matrix"},
    "diff --help": {*ALWAYS, "rich", "msgspec", "packaging", "bnmatrix.axes", "bnmatrix.matrix"},
    "--version": {*ALWAYS, "rich", "msgspec", "packaging"},
    "list layers": {*ALWAYS, "rich", "msgspec"},
    "list frameworks": {*ALWAYS, "rich"},
    "list axes": {*ALWAYS, "rich", "msgspec"},
    "list scenarios": {*ALWAYS, "rich"},
    "list claims": {*ALWAYS, "rich"},
    "run --framework tf3": {*ALWAYS, "rich"},
}


def imported(command: str, folder: Path) -> set[str]:
    """The modules that a command imports."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "bnmatrix", *command.split()],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return {
        line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time")
    }


@pytest.mark.parametrize("command", LIGHT)
def test_what_is_asked_often_imports_little(command: str, tmp_path: Path) -> None:
    found = imported(command, tmp_path)
    assert found
    assert not found & LIGHT[command]


@pytest.mark.skipif(not HERE, reason="no framework is installed here")
def test_a_known_result_is_shown_without_what_measures(tmp_path: Path, bnmatrix: Run) -> None:
    command = f"run --framework {HERE[0]} --cell batch_norm"
    assert bnmatrix(*command.split()).returncode == 0
    found = imported(command, tmp_path)
    assert "bnmatrix.store" in found
    assert not found & {*ALWAYS, "bnmatrix.runner", "bnmatrix.judge", "concurrent.futures", "pydantic", "uv"}


@pytest.mark.parametrize("arguments", [[], ["--help"], ["-h"]], ids=["nothing", "--help", "-h"])
def test_help_is_plain_text(arguments: list[str], bnmatrix: Run) -> None:
    done = bnmatrix(*arguments)
    assert done.returncode == 0
    assert done.stdout.lstrip().startswith("Usage: bnmatrix")
    assert done.stdout.isascii()
    assert done.stderr == ""


def test_the_version_is_that_of_the_package(bnmatrix: Run) -> None:
    from bnmatrix import __version__

    assert bnmatrix("--version").stdout == f"bnmatrix {__version__}\n"


LISTS = {
    "layers": list(layers()),
    "axes": list(AXES),
    "scenarios": names(),
    "frameworks": list(FAMILIES),
    "findings": list(findings()),
    "claims": [claim.id for claim in every()],
}


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_names_all_of_its_kind(kind: str, bnmatrix: Run) -> None:
    done = bnmatrix("list", kind)
    assert done.returncode == 0
    assert all(name in done.stdout for name in LISTS[kind])
    assert max(map(len, done.stdout.splitlines())) <= 80


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_in_json(kind: str, bnmatrix: Run) -> None:
    listed = [
        entry["name"].partition("[")[0]
        for entry in json.loads(bnmatrix("list", kind, "--format", "json").stdout)
    ]
    assert list(dict.fromkeys(listed)) == LISTS[kind]


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_fits_a_narrow_terminal(kind: str, bnmatrix: Run) -> None:
    done = bnmatrix("list", kind, env={"COLUMNS": "40"})
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) <= 40


def test_the_usual_shells_are_completed(bnmatrix: Run) -> None:
    env = {
        "_BNMATRIX_COMPLETE": "complete_bash",
        "COMP_WORDS": "bnmatrix run --layer batch",
        "COMP_CWORD": "3",
    }
    assert bnmatrix(env=env).stdout.split() == ["batch_norm"]

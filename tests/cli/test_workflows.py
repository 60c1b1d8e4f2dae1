"""The workflows of the README: their commands are ones that the program takes, and do what is said."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Run, environment
from tests.cli.test_check import doctored, locked

__all__ = ["locked"]

pytest.importorskip("torch")

BLOCKS = re.findall(r"^```yaml\n(.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE | re.DOTALL)


def shell(lines: list[str], folder: Path, tmp_path: Path) -> int:
    """Run the lines as a runner does: in one shell that ends at the first that fails."""
    path = tmp_path / "bin"
    path.mkdir(exist_ok=True)
    program = path / "bnmatrix"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bnmatrix "$@"\n')
    program.chmod(0o755)
    return subprocess.run(
        ["bash", "-e", "-c", "\n".join(lines)],
        cwd=folder,
        env=environment(PATH=f"{path}{os.pathsep}{os.environ['PATH']}"),
        capture_output=True,
        timeout=100,
        check=False,
    ).returncode


def test_there_is_one_for_each_of_the_two() -> None:
    assert ["runs-on" in block for block in BLOCKS] == [True, False]


@pytest.mark.parametrize(
    ("facts", "code"), [({}, 0), ({"moving_mean": "unchanged"}, 1)], ids=["same", "changed"]
)
def test_the_commands_of_the_workflows_run(
    bnmatrix: Run, locked: Path, tmp_path: Path, facts: dict[str, str], code: int
) -> None:
    doctored(locked, **facts)
    github, gitlab = BLOCKS
    check, sarif = re.findall(r"run: ((?:env .*)?bnmatrix .*)", github)
    assert shell([check], locked.parent, tmp_path) == code
    assert shell([sarif], locked.parent, tmp_path) == 0
    assert (locked.parent / "bnmatrix.sarif").stat().st_size > 1000
    script = gitlab.split("\n  script:\n")[1].split("\n  allow_failure:")[0]
    lines = re.findall(r"^    - (.*)$", script, re.MULTILINE)
    assert len(lines) == 3
    assert shell(lines, locked.parent, tmp_path) == code
    assert (locked.parent / "bnmatrix.xml").read_text().startswith("<?xml")

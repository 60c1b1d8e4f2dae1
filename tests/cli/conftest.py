"""The program as a user runs it: a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bnmatrix.matrix import dump
from tests.render import miniature

ROOT = Path(__file__).parent.parent.parent

Run = Callable[..., "subprocess.CompletedProcess[str]"]

NEUTRAL = ("COLUMNS", "FORCE_COLOR", "NO_COLOR", "PYTHONIOENCODING", "TERM", "CLICOLOR", "CLICOLOR_FORCE")


def environment(**changes: str) -> dict[str, str]:
    """The environment of a plain terminal session, with `changes`."""
    inherited = {name: value for name, value in os.environ.items() if name not in NEUTRAL}
    path = os.pathsep.join(part for part in (str(ROOT), inherited.get("PYTHONPATH", "")) if part)
    return {**inherited, "PYTHONPATH": path, "PYTHONUTF8": "1", "TERM": "xterm", **changes}


@pytest.fixture
def bnmatrix(tmp_path: Path) -> Run:
    """Run the program in an empty folder; `env` changes the environment."""

    def run(*arguments: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bnmatrix", *arguments],
            cwd=tmp_path,
            env=environment(**(env or {})),
            capture_output=True,
            encoding="utf-8",
            timeout=100,
            check=False,
        )

    return run


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A folder with saved matrices: tf1.json, tf2.json, torch.json, and all.json with the three of them."""
    targets = {"tf1": miniature.tf1(), "tf2": miniature.tf2(), "torch": miniature.torch()}
    for name, target in targets.items():
        (tmp_path / f"{name}.json").write_bytes(dump(miniature.matrix(target)))
    (tmp_path / "all.json").write_bytes(dump(miniature.matrix(*targets.values())))
    return tmp_path

"""Real releases in environments of their own: `bnmatrix` as a user runs it, JSON read back."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest

from tests.cli.conftest import environment

NOT_HERE = re.compile(r"found here:|no Python .* was found|cannot be reached|no space left|would fetch")

MAKING = 900
"""Seconds for a command that may have to make an environment."""


def bnmatrix(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    return subprocess.run(
        [sys.executable, "-m", "bnmatrix", *arguments],
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=MAKING,
        check=False,
    )


@cache
def made(target: str) -> str | None:
    """Make the environment of `target`; why that cannot be done here, or None."""
    done = bnmatrix("env", "create", target)
    return None if done.returncode == 0 else " ".join(done.stderr.split()) or f"exit code {done.returncode}"


def need(*targets: str) -> None:
    """Skip the test where there is no Python or no index for a target; fail where something else is wrong."""
    for target in targets:
        reason = made(target)
        if reason is not None:
            (pytest.skip if NOT_HERE.search(reason) else pytest.fail)(f"{target}: {reason}")


@cache
def run(target: str, *selection: str) -> dict[str, Any]:
    """The one target of a run's JSON."""
    done = bnmatrix("run", "--framework", target, "--format", "json", "--quiet", *selection)
    assert done.stdout, done.stderr
    (found,) = json.loads(done.stdout)["targets"]
    return dict(found)


def outcomes(target: dict[str, Any]) -> set[str]:
    """The outcomes of its cells."""
    return {cell["outcome"] for cell in target["cells"]}


def difference(old: str, new: str, selection: Sequence[str]) -> dict[str, Any]:
    """The JSON of `diff`."""
    done = bnmatrix("diff", old, new, "--format", "json", "--quiet", *selection)
    assert done.returncode in (0, 1), done.stderr
    return dict(json.loads(done.stdout))

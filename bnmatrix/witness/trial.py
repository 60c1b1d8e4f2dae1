"""A program run on both sides at once, each in its own interpreter and in empty folders of its own.

A process is started in a group of its own, which is killed when it takes too long or we are interrupted.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bnmatrix.runner.surroundings import environment_of, make_folders
from bnmatrix.runner.work import Guest

PROGRAM = "witness.py"


@dataclass(frozen=True)
class End:
    """How a program ended: its exit status, None if it took too long; its last line, of stderr if need be."""

    status: int | None
    last: str

    def __str__(self) -> str:
        """A clause."""
        said = f" ({self.last})" if self.last else ""
        return "took too long" if self.status is None else f"exited with {self.status}{said}"


def separates(ends: Sequence[End], fact: str) -> bool:
    """Whether the two ends, old and new, are those of a program that tells the sides apart by `fact`.

    Python itself exits with 1 where a program cannot even begin; then the last line is not about the fact.
    """
    return [end.status for end in ends] == [0, 1] and all(end.last.startswith(fact + ": ") for end in ends)


def tried(text: str, guests: Sequence[Guest], timeout: float) -> list[End]:
    """How the program `text` ends for each guest. Raises OSError where one cannot be started."""
    root = Path(tempfile.mkdtemp(prefix="bnmatrix-witness-"))
    started: list[subprocess.Popen[bytes]] = []
    deadline = time.monotonic() + timeout
    try:
        for number, guest in enumerate(guests):
            started.append(_started(text, guest, root / str(number)))
        return [_end(process, root / str(number), deadline) for number, process in enumerate(started)]
    finally:
        for process in started:
            _kill(process)
        shutil.rmtree(root, ignore_errors=True)


def _started(text: str, guest: Guest, folder: Path) -> subprocess.Popen[bytes]:
    work, folders = make_folders(folder)
    (work / PROGRAM).write_text(text, encoding="utf-8")
    python = os.path.abspath(guest.python) if os.sep in guest.python else guest.python
    with open(folder / "stdout", "wb") as stdout, open(folder / "stderr", "wb") as stderr:
        return subprocess.Popen(
            [python, "-I", PROGRAM],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=work,
            env=environment_of(guest, folders, os.environ),
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes], folder: Path, deadline: float) -> End:
    try:
        status = process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return End(None, "")
    for stream in ("stdout", "stderr"):
        lines = (folder / stream).read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        if last:
            break
    return End(status, last[:200])


def _kill(process: subprocess.Popen[bytes]) -> None:
    """Kill a process that is running still, with its children."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)

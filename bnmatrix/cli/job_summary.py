"""The summary of a job of GitHub Actions: Markdown, appended to the file that the runner names."""

from __future__ import annotations

import os
import sys
from pathlib import Path

VARIABLE = "GITHUB_STEP_SUMMARY"

MOST_BYTES = 1024 * 1024
"""GitHub takes no more of a step, and drops all of what is longer."""

CUT = "\n\n*Cut here: a job summary holds no more. `bnmatrix check --format markdown` has all of it.*\n"


def append(markdown: str) -> None:
    """Append `markdown` to the job summary, if there is one. Where it cannot be, that is told."""
    name = os.environ.get(VARIABLE)
    if not name:
        return
    path = Path(name)
    try:
        there = path.stat().st_size if path.exists() else 0
        with path.open("ab") as file:
            file.write(fitting(markdown, MOST_BYTES - there))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        print(f"bnmatrix: the job summary {name} cannot be written: {why}", file=sys.stderr)


def fitting(markdown: str, room: int) -> bytes:
    """As many lines as `room` bytes hold, and a note where that is not all; nothing where no note fits."""
    whole = f"{markdown.rstrip()}\n".encode("utf-8", "backslashreplace")
    if len(whole) < room:
        return whole
    note = CUT.encode()
    end = whole.rfind(b"\n", 0, max(room - len(note), 0))
    return whole[:end] + note if end >= 0 else b""

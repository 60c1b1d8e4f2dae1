"""Step 5 of the failure model: however the program ends, no child is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.runner.conftest import Diary

CONSUMER = Path(__file__).parent / "consumer.py"


@contextmanager
def consumer(diary: Diary, program: str, variant: str = "default") -> Iterator[subprocess.Popen[str]]:
    """The consuming program, its two probes in the middle of a cell."""
    environment = {**os.environ, "TMPDIR": str(diary.folder)}
    command = [sys.executable, str(CONSUMER), str(diary.folder), program, variant]
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        for _ in range(2):
            assert "Greeting" in process.stdout.readline()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, -signal.SIGINT), (signal.SIGTERM, 128 + 15), (signal.SIGHUP, 128 + 1)],
)
def test_interrupted_program_leaves_no_child_and_no_folder(
    diary: Diary, number: signal.Signals, status: int
) -> None:
    with consumer(diary, "hangs") as process:
        diary.wait_for(2, "children")
        began = time.monotonic()
        process.send_signal(number)
        assert process.wait(5) == status
        assert time.monotonic() - began < 2
        diary.assert_nobody_lives()
    assert list(diary.folder.glob("bnmatrix-*")) == []


@pytest.mark.parametrize("variant", ["parent", "deaf"])
def test_probes_of_a_killed_program_end_by_themselves(diary: Diary, variant: str) -> None:
    if variant == "deaf" and sys.platform != "linux":
        pytest.skip("a cell that never lets go of the interpreter's lock is noticed on Linux only")
    with consumer(diary, "real_probe", variant) as process:
        if variant == "parent":
            diary.wait_for(2, "children")
        time.sleep(0.2)
        process.kill()
        diary.assert_nobody_lives()


FORGETFUL = """
import sys
from bnmatrix.runner import Guest, Runner
runner = Runner(1, 60)
program = (sys.executable, "-S", "-E", sys.argv[1])
runner.submit(Guest("a", "b", program=program, variables=(("DIARY", sys.argv[2]),)), [])
print(next(iter(runner.results())))
"""


def test_runner_that_nobody_closes_is_closed_at_exit(diary: Diary) -> None:
    environment = {**os.environ, "TMPDIR": str(diary.folder), "PYTHONPATH": str(CONSUMER.parents[2])}
    behaves = CONSUMER.parent / "faulty" / "behaves.py"
    command = [sys.executable, "-c", FORGETFUL, str(behaves), str(diary.folder)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert "Greeting" in result.stdout
    assert result.stderr == ""
    assert list(diary.folder.glob("bnmatrix-*")) == []

"""`bnmatrix run` on a framework that is installed: results, formats, and what is left when it is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest

from bnmatrix.placement import Wishes, installed
from bnmatrix.render import as_json
from tests.cli.conftest import Run, environment

HERE = [target.text for target in installed(Wishes())]
TARGET = next((name for name in ("torch", "tf2") if name in HERE), "")

pytestmark = pytest.mark.skipif(not TARGET, reason="neither torch nor tensorflow is installed")


@pytest.fixture(scope="module")
def small() -> list[str]:
    return ["run", "--framework", TARGET, "--axis", "execution=call", "--axis", "rank=2"]


def test_a_run_prints_the_truth_table(bnmatrix: Run, small: list[str]) -> None:
    done = bnmatrix(*small, "--refresh")  # other tests may have measured these cells
    assert done.returncode == 0
    assert "trainable alone decides gamma and beta" in done.stdout
    assert f"measuring 6 cells of {TARGET}\n" in done.stderr


def test_quiet_says_nothing_but_results(bnmatrix: Run, small: list[str]) -> None:
    done = bnmatrix(*small, "--quiet", "--format", "json", "--output", "run.json")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_json_fits_the_schema_and_compares_with_itself(
    bnmatrix: Run, small: list[str], tmp_path: Path
) -> None:
    done = bnmatrix(*small, "--format", "json", "--output", "run.json")
    assert done.returncode == 0
    matrix = json.loads((tmp_path / "run.json").read_text())
    jsonschema.validate(matrix, as_json.schema("run"))
    assert len(matrix["targets"][0]["cells"]) == 6
    again = bnmatrix("diff", "run.json", TARGET, "--format", "json")
    assert again.returncode == 0, again.stdout
    assert json.loads(again.stdout)["summary"] == {
        "same": 6,
        "changed": 0,
        "not_comparable": 0,
        "unstable": 0,
    }


def test_a_device_that_is_not_there_is_said_once(bnmatrix: Run) -> None:
    done = bnmatrix("run", "--framework", TARGET, "--device", "cuda:63", "--cell", "batch_norm", "--quiet")
    assert done.returncode == 2
    assert done.stderr.count(f"{TARGET}: ") == 1
    assert "Unavailable" not in done.stderr


def test_a_cell_by_its_id_is_the_only_one(bnmatrix: Run) -> None:
    done = bnmatrix(
        "run", "--framework", TARGET, "--cell", "batch_norm training=true trainable=false", "--format", "json"
    )
    [target] = json.loads(done.stdout)["targets"]
    assert [cell["id"] for cell in target["cells"]] == ["batch_norm trainable=false training=true"]


@pytest.mark.parametrize("answer", ["updated", "unchanged"])
def test_an_expectation_that_fails_is_exit_code_1(answer: str, bnmatrix: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'title = "mine"\n[[product]]\ntraining = true\n'
        '[[expect]]\nsays = "gamma"\nwhere = {training = true}\nsource = "me"\n'
        f'facts = {{gamma = "{answer}"}}\n'
    )
    done = bnmatrix("run", "--framework", TARGET, "--scenario", "mine.toml")
    assert done.returncode == (0 if answer == "updated" else 1)
    assert ("holds" if answer == "updated" else "contradicted") in done.stdout
    assert "source: me" in done.stdout


@pytest.mark.parametrize(
    "number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=["Ctrl-C", "SIGTERM", "SIGHUP"]
)
def test_an_interrupted_run_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "bnmatrix",
            "run",
            "--framework",
            TARGET,
            "--layer",
            "all",
            "--output",
            "out.json",
        ],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not (probes := children(process.pid)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert probes
    time.sleep(0.5)
    probes = children(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert out == ""
    assert err.endswith("bnmatrix: interrupted\n")
    assert "Traceback" not in err
    assert not [probe for probe in probes if alive(probe)]
    assert list(tmp_path.iterdir()) == []


def children(pid: int) -> list[int]:
    """The processes that `pid` started."""
    found = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    pairs = [tuple(map(int, line.split())) for line in found.splitlines()]
    return [child for child, parent in pairs if parent == pid]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_scenario_that_expects_nothing_of_the_target_says_so(bnmatrix: Run, tmp_path: Path) -> None:
    other = next(name for name in ("tf_keras", "torch") if name != TARGET)
    path = tmp_path / "mine.toml"
    path.write_text(
        'title = "t"\n[[product]]\ntraining = true\n[[expect]]\nsays = "s"\n'
        f'frameworks = ["{other}"]\nfacts = {{gamma = "updated"}}\n'
    )
    done = bnmatrix("run", "--framework", TARGET, "--scenario", str(path))
    assert done.returncode == 0
    assert "mine expects nothing of what was measured\n" in done.stderr

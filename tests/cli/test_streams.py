"""Standard streams that are closed, full or no longer read cost no result and show no traceback."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bnmatrix.placement import Wishes, installed
from tests.cli.conftest import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="redirections of a POSIX shell")

TARGET = next((target.text for target in installed(Wishes()) if target.text in ("torch", "tf2")), "")
FULL = "bnmatrix: cannot write to stdout: No space left on device\n"
SMALL = f"run --framework {TARGET} --cell batch_norm"
MISTAKE = "list layer"

needs_a_framework = pytest.mark.skipif(not TARGET, reason="neither torch nor tensorflow is installed")
needs_full = pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")


def shell(command: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `bnmatrix COMMAND`, with redirections, in a shell."""
    return subprocess.run(
        ["sh", "-c", f"{shlex.quote(sys.executable)} -m bnmatrix {command}"],
        cwd=folder,
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize(
    ("command", "code", "stderr"),
    [
        ("list layers >&-", 0, ""),
        ("--version >&-", 0, ""),
        ("--help <&- >&- 2>&-", 0, ""),
        (f"{MISTAKE} 2>&-", 2, ""),
        ("diff tf1.json tf2.json >&-", 1, ""),
        pytest.param("list layers >/dev/full", 2, FULL, marks=needs_full),
        pytest.param("--help >/dev/full", 2, FULL, marks=needs_full),
        pytest.param("--version >/dev/full", 2, FULL, marks=needs_full),
        pytest.param("diff tf1.json tf2.json >/dev/full", 2, FULL, marks=needs_full),
        pytest.param("diff tf1.json tf2.json --format json >/dev/full", 2, FULL, marks=needs_full),
        pytest.param(f"{MISTAKE} 2>/dev/full", 2, "", marks=needs_full),
    ],
)
def test_a_stream_that_takes_nothing(command: str, code: int, stderr: str, saved: Path) -> None:
    done = shell(command, saved)
    assert (done.returncode, done.stderr) == (code, stderr)


@needs_a_framework
@pytest.mark.parametrize(
    "redirections",
    [
        "<&- >&-",
        "<&- >&- 2>&-",
        pytest.param("2>/dev/full", marks=needs_full),
    ],
)
def test_a_run_keeps_its_results(redirections: str, tmp_path: Path) -> None:
    done = shell(f"{SMALL} --format json --output run.json {redirections}", tmp_path)
    assert done.returncode == 0
    [target] = json.loads((tmp_path / "run.json").read_text(encoding="utf-8"))["targets"]
    assert [cell["outcome"] for cell in target["cells"]] == ["ok"]


@needs_a_framework
@pytest.mark.parametrize("columns", ["0", ""])
def test_no_columns_are_as_if_not_said(columns: str, tmp_path: Path) -> None:
    done = shell(SMALL, tmp_path, COLUMNS=columns)
    assert done.returncode == 0
    assert max(map(len, done.stdout.splitlines())) == 80


CODES = {
    "diff tf1.json tf2.json": 1,
    "diff tf1.json torch.json --format json": 1,
    "diff tf2.json tf2.json": 0,
    "list axes": 0,
    "run --help": 0,
    "--version": 0,
    **({SMALL: 0, f"{SMALL} --scenario wrong.toml".replace(" --cell batch_norm", ""): 1} if TARGET else {}),
}


@pytest.mark.parametrize("command", CODES)
def test_a_reader_that_goes_away_changes_no_exit_code(command: str, saved: Path) -> None:
    (saved / "wrong.toml").write_text(
        'title = "wrong"\n[[product]]\n[[expect]]\nsays = "no"\nsource = "me"\nfacts = {gamma = "absent"}\n'
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "bnmatrix", *command.split()],
        cwd=saved,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.close()  # before anything is written
    assert process.stderr is not None
    said = process.stderr.read().splitlines()
    process.stderr.close()
    assert [line for line in said if not line.startswith(("measuring ", "1 of 1 cells were known"))] == []
    assert process.wait(60) == CODES[command]


ENTRIES = {"module": ["-m", "bnmatrix"], "script": ["-c", "from bnmatrix.cli import main; main()"]}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize(
    ("imported", "how"),
    [
        ("typer", "raise KeyboardInterrupt"),
        ("typer", "exec('raise KeyboardInterrupt')"),  # as within a dataclass
        ("bnmatrix.cli", "raise KeyboardInterrupt"),
    ],
)
def test_ctrl_c_while_modules_are_imported_is_quiet(
    entry: str, imported: str, how: str, tmp_path: Path
) -> None:
    if (entry, imported) == ("script", "bnmatrix.cli"):
        pytest.skip("there is nothing of ours yet that could catch it")
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "class Finder:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {imported!r}: {how}\n"
        "sys.meta_path.insert(0, Finder())\n"
    )
    env = environment()
    env["PYTHONPATH"] = f"{tmp_path}:{env['PYTHONPATH']}"
    done = subprocess.run(
        [sys.executable, *ENTRIES[entry], "--version"], env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 130
    assert done.stdout == ""
    assert "Traceback" not in done.stderr

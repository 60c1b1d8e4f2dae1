"""`bnmatrix env` as a user runs it, on environments that are laid out by hand: no index is asked here."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import time
from pathlib import Path

import pytest

from bnmatrix.cli.env import _Waiting
from bnmatrix.environment import isolated
from bnmatrix.environment import lock as locks
from bnmatrix.environment.isolated import STAMP, Stamp
from bnmatrix.environment.lock import Lock
from bnmatrix.environment.places import Settings
from bnmatrix.environment.resolution import path_of
from bnmatrix.placement import Wishes, wanted_of
from bnmatrix.render.environments import environments
from bnmatrix.target import parse
from tests.cli.conftest import Run


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of everything that is kept."""
    folder = tmp_path / "home"
    monkeypatch.setenv("BNMATRIX_HOME", str(folder))
    return folder


def lay_out(home: Path, text: str) -> Path:
    """An environment of the target `text` that looks whole, and the lock that leads to it. Its folder."""
    settings = Settings(root=home)
    wanted = wanted_of(parse(text), Wishes())
    name, version = wanted.requirements[0].split("==")
    made = Lock(
        label=wanted.label,
        requirements=wanted.requirements,
        named=wanted.named,
        python="3.7.16",
        interpreter=sys.executable,
        as_of="2021-02-05",
        packages={name: version, "numpy": "1.18.5"},
        sizes={},
        key=(name + version).encode().hex(),
    )
    made = locks.dump(made, 'lock-version = "1.0"\n', path_of(wanted, settings))
    folder = isolated.folder_of(made, settings)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / "pyvenv.cfg").write_text("")
    module = folder / "lib" / "python3.7" / "site-packages" / name / "__init__.py"
    module.parent.mkdir(parents=True)
    module.write_text("x = 1\n" * 1000)
    files, digest = isolated.fingerprint(folder)
    stamp = Stamp(made.key, made.label, made.python, made.as_of, made.packages, time.time(), files, digest)
    import msgspec

    (folder / STAMP).write_bytes(msgspec.json.encode(stamp))
    return folder


def damage(folder: Path) -> None:
    next(folder.glob("lib/python*/site-packages/*/__init__.py")).unlink()


def listed(bnmatrix: Run) -> dict[str, dict[str, object]]:
    done = bnmatrix("env", "list", "--format", "json")
    assert done.returncode == 0
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1
    return {entry["target"]: entry for entry in found["environments"]}


def test_without_a_command_it_says_what_there_is(bnmatrix: Run) -> None:
    done = bnmatrix("env")
    assert done.returncode == 0
    assert all(command in done.stdout for command in ("list", "create", "remove", "prune", "doctor"))


def test_where_there_is_none_the_list_says_so(bnmatrix: Run, home: Path) -> None:
    assert bnmatrix("env", "list").stdout == "no environment has been made yet\n"
    assert listed(bnmatrix) == {}
    assert not home.exists()


def test_the_list_tells_what_each_is_and_whether_it_is_whole(bnmatrix: Run, home: Path) -> None:
    lay_out(home, "tf1==1.15.5")
    damage(lay_out(home, "torch==1.0.0"))
    (home / "environments" / "keras-1.0-123").mkdir()
    done = bnmatrix("env", "list")
    today = time.strftime("%Y-%m-%d")
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    text = "\n".join(lines)
    assert re.search(rf"tf1==1.15.5\s3.7.16 2021-02-05 2 1 MB {today} whole", text)
    assert re.search(rf"torch==1.0.0\s3.7.16 2021-02-05 2 1 MB {today} files were", text)  # added ...
    assert re.search(r"keras-1.0-123\s\? - \? 1 MB \? it was never\sfinished", text)
    entries = listed(bnmatrix)
    assert {name: entry["whole"] for name, entry in entries.items()} == {
        "tf1==1.15.5": True,
        "torch==1.0.0": False,
        "keras-1.0-123": False,
    }
    assert entries["tf1==1.15.5"]["packages"] == {"tensorflow": "1.15.5", "numpy": "1.18.5"}


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_the_list_fits_the_terminal(width: int) -> None:
    entry = {"python": "3.12.1", "as_of": None, "packages": {}, "size": 2e9, "made": 0.0, "fault": None}
    names = ("tf1==1.15.5", "tf2==2.18.1,keras==3.5.0")
    faults = (None, "numpy/_core/multiarray.py is missing")
    entries = [{**entry, "target": name, "fault": fault} for name in names for fault in faults]
    text = environments(entries, width)
    assert max(map(len, text.splitlines())) <= width
    assert "".join(text.split()).count("2.0GB") == 4
    assert ("Python: 3.12.1" in text) == (width < 80)


def test_a_long_name_wraps_its_own_row_only() -> None:
    entry = {
        "python": "3.7.16",
        "as_of": "2020-02-14",
        "packages": {},
        "size": 2e8,
        "made": 0.0,
        "fault": None,
    }
    names = ("tf1==1.15.5", "torch==1.4.0,numpy==1.17.5", "keras[jax]==3.8.0", "torch==1.4.0," + "x" * 90)
    lines = environments([{**entry, "target": name} for name in names], 80).splitlines()
    assert max(map(len, lines)) <= 80
    parts = "3.7.16 2020-02-14 0 200 MB 1970-01-01 whole"
    told = [" ".join(line.split()) for line in lines[2:]]
    assert told[:4] == [f"tf1==1.15.5 {parts}", names[1], parts, f"keras[jax]==3.8.0 {parts}"]
    assert ("".join(told[4:-1]), told[-1]) == (names[3], parts)
    assert len({line.index("3.7.16") for line in lines if "3.7.16" in line}) == 1


def test_what_is_removed_is_said_and_the_others_stay(bnmatrix: Run, home: Path) -> None:
    for text in ("tf1==1.15.5", "torch==1.0.0", "tf2==2.10.1"):
        lay_out(home, text)
    done = bnmatrix("env", "remove", "tf1 == 1.15.5", "torch==1.0.0")
    assert done.returncode == 0
    assert done.stdout == ""
    assert [line.partition(" (")[0] for line in done.stderr.splitlines()[:3]] == [
        f"looking at the environments in {home}/environments",
        "removed tf1==1.15.5",
        "removed torch==1.0.0",
    ]
    assert list(listed(bnmatrix)) == ["tf2==2.10.1"]


def test_one_can_be_removed_by_its_folder(bnmatrix: Run, home: Path) -> None:
    lay_out(home, "tf1==1.15.5")
    (home / "environments" / "keras-1.0-123").mkdir()
    assert bnmatrix("env", "remove", "keras-1.0-123").returncode == 0
    assert list(listed(bnmatrix)) == ["tf1==1.15.5"]


def test_one_can_be_removed_by_any_target_that_leads_to_it(bnmatrix: Run, home: Path, tmp_path: Path) -> None:
    (tmp_path / "bnmatrix.toml").write_text('[targets.production]\ntarget = "tf1==1.15.5"\n')
    for text, target in (("tf1==1.15.5", "production"), ("torch==1.0.0", "torch")):
        lay_out(home, text)
        lay_out(home, "tf2==2.10.1")
        done = bnmatrix("env", "remove", target, text)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count(f"removed {text} ") == 1
        assert list(listed(bnmatrix)) == ["tf2==2.10.1"]
        shutil.rmtree(home)


def test_for_an_unknown_one_those_that_are_there_are_told(bnmatrix: Run, home: Path) -> None:
    done = bnmatrix("env", "remove", "production")
    assert (done.returncode, "none has been made yet" in done.stderr) == (2, True)
    for text in ("tf1==1.15.5", "torch==1.0.0"):
        lay_out(home, text)
    for target in ("production", "torch>1", "tf1==1.15"):
        done = bnmatrix("env", "remove", target)
        assert done.returncode == 2
        assert f"unknown environment '{target}'" in done.stderr
        assert "there are: tf1==1.15.5, torch==1.0.0" in done.stderr


def test_all_can_be_removed(bnmatrix: Run, home: Path) -> None:
    for text in ("tf1==1.15.5", "torch==1.0.0"):
        lay_out(home, text)
    assert bnmatrix("env", "remove", "--all", "--quiet").stderr == ""
    assert listed(bnmatrix) == {}
    assert "nothing to remove" in bnmatrix("env", "remove", "--all").stderr


MISTAKES = {
    "neither a target nor all": (["remove"], "say which environments to remove"),
    "a target and all": (["remove", "tf1==1.15.5", "--all"], "say which environments to remove"),
    "no such environment": (["remove", "tf1==1.15.4"], "unknown environment 'tf1==1.15.4'"),
    "one unknown of two": (["remove", "tf1==1.15.5", "tf3"], "unknown environment 'tf3'"),
    "an unknown format": (["list", "--format", "jsn"], "unknown format 'jsn'"),
    "an unknown format of the doctor": (["doctor", "--format", "xml"], "unknown format 'xml'"),
    "an unknown framework": (["create", "tf3==1.0"], "unknown framework 'tf3'"),
    "no target": (["create"], "Missing argument"),
    "an unknown command": (["make"], "No such command 'make'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_and_removes_nothing(mistake: str, bnmatrix: Run, home: Path) -> None:
    lay_out(home, "tf1==1.15.5")
    arguments, says = MISTAKES[mistake]
    done = bnmatrix("env", *arguments)
    assert done.returncode == 2
    said, hint = [line for line in done.stderr.splitlines() if not line.startswith("looking at")]
    assert says in said
    assert hint
    assert list(listed(bnmatrix)) == ["tf1==1.15.5"]


def test_prune_removes_what_is_of_no_use_and_says_why(bnmatrix: Run, home: Path) -> None:
    lay_out(home, "tf1==1.15.5")
    damage(lay_out(home, "torch==1.0.0"))
    (home / "environments" / "keras-1.0-123").mkdir()
    done = bnmatrix("env", "prune")
    assert done.returncode == 0
    assert re.search(r"removed keras-1.0-123: it was never finished", done.stderr)
    assert re.search(r"removed torch-1.0.0-\w+: files were", done.stderr)
    assert list(listed(bnmatrix)) == ["tf1==1.15.5"]
    assert "nothing to remove" in bnmatrix("env", "prune").stderr


def test_one_that_is_there_is_not_made_again(bnmatrix: Run, home: Path) -> None:
    folder = lay_out(home, "torch==1.0.0")
    done = bnmatrix("env", "create", "torch==1.0.0", "torch == 1.0.0", env={"PIP_NO_INDEX": "1"})
    assert done.returncode == 0
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"{text}  {folder}/bin/python" for text in ("torch==1.0.0", "torch == 1.0.0")
    ]


def test_one_that_cannot_be_made_is_exit_code_3(bnmatrix: Run, home: Path) -> None:
    done = bnmatrix("env", "create", "torch==1.0.0", "--offline", env={"UV_CACHE_DIR": str(home / "uv")})
    assert done.returncode == 3
    assert done.stdout == ""
    assert "offline" in done.stderr
    assert listed(bnmatrix) == {}


def test_the_doctor_tells_each_part_and_its_state(bnmatrix: Run, home: Path) -> None:
    done = bnmatrix("env", "doctor", "--offline", "--format", "json")
    assert done.stderr == "looking at the interpreters, uv and the disk\n"
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1
    entries = found["checks"]
    full = any(entry["state"] == "problem" for entry in entries if entry["name"] == "disk")
    assert done.returncode == (3 if full else 0)
    assert {tuple(entry) for entry in entries} == {("name", "state", "what", "mend")}
    own = f"Python {sys.version_info[0]}.{sys.version_info[1]}"
    assert {own, "uv", "index", "folder", "disk"} <= {entry["name"] for entry in entries}


@pytest.mark.parametrize("width", [80, 120])
def test_what_cannot_work_is_exit_code_3_with_what_to_do(width: int, bnmatrix: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    env = {"BNMATRIX_HOME": str(tmp_path / "file" / "home"), "COLUMNS": str(width)}
    done = bnmatrix("env", "doctor", "--offline", env=env)
    assert done.returncode == 3
    assert re.search(r"^folder +problem +cannot write", done.stdout, re.MULTILINE)
    assert "to mend: BNMATRIX_HOME names another folder" in " ".join(done.stdout.split())
    lines = [line for line in done.stdout.splitlines() if os.sep not in line]  # paths are not broken
    assert max(map(len, lines)) <= width


class Terminal:
    """Stderr, as the user sees it."""

    def __init__(self, interactive: bool) -> None:
        self.interactive = interactive
        self.text = ""

    def isatty(self) -> bool:
        return self.interactive

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None:
        pass

    def lines(self) -> list[str]:
        return [line.split("\r")[-1].replace("\x1b[K", "") for line in self.text.split("\n")]


SAID = ["a: resolving, 2 s", *(f"a: making it, {seconds} s" for seconds in range(2, 24, 2)), "b: is there"]


def test_waiting_is_one_line_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(interactive=True)
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    say = _Waiting(quiet=False)
    for text in SAID[:-1]:
        say(text)
    assert terminal.lines() == ["a: making it, 22 s"]
    say(SAID[-1])
    assert terminal.lines() == ["b: is there", ""]


def test_waiting_is_a_line_now_and_then_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    file = Terminal(interactive=False)
    monkeypatch.setattr(sys, "stderr", file)
    for quiet in (False, True):
        say = _Waiting(quiet)
        for text in SAID:
            say(text)
        say.done()
    assert file.text == "a: making it, 10 s\na: making it, 20 s\nb: is there\n"

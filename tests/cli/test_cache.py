"""`bnmatrix cache`, as a user runs it."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from bnmatrix.store import APPLICATION, Store
from tests.cli.conftest import Run


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def env(home: Path) -> dict[str, str]:
    return {"BNMATRIX_HOME": str(home)}


def filled(home: Path, count: int) -> None:
    with Store.open(home / "store") as store:
        for number in range(count):
            store.put(b"%d" % number, b"value" * 1000)


def test_what_there_is(bnmatrix: Run, home: Path, env: dict[str, str]) -> None:
    filled(home, 300)
    done = bnmatrix("cache", "info", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert lines["path"] == str(home / "store" / "results.db")
    assert lines["records"] == "300"
    assert lines["size"] == f"{(home / 'store' / 'results.db').stat().st_size / 1e6:.1f} MB"
    assert set(lines) == {"path", "records", "size", "oldest", "newest", "format"}


def test_what_there_is_in_json(bnmatrix: Run, home: Path, env: dict[str, str]) -> None:
    filled(home, 3)
    done = bnmatrix("cache", "info", "--format", "json", env=env)
    found = json.loads(done.stdout)
    assert found["schema_version"] == 1
    assert found["path"] == str(home / "store" / "results.db")
    assert (found["records"], found["format"], found["set_aside"]) == (3, 1, [])
    assert found["bytes"] == (home / "store" / "results.db").stat().st_size
    oldest, newest = (datetime.fromisoformat(found[name]) for name in ("oldest", "newest"))
    assert oldest.utcoffset() == newest.utcoffset() == timedelta(0)
    assert time.time() - 60 < oldest.timestamp() <= newest.timestamp() <= time.time()


def test_a_store_with_nothing_in_it_has_no_times(bnmatrix: Run, env: dict[str, str]) -> None:
    found = json.loads(bnmatrix("cache", "info", "--format", "json", env=env).stdout)
    assert (found["records"], found["oldest"], found["newest"]) == (0, None, None)


def test_a_store_with_nothing_in_it(bnmatrix: Run, env: dict[str, str]) -> None:
    done = bnmatrix("cache", "info", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "records  0\n" in done.stdout
    done = bnmatrix("cache", "clear", env=env)
    assert (done.returncode, done.stdout) == (0, "cleared 0 records, 0.0 MB freed\n")


def test_clear(bnmatrix: Run, home: Path, env: dict[str, str]) -> None:
    filled(home, 300)
    size = (home / "store" / "results.db").stat().st_size
    done = bnmatrix("cache", "clear", env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"cleared 300 records, {size / 1e6:.1f} MB freed\n"
    assert "records  0\n" in bnmatrix("cache", "info", env=env).stdout


def test_a_damaged_store(bnmatrix: Run, home: Path, env: dict[str, str]) -> None:
    filled(home, 3)
    (home / "store" / "results.db").write_bytes(b"garbage" * 1000)
    done = bnmatrix("cache", "info", env=env)
    assert done.returncode == 0
    assert "damaged" in done.stderr
    assert "damaged  results.db.damaged-1\n" in done.stdout
    assert "records  0\n" in done.stdout
    done = bnmatrix("cache", "clear", env=env)
    assert (done.returncode, done.stdout) == (0, "cleared 0 records, 0.0 MB freed\n")
    assert [path.name for path in (home / "store").iterdir()] == ["lock"]


@pytest.mark.parametrize("change", ["DROP COLUMN written", "RENAME COLUMN key TO name", "user_version"])
@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_store_with_another_table(
    change: str, command: str, bnmatrix: Run, home: Path, env: dict[str, str]
) -> None:
    filled(home, 3)
    with sqlite3.connect(home / "store" / "results.db") as base:
        base.execute(
            "PRAGMA user_version = 0" if change == "user_version" else f"ALTER TABLE records {change}"
        )
    base.close()
    assert bnmatrix("cache", command, env=env).returncode == 0
    assert bnmatrix("cache", "clear", env=env).returncode == 0
    assert [path.name for path in (home / "store").iterdir()] == ["lock"]


def results_of_a_run(bnmatrix: Run, env: dict[str, str]) -> str:
    done = bnmatrix("run", "--framework", "torch", "--axis", "execution=call", "--axis", "rank=2", env=env)
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_damage_that_shows_only_when_it_is_read_is_said(
    bnmatrix: Run, home: Path, env: dict[str, str]
) -> None:
    pytest.importorskip("torch")
    results_of_a_run(bnmatrix, env)
    path = home / "store" / "results.db"
    data = path.read_bytes()
    path.write_bytes(data[:8192] + random.Random(0).randbytes(8192) + data[16384:])
    told = results_of_a_run(bnmatrix, env)
    assert told.count("the store was damaged") == 1
    assert f"set aside as {path}.damaged-1" in told
    assert "damaged" not in results_of_a_run(bnmatrix, env)


@pytest.mark.parametrize(
    ("number", "said"), [(1, "1 damaged record of the store was"), (2, "2 damaged records of the store were")]
)
def test_damaged_records_are_counted(
    number: int, said: str, bnmatrix: Run, home: Path, env: dict[str, str]
) -> None:
    pytest.importorskip("torch")
    results_of_a_run(bnmatrix, env)
    with sqlite3.connect(home / "store" / "results.db") as base:
        last = "SELECT rowid FROM records ORDER BY rowid DESC LIMIT ?"
        base.execute(f"UPDATE records SET crc = crc + 1 WHERE rowid IN ({last})", [number])
    base.close()
    assert f"{said} measured anew" in results_of_a_run(bnmatrix, env)


def test_a_newer_store_is_not_cleared(bnmatrix: Run, home: Path, env: dict[str, str]) -> None:
    (home / "store").mkdir(parents=True)
    with sqlite3.connect(home / "store" / "results.db") as base:
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute("PRAGMA user_version = 2")
        base.execute("CREATE TABLE records (key, value, crc, written)")
    base.close()
    before = (home / "store" / "results.db").read_bytes()
    done = bnmatrix("cache", "info", env=env)
    assert (done.returncode, "newer bnmatrix" in done.stderr) == (0, True)
    done = bnmatrix("cache", "clear", env=env)
    assert done.returncode == 4
    assert "cannot clear" in done.stderr
    assert "newer bnmatrix (format 2)" in done.stderr
    assert (home / "store" / "results.db").read_bytes() == before


@pytest.mark.parametrize("command", ["info", "clear"])
def test_a_store_that_cannot_be_used(command: str, bnmatrix: Run, home: Path, env: dict[str, str]) -> None:
    home.mkdir()
    (home / "store").touch()
    done = bnmatrix("cache", command, env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert f"cannot use the store {home / 'store'}: it is not a folder" in done.stderr
    assert "BNMATRIX_HOME" in done.stderr


def test_an_unknown_format(bnmatrix: Run, env: dict[str, str]) -> None:
    done = bnmatrix("cache", "info", "--format", "jsn", env=env)
    assert done.returncode == 2
    assert "did you mean 'json'?" in done.stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["info", "-h"], ["clear", "--help"]])
def test_help_is_plain_text(arguments: list[str], bnmatrix: Run) -> None:
    done = bnmatrix("cache", *arguments)
    assert done.returncode == 0
    assert done.stdout.lstrip().startswith("Usage: bnmatrix cache")
    assert done.stdout.isascii()

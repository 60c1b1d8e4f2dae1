"""The store, with real processes: killed, many at once, out of space, and files that were tampered with."""

from __future__ import annotations

import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bnmatrix import store as module
from bnmatrix.errors import Exit
from bnmatrix.store import APPLICATION, FORMAT, Store, StoreError
from tests.cli.conftest import environment

PAGE = 4096

WRITER = """
import os, random, signal, sys, time
from pathlib import Path
from bnmatrix import store as module
from bnmatrix.store import Store

def key(name):
    return str(name).encode().ljust(16, b".")

folder = Path(sys.argv[1])
"""
"""What every child process begins with."""


def key(name: object) -> bytes:
    return str(name).encode().ljust(16, b".")


def values(*names: object, size: int = 600) -> dict[bytes, bytes]:
    return {key(name): random.Random(repr(name)).randbytes(size) for name in names}


def filled(folder: Path, *names: object, size: int = 600) -> dict[bytes, bytes]:
    """Put records into the store, and return them."""
    records = values(*names, size=size)
    with Store.open(folder) as store:
        for name, value in records.items():
            store.put(name, value)
    assert store.failed is None
    return records


def started(code: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """A process that runs `code` after WRITER."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER + code, str(folder), *map(str, arguments)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )


def output(code: str, folder: Path, *arguments: object) -> str:
    child = started(code, folder, *arguments)
    text, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    return text


def is_sound(folder: Path) -> bool:
    with sqlite3.connect(folder / "results.db") as base:
        found = base.execute("PRAGMA integrity_check").fetchall()
    base.close()
    return found == [("ok",)]


def set_aside(folder: Path) -> list[Path]:
    return sorted(folder.glob("results.db.damaged-*"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "a %3f?#store"


# What it is for


def test_what_was_put_is_there_for_the_next(folder: Path) -> None:
    records = filled(folder, *range(1200))
    unknown = [key(f"unknown {number}") for number in range(260_000)]  # more than any SQLite takes at once
    with Store.open(folder) as store:
        assert store.get([*records, *unknown]) == records
        assert (store.damaged, store.failed, store.note) == (0, None, None)


def test_what_was_put_again_is_the_newer(folder: Path) -> None:
    filled(folder, "a")
    with Store.open(folder) as store:
        store.put(key("a"), b"newer")
        assert store.get([key("a")]) == {key("a"): b"newer"}
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {key("a"): b"newer"}
        assert store.info().records == 1


def test_it_writes_by_itself_after_half_a_second(folder: Path) -> None:
    with Store.open(folder) as writer, Store.open(folder) as reader:
        writer.put(key("early"), b"1")
        assert reader.get([key("early")]) == {}
        time.sleep(module.INTERVAL + 0.05)
        writer.put(key("late"), b"2")
        assert set(reader.get([key("early"), key("late")])) == {key("early"), key("late")}


def test_reading_alone_makes_no_file(folder: Path) -> None:
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {}
    assert not (folder / "results.db").exists()


def test_info(folder: Path) -> None:
    with Store.open(folder) as store:
        assert store.info() == module.Info(folder / "results.db", 0, 0, FORMAT, None, None, ())
    before = int(time.time())
    filled(folder, "a", "b")
    with Store.open(folder) as store:
        info = store.info()
    assert (info.records, info.format, info.bytes) == (2, FORMAT, (folder / "results.db").stat().st_size)
    assert info.oldest is not None
    assert info.newest is not None
    assert before <= info.oldest <= info.newest <= time.time()


def test_a_folder_removed_by_hand_is_made_again(folder: Path) -> None:
    with Store.open(folder) as store:
        store.put(key("a"), b"1")
        shutil.rmtree(folder)
    assert store.failed is None
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {key("a"): b"1"}


# Killed, and many at once


def test_what_was_written_outlives_a_kill(folder: Path) -> None:
    code = """
module.INTERVAL = 0
store = Store.open(folder)
for number in range(int(sys.argv[2]), 100_000):
    store.put(key(number), random.Random(repr(number)).randbytes(200_000))
    print(number, flush=True)
"""
    told = 0
    for round_ in range(8):
        child = started(code, folder, told)
        assert child.stdout
        for _ in range(3):
            told = int(child.stdout.readline())
        time.sleep(round_ * 0.0013)  # into another moment of writing
        child.send_signal(signal.SIGKILL)
        rest, _ = child.communicate()
        told = int(rest.split()[-1]) if rest.split() else told
        records = values(*range(told + 1), size=200_000)
        with Store.open(folder) as store:
            assert store.get(list(records)) == records
            assert (store.damaged, store.note) == (0, None)
        told += 1
    assert is_sound(folder)


HALF_WRITTEN = """
class Dying(module.sqlite3.Connection):
    def execute(self, statement, *rest):
        if statement == "COMMIT":
            os.kill(os.getpid(), signal.SIGKILL)
        return super().execute(statement, *rest)

connect = module.sqlite3.connect
module.sqlite3.connect = lambda *given, **named: connect(*given, **named, factory=Dying)
store = Store.open(folder)
for number in range(400):  # more than SQLite keeps in memory: it writes to the file before the commit
    store.put(key(number), random.Random(number).randbytes(20_000))
store.close()
"""


def half_written(folder: Path) -> dict[bytes, bytes]:
    """A store whose writer was killed before a commit, with half of it in the file; what it held before."""
    records = filled(folder, *range(100))
    whole = (folder / "results.db").stat().st_size
    child = started(HALF_WRITTEN, folder)
    assert child.wait(60) == -signal.SIGKILL
    assert child.stdout
    child.stdout.close()
    assert (folder / "results.db").stat().st_size > whole + 1_000_000
    assert (folder / "results.db-journal").stat().st_size > 0
    return records


def test_killed_before_the_commit_everything_is_as_before(folder: Path) -> None:
    records = half_written(folder)
    with Store.open(folder) as store:
        assert store.get([key(number) for number in range(400)]) == records
        assert (store.damaged, store.note) == (0, None)
    assert is_sound(folder)


def test_many_write_and_read_at_once(folder: Path) -> None:
    code = """
module.INTERVAL = 0.005
me = sys.argv[2]
with Store.open(folder) as store:
    for number in range(40):
        store.put(key(f"{me} {number}"), me.encode() * 500)
        assert len(store.get([key(f"{me} {n}") for n in range(number + 1)])) == number + 1
        time.sleep(0.002)
print(store.failed, store.note, store.damaged)
"""
    children = [started(code, folder, name) for name in "abcd"]
    assert [child.communicate(timeout=60)[0] for child in children] == ["None None 0\n"] * 4
    with Store.open(folder) as store:
        found = store.get([key(f"{name} {number}") for name in "abcd" for number in range(40)])
    assert len(found) == 160
    assert is_sound(folder)


def test_one_that_is_held_for_long_is_said_to_be(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = filled(folder, "a")
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with Store.open(folder) as store, store._locked(alone=True):
        with pytest.raises(StoreError, match="another process has held it"):
            Store.open(folder)
        store.put(key("b"), b"2")
        store.close()
        assert store.failed is not None
        assert "another process has held it" in store.failed
        monkeypatch.setattr(module, "INTERVAL", 0)
        started = time.monotonic()
        for _ in range(30):
            store.put(key("b"), b"2")
        assert time.monotonic() - started < 30 * module.PATIENCE / 2  # it does not wait each time
        assert store.get([key("a"), key("b")]) == {key("b"): b"2"}
        assert store.note is not None
        assert "another process has held it" in store.note
    with Store.open(folder) as store:
        assert store.get([key("a"), key("b")]) == {**records, key("b"): b"2"}


def test_a_transaction_of_another_is_waited_for(folder: Path) -> None:
    filled(folder, "a")
    code = """
base = module.sqlite3.connect(folder / "results.db", isolation_level=None)
base.execute("BEGIN EXCLUSIVE")
print("begun", flush=True)
time.sleep(0.7)
base.execute("COMMIT")
"""
    child = started(code, folder)
    assert child.stdout
    assert child.stdout.readline() == "begun\n"
    with Store.open(folder) as store:
        store.put(key("b"), b"2")
    assert store.failed is None
    child.communicate(timeout=60)


# Damage


def test_a_damaged_record_is_left_out_and_removed(folder: Path) -> None:
    records = filled(folder, *range(50))
    _spoil(folder, records[key(7)])
    with Store.open(folder) as store:
        found = store.get(list(records))
        store.get(list(records))  # is counted once
        assert store.damaged == 1
        assert found == {name: value for name, value in records.items() if name != key(7)}
        assert store.info().records == 50
    with Store.open(folder) as store:
        assert store.info().records == 49
        assert (store.get(list(records)), store.damaged, store.note) == (found, 0, None)


def test_a_damaged_record_is_put_again(folder: Path) -> None:
    records = filled(folder, *range(50))
    _spoil(folder, records[key(7)])
    with Store.open(folder) as store:
        assert key(7) not in store.get(list(records))
        store.put(key(7), records[key(7)])
    with Store.open(folder) as store:
        assert store.get(list(records)) == records
        assert store.damaged == 0


def test_a_damaged_record_that_another_has_put_again_stays(folder: Path) -> None:
    records = filled(folder, *range(50))
    _spoil(folder, records[key(7)])
    with Store.open(folder) as store:
        store.get(list(records))
        with Store.open(folder) as other:
            other.put(key(7), records[key(7)])
    with Store.open(folder) as store:
        assert store.get(list(records)) == records


def _spoil(folder: Path, value: bytes) -> None:
    """Change a bit of a value in the file."""
    path = folder / "results.db"
    data = bytearray(path.read_bytes())
    data[data.index(value) + len(value) // 2] ^= 1
    path.write_bytes(data)


def _garbage(data: bytes) -> bytes:
    return b"no database, nor ever was. " * 1000


def _zeros(data: bytes) -> bytes:
    return bytes(len(data))


def _half(data: bytes) -> bytes:
    return data[: len(data) // 2 // PAGE * PAGE]


def _cut_within_a_page(data: bytes) -> bytes:
    return data[:-1000]


def _cut_within_the_header(data: bytes) -> bytes:
    return data[:10]


def _root_of_the_table(data: bytes) -> bytes:
    return data[:PAGE] + b"\xa5" * PAGE + data[2 * PAGE :]


def _root_of_the_index(data: bytes) -> bytes:
    return data[: 2 * PAGE] + b"\xa5" * PAGE + data[3 * PAGE :]


def _schema(data: bytes) -> bytes:
    return data.replace(b"CREATE TABLE records", b"CREATE TIBLE records")


def _unknown_schema_format(data: bytes) -> bytes:
    return data[:44] + b"\0\0\0\x63" + data[48:]


def _format_0(data: bytes) -> bytes:
    return data[:60] + bytes(4) + data[64:]


def _table_of_tables(data: bytes) -> bytes:
    return data[:100] + bytes([13, 0, 0, 0, 0, 16, 0, 0]) + data[108:]


WHOLE = [
    _garbage,
    _zeros,
    _half,
    _cut_within_a_page,
    _cut_within_the_header,
    _root_of_the_table,
    _root_of_the_index,
    _schema,
    _table_of_tables,
    _unknown_schema_format,
    _format_0,
]


@pytest.mark.parametrize(
    ("damage", "reads"),
    # Writing alone does not touch the last page.
    [(damage, reads) for damage in WHOLE for reads in (True, False) if reads or damage != _cut_within_a_page],
)
def test_a_damaged_file_is_set_aside(damage: Callable[[bytes], bytes], reads: bool, folder: Path) -> None:
    records = filled(folder, *range(200))
    path = folder / "results.db"
    damaged = damage(path.read_bytes())
    assert damaged != path.read_bytes()
    path.write_bytes(damaged)
    with Store.open(folder) as store:
        if reads:
            found = store.get(list(records))
            assert found.items() < records.items()
        store.put(key("new"), b"1")
    (aside,) = set_aside(folder)
    assert store.note is not None
    assert str(aside) in store.note
    assert "damaged" in store.note
    assert aside.read_bytes() == damaged
    assert store.failed is None
    with Store.open(folder) as store:
        assert store.get([key("new")]) == {key("new"): b"1"}
        assert store.note is None
        assert store.info().set_aside == (aside,)
    assert is_sound(folder)


def test_an_empty_file_is_begun_anew(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "results.db").touch()
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {}
        store.put(key("a"), b"1")
    assert (store.note, store.failed) == (None, None)
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {key("a"): b"1"}


def test_a_database_of_something_else_is_set_aside(folder: Path) -> None:
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "results.db") as base:
        base.execute("CREATE TABLE records (mine)")
    base.close()
    theirs = (folder / "results.db").read_bytes()
    with Store.open(folder) as store:
        store.put(key("a"), b"1")
    (aside,) = set_aside(folder)
    assert aside.read_bytes() == theirs
    assert store.note is not None
    assert "not a store of bnmatrix" in store.note


TABLES = {
    "other columns": "CREATE TABLE records (mine)",
    "a column less": "CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB, crc INTEGER)",
    "a column more": "CREATE TABLE records (key BLOB PRIMARY KEY, value BLOB, crc, written, more NOT NULL)",
    "no rowid": "CREATE TABLE records (key BLOB PRIMARY KEY, value, crc, written) WITHOUT ROWID",
    "a view": "CREATE VIEW records AS SELECT 1 AS key, 2 AS value, 3 AS crc, 4 AS written",
    "another table": "CREATE TABLE others (key, value, crc, written)",
}


@pytest.mark.parametrize("table", TABLES)
def test_a_table_that_is_not_ours_is_set_aside(table: str, folder: Path) -> None:
    folder.mkdir(parents=True)
    with sqlite3.connect(folder / "results.db") as base:
        base.execute(TABLES[table])
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute(f"PRAGMA user_version = {FORMAT}")
    base.close()
    theirs = (folder / "results.db").read_bytes()
    with Store.open(folder) as store:
        assert (store.info().records, store.get([key("a")])) == (0, {})
        store.put(key("a"), b"1")
    assert store.failed is None
    assert [path.read_bytes() for path in set_aside(folder)] == [theirs]
    assert store.note is not None
    assert "not a store of bnmatrix" in store.note
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {key("a"): b"1"}
        assert store.note is None


@pytest.mark.parametrize("written", ["'text'", "x'00'", "1e300", "-1", str(2**62)])
def test_a_damaged_time_is_not_told(written: str, folder: Path) -> None:
    filled(folder, "a", "b")
    with sqlite3.connect(folder / "results.db") as base:
        base.execute(f"UPDATE records SET written = {written} WHERE key = ?", [key("a")])
    base.close()
    with Store.open(folder) as store:
        info = store.info()
    assert isinstance(info.oldest, int)
    assert 0 < info.oldest == info.newest <= time.time()


def test_one_set_aside_does_not_replace_another(folder: Path) -> None:
    for number in range(3):
        filled(folder, "a")
        (folder / "results.db").write_bytes(b"garbage %d" % number * 1000)
        Store.open(folder)
    assert [path.read_bytes()[:9] for path in set_aside(folder)] == [b"garbage 0", b"garbage 1", b"garbage 2"]


def test_its_journal_goes_along(folder: Path) -> None:
    filled(folder, "a")
    (folder / "results.db").write_bytes(b"garbage" * 1000)
    journal = bytes(512) + b"of the garbage"  # one that SQLite neither uses nor removes
    (folder / "results.db-journal").write_bytes(journal)
    filled(folder, "b")
    assert (folder / "results.db.damaged-1-journal").read_bytes() == journal


def test_many_find_the_damage_at_once(folder: Path) -> None:
    """The one file is set aside, and not the new one that another has begun since."""
    filled(folder, *range(200))
    path = folder / "results.db"
    path.write_bytes(_root_of_the_table(path.read_bytes()))
    code = """
store = Store.open(folder)
print("open", flush=True)
while not (folder / "go").exists():
    time.sleep(0.001)
store.put(key(sys.argv[2]), b"1")
store.close()
print(store.failed)
"""
    children = [started(code, folder, name) for name in "abcdef"]
    for child in children:
        assert child.stdout
        assert child.stdout.readline() == "open\n"
    (folder / "go").touch()
    assert [child.communicate(timeout=60)[0] for child in children] == ["None\n"] * 6
    assert len(set_aside(folder)) == 1
    with Store.open(folder) as store:
        assert len(store.get([key(name) for name in "abcdef"])) == 6


# No space


def test_a_full_disk_loses_nothing_that_was_there(folder: Path) -> None:
    records = filled(folder, *range(100))
    code = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
with Store.open(folder) as store:
    for number in range(100, 1100):
        store.put(key(number), b"x" * 600)
    store.close()
    print(store.failed)
    print(len(store.get([key(number) for number in range(1100)])))
"""
    failed, count = output(code, folder).splitlines()
    assert failed.startswith(f"cannot write the store {folder}: ")
    assert count == "1100"  # of its own it knows
    assert not (folder / "results.db-journal").exists()
    with Store.open(folder) as store:
        assert store.get([key(number) for number in range(1100)]) == records
        assert (store.damaged, store.note) == (0, None)
    assert is_sound(folder)


def test_what_could_not_be_written_is_written_when_there_is_space(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = filled(folder, *range(100))
    monkeypatch.setattr(module, "INTERVAL", 0)
    more = values(*range(100, 200), size=6000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Store.open(folder) as store:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
        try:
            for name, value in more.items():
                store.put(name, value)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert store.failed is not None
        store.close()
        assert store.failed is None
    with Store.open(folder) as store:
        assert store.get([*records, *more]) == {**records, **more}


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    code = """
with Store.open(folder) as store:
    store.put(key("before"), b"1")
room = open(folder / "filling", "wb", buffering=0)
try:
    while room.write(bytes(4096)):
        pass
except OSError:
    pass
with Store.open(folder) as store:
    store.put(key("after"), b"2" * 5000)
print(store.failed)
with Store.open(folder) as store:
    print(sorted(store.get([key("before"), key("after")])), store.note)
    (folder / "filling").unlink()
    print(store.clear() > 0)
"""
    script = tmp_path / "script.py"
    script.write_text(WRITER + code)
    inside = (
        f'mount -t tmpfs -o size=200k none "{mount}" && exec "{sys.executable}" "{script}" "{mount}/store"'
    )
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no file system can be mounted here")
    done = subprocess.run(
        [unshare, "-rm", "sh", "-c", inside],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout.splitlines() == [
        f"cannot write the store {mount}/store: database or disk is full",
        f"[{key('before')!r}] None",
        "True",
    ], done.stderr


# Other formats


def newer(folder: Path, records: dict[bytes, bytes], form: int = FORMAT + 1) -> None:
    """A store as a future release may write it: what the docstring promises, and more."""
    folder.mkdir(parents=True, exist_ok=True)
    with sqlite3.connect(folder / "results.db") as base:
        base.execute(f"PRAGMA application_id = {APPLICATION}")
        base.execute(f"PRAGMA user_version = {form}")
        base.execute("CREATE TABLE more (of TEXT, it TEXT)")
        base.execute(
            "CREATE TABLE records (mood TEXT, written, value BLOB, crc, key BLOB, PRIMARY KEY (key, mood))"
        )
        for name, value in records.items():
            base.execute(
                "INSERT INTO records VALUES ('good', 7, ?, ?, ?)", (value, zlib.crc32(name + value), name)
            )
    base.close()


def test_the_header_is_the_promised_one(folder: Path) -> None:
    filled(folder, "a")
    header = (folder / "results.db").read_bytes()[:100]
    assert header[18:20] == b"\1\1"  # a rollback journal
    assert header[60:64] == FORMAT.to_bytes(4, "big")
    assert header[68:72] == b"bnmx"


def test_a_newer_format_is_read_and_not_written(folder: Path) -> None:
    records = values("a", "b")
    newer(folder, records)
    before = (folder / "results.db").read_bytes()
    with Store.open(folder) as store:
        assert store.get([*records, key("c")]) == records
        assert not store.is_writable
        store.put(key("c"), b"3")
        assert store.note is not None
        assert f"a newer bnmatrix (format {FORMAT + 1}): read, not written" in store.note
        assert (store.info().records, store.info().format) == (2, FORMAT + 1)
        with pytest.raises(StoreError, match="newer"):
            store.clear()
    assert store.failed is None
    assert (folder / "results.db").read_bytes() == before


def test_a_format_that_becomes_newer_meanwhile_is_not_written(folder: Path) -> None:
    with Store.open(folder) as store:
        newer(folder, values("a"))
        before = (folder / "results.db").read_bytes()
        store.put(key("b"), b"2")
    assert (folder / "results.db").read_bytes() == before
    assert store.note is not None
    assert "newer" in store.note


def test_a_newer_format_that_breaks_the_promise_is_left_alone(folder: Path) -> None:
    newer(folder, {})
    with sqlite3.connect(folder / "results.db") as base:
        base.execute("DROP TABLE records")
    base.close()
    with Store.open(folder) as store:
        assert store.get([key("a")]) == {}
        store.put(key("a"), b"1")
    assert store.note is not None
    assert "newer" in store.note
    assert "no such table" in store.note
    assert set_aside(folder) == []


def test_an_older_format_is_read_and_written(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = filled(folder, "a")
    monkeypatch.setattr(module, "FORMAT", FORMAT + 1)
    records |= filled(folder, "b")
    with Store.open(folder) as store:
        assert store.get(list(records)) == records
        assert store.note is None


# No permission


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that any user can reach."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name) / "store"
        for path in Path(name).rglob("*"):
            path.chmod(0o755)


ANOTHER = "os.geteuid() or os.setuid(65534)\n"  # root may write everything


def test_a_read_only_folder_is_read(shared: Path) -> None:
    records = filled(shared, "a", "b")
    for path in shared.iterdir():
        path.chmod(0o444)
    shared.chmod(0o555)
    code = """
with Store.open(folder) as store:
    print(len(store.get([key("a"), key("b"), key("c")])), store.is_writable)
    store.put(key("c"), b"3")
print(store.failed)
print(store.note)
try:
    store.clear()
except module.StoreError as error:
    print(error)
"""
    found, failed, note, refusal = output(ANOTHER + code, shared).splitlines()
    assert found == "2 False"
    assert failed == "None"
    assert note == f"the store {shared} is read-only: read, not written"
    assert refusal == f"cannot clear the store {shared}: {note}"
    with Store.open(shared) as store:
        assert store.get([key("a"), key("b"), key("c")]) == records


def test_a_read_only_folder_with_nothing_in_it(shared: Path) -> None:
    shared.mkdir()
    shared.chmod(0o555)
    code = """
with Store.open(folder) as store:
    print(store.get([key("a")]), store.is_writable)
"""
    assert output(ANOTHER + code, shared) == "{} False\n"
    assert list(shared.iterdir()) == []


def test_a_damaged_file_in_a_read_only_folder_is_left_there(shared: Path) -> None:
    filled(shared, "a")
    (shared / "results.db").write_bytes(b"garbage" * 1000)
    shared.chmod(0o555)
    code = """
with Store.open(folder) as store:
    print(store.get([key("a")]))
print(store.note)
"""
    found, note = output(ANOTHER + code, shared).splitlines()
    assert found == "{}"
    assert "damaged (file is not a database) and cannot be set aside" in note
    assert set_aside(shared) == []


REFUSED = """
try:
    Store.open(folder)
except module.StoreError as error:
    print(int(error.exit_code), error, error.hint)
"""


@pytest.mark.parametrize("closed", ["the folder", "the folder around it", "the file"])
def test_without_permission_it_cannot_be_used(closed: str, shared: Path) -> None:
    filled(shared, "a")
    path = {
        "the folder": shared,
        "the folder around it": shared.parent,
        "the file": shared / "results.db",
    }[closed]
    path.chmod(0)
    text = output(ANOTHER + REFUSED, shared)
    path.chmod(0o755)
    assert text.startswith(f"{Exit.STORE:d} cannot use the store {shared}: ")
    assert "--no-cache" in text


def test_a_store_left_half_written_cannot_be_used_in_a_read_only_folder(shared: Path) -> None:
    records = half_written(shared)
    for path in shared.iterdir():
        path.chmod(0o444)
    shared.chmod(0o555)
    text = output(ANOTHER + REFUSED, shared)
    assert text.startswith(f"{Exit.STORE:d} cannot use the store {shared}: ")
    shared.chmod(0o755)
    for path in shared.iterdir():
        path.chmod(0o644)
    with Store.open(shared) as store:
        assert store.get(list(records)) == records


@pytest.mark.parametrize("inside", [False, True], ids=["a file", "in a file"])
def test_a_file_in_its_place(inside: bool, tmp_path: Path) -> None:
    (tmp_path / "store").touch()
    with pytest.raises(StoreError, match="it is not a folder") as caught:
        Store.open(tmp_path / "store" / "deeper" if inside else tmp_path / "store")
    assert caught.value.exit_code == Exit.STORE
    assert caught.value.hint is not None
    assert "--no-cache" in caught.value.hint


# Clearing


def test_clear(folder: Path) -> None:
    filled(folder, *range(100))
    (folder / "results.db").write_bytes(b"garbage" * 1000)
    records = filled(folder, *range(100))
    size = sum(path.stat().st_size for path in folder.iterdir())
    with Store.open(folder) as store:
        store.put(key("pending"), b"1")
        assert store.clear() == size
        assert store.get([*records, key("pending")]) == {}
    assert [path.name for path in folder.iterdir()] == ["lock"]


def test_clearing_while_others_write(folder: Path) -> None:
    code = """
module.INTERVAL = 0.1
store = Store.open(folder)
for number in range(150):
    store.put(key(f"{sys.argv[2]} {number}"), b"x" * 20_000)
    time.sleep(0.01)
store.put(key(f"{sys.argv[2]} last"), b"last")
store.close()
print(store.failed, store.note, store.damaged)
"""
    children = [started(code, folder, name) for name in "ab"]
    freed = []
    while any(child.poll() is None for child in children):
        with Store.open(folder) as store:
            freed.append(store.clear())
        time.sleep(0.01)
    assert [child.communicate()[0] for child in children] == ["None None 0\n"] * 2
    assert sum(size > 0 for size in freed) > 3
    filled(folder, "after")
    assert is_sound(folder)
    assert set_aside(folder) == []

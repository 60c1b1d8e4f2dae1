"""The store: results by content key, shared by all that run as this user.

An SQLite database with a rollback journal. An append-only file takes 29 ms to find 200 of 30,000 records,
this takes 1; WAL cannot be read in a read-only folder. Values are kept as they are: compressed they take half
of 0.6 kB each, and twice the time to read.

    results.db               the records
    lock                     held shared by who reads or writes, alone by who moves or removes results.db:
                             SQLite does not survive that its file goes away under a transaction
    results.db.damaged-...   what could not be read as a whole, set aside; `clear` removes it

A connection lives for one operation, so nobody waits longer than that, and a fork inherits none.

What every future format keeps, so that this program can read it: an SQLite database with a rollback journal,
under this name; `application_id` as here; the format in `user_version`, counted up; a table `records` with
columns `key`, `value`, `crc` (CRC-32 of key and value) and `written` (seconds since 1970), its rowids in the
order of writing; the lock.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import TracebackType

from bnmatrix.errors import BnmatrixError, Exit

FORMAT = 1
"""Counted up whenever an older program could no longer write the store."""

APPLICATION = 0x626E6D78
"""`bnmx`, in the header of every store."""

INTERVAL = 0.5
"""Seconds after which what was put is written."""

PATIENCE = 10.0
"""Seconds to wait for another process; an operation takes milliseconds."""

_AT_ONCE = 500
"""Keys a query asks for; old SQLite takes 999."""

_TABLE = (
    "CREATE TABLE records"
    " (key BLOB PRIMARY KEY, value BLOB NOT NULL, crc INTEGER NOT NULL, written INTEGER NOT NULL)"
)
"""SQLite keeps it as it was written, so that a table that is not ours shows."""

_CREATE = (
    _TABLE,
    f"PRAGMA application_id = {APPLICATION}",
    f"PRAGMA user_version = {FORMAT}",
)

_LATEST = 2**37
"""A time that cannot be; what is damaged may tell a later one."""

_TROUBLE = (sqlite3.Error, OSError)


class StoreError(BnmatrixError):
    """The store cannot be used."""

    exit_code = Exit.STORE


class _Damaged(Exception):
    """The file cannot be read as a whole. It has been dealt with, and the operation may be tried again."""


@dataclass(frozen=True)
class Info:
    """What a store holds. `oldest`, `newest`: when records were written, in seconds since 1970."""

    path: Path
    bytes: int
    records: int
    format: int
    oldest: int | None
    newest: int | None
    set_aside: tuple[Path, ...]


class Store:
    """Results by content key. For one thread at a time; any number of processes.

    is_writable: whether what is put is kept
    failed:      why what was put could not be written; nothing that was in the store before is lost
    """

    def __init__(self, folder: Path) -> None:
        """See `open`."""
        self.folder = folder
        self.is_writable = True
        self.failed: str | None = None
        self._file = folder / "results.db"
        self._journal = folder / "results.db-journal"
        self._lock = folder / "lock"
        self._notes: list[str] = []
        self._pending: dict[bytes, bytes] = {}
        self._spoilt: list[tuple[bytes, object, object]] = []
        self._damaged: set[bytes] = set()
        self._written = time.monotonic()

    @classmethod
    def open(cls, folder: Path) -> Store:
        """The store in `folder`, which is made if need be. Raises StoreError where it cannot even be read."""
        store = cls(folder)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            store.is_writable = all(
                os.access(path, os.W_OK) for path in (folder, store._file, store._lock) if path.exists()
            )
            if not store.is_writable:
                store._say(f"the store {folder} is read-only: read, not written")
            store._look()
        except (FileExistsError, NotADirectoryError) as error:
            raise _unusable(folder, "it is not a folder") from error
        except _TROUBLE as error:
            raise _unusable(folder, _reason(error)) from error
        return store

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def damaged(self) -> int:
        """How many records that were asked for had a checksum that does not fit."""
        return len(self._damaged)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know. May grow until `close`: damage shows where it is read."""
        return tuple(self._notes)

    @property
    def note(self) -> str | None:
        """All the notes as one line."""
        return "; ".join(self._notes) or None

    def get(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are known. Raises nothing: what cannot be read is not known."""
        found = {key: self._pending[key] for key in keys if key in self._pending}
        wanted = [key for key in keys if key not in found]
        try:
            with self._base() as base:
                for start in range(0, len(wanted) if base else 0, _AT_ONCE):
                    assert base
                    part = wanted[start : start + _AT_ONCE]
                    marks = ",".join("?" * len(part))
                    query = f"SELECT key, value, crc FROM records WHERE key IN ({marks})"
                    for key, value, crc in base.execute(query, part):
                        if isinstance(value, bytes) and crc == zlib.crc32(key + value):
                            found[key] = value
                        else:
                            self._spoilt.append((key, value, crc))
                            self._damaged.add(key)
        except _Damaged:
            pass
        except _TROUBLE as error:
            self._say(f"cannot read the store {self.folder}: {_reason(error)}")
        return found

    def put(self, key: bytes, value: bytes) -> None:
        """Keep `value`: written within half a second if `put` goes on being called, else by `close`.

        Raises nothing: see `failed`.
        """
        if not self.is_writable:
            return
        self._pending[key] = value
        # Once it failed it would fail each time, and take its time: tried again at the end.
        if self.failed is None and time.monotonic() - self._written >= INTERVAL:
            self._write()

    def close(self) -> None:
        """Write what was put. Raises nothing: see `failed`. The store can be used further."""
        if self.is_writable and (self._pending or self._spoilt):
            self._write()

    def info(self) -> Info:
        """What is there. Raises StoreError."""
        records, form, oldest, newest = 0, FORMAT, None, None
        try:
            with self._base() as base:
                if base is not None:
                    form = _format(base)
                    (records,) = base.execute("SELECT count(*) FROM records").fetchone()
                    query = (
                        "SELECT written FROM records"
                        f" WHERE typeof(written) = 'integer' AND written BETWEEN 0 AND {_LATEST}"
                        " ORDER BY rowid {} LIMIT 1"
                    )
                    ends = [base.execute(query.format(order)).fetchone() for order in ("ASC", "DESC")]
                    oldest, newest = (end[0] if end else None for end in ends)
        except _Damaged:
            pass
        except _TROUBLE as error:
            raise _unusable(self.folder, _reason(error)) from error
        size = sum(_size(path) for path in (self._file, self._journal, *self._set_aside()))
        return Info(self._file, size, records, form, oldest, newest, tuple(self._set_aside()))

    def clear(self) -> int:
        """Remove all there is, and tell how many bytes that frees. Raises StoreError.

        Whoever writes meanwhile begins a new file with their next records.
        """
        if not self.is_writable:
            raise StoreError(f"cannot clear the store {self.folder}: {self.note}")
        self._pending.clear()
        freed = 0
        try:
            with self._locked(alone=True):
                # A journal without its file does nothing; a file without its journal may be half written.
                for path in (self._file, self._journal, *self._set_aside()):
                    size = _size(path)
                    path.unlink(missing_ok=True)
                    freed += size
        except OSError as error:
            raise StoreError(f"cannot clear the store {self.folder}: {_reason(error)}") from error
        return freed

    def _look(self) -> None:
        """Find out whether it can be read and written."""
        try:
            with self._base():
                pass
        except _Damaged:
            pass

    def _write(self) -> None:
        """Write what is pending, and remove what is damaged."""
        now = int(time.time())
        rows = [(key, value, zlib.crc32(key + value), now) for key, value in self._pending.items()]
        self.failed = f"the store {self.folder} is damaged as soon as it is written"
        for _ in range(2):  # the first may find the file damaged
            try:
                with self._base(writing=True) as base:
                    if base is not None:
                        base.executemany(
                            "DELETE FROM records WHERE key = ? AND value IS ? AND crc IS ?", self._spoilt
                        )
                        base.executemany(
                            "INSERT OR REPLACE INTO records (key, value, crc, written) VALUES (?, ?, ?, ?)",
                            rows,
                        )
            except _Damaged:
                continue
            except _TROUBLE as error:
                self.failed = f"cannot write the store {self.folder}: {_reason(error)}"
            else:
                self.failed = None
                self._pending.clear()
                self._spoilt.clear()
            break
        self._written = time.monotonic()

    @contextmanager
    def _base(self, writing: bool = False) -> Iterator[sqlite3.Connection | None]:
        """The database, for one operation; in a transaction if `writing`. None where there is nothing to use.

        Raises _Damaged, sqlite3.Error and OSError.
        """
        with self._locked():
            if not writing and not self._file.exists():
                yield None
                return
            try:
                with closing(sqlite3.connect(self._file, timeout=PATIENCE, isolation_level=None)) as base:
                    base.text_factory = bytes  # what is damaged need not be text
                    if writing:
                        base.execute("BEGIN IMMEDIATE")
                    form = _format(base)
                    if form > FORMAT:
                        self.is_writable = False
                        self._say(
                            f"the store {self.folder} was written by a newer bnmatrix (format {form}): "
                            "read, not written"
                        )
                    if writing and not form:
                        for statement in _CREATE:
                            base.execute(statement)
                    yield base if (self.is_writable if writing else form) else None
                    if writing:
                        base.execute("COMMIT")
                return
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
                why, which = _reason(error), _identity(self._file)
        self._put_aside(which, why)
        raise _Damaged

    def _put_aside(self, which: tuple[int, int] | None, why: str) -> None:
        """Rename the damaged file, unless it cannot be or another process was faster."""
        if not self.is_writable:
            self._say(f"the store {self.folder} is damaged ({why}) and cannot be set aside")
            return
        with self._locked(alone=True):
            if which is None or _identity(self._file) != which:
                return
            names = (f"{self._file}.damaged-{number}" for number in count(1))
            name = next(name for name in names if not os.path.exists(name))
            os.rename(self._file, name)
            if self._journal.exists():  # would be taken for that of the next file
                os.rename(self._journal, f"{name}-journal")
        self._say(f"the store was damaged ({why}): set aside as {name}, and a new one begun")

    def _set_aside(self) -> list[Path]:
        return sorted(self.folder.glob(f"{self._file.name}.damaged-*"))

    @contextmanager
    def _locked(self, alone: bool = False) -> Iterator[None]:
        """Nobody moves or removes the file meanwhile; `alone`: nobody uses it either. Raises OSError."""
        if self.is_writable:
            self.folder.mkdir(parents=True, exist_ok=True)  # somebody may have removed it all by hand
            number = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o666)
        elif self._lock.exists():
            number = os.open(self._lock, os.O_RDONLY)
        else:  # nobody has written here
            yield
            return
        try:
            until = time.monotonic() + PATIENCE
            while True:
                try:
                    fcntl.flock(number, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > until:
                        text = f"another process has held it for {PATIENCE:.0f} seconds"
                        raise TimeoutError(text) from None
                    time.sleep(0.005)
            yield
        finally:
            os.close(number)

    def _say(self, note: str) -> None:
        if note not in self._notes:
            self._notes.append(note)


def _format(base: sqlite3.Connection) -> int:
    """The format of a store, 0 of an empty file. Raises sqlite3.DatabaseError if it is neither."""
    (application,) = base.execute("PRAGMA application_id").fetchone()
    (form,) = base.execute("PRAGMA user_version").fetchone()
    there = dict(base.execute("SELECT name, sql FROM sqlite_master"))
    if application == 0 and not there:
        return 0
    is_newer = form > FORMAT
    is_ours = form > 0 and there.get(b"records") == _TABLE.encode()
    if application != APPLICATION or not (is_newer or is_ours):
        raise sqlite3.DatabaseError("not a store of bnmatrix")
    return int(form)


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    """Whether the file is at fault. The subclasses are of what befell a sound one, with one exception."""
    return type(error) is sqlite3.DatabaseError or "unsupported file format" in str(error)


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever it is called."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _reason(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _unusable(folder: Path, why: str) -> StoreError:
    return StoreError(
        f"cannot use the store {folder}: {why}",
        "BNMATRIX_HOME names another folder; run --no-cache does without",
    )

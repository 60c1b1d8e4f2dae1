"""From a lock to an environment: made, looked after, removed.

An environment is made beside its place, and moved there when it is whole. Its stamp tells what was true then.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import msgspec

from bnmatrix.environment import index, interpreters, uv
from bnmatrix.environment.errors import EnvironmentFailure, InUse, NotHere, TooLarge, UvFailed
from bnmatrix.environment.lock import Lock, load
from bnmatrix.environment.places import Settings, delete, write_atomically, writing
from bnmatrix.environment.resolution import GPU_PACKAGE

STAMP = "bnmatrix.json"

FORMAT = "2"
"""Of the fingerprint in a stamp: another one says nothing of the files as they are looked at here."""

_UNFINISHED = (".unfinished", ".rubbish")
"""Endings of what is not to stay."""

LARGE = 2 * 10**9
"""Bytes that are fetched without asking."""

LARGE_TORCH = 10**9
"""Bytes of a torch from which on it is worth a word."""


class Stamp(msgspec.Struct, frozen=True):
    """What was true when the environment was complete."""

    key: str
    label: str
    python: str
    as_of: str | None
    packages: dict[str, str]
    made: float
    files: int
    fingerprint: str


class Kept(msgspec.Struct, frozen=True):
    """An environment that lies here. `fault`: what is wrong with it; `stamp`: None where it has none."""

    folder: str
    size: int
    stamp: Stamp | None
    fault: str | None


class Removed(msgspec.Struct, frozen=True):
    """What was removed, why, and the bytes that it took."""

    name: str
    why: str
    size: int


def folder_of(lock: Lock, settings: Settings) -> Path:
    """Where its environment lies."""
    return settings.environments / f"{lock.slug}-{lock.key[:12]}"


def python_of(folder: Path) -> Path:
    """The interpreter in an environment."""
    return folder / "bin" / "python"


def is_made(lock: Lock, settings: Settings) -> bool:
    """Is the environment there and whole?"""
    return _fault(folder_of(lock, settings), lock.key) is None


def make(lock: Lock, settings: Settings) -> str:
    """The environment's interpreter; made where it is not there or not whole."""
    folder = folder_of(lock, settings)
    python = str(python_of(folder))
    if is_made(lock, settings):
        return python

    def waits() -> None:
        settings.tell(f"{lock.label}: waiting for another process, which is making its environment")

    with _alone(folder, waits):
        if os.path.lexists(folder):
            wrong = _fault(folder, lock.key)
            if wrong is None:
                return python  # another process has made it meanwhile
            settings.tell(f"{lock.label}: its environment is made again: {wrong}")
        _make(lock, folder, settings)
    return python


def environments(settings: Settings) -> list[Kept]:
    """The environments that lie here, those that are not finished too."""
    found = []
    for folder in _folders(settings):
        stamp = _stamp(folder)
        wrong = _fault(folder, None if stamp is None else stamp.key)
        found.append(Kept(str(folder), _size(folder), stamp, wrong))
    return found


def remove(folder: Path | str, settings: Settings) -> int:
    """Remove an environment. The bytes that were freed; those that uv's cache shares with it are not.

    Raises InUse while another process makes it.
    """
    folder = Path(folder)
    with _alone(folder, partial(_refuse, folder)):
        return _remove(folder)


def _refuse(folder: Path) -> None:
    raise InUse(f"{folder.name} is being made by another process", "try again when it has ended")


def _remove(folder: Path) -> int:
    """The same by who holds the guard, which stays: others may wait for it."""
    size = _size(folder)
    rubbish = folder
    with writing(folder):
        if not folder.name.startswith("."):
            # Out of the way in one step, so that no one takes what is half removed for whole.
            rubbish = folder.with_name(f".{folder.name}.{os.getpid()}.rubbish")
            delete(rubbish)
            with contextlib.suppress(FileNotFoundError):  # another process has removed it meanwhile
                folder.rename(rubbish)
        delete(rubbish)
    return size


def prune(settings: Settings) -> list[Removed]:
    """Remove what is of no use: unfinished, damaged, superseded, or made for an interpreter that is gone."""
    removed = []
    for path, lock in _locks(settings):
        if lock is None or not os.path.exists(lock.interpreter):
            fault = "cannot be read" if lock is None else f"its interpreter {lock.interpreter} is gone"
            removed.append(Removed(path.name, fault, _size(path)))
            with writing(path):
                delete(path)
    for folder in _folders(settings):
        if _useless(folder, settings) is None:
            continue
        with contextlib.suppress(InUse), _alone(folder, partial(_refuse, folder)):
            # Asked again: until now another process may have made or removed it.
            why = _useless(folder, settings) if os.path.lexists(folder) else None
            if why is not None:
                removed.append(Removed(folder.name, why, _remove(folder)))
    return removed


def _locks(settings: Settings) -> list[tuple[Path, Lock | None]]:
    return [(path, load(path)) for path in settings.locks.glob("pylock.*.toml")]


def _useless(folder: Path, settings: Settings) -> str | None:
    """Why it is of no use, if it is not."""
    stamp = _stamp(folder)
    # The lock is written first: of what is there, all locks are known now.
    if stamp is None or stamp.key in {lock.key for _, lock in _locks(settings) if lock is not None}:
        return _fault(folder, None if stamp is None else stamp.key)
    return "no target leads to it any more"


# Is it whole?


def _stamp(folder: Path) -> Stamp | None:
    try:
        return msgspec.json.decode((folder / STAMP).read_bytes(), type=Stamp)
    except (OSError, ValueError):
        return None


def _fault(folder: Path, key: str | None) -> str | None:
    """What is wrong with an environment, or None."""
    if not os.path.isdir(folder):
        return "a file is in its place"
    stamp = _stamp(folder)
    if stamp is None or stamp.key != key:
        return "it was never finished"
    if not os.access(python_of(folder), os.X_OK):
        return f"its interpreter {os.path.realpath(python_of(folder))} is gone"
    if not stamp.fingerprint.startswith(f"{FORMAT}:"):
        return "it was made by another version of bnmatrix"
    if (stamp.files, stamp.fingerprint) != fingerprint(folder):
        return _what_changed(folder)
    return None


def _counts(name: str) -> bool:
    """Is a file of that name code, or does it have some run?"""
    return name.endswith((".py", ".so", ".pth")) or ".so." in name


def fingerprint(folder: Path) -> tuple[int, str]:
    """Number and digest of what is looked at: path, size and time of all code and metadata.

    Not the time of the last change of the inode: another link to the file, which uv makes, is such a change.
    What cannot be read is as another file.
    """
    lines = [f"pyvenv.cfg {_state(folder / 'pyvenv.cfg')}"]
    pending = [(str(place), "") for place in _site_packages(folder)]
    while pending:
        path, inside = pending.pop()
        is_metadata = inside.endswith(".dist-info")
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    name = f"{inside}/{entry.name}"
                    if _counts(entry.name):
                        lines.append(f"{name} {_state(entry)}")
                    elif entry.is_dir(follow_symlinks=False):
                        if entry.name != "__pycache__":
                            pending.append((entry.path, name))
                    elif is_metadata:
                        lines.append(f"{name} {_state(entry)}")
        except OSError as error:
            lines.append(f"{inside} {error.errno}")
    lines.sort()
    digest = hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    return len(lines), f"{FORMAT}:{digest}"


def _state(file: os.DirEntry[str] | Path) -> str:
    """Size and time of a file; of one that cannot be had, such as a link that leads nowhere, why."""
    try:
        status = file.stat()
    except OSError as error:
        return f"{error.errno}"
    return f"{status.st_size} {status.st_mtime_ns}"


def _site_packages(folder: Path) -> list[Path]:
    return list((folder / "lib").glob("python*/site-packages"))


def _what_changed(folder: Path) -> str:
    """The first file that is not as its package's record has it, if any."""
    import csv

    if not os.path.isfile(folder / "pyvenv.cfg"):
        return "pyvenv.cfg is missing"
    for place in _site_packages(folder):
        for record in sorted(place.glob("*.dist-info/RECORD")):
            try:
                if not record.is_file():
                    raise IsADirectoryError
                with record.open(encoding="utf-8", newline="") as file:
                    listed = [(row[0], int(row[2] or -1)) for row in csv.reader(file) if row]
            except (OSError, ValueError, IndexError, csv.Error):
                return f"{record.parent.name}/RECORD cannot be read"
            for name, size in listed:
                if not _counts(name) and ".dist-info/" not in name:
                    continue
                try:
                    found = os.stat(place / name).st_size
                except (OSError, ValueError):
                    return f"{name} is missing"
                if size not in (-1, found):
                    return f"{name} has changed"
    return "files were added, removed or touched"


def _folders(settings: Settings) -> list[Path]:
    """Environments, what is left of some, and what is in the place of one; not the guards."""
    try:
        return sorted(
            each
            for each in settings.environments.iterdir()
            if not each.name.startswith(".") or each.name.endswith(_UNFINISHED)
        )
    except OSError:
        return []


def _size(folder: Path) -> int:
    total = 0
    for path, _folders_in, files in os.walk(folder):
        for name in files:
            total += _blocks(os.path.join(path, name))
    return total or _blocks(folder)


def _blocks(file: Path | str) -> int:
    try:
        return os.lstat(file).st_blocks * 512
    except OSError:
        return 0


# Making it


def _guard_of(folder: Path) -> Path:
    """The lock file of an environment, finished or not."""
    name = folder.name.strip(".")
    for ending in _UNFINISHED:
        if name.endswith(ending):
            name = name[: -len(ending)].rpartition(".")[0]
    return folder.parent / f".{name}.lock"


@contextlib.contextmanager
def _alone(folder: Path, waits: Callable[[], None]) -> Iterator[None]:
    """While no other process or thread makes or removes it. Where one does, `waits` is called, or raises.

    The guard is never removed: who waits for it would then hold another file than who comes later.
    """
    from filelock import FileLock, Timeout

    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        guard = FileLock(_guard_of(folder))
        try:
            guard.acquire(timeout=0)
        except Timeout:
            waits()
            guard.acquire()
    try:
        yield
    finally:
        guard.release()


def _make(lock: Lock, folder: Path, settings: Settings) -> None:
    if not os.path.exists(lock.interpreter):
        raise EnvironmentFailure(f"{lock.label}: {lock.interpreter} is gone", "run it again")
    settings.tell(f"{lock.label}: Python {lock.python}, {_contents(lock, settings.offline)}")
    gpu = _brought_for_gpus(lock)
    if gpu:
        settings.tell(f"{lock.label}: no build of torch for the CPU is within reach; this one {gpu}")
    with writing(folder):
        for left in folder.parent.glob(f".{folder.name}.*"):
            if left.name.endswith(_UNFINISHED):  # of a process that was killed: no other is here now
                with contextlib.suppress(OSError):
                    delete(left)
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}.unfinished")
    try:
        if lock.size > LARGE and not settings.yes:
            try:
                _fill(lock, unfinished, replace(settings, offline=True))
            except NotHere:
                if settings.offline:
                    raise
                hint = "--yes fetches them" + (", for there is no smaller build of torch" if gpu else "")
                raise TooLarge(f"{lock.label}: would fetch {megabytes(lock.size)}", hint) from None
        else:
            _fill(lock, unfinished, settings)
        files, digest = fingerprint(unfinished)
        stamp = Stamp(
            lock.key, lock.label, lock.python, lock.as_of, lock.packages, time.time(), files, digest
        )
        write_atomically(unfinished / STAMP, msgspec.json.encode(stamp))
        with writing(folder):
            delete(folder)
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _contents(lock: Lock, offline: bool) -> str:
    """`31 packages as of 2021-02-05, up to 190 MB to fetch`"""
    text = f"{len(lock.packages)} package{'' if len(lock.packages) == 1 else 's'}"
    if lock.as_of:
        text += f" as of {lock.as_of}"
    if lock.size and not offline:
        text += f", up to {megabytes(lock.size)} to fetch"
        unknown = len(lock.packages) - len(lock.sizes)
        text += f" and {unknown} of unknown size" if unknown else ""
    return text


def _check_version(lock: Lock, folder: Path) -> None:
    """Raise where the interpreter has become another since; the lock, which is of no use then, is removed."""
    told = re.search(r"(?m)^version_info = (\S+)", (folder / "pyvenv.cfg").read_text(encoding="utf-8"))
    if told and told[1] != lock.python:
        raise _outlived(lock, f"was Python {lock.python} and is {told[1]} now")


def _outlived(lock: Lock, what: str) -> EnvironmentFailure:
    """The error where a lock's interpreter is no longer what it was. The lock, of no use then, is removed."""
    with writing(Path(lock.path)):
        delete(Path(lock.path))
    return EnvironmentFailure(f"{lock.label}: {lock.interpreter} {what}", "run it again")


def _brought_for_gpus(lock: Lock) -> str | None:
    """What makes its torch large: `brings 14 GPU packages, 2.9 GB`."""
    if "torch" not in lock.packages or lock.packages["torch"].endswith("+cpu"):
        return None
    names = [name for name in lock.packages if GPU_PACKAGE.match(name)]
    size = sum(lock.sizes.get(name, 0) for name in ("torch", *names))
    if names:
        return f"brings {len(names)} GPU package{'' if len(names) == 1 else 's'}, {megabytes(size)} with it"
    return f"takes {megabytes(size)}" if size > LARGE_TORCH else None


def megabytes(size: int) -> str:
    """`190 MB`, `4.1 GB`"""
    return f"{size / 1e9:.1f} GB" if size >= 10**9 else f"{max(1, round(size / 1e6))} MB"


def _fill(lock: Lock, folder: Path, settings: Settings) -> None:
    started = time.monotonic()

    def waiting(_seconds: float) -> None:
        settings.tell(f"{lock.label}: making its environment, {time.monotonic() - started:.0f} s")

    def run(*arguments: str) -> None:
        result = uv.run(*arguments, offline=settings.offline, waiting=waiting)
        if result.status:
            failure = index.failure(result, lock.label, settings)
            if arguments[0] == "venv" and interpreters.ask(lock.interpreter) is None:
                raise _outlived(lock, f"was Python {lock.python} and is none now") from failure
            if isinstance(failure, UvFailed) and failure.hint is None:
                # Not removed: it is what tells that the index has other files now.
                failure.hint = f"without {lock.path} it would be resolved anew"
            raise failure

    python = str(python_of(folder))
    # What is compiled by uv needs Python 3.7.
    by_uv = ["--compile-bytecode"] if tuple(map(int, lock.python.split(".")[:2])) >= (3, 7) else []
    # Relocatable: it is moved to its place in the end.
    run("venv", "--quiet", "--no-project", "--relocatable", "--python", lock.interpreter, str(folder))
    _check_version(lock, folder)
    install = ("pip", "install", "--quiet", "--no-deps", *by_uv)
    run(*install, "--python", python, "--requirements", lock.path)
    if not by_uv:
        command = [python, "-I", "-m", "compileall", "-q", "-j", "0", *map(str, _site_packages(folder))]
        uv.run_command(command, "", os.environ, waiting=waiting)  # some files never compile, which is no harm

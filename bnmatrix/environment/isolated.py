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
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from bnmatrix.environment import index, uv
from bnmatrix.environment.errors import EnvironmentFailure, NotHere, TooLarge
from bnmatrix.environment.lock import Lock, load
from bnmatrix.environment.places import Settings, write_atomically, writing
from bnmatrix.environment.resolution import GPU_PACKAGE

STAMP = "bnmatrix.json"

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
    with _alone(folder, lock, settings):
        if folder.exists():
            wrong = _fault(folder, lock.key)
            if wrong is None:
                return python  # another process has made it meanwhile
            settings.tell(f"{lock.label}: its environment was damaged: {wrong}; making it again")
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
    """Remove an environment. The bytes that were freed; those that uv's cache shares with it are not."""
    folder = Path(folder)
    size = _size(folder)
    with writing(folder):
        # Out of the way in one step, so that no one takes what is half removed for whole.
        rubbish = folder.with_name(f".{folder.name.strip('.')}.{os.getpid()}.rubbish")
        folder.rename(rubbish)
        shutil.rmtree(rubbish)
    with contextlib.suppress(OSError):
        _guard_of(folder).unlink()
    return size


def prune(settings: Settings) -> list[Removed]:
    """Remove what is of no use: unfinished, damaged, superseded, or made for an interpreter that is gone."""
    from filelock import FileLock, Timeout

    removed = []
    locks = {path: load(path) for path in settings.locks.glob("pylock.*.toml")}
    for path, lock in locks.items():
        if lock is None or not os.path.exists(lock.interpreter):
            why = "cannot be read" if lock is None else f"its interpreter {lock.interpreter} is gone"
            removed.append(Removed(path.name, why, path.stat().st_size))
            path.unlink()
    keys = {lock.key for lock in locks.values() if lock is not None}
    for kept in environments(settings):
        folder = Path(kept.folder)
        superseded = kept.stamp is not None and kept.stamp.key not in keys
        fault = kept.fault or ("no target leads to it any more" if superseded else None)
        if fault is not None:
            with (
                contextlib.suppress(Timeout),
                FileLock(_guard_of(folder), timeout=0),
            ):  # else it is being made
                removed.append(Removed(folder.name, fault, remove(folder, settings)))
    return removed


# Is it whole?


def _stamp(folder: Path) -> Stamp | None:
    try:
        return msgspec.json.decode((folder / STAMP).read_bytes(), type=Stamp)
    except (OSError, msgspec.DecodeError):
        return None


def _fault(folder: Path, key: str | None) -> str | None:
    """What is wrong with an environment, or None."""
    stamp = _stamp(folder)
    if stamp is None or stamp.key != key:
        return "it was never finished"
    if not python_of(folder).exists():
        return f"its interpreter {os.path.realpath(python_of(folder))} is gone"
    if (stamp.files, stamp.fingerprint) != fingerprint(folder):
        return _what_changed(folder)
    return None


def fingerprint(folder: Path) -> tuple[int, str]:
    """Number and digest of the modules: path, size and time of every .py and .so."""
    lines: list[str] = []
    pending = [(str(place), "") for place in _site_packages(folder)]
    while pending:
        path, inside = pending.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                name = f"{inside}/{entry.name}"
                if entry.name.endswith((".py", ".so")):
                    status = entry.stat()
                    lines.append(f"{name} {status.st_size} {status.st_mtime_ns}")
                elif entry.is_dir(follow_symlinks=False) and entry.name != "__pycache__":
                    pending.append((entry.path, name))
    lines.sort()
    return len(lines), hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _site_packages(folder: Path) -> list[Path]:
    return list((folder / "lib").glob("python*/site-packages"))


def _what_changed(folder: Path) -> str:
    """The first file that is not as its package's record has it, if any."""
    import csv

    for place in _site_packages(folder):
        for record in sorted(place.glob("*.dist-info/RECORD")):
            for name, _digest, size, *_ in csv.reader(record.read_text(encoding="utf-8").splitlines()):
                if not name.endswith((".py", ".so")):
                    continue
                path = place / name
                if not path.exists():
                    return f"{name} is missing"
                if size and path.stat().st_size != int(size):
                    return f"{name} has changed"
    return "files were added, removed or touched"


def _folders(settings: Settings) -> list[Path]:
    try:
        return sorted(each for each in settings.environments.iterdir() if each.is_dir())
    except OSError:
        return []


def _size(folder: Path) -> int:
    total = 0
    for path, _folders_in, files in os.walk(folder):
        for name in files:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(path, name)).st_blocks * 512
    return total


# Making it


def _guard_of(folder: Path) -> Path:
    """The lock file of an environment, finished or not."""
    name = folder.name.strip(".")
    for ending in (".unfinished", ".rubbish"):
        if name.endswith(ending):
            name = name[: -len(ending)].rpartition(".")[0]
    return folder.parent / f".{name}.lock"


@contextlib.contextmanager
def _alone(folder: Path, lock: Lock, settings: Settings) -> Iterator[None]:
    """While no other process or thread makes it."""
    from filelock import FileLock, Timeout

    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        guard = FileLock(_guard_of(folder))
        try:
            guard.acquire(timeout=0)
        except Timeout:
            settings.tell(f"{lock.label}: waiting for another process, which is making its environment")
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
            if left.is_dir():  # of a process that was killed: no other is here now
                shutil.rmtree(left, ignore_errors=True)
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
            if folder.exists():
                shutil.rmtree(folder)
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
        Path(lock.path).unlink(missing_ok=True)
        raise EnvironmentFailure(
            f"{lock.label}: {lock.interpreter} was Python {lock.python} and is {told[1]} now", "run it again"
        )


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
            raise index.failure(result, lock.label, settings)

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

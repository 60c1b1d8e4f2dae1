"""Where things lie, and what the caller has decided."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bnmatrix.environment.errors import DiskFull, EnvironmentFailure


def root() -> Path:
    """The folder of everything that is kept: $BNMATRIX_HOME, else the user's cache folder."""
    chosen = os.environ.get("BNMATRIX_HOME")
    if chosen:
        try:
            path = Path(chosen).expanduser().absolute()
        except RuntimeError:
            raise EnvironmentFailure(
                f"BNMATRIX_HOME is {chosen}, and there is no such user", "let it name a folder"
            ) from None
        if os.path.exists(path) and not os.path.isdir(path):
            raise EnvironmentFailure(f"BNMATRIX_HOME is {chosen}, which is a file", "let it name a folder")
        return path
    from platformdirs import user_cache_path

    return user_cache_path("bnmatrix")


def _silence(_text: str) -> None:
    pass


@dataclass(frozen=True)
class Settings:
    """What the caller has decided.

    offline: fetch nothing
    yes:     fetch however much it is
    tell:    called with a line of text for the user; from any thread
    """

    root: Path = field(default_factory=root)
    offline: bool = False
    yes: bool = False
    tell: Callable[[str], None] = _silence

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def environments(self) -> Path:
        return self.root / "environments"


@contextmanager
def writing(place: Path) -> Iterator[None]:
    """Turn an OSError into what the user can do about it."""
    try:
        yield
    except OSError as error:
        raise failed_write(place, error) from error


def failed_write(place: Path, error: OSError) -> EnvironmentFailure:
    """The error to raise where `place` could not be written."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_full(place)
    return EnvironmentFailure(
        f"cannot write {place}: {error.strerror or error}", "BNMATRIX_HOME names another folder"
    )


def disk_full(place: Path) -> DiskFull:
    return DiskFull(
        f"no space left to write {place}",
        "bnmatrix env prune and uv cache prune free some; BNMATRIX_HOME names another folder",
    )


def delete(path: Path) -> None:
    """Remove what is at `path`, if anything: a folder, a file or a link."""
    import shutil

    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Write `path` whole or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_bytes(content)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)

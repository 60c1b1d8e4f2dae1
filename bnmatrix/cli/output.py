"""Where results go and in which format: stdout, or a file that is whole or not there."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from bnmatrix.errors import UsageError, unknown
from bnmatrix.render import FORMATS

if TYPE_CHECKING:
    from bnmatrix.checked import Check
    from bnmatrix.render import Result


def check_format(name: str, known: tuple[str, ...] = FORMATS) -> None:
    """Raise UsageError, naming the nearest, unless `name` is a format."""
    if name not in known:
        raise unknown("format", name, known)


def check_writable(name: str | None) -> Path | None:
    """The file `name`. Raises UsageError now, before anything is measured, if it cannot be written then."""
    if name is None:
        return None
    if not name:
        raise UsageError("--output is empty", "name a file, or leave it out for stdout")
    path = Path(name)
    try:
        if name.endswith(os.sep) or path.is_dir():
            raise UsageError(f"cannot write {name}: it is a directory", "name a file")
        with contextlib.suppress(FileNotFoundError):
            path.stat()  # tells of a name that is too long
        if not _is_special(path):
            with tempfile.TemporaryFile(dir=_beside(path)):
                pass
            if path.exists() and not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise UsageError(f"cannot write {name}: {error.strerror}") from error
    return path


def write(result: Result, form: str, path: Path | None, expand: bool) -> None:
    """Write `result` in the format `form` to `path`, or to stdout."""
    if path is None:
        _to_stdout(result, form, expand)
    else:
        _to_file(path, _text(result, form, expand))


def write_text(text: str, path: Path | None) -> None:
    """Write `text` to `path`, or to stdout."""
    if path is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "backslashreplace"))
        sys.stdout.flush()
    else:
        _to_file(path, text)


def _text(result: Result, form: str, expand: bool) -> str:
    if form == "json":
        from bnmatrix.render import as_json

        return as_json.text(result)
    if form == "csv":
        from bnmatrix.render import as_csv

        return as_csv.text(result)
    if form == "markdown":
        from bnmatrix.render import as_markdown

        return as_markdown.text(result)
    if form == "table":
        from bnmatrix.render import terminal

        return terminal.text(result, expand)
    from bnmatrix.checked import Check

    assert isinstance(result, Check)
    return _for_ci(result, form)


def _for_ci(check: Check, form: str) -> str:
    """`check` in a format that only checks have, with the places in the project where findings belong."""
    if form == "junit":
        from bnmatrix.render import as_junit

        return as_junit.text(check)
    from bnmatrix.check_places import places
    from bnmatrix.render import as_github, as_sarif

    found = places(check, Path(check.baseline).parent if check.baseline else Path.cwd())
    return as_github.text(check, found) if form == "github" else as_sarif.text(check, found)


def _to_stdout(result: Result, form: str, expand: bool) -> None:
    if form == "table":
        from bnmatrix.render import terminal

        # What an exception says may hold any character; the encoding of a terminal does not.
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
        terminal.write(result, sys.stdout, expand)
        sys.stdout.flush()
    else:
        write_text(_text(result, form, expand), None)


def _to_file(path: Path, text: str) -> None:
    """All of it or nothing: to a temporary file beside it, then in its place."""
    data = text.encode("utf-8", "backslashreplace")
    try:
        if _is_special(path):
            path.write_bytes(data)
            return
        real = Path(os.path.realpath(path))
        handle, temporary = tempfile.mkstemp(dir=real.parent, prefix=".bnmatrix-")
        try:
            with open(handle, "wb") as file:
                file.write(data)
            os.chmod(temporary, _mode(real))
            os.replace(temporary, real)
        except BaseException:
            os.unlink(temporary)
            raise
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error


def _beside(path: Path) -> Path:
    """The folder of the file that `path` really is."""
    return Path(os.path.realpath(path)).parent


def _is_special(path: Path) -> bool:
    """A device or a pipe: written to as it is."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _mode(path: Path) -> int:
    """The permissions of the file, or those a new one gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask

"""Targets of the user's own: a name for a framework with its Python, pins and environment variables.

In the pyproject.toml of the user's project, or in a bnmatrix.toml without the first two words of the heading:

    [tool.bnmatrix.targets.production]
    target = "tf2==2.15.1"                           what it is
    python = "3.10"                                  a version, or the path of an interpreter
    packages = ["numpy<1.25", "h5py==3.9.0"]         further pins
    variables = { TF_ENABLE_ONEDNN_OPTS = "0" }      of its probe

The files are looked for in the working directory, then in the folders above it, up to the first that has
targets; of two with one name bnmatrix.toml has the say.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bnmatrix.errors import UsageError, unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILES = {"bnmatrix.toml": ("targets",), "pyproject.toml": ("tool", "bnmatrix", "targets")}
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of them; `file` is where it is told."""

    target: str
    python: str | None = None
    packages: list[str] = []
    variables: dict[str, str] = {}
    file: str = ""


def find(name: str) -> Named | None:
    """The target of that name, or None. Raises UsageError where a file of targets cannot be used."""
    return _all(Path.cwd()).get(name)


def names() -> list[str]:
    """All names."""
    return list(_all(Path.cwd()))


@cache
def _all(start: Path) -> dict[str, Named]:
    for folder in (start, *start.parents):
        found: dict[str, Named] = {}
        for file, place in _FILES.items():
            path = folder / file
            for name, entry in (_table(path, place) if path.is_file() else {}).items():
                found.setdefault(name, _named(path, name, entry))
        if found:
            return found
    return {}


def _table(path: Path, place: tuple[str, ...]) -> dict[str, Any]:
    """The table of targets in the file; empty where it has none."""
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    for key in place:
        data = data.get(key, {})
        if not isinstance(data, dict):
            raise UsageError(f"{path}: {key} must be a table")
    return dict(data)


def _named(path: Path, name: str, entry: object) -> Named:
    where = f"{path}: target {name}"
    from bnmatrix.target import FAMILIES

    if not _NAME.fullmatch(name) or name in FAMILIES:
        raise UsageError(f"{where}: a name is not a framework's; it has letters, digits, - and _")
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table", 'write: target = "tf2==2.15.1"')
    known = [field for field in Named.__struct_fields__ if field != "file"]
    for key in entry:
        if key not in known:
            raise unknown("field", key, known, f"{where}: ")
    try:
        named = msgspec.convert({**entry, "file": str(path)}, Named)
        for variable, value in named.variables.items():
            if not variable or "=" in variable or "\0" in variable + value:
                raise UsageError(f"{where}: {variable!r} = {value!r} is no environment variable")
        python = named.python
        if python is not None and ("/" in python or python.startswith("~")):  # from where it is written
            python = str((path.parent / Path(python).expanduser()).absolute())
        return msgspec.structs.replace(named, python=python)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}", 'it reads: target = "tf2==2.15.1", python = "3.10"') from error

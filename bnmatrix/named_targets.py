"""Targets of the project's own: a name for a framework with its Python, pins and environment variables.

[tool.bnmatrix.targets.production]
target = "tf2==2.15.1"                           what it is
python = "3.10"                                  a version, or the path of an interpreter
packages = ["numpy<1.25", "h5py==3.9.0"]         further pins
variables = { TF_ENABLE_ONEDNN_OPTS = "0" }      of its probe
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import msgspec

from bnmatrix.configuration import Named, tables
from bnmatrix.errors import UsageError, unknown

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")


def find(name: str) -> tuple[Named, Path] | None:
    """The target of that name, and the file that tells of it; or None. Raises UsageError."""
    return _all(Path.cwd()).get(name)


def names() -> list[str]:
    """All names."""
    return list(_all(Path.cwd()))


@cache
def _all(start: Path) -> dict[str, tuple[Named, Path]]:
    found: dict[str, tuple[Named, Path]] = {}
    for table in tables(start):
        targets = table.entries.get("targets", {})
        if not isinstance(targets, dict):
            raise UsageError(f"{table.file}: targets must be a table")
        for name, entry in targets.items():
            found.setdefault(name, (_named(table.file, name, entry), table.file))
    return found


def _named(path: Path, name: str, entry: object) -> Named:
    where = f"{path}: target {name}"
    from bnmatrix.target import FAMILIES

    if not _NAME.fullmatch(name) or name in FAMILIES:
        raise UsageError(f"{where}: a name is not a framework's; it has letters, digits, - and _")
    if not isinstance(entry, dict):
        raise UsageError(f"{where} must be a table", 'write: target = "tf2==2.15.1"')
    for key in entry:
        if key not in Named.__struct_fields__:
            raise unknown("field", key, Named.__struct_fields__, f"{where}: ")
    try:
        named = msgspec.convert(entry, Named)
        for variable, value in named.variables.items():
            if not variable or "=" in variable or "\0" in variable + value:
                raise UsageError(f"{where}: {variable!r} = {value!r} is no environment variable")
        python = named.python
        if python is not None and ("/" in python or python.startswith("~")):  # from where it is written
            python = str((path.parent / Path(python).expanduser()).absolute())
        return msgspec.structs.replace(named, python=python)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}", 'it reads: target = "tf2==2.15.1", python = "3.10"') from error

"""The entries of both catalogues of changes, as witnesses are asked for them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bnmatrix.axes import Cell, make_cell
from bnmatrix.target import parse
from bnmatrix.witness.handing import same_framework

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FOLDER = Path(__file__).parent.parent / "versions"

ENTRIES: list[dict[str, Any]] = [
    entry
    for name in ("catalogue", "known_changes")
    for entry in tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["change"]
]


def of_one_framework(entry: dict[str, Any]) -> bool:
    """Whether both sides of an entry are."""
    return same_framework(parse(entry["old"]), parse(entry["new"]))


def cell_of(entry: dict[str, Any]) -> Cell:
    """Axes that an entry does not name are at their default."""
    return make_cell({axis: str(value) for axis, value in entry["cell"].items()})


entries = pytest.mark.parametrize(
    "entry", [entry for entry in ENTRIES if of_one_framework(entry)], ids=lambda entry: entry["id"]
)

"""The truth table as data: the facts of many cells, of one target or several; load and save.

These structs are the JSON of `run` (DESIGN section 6), field for field.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from bnmatrix.errors import UsageError

SCHEMA_VERSION = 1

Value = str | int | float
"""What a fact says: a word, an integer, yes/no, or a number (whose interval lies in `measured`)."""

Interval = tuple[float, float]


class CellResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One cell, measured.

    `facts` holds every fact that applies. `measured` holds what lies behind them:
    `intervals` {fact: [low, high]}, `unstable` {fact: {"rate": share, "values": [...]}}, and raw readings.
    `reason` says why the outcome is not ok.
    """

    id: str
    axes: dict[str, str]
    outcome: str
    facts: dict[str, Value]
    measured: dict[str, Any]
    seconds: float
    reason: str | None = None

    def interval(self, fact: str) -> Interval | None:
        """The interval that the measurement allows, of a fact that is a number."""
        found = self.measured.get("intervals", {}).get(fact)
        return (found[0], found[1]) if found else None


class Law(msgspec.Struct, frozen=True, kw_only=True):
    """The shortest rule of training and trainable under which `fact` has `value`, in the cells of `when`."""

    layer: str
    fact: str
    value: Value
    rule: str
    when: dict[str, list[str]]


class Default(msgspec.Struct, frozen=True, kw_only=True):
    """What `training` not given acts as: true, false, either (no difference seen) or neither."""

    layer: str
    execution: str
    acts_as: str


class ExpectationResult(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation of a scenario: `holds`, `contradicted`, or `untested` (no cell of it was measured)."""

    scenario: str
    says: str
    target: str
    answer: str
    contradicted_by: list[str] = []
    source: str | None = None


class TargetMatrix(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of one target; `given_by` names the scenario whose numbers replaced generated ones."""

    target: str
    framework: str
    versions: dict[str, str]
    python: str
    device: str
    cells: list[CellResult]
    laws: list[Law] = []
    defaults: list[Default] = []
    given_by: str | None = None

    def by_id(self) -> dict[str, CellResult]:
        """Cells by their id."""
        return {cell.id: cell for cell in self.cells}


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """A run: what `bnmatrix run --format json` prints."""

    schema_version: int
    bnmatrix: str
    targets: list[TargetMatrix]
    expectations: list[ExpectationResult] = []


def load(path: Path) -> Matrix:
    """The matrix saved in `path`. Raises UsageError that says what is wrong with the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    hint = f"{path} must be what `bnmatrix run --format json --output FILE` wrote"
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("schema_version")
        if version != SCHEMA_VERSION:
            raise UsageError(
                f"{path} has schema version {version}, this bnmatrix reads {SCHEMA_VERSION}",
                "read it with the bnmatrix that wrote it, or measure again",
            )
        return msgspec.json.decode(data, type=Matrix)
    except msgspec.MsgspecError as error:
        raise UsageError(f"{path} is not a saved matrix: {error}", hint) from error


def dump(matrix: object) -> bytes:
    """Any of these structs as indented JSON, ending in a newline."""
    return msgspec.json.format(msgspec.json.encode(matrix, enc_hook=_plain), indent=2) + b"\n"


def _plain(value: Any) -> Any:
    """A numpy scalar or array that a reading holds, as numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"{type(value).__name__} in a matrix")

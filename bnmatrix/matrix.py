"""The truth table as data: the facts of many cells, of one target or several; load and save.

These structs are the JSON of `run` (DESIGN section 6), field for field.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bnmatrix.axes import check_value, make_cell
from bnmatrix.errors import UsageError, unknown

if TYPE_CHECKING:
    import pandas

SCHEMA_VERSION = 1

OUTCOMES = ("ok", "raised", "unavailable", "crashed", "timed_out", "skipped")

FAULTS = ("crashed", "timed_out", "skipped")
"""Outcomes that make a run incomplete."""

AGAIN = "again"
"""In `measured`: how often a cell was observed alone in a fresh probe, beside what was found of it before."""

Value = str | int | float
"""What a fact says: a word, an integer, yes/no, or a number (whose interval lies in `measured`)."""

Interval = tuple[float, float]


class Tabular:
    """A result that has rows."""

    __slots__ = ()

    def to_pandas(self) -> pandas.DataFrame:
        """The rows that its CSV has, as a data frame. Raises ImportError where pandas is not installed."""
        from bnmatrix.rows import frame

        return frame(self)  # type: ignore[arg-type]  # each of its classes is one of those


class CellResult(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One cell, measured.

    `facts` holds every fact that applies. `measured` holds what lies behind them:
    `intervals` {fact: [low, high]}, `unstable` {fact: {"rate": share, "values": [...]}}, `again`, and raw
    readings.
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
    """The shortest rule of training and trainable under which `fact` has `value`, in the cells of `when`.

    `but`: where `when` allows most of an axis's values, those that it leaves out.
    """

    layer: str
    fact: str
    value: Value
    rule: str
    when: dict[str, list[str]]
    but: dict[str, list[str]] = {}


class Default(msgspec.Struct, frozen=True, kw_only=True):
    """What `training` not given acts as: true, false, either (no difference seen) or neither."""

    layer: str
    execution: str
    acts_as: str


class ExpectationResult(msgspec.Struct, frozen=True, kw_only=True):
    """One expectation of a scenario: `holds`, `contradicted`, or `untested` (no cell of it was measured).

    `because` says for each contradicting cell what was measured instead.
    """

    scenario: str
    says: str
    target: str
    answer: str
    contradicted_by: list[str] = []
    because: dict[str, str] = {}
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


class Matrix(msgspec.Struct, Tabular, frozen=True, kw_only=True):
    """A run: what `bnmatrix run --format json` prints."""

    schema_version: int
    bnmatrix: str
    targets: list[TargetMatrix]
    expectations: list[ExpectationResult] = []


def is_complete(matrix: Matrix) -> bool:
    """Whether every cell could be run (an exception of the framework is a result, too)."""
    return not any(cell.outcome in FAULTS for target in matrix.targets for cell in target.cells)


def load(path: Path) -> Matrix:
    """The matrix saved in `path`. Raises UsageError that says what is wrong with the file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    try:
        version = msgspec.json.decode(data, type=dict[str, Any]).get("schema_version")
        if isinstance(version, int) and version != SCHEMA_VERSION:
            raise UsageError(
                f"{path} has schema version {version}, this bnmatrix reads {SCHEMA_VERSION}",
                "read it with the bnmatrix that wrote it, or measure again",
            )
        matrix = msgspec.json.decode(data, type=Matrix)
        targets = [
            _checked(target, f"targets[{number}].cells") for number, target in enumerate(matrix.targets)
        ]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, _Malformed) as error:
        raise UsageError(
            f"{path} is not a saved matrix: {error}",
            f"{path} must be what `bnmatrix run --format json --output FILE` wrote",
        ) from error
    return msgspec.structs.replace(matrix, targets=targets)


class _Malformed(Exception):
    """What the types of the structs do not tell. Says what and where."""


class _Unstable(msgspec.Struct):
    rate: float
    values: Any


class _Measured(msgspec.Struct):
    """The part of `measured` that is read again."""

    intervals: dict[str, Interval] = {}
    unstable: dict[str, _Unstable] = {}


def _checked(target: TargetMatrix, place: str) -> TargetMatrix:
    """`target`, each cell checked and given the axes that it lacks."""
    cells = [_checked_cell(cell, f"{place}[{number}]") for number, cell in enumerate(target.cells)]
    found: set[str] = set()
    for cell in cells:
        if cell.id in found:
            raise _Malformed(f"the cell {cell.id!r} is there twice - in `$.{place}`")
        found.add(cell.id)
    return msgspec.structs.replace(target, cells=cells)


def _checked_cell(cell: CellResult, place: str) -> CellResult:
    try:
        return _whole(cell)
    except (_Malformed, UsageError, msgspec.ValidationError) as error:
        raise _Malformed(f"{error} - at `$.{place}`") from error


def _whole(cell: CellResult) -> CellResult:
    if cell.outcome not in OUTCOMES:
        raise unknown("outcome", cell.outcome, OUTCOMES)
    msgspec.convert(cell.measured, _Measured)
    if "layer" not in cell.axes:
        raise _Malformed("a cell without the axis `layer`")
    for axis, value in cell.axes.items():
        check_value(axis, value)
    # A file that is older than an axis is at the default of it.
    whole = make_cell(cell.axes)
    if whole.id != cell.id:
        raise _Malformed(f"the axes of the cell {cell.id!r} are those of {whole.id!r}")
    return msgspec.structs.replace(cell, axes=whole.axes)


def dump(matrix: object) -> bytes:
    """Any of these structs as indented JSON, ending in a newline."""
    return msgspec.json.format(encode(matrix), indent=2) + b"\n"


def encode(struct: object) -> bytes:
    """Any of these structs as JSON."""
    return msgspec.json.encode(struct, enc_hook=_plain)


def _plain(value: Any) -> Any:
    """A numpy scalar or array that a reading holds, as numbers."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise NotImplementedError(f"{type(value).__name__} in a matrix")

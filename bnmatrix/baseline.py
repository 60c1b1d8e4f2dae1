"""The baseline: what the targets of a project did when it was locked, as a file for its repository.

It is JSON, laid out for review: sorted, a line a cell, so that a change of one fact is a diff of one line.
A cell reads `{"outcome": ..., FACT: value, ..., "digest": ...}`; a number is [value, lowest, highest], as far
as the measurement allows; what flickers is {"unstable": rate}. The digest is of the cell on its line, and
counts tell how many targets and cells there are: what a hand or a merge left
half done is not taken for measured.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec

from bnmatrix.accepted import Accepted
from bnmatrix.axes import check_value, parse_id
from bnmatrix.comparison import MEASURED
from bnmatrix.errors import UsageError, unknown
from bnmatrix.facts import FACTS
from bnmatrix.matrix import OUTCOMES, CellResult, TargetMatrix, Value

SCHEMA_VERSION = 1

NAME = "bnmatrix.lock"

DIGITS = 3
"""Of an interval's ends; they are rounded outwards, so that a file does not change with the machine."""

_CONFLICT = re.compile(rb"^(<{7}|={7}|>{7}|\|{7})( |$)", re.MULTILINE)


class Selected(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """How the cells were chosen: the selecting options, as given or configured."""

    layers: list[str] = []
    scenarios: list[str] = []
    axes: dict[str, list[str]] = {}
    cells: list[str] = []
    coverage: str | None = None


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """A lock file. `targets` by the names that the project gave them; their laws are not kept."""

    schema_version: int
    bnmatrix: str
    seed: int
    selection: Selected
    targets: list[TargetMatrix]
    accepted: list[Accepted] = []


class _Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    framework: str
    python: str
    device: str
    versions: dict[str, str]
    count: int
    cells: dict[str, dict[str, Any]]


class _File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema_version: int
    bnmatrix: str
    seed: int
    selection: Selected
    count: int
    targets: dict[str, _Target]
    accepted: list[Accepted]


class _Head(msgspec.Struct, frozen=True):
    """What is read first: the rest may be of another version."""

    schema_version: int
    bnmatrix: str = "another version"


def text(baseline: Baseline) -> str:
    """The file."""
    return "\n".join(_lines(baseline)) + "\n"


def _lines(baseline: Baseline) -> Iterator[str]:
    yield "{"
    yield f'"schema_version": {baseline.schema_version},'
    yield f'"bnmatrix": {_json(baseline.bnmatrix)},'
    yield f'"seed": {baseline.seed},'
    yield f'"selection": {_json(baseline.selection)},'
    yield f'"count": {len(baseline.targets)},'
    yield '"targets": {'
    yield from _separated(_target(target) for target in sorted(baseline.targets, key=lambda one: one.target))
    yield "},"
    yield '"accepted": ['
    yield from _separated([_json(one)] for one in sorted(baseline.accepted, key=_json))
    yield "]"
    yield "}"


def _target(target: TargetMatrix) -> Iterator[str]:
    yield f"{_json(target.target)}: {{"
    yield f'"framework": {_json(target.framework)},'
    yield f'"python": {_json(target.python)},'
    yield f'"device": {_json(target.device)},'
    yield '"versions": {'
    yield from _separated([f"{_json(name)}: {_json(it)}"] for name, it in sorted(target.versions.items()))
    yield "},"
    yield f'"count": {len(target.cells)},'
    yield '"cells": {'
    cells = sorted(target.cells, key=lambda cell: cell.id)
    yield from _separated([f"{_json(cell.id)}: {_encode(_sealed(cell.id, _said(cell)))}"] for cell in cells)
    yield "}"
    yield "}"


def _separated(entries: Iterable[Iterable[str]]) -> Iterator[str]:
    """The lines of all entries, with the commas of JSON between them."""
    last: str | None = None
    for entry in entries:
        if last is not None:
            yield f"{last},"
            last = None
        for line in entry:
            if last is not None:
                yield last
            last = line
    if last is not None:
        yield last


_encode = json.JSONEncoder(ensure_ascii=False).encode


def _json(value: object) -> str:
    return _encode(msgspec.to_builtins(value))


def _said(cell: CellResult) -> dict[str, Any]:
    """What the line of a cell says: the outcome, why nothing was measured, facts in alphabetical order."""
    flickering = cell.measured.get("unstable", {})
    said: dict[str, Any] = {"outcome": cell.outcome}
    if cell.reason is not None and cell.outcome not in MEASURED:
        said["reason"] = cell.reason
    for fact in sorted(cell.facts):
        interval = cell.interval(fact)
        if fact in flickering:
            said[fact] = {"unstable": flickering[fact]["rate"]}
        elif interval is None:
            said[fact] = cell.facts[fact]
        else:
            said[fact] = [cell.facts[fact], *_outwards(*interval)]
    if "outcome" in flickering:
        said["outcome_unstable"] = flickering["outcome"]["rate"]
    return said


def _sealed(identity: str, said: dict[str, Any]) -> dict[str, Any]:
    """`said`, with its digest at the end."""
    digest = hashlib.blake2b(f"{identity} {_encode(said)}".encode(), digest_size=4).hexdigest()
    return {**said, "digest": digest}


def _outwards(low: float, high: float) -> tuple[float, float]:
    """An interval that holds the given one, its ends told in few digits beyond those that they share."""
    width = high - low
    if not width or not math.isfinite(width):
        return low, high
    digits = DIGITS - 1 - math.floor(math.log10(width))
    scale = 10.0**digits
    return (
        min(low, round(math.floor(low * scale) / scale, max(digits, 0))),
        max(high, round(math.ceil(high * scale) / scale, max(digits, 0))),
    )


def is_one(path: Path) -> bool:
    """Whether the file has the looks of a baseline, and not of a matrix."""
    try:
        with path.open("rb") as file:
            return file.read(200).startswith(b'{\n"schema_version"') or path.suffix == Path(NAME).suffix
    except OSError:
        return path.suffix == Path(NAME).suffix


def load(path: Path) -> Baseline:
    """The baseline in the file `path`. Raises UsageError that says what is wrong with it, and where."""
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = "`bnmatrix lock` writes one" if isinstance(error, FileNotFoundError) else None
        raise UsageError(f"cannot read {path}: {error.strerror}", hint) from error
    try:
        return _read(data)
    except (_Malformed, UsageError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{path} cannot be used as a baseline: {error}",
            "take it from the repository as it was committed, or remove it and write it anew: bnmatrix lock",
        ) from error


class _Malformed(Exception):
    """What is wrong with a file."""


def _read(data: bytes) -> Baseline:
    conflict = _CONFLICT.search(data)
    if conflict:
        line = data.count(b"\n", 0, conflict.start()) + 1
        raise _Malformed(f"line {line} is a mark of a merge conflict")
    head = msgspec.json.decode(data, type=_Head)
    if head.schema_version != SCHEMA_VERSION:
        raise _Malformed(
            f"its schema version is {head.schema_version}, this bnmatrix reads {SCHEMA_VERSION};"
            f" bnmatrix {head.bnmatrix} wrote it"
        )
    json.loads(data, object_pairs_hook=_without_twins)
    file = msgspec.json.decode(data, type=_File)
    if not file.targets or len(file.targets) != file.count:
        raise _Malformed(f"it has {len(file.targets)} targets, and was written with {file.count or 'some'}")
    if not 0 <= file.seed < 2**32:
        raise _Malformed(f"the seed {file.seed} is none")
    baseline = Baseline(
        schema_version=file.schema_version,
        bnmatrix=file.bnmatrix,
        seed=file.seed,
        selection=file.selection,
        targets=[_target_of(name, target) for name, target in file.targets.items()],
        accepted=[_accepted_of(number, one, list(file.targets)) for number, one in enumerate(file.accepted)],
    )
    return baseline


def _without_twins(pairs: list[tuple[str, Any]]) -> None:
    """Of two entries with one name a reader of JSON takes the last, and says nothing."""
    if len(dict(pairs)) < len(pairs):
        names = [name for name, _ in pairs]
        raise _Malformed(f"{next(name for name in names if names.count(name) > 1)!r} is there twice")


def _target_of(name: str, target: _Target) -> TargetMatrix:
    if not target.cells or target.count != len(target.cells):
        raise _Malformed(
            f"{name} has {len(target.cells)} cells, and was written with {target.count or 'some'}"
        )
    return TargetMatrix(
        target=name,
        framework=target.framework,
        versions=target.versions,
        python=target.python,
        device=target.device,
        cells=[_cell_of(name, identity, said) for identity, said in target.cells.items()],
    )


def _cell_of(target: str, identity: str, line: dict[str, Any]) -> CellResult:
    """The cell that a line tells of."""
    where = f"{target}, cell {identity!r}"
    said = {name: value for name, value in line.items() if name != "digest"}
    if _sealed(identity, said) != line:
        raise _Malformed(f"{where}: the line is not as it was written")
    # From here on a line that is wrong was written by another bnmatrix.
    try:
        cell = parse_id(identity)
        if cell.id != identity:
            raise _Malformed(f"it is written {cell.id!r}")
        outcome, reason = said.pop("outcome", None), said.pop("reason", None)
        rate = said.pop("outcome_unstable", None)
        if outcome not in OUTCOMES:
            raise _Malformed(f"the outcome {outcome!r} is unknown")
        measured: dict[str, Any] = {"intervals": {}, "unstable": {}}
        if rate is not None:
            measured["unstable"]["outcome"] = {"rate": rate, "values": []}
        facts = {fact: _fact(fact, value, measured) for fact, value in said.items()}
    except (_Malformed, UsageError) as error:
        raise _Malformed(f"{where}: {error}") from error
    return CellResult(
        id=identity,
        axes=cell.axes,
        outcome=outcome,
        facts=facts,
        measured=measured,
        seconds=0.0,
        reason=reason,
    )


def _fact(fact: str, value: Any, measured: dict[str, Any]) -> Value:
    """The value of a fact; the interval of a number and the rate of what flickers go into `measured`."""
    if isinstance(value, dict):
        measured["unstable"][fact] = {"rate": value["unstable"], "values": []}
        return "unstable"
    if isinstance(value, list):
        measured["intervals"][fact] = value[1:]
        return cast(Value, value[0])
    return cast(Value, value)


def _accepted_of(number: int, accepted: Accepted, targets: list[str]) -> Accepted:
    """`accepted`, its words checked: these lines are written by people, too."""
    where = f"accepted[{number}]: "
    if accepted.fact not in FACTS:
        raise unknown("fact", accepted.fact, list(FACTS), where)
    for axis, values in accepted.when.items():
        for value in values:
            check_value(axis, value, where)
    for name in accepted.targets:
        if name not in targets:
            raise unknown("target of this baseline", name, targets, where)
    for name in ("reason", "owner"):
        if not getattr(accepted, name).strip():
            raise _Malformed(f"{where}the {name} is empty")
    return msgspec.structs.replace(accepted, cells=[parse_id(identity).id for identity in accepted.cells])

"""Does a layer of the user's behave as a baseline says: its facts, measured here, held against saved ones."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec.structs import replace

import bnmatrix
from bnmatrix.comparison import MEASURED, Change, Diff, compare
from bnmatrix.matrix import CellResult, Matrix, TargetMatrix, Value
from bnmatrix.testing.errors import CannotTell
from bnmatrix.testing.in_process import CHANNELS, fresh, measured, ranks_taken

MOST = 10
"""Cells, and kinds of them, that a message lists."""


def unlike(layer: Any, baseline: Any, like: str, rank: int | None, target: str | None) -> str | None:
    """The message of `assert_behaves_like`, or None where the layer behaves as the baseline says."""
    matrix = _chosen(_loaded(baseline), target)
    cells = [cell for cell in matrix.cells if _is_asked(cell, like, rank)]
    if not cells:
        raise CannotTell(
            f"the baseline has no direct call of {like} that a layer of your own can be held against",
            f"measure one: bnmatrix run --framework {matrix.target} --layer {like} "
            "--format json --output FILE",
        )
    name = getattr(layer, "__name__", type(layer).__name__)
    make = fresh(layer)
    found = measured(make, name, cells)
    diff = compare(replace(matrix, cells=cells), found, bnmatrix.__version__)
    if diff.summary.not_comparable == len(cells):
        raise CannotTell(
            f"no cell of {name} could be compared with the baseline: {diff.not_comparable[0].reason}"
        )
    raised = [cell for cell in found.cells if cell.outcome == "raised"]
    if len(raised) == len(cells) and all(cell.outcome == "ok" for cell in cells):
        there = _ranks(cell for cell in matrix.cells if _is_asked(cell, like, None))
        raise CannotTell(
            f"{name} raised in every cell: {raised[0].reason}",
            _hint(ranks_taken(make, name, cells[0]), there),
        )
    changes = [change for change in diff.changes if change.severity != "descriptive"]
    if not changes:
        return None
    message = _message(name, like, matrix, found, diff, changes)
    fine = {cell.id for cell in cells if cell.outcome == "ok"}
    refused = _ranks(cell for cell in raised if cell.id in fine)
    taken = _ranks(cell for cell in found.cells if cell.outcome == "ok")
    if taken and refused - taken:
        message += (
            f"\n  it raised at every input of rank {_or(refused - taken)}: "
            f"if it need not take those, give rank={_or(taken)}"
        )
    return message


def _ranks(cells: Iterable[CellResult]) -> set[int]:
    return {int(cell.axes["rank"]) for cell in cells}


def _or(ranks: Iterable[int]) -> str:
    return " or ".join(map(str, sorted(ranks)))


def _hint(taken: list[int], there: set[int]) -> str:
    """What to do about a layer that took none of the inputs: it takes those of the ranks `taken`."""
    if not taken:
        return f"inputs have {CHANNELS} channels or more: give a class, or a factory that takes their number"
    told = f"it takes inputs of rank {_or(taken)}"
    if there.intersection(taken):
        return f"{told}: give rank={_or(there.intersection(taken))}"
    return f"{told}, and the baseline has none: make one with --axis rank={taken[0]}"


def _loaded(baseline: Any) -> list[TargetMatrix]:
    """The targets of a baseline: a result, or a file of `run --format json` or of `bnmatrix lock`."""
    if isinstance(baseline, TargetMatrix):
        return [baseline]
    if isinstance(baseline, Matrix):
        return baseline.targets
    path = Path(baseline)
    if path.suffix == ".lock":
        from bnmatrix.baseline import load

        return load(path).targets
    from bnmatrix.matrix import load as load_matrix

    return load_matrix(path).targets


def _chosen(targets: list[TargetMatrix], wanted: str | None) -> TargetMatrix:
    found = [each for each in targets if wanted in (None, each.target)]
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(each.target) for each in targets) or "none"
    if wanted is None:
        raise CannotTell(f"the baseline has {len(targets)} targets: {names}", "say which: target=")
    raise CannotTell(f"the baseline has no target {wanted!r}", f"there is: {names}")


def _is_asked(cell: CellResult, like: str, rank: int | None) -> bool:
    axes = cell.axes
    return (
        cell.outcome in MEASURED
        and axes["layer"] == like
        and rank in (None, int(axes["rank"]))
        and axes["context"] == "direct"
        and axes["execution"] == "call"
        and all(axes[axis] == "default" for axis in ("api", "variant"))
    )


def _message(
    name: str, like: str, matrix: TargetMatrix, found: TargetMatrix, diff: Diff, changes: list[Change]
) -> str:
    by_cell: dict[str, list[Change]] = {}
    for change in changes:
        by_cell.setdefault(change.id, []).append(change)
    alike: dict[tuple[str, ...], list[str]] = {}  # what differs -> the cells in which just that does
    measured_here = found.by_id()
    for cell, differing in by_cell.items():
        alike.setdefault(tuple(_told(differing, measured_here[cell])), []).append(cell)
    compared = diff.summary.same + diff.summary.changed + diff.summary.unstable
    versions = ", ".join(f"{package} {version}" for package, version in matrix.versions.items())
    lines = [
        f"{name} does not behave like {like} of {matrix.target} ({versions}): "
        f"{len(by_cell)} of {compared} cells differ"
    ]
    for told, ids in list(alike.items())[:MOST]:
        lines += [f"  {cell}" for cell in ids[:MOST]]
        if len(ids) > MOST:
            lines.append(f"  and {_further(len(ids) - MOST)}:")
        lines += [f"    {line}" for line in told]
    if len(alike) > MOST:
        rest = sum(map(len, list(alike.values())[MOST:]))
        lines.append(f"  and {_further(rest)}, in other ways")
    return "\n".join(lines)


def _told(changes: list[Change], here: CellResult) -> list[str]:
    """A line for each fact that differs in a cell."""
    width = max(len(change.fact) for change in changes)
    return [
        f"{change.fact:{width}}  {_value(change.old)} in the baseline, {_value(change.new)} here"
        + (f" ({here.reason})" if change.fact == "outcome" and here.reason else "")
        for change in changes
    ]


def _further(count: int) -> str:
    return f"{count} further cell{'s' if count > 1 else ''}"


def _value(value: Value) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)

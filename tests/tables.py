"""Hand-made cells and targets, for tests of what is done with facts. Facts are tested on real layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bnmatrix.axes import parse_id
from bnmatrix.matrix import CellResult, TargetMatrix, Value


def cell(
    identity: str,
    outcome: str = "ok",
    reason: str | None = None,
    measured: dict[str, Any] | None = None,
    **facts: Value,
) -> CellResult:
    """A cell of these facts."""
    parsed = parse_id(identity)
    return CellResult(
        id=parsed.id,
        axes=parsed.axes,
        outcome=outcome,
        facts=facts,
        measured=measured or {},
        seconds=0.0,
        reason=reason,
    )


def target(cells: Sequence[CellResult], name: str = "tf2", **fields: Any) -> TargetMatrix:
    """A target of these cells."""
    return TargetMatrix(
        target=name, framework=name, versions={}, python="3.11", device="cpu", cells=list(cells), **fields
    )

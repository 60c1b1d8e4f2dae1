"""CSV: of a run one row a cell, with a column for each axis and fact; of a difference one row a change."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO

from bnmatrix.axes import AXES
from bnmatrix.comparison import Diff
from bnmatrix.facts import FACTS
from bnmatrix.matrix import Matrix


def text(result: Matrix | Diff) -> str:
    """The result as CSV, with a heading."""
    return _diff(result) if isinstance(result, Diff) else _run(result)


def _run(matrix: Matrix) -> str:
    occurring = {fact for target in matrix.targets for cell in target.cells for fact in cell.facts}
    known = [fact for fact in FACTS if fact in occurring and fact != "outcome"]
    facts = known + sorted(occurring - {*known, "outcome"})
    heading = ["target", "id", *AXES, "outcome", "reason", *facts]
    return _table(
        heading,
        (
            [
                target.target,
                cell.id,
                *(cell.axes.get(axis, "") for axis in AXES),
                cell.outcome,
                cell.reason or "",
                *(cell.facts.get(fact, "") for fact in facts),
            ]
            for target in matrix.targets
            for cell in target.cells
        ),
    )


def _diff(diff: Diff) -> str:
    heading = ["old_target", "new_target", "id", *AXES, "fact", "old", "new", "severity"]
    return _table(
        heading,
        (
            [
                diff.old.target,
                diff.new.target,
                change.id,
                *(change.axes.get(axis, "") for axis in AXES),
                change.fact,
                change.old,
                change.new,
                change.severity,
            ]
            for change in diff.changes
        ),
    )


def _table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return stream.getvalue()

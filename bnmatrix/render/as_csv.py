"""CSV: of a run one row a cell, with a column for each axis and fact; of a difference one row a change;
of a timeline one row a fact of a cell that changes, with a column for each release."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

from bnmatrix.axes import AXES
from bnmatrix.comparison import Diff
from bnmatrix.facts import FACTS
from bnmatrix.matrix import Matrix
from bnmatrix.timeline import NOT_THERE, Row, Timeline

if TYPE_CHECKING:
    from bnmatrix.render import Result

NOT_MEASURED = "not_measured"
"""The entry of a release of which nothing could be measured."""


def text(result: Result) -> str:
    """The result as CSV, with a heading."""
    if isinstance(result, Timeline):
        return _timeline(result)
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


def _timeline(timeline: Timeline) -> str:
    names = [release.release for release in timeline.releases]
    return _table(
        ["framework", "id", *AXES, "fact", "severity", *names],
        (
            [
                timeline.framework,
                row.id,
                *(row.axes.get(axis, "") for axis in AXES),
                row.fact,
                row.severity,
                *_by_release(row, timeline),
            ]
            for row in timeline.rows
        ),
    )


def _by_release(row: Row, timeline: Timeline) -> Iterable[object]:
    """What each release says: a run's value, a gap's word, nothing where the cell has no such fact."""
    names = [release.release for release in timeline.releases]
    entries: list[object] = [""] * len(names)
    for run in row.runs:
        for number in range(names.index(run.first), names.index(run.last) + 1):
            entries[number] = run.value
    for gap in row.gaps:
        for number in range(names.index(gap.first), names.index(gap.last) + 1):
            entries[number] = "" if gap.says == NOT_THERE else gap.says
    for number, release in enumerate(timeline.releases):
        if release.reason is not None:
            entries[number] = NOT_MEASURED
    return entries


def _table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(heading)
    writer.writerows(rows)
    return stream.getvalue()

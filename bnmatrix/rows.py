"""Results as rows under a heading, for CSV and data frames.

Of a run one row a cell, with a column for each axis and fact; of a difference or a check one row a change;
of a timeline one row a fact of a cell that changes, with a column for each release; of a bisection one row
a fact of a cell that changes between two releases; of claims one row a claim on a target.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bnmatrix.axes import AXES
from bnmatrix.bisect import Bisection
from bnmatrix.checked import Check
from bnmatrix.claims import Claims
from bnmatrix.comparison import Diff
from bnmatrix.facts import FACTS
from bnmatrix.matrix import Matrix
from bnmatrix.timeline import NOT_THERE, Row, Timeline

if TYPE_CHECKING:
    import pandas

NOT_MEASURED = "not_measured"
"""The entry of a release of which nothing could be measured."""

Result = Matrix | Diff | Timeline | Bisection | Check | Claims


class Rows(NamedTuple):
    """`rows` has an entry for each column of the `heading`, None where there is nothing to say."""

    heading: Sequence[str]
    rows: Iterable[Sequence[object]]


def rows(result: Result) -> Rows:
    """The rows of a result."""
    if isinstance(result, Timeline):
        return _timeline(result)
    if isinstance(result, Bisection):
        return _bisection(result)
    if isinstance(result, Check):
        return _check(result)
    if isinstance(result, Claims):
        return _claims(result)
    return _diff(result) if isinstance(result, Diff) else _run(result)


def frame(result: Result) -> pandas.DataFrame:
    """The same as a data frame. Raises ImportError where pandas is not installed."""
    import pandas

    heading, entries = rows(result)
    return pandas.DataFrame(list(entries), columns=list(heading))


def _run(matrix: Matrix) -> Rows:
    occurring = {fact for target in matrix.targets for cell in target.cells for fact in cell.facts}
    known = [fact for fact in FACTS if fact in occurring and fact != "outcome"]
    facts = known + sorted(occurring - {*known, "outcome"})
    heading = ["target", "id", *AXES, "outcome", "reason", *facts]
    return Rows(
        heading,
        (
            [
                target.target,
                cell.id,
                *(cell.axes.get(axis) for axis in AXES),
                cell.outcome,
                cell.reason,
                *(cell.facts.get(fact) for fact in facts),
            ]
            for target in matrix.targets
            for cell in target.cells
        ),
    )


def _diff(diff: Diff) -> Rows:
    heading = ["old_target", "new_target", "id", *AXES, "fact", "old", "new", "severity"]
    return Rows(
        heading,
        (
            [
                diff.old.target,
                diff.new.target,
                change.id,
                *(change.axes.get(axis) for axis in AXES),
                change.fact,
                change.old,
                change.new,
                change.severity,
            ]
            for change in diff.changes
        ),
    )


def _timeline(timeline: Timeline) -> Rows:
    names = [release.release for release in timeline.releases]
    return Rows(
        ["framework", "id", *AXES, "fact", "severity", *names],
        (
            [
                timeline.framework,
                row.id,
                *(row.axes.get(axis) for axis in AXES),
                row.fact,
                row.severity,
                *_by_release(row, timeline),
            ]
            for row in timeline.rows
        ),
    )


def _check(check: Check) -> Rows:
    """One row a change; what was accepted has the reason beside it."""
    heading = ["target", "id", *AXES, "fact", "old", "new", "severity", "accepted"]
    return Rows(
        heading,
        (
            [
                change.target,
                change.id,
                *(change.axes.get(axis) for axis in AXES),
                change.fact,
                change.old,
                change.new,
                change.severity,
                None if change.accepted is None else check.expectations[change.accepted].accepted.reason,
            ]
            for change in check.changes
        ),
    )


def _claims(result: Claims) -> Rows:
    heading = ["target", "claim", "verdict", "answer", "agree", "against", "cells_against"]
    return Rows(
        heading,
        (
            [
                each.target,
                claim.id,
                each.verdict,
                each.answer,
                each.agree,
                each.against,
                "; ".join(dict.fromkeys(one.id for one in each.cells if one.agrees is False)),
            ]
            for claim in result.claims
            for each in claim.verdicts
        ),
    )


def _bisection(result: Bisection) -> Rows:
    axes = {row.id: row.axes for row in result.rows}
    heading = ["framework", "old_release", "new_release", "in_between", "id", *AXES, "fact", "old", "new"]
    return Rows(
        [*heading, "severity"],
        (
            [
                result.framework,
                step.old,
                step.new,
                " ".join(step.in_between),
                identity,
                *(axes[identity].get(axis) for axis in AXES),
                one.fact,
                one.old,
                one.new,
                one.severity,
            ]
            for step in result.changes
            for one in step.conditions
            for identity in one.ids
        ),
    )


def _by_release(row: Row, timeline: Timeline) -> Iterable[object]:
    """What each release says: a run's value, a gap's word, nothing where the cell has no such fact."""
    names = [release.release for release in timeline.releases]
    entries: list[object] = [None] * len(names)
    for run in row.runs:
        for number in range(names.index(run.first), names.index(run.last) + 1):
            entries[number] = run.value
    for gap in row.gaps:
        for number in range(names.index(gap.first), names.index(gap.last) + 1):
            entries[number] = None if gap.says == NOT_THERE else gap.says
    for number, release in enumerate(timeline.releases):
        if release.reason is not None:
            entries[number] = NOT_MEASURED
    return entries

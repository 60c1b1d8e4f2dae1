"""When what changed: runs, gaps, and between which releases."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnmatrix.comparison import compare, disagree
from bnmatrix.laws import ROWS
from bnmatrix.matrix import CellResult, TargetMatrix
from bnmatrix.runs import History
from bnmatrix.timeline import Timeline, timeline
from tests.tables import cell, target

IDENTITY = "batch_norm training=true"


def release(version: str, *cells: CellResult, **fields: Any) -> TargetMatrix:
    """A release of tf2 that was measured."""
    made = target(cells, f"tf2=={version}", **fields)
    return TargetMatrix(**{**_fields(made), "framework": "tf2", "versions": {"tensorflow": version}})


def unmeasured(version: str, outcome: str = "skipped", reason: str = "no wheel fits") -> TargetMatrix:
    """A release whose framework never started."""
    return target([cell(IDENTITY, outcome, reason)], f"tf2=={version}")


def _fields(made: TargetMatrix) -> dict[str, Any]:
    return {name: getattr(made, name) for name in made.__struct_fields__}


def of(*cells: CellResult | None) -> Timeline:
    """The timeline of releases 2.0, 2.1 ... of one cell each; of None the release lacks the cell."""
    other = cell("batch_norm", normalised_by="moving")
    return timeline(
        [release(f"2.{n}", other, *([one] if one else [])) for n, one in enumerate(cells)], "0.1.0"
    )


def says(word: str) -> CellResult:
    return cell(IDENTITY, normalised_by=word)


def number(low: float, high: float, value: float) -> CellResult:
    return cell(IDENTITY, epsilon=value, measured={"intervals": {"epsilon": [low, high]}})


def told(found: Timeline, fact: str = "normalised_by") -> list[tuple[str, str, object]]:
    """The runs of the one row of `fact`."""
    (row,) = (row for row in found.rows if row.fact == fact)
    return [(run.first, run.last, run.value) for run in row.runs]


def pairs(found: Timeline) -> list[tuple[str, list[str], str]]:
    return [(step.old, step.in_between, step.new) for step in found.changes]


BATCH, MOVING = says("batch"), says("moving")


def test_neighbours_that_say_the_same_are_one_run() -> None:
    found = of(BATCH, BATCH, MOVING, MOVING)
    assert told(found) == [("2.0", "2.1", "batch"), ("2.2", "2.3", "moving")]
    assert pairs(found) == [("2.1", [], "2.2")]


def test_what_changes_back_is_three_runs() -> None:
    found = of(BATCH, MOVING, BATCH)
    assert told(found) == [("2.0", "2.0", "batch"), ("2.1", "2.1", "moving"), ("2.2", "2.2", "batch")]
    assert pairs(found) == [("2.0", [], "2.1"), ("2.1", [], "2.2")]


SILENT = {
    "unavailable": cell(IDENTITY, "unavailable", "no such layer"),
    "timed_out": cell(IDENTITY, "timed_out"),
    "skipped": cell(IDENTITY, "skipped", "not measured yet"),
    "undecided": says("undecided"),
    "unstable": says("unstable"),
    "not_there": None,
}


@pytest.mark.parametrize("word", SILENT)
def test_a_release_that_says_nothing_breaks_no_run_and_is_no_change(word: str) -> None:
    found = of(BATCH, SILENT[word], BATCH)
    assert (found.rows, found.changes, found.summary.changed) == ([], [], 0)
    assert found.summary.same == 2


@pytest.mark.parametrize("word", SILENT)
def test_a_change_across_a_gap_is_between_the_releases_that_tell(word: str) -> None:
    found = of(BATCH, SILENT[word], SILENT[word], MOVING)
    assert pairs(found) == [("2.0", ["2.1", "2.2"], "2.3")]
    (row,) = found.rows
    assert [(gap.first, gap.last, gap.says) for gap in row.gaps] == [("2.1", "2.2", word)]


@pytest.mark.parametrize("outcome", ["raised", "crashed"])
def test_raised_and_crashed_are_facts(outcome: str) -> None:
    found = of(BATCH, cell(IDENTITY, outcome), BATCH)
    assert [run[2] for run in told(found, "outcome")] == ["ok", outcome, "ok"]


def test_numbers_agree_where_all_their_intervals_meet() -> None:
    found = of(number(0.9, 1.1, 1), number(1.05, 1.3, 1.1), number(1.08, 1.2, 1.1))
    assert found.rows == []


def test_a_number_that_drifts_changed_between_releases_that_do_disagree() -> None:
    # The one in the middle fits both, so that it does not tell on which side of it the change lies.
    found = of(number(0.9, 1.1, 1), number(1.05, 1.3, 1.2), number(1.2, 1.4, 1.3))
    assert told(found, "epsilon") == [("2.0", "2.1", 1.1), ("2.2", "2.2", 1.3)]
    assert pairs(found) == [("2.0", ["2.1"], "2.2")]


READINGS = st.one_of(
    st.sampled_from([("batch", None), ("moving", None)]),
    st.tuples(st.integers(0, 9), st.integers(0, 4)).map(lambda n: (n[0], (float(n[0]), float(sum(n))))),
)


@given(st.dictionaries(st.integers(0, 30), READINGS))
def test_runs_are_whole_and_agree_and_breaks_disagree(said: dict[int, Any]) -> None:
    said = dict(sorted(said.items()))
    history = History(said)
    assert [column for run in history.runs for column in run.columns] == list(said)
    for run in history.runs:
        assert not any(disagree(said[a], said[b]) for a, b in combinations(run.columns, 2))
        for column in run.columns:  # what stands for the run is true of each of its members
            interval = said[column][1]
            assert said[column][0] == run.value or interval[0] <= run.value <= interval[1]
    assert len(history.breaks()) == max(len(history.runs) - 1, 0)
    for old, new in history.breaks():
        assert old < new
        assert disagree(said[old], said[new])


def test_two_releases_change_as_their_diff_says() -> None:
    def side(version: str, frozen: str) -> TargetMatrix:
        words = {("true", "true"): "batch", ("true", "false"): frozen}
        return release(version, *(
            cell(f"batch_norm trainable={b} training={a}", normalised_by=words.get((a, b), "moving"))
            for a, b in ROWS
        ))  # fmt: skip

    old, new = side("2.0", "batch"), side("2.1", "moving")
    found, diff = timeline([old, new], ""), compare(old, new, "")
    assert [step.conditions for step in found.changes] == [diff.conditions]
    assert found.summary == diff.summary
    assert [
        (law.value, law.when, [run.value for run in law.runs])
        for law in found.laws
        if law.layer == "batch_norm"
    ] == [("batch", {}, ["training", "training and trainable"])]


def test_a_law_is_not_told_of_a_release_that_lacks_a_cell_of_it() -> None:
    def side(version: str, but_for: str | None = None) -> TargetMatrix:
        return release(version, *(
            cell(f"batch_norm trainable={b} training={a}", normalised_by="batch")
            if (a, b) != ("true", "true") or but_for is None
            else cell("batch_norm training=true", but_for)
            for a, b in ROWS
        ))  # fmt: skip

    found = timeline([side("2.0"), side("2.1", "timed_out"), side("2.2")], "")
    (law,) = found.laws
    assert [(run.first, run.last, run.value) for run in law.runs] == [("2.0", "2.2", "always")]
    assert [(gap.first, gap.last, gap.says) for gap in law.gaps] == [("2.1", "2.1", "timed_out")]


@pytest.mark.parametrize("outcome", ["skipped", "crashed"])
def test_a_release_that_never_started_has_a_reason_and_no_gaps(outcome: str) -> None:
    found = timeline([release("2.0", BATCH), unmeasured("2.1", outcome), release("2.2", MOVING)], "")
    assert [each.reason for each in found.releases] == [None, "no wheel fits", None]
    assert pairs(found) == [("2.0", ["2.1"], "2.2")]
    assert found.rows[0].gaps == []
    assert found.not_comparable == []


def test_releases_that_nothing_was_measured_of_change_nothing() -> None:
    found = timeline([unmeasured("2.0"), unmeasured("2.1")], "")
    assert (found.summary.not_comparable, found.rows, found.laws) == (1, [], [])


def test_a_cell_that_never_tells_is_not_comparable_with_the_reason_once() -> None:
    lacking = [cell(IDENTITY, "unavailable", f"tensorflow 2.{n} has no fit") for n in range(3)]
    found = of(*lacking)
    assert found.summary.not_comparable == 1
    assert [(each.first, each.last, each.says, each.reason) for each in found.not_comparable] == [
        ("2.0", "2.2", "unavailable", "tensorflow has no fit")
    ]


def test_what_flickers_and_what_is_undecided_is_listed() -> None:
    flickering = cell(
        IDENTITY, normalised_by="unstable", measured={"unstable": {"normalised_by": {"rate": 0.5}}}
    )
    found = of(BATCH, flickering, says("undecided"))
    assert [(each.release, each.id, each.rate) for each in found.unstable] == [("2.1", IDENTITY, 0.5)]
    assert [(each.first, each.last, each.fact) for each in found.undecided] == [
        ("2.2", "2.2", "normalised_by")
    ]
    assert (found.summary.unstable, found.summary.same) == (1, 1)


@pytest.mark.parametrize(
    ("name", "versions", "release_", "framework"),
    [
        ("tf2==2.15.1", {"tensorflow": "2.15.1"}, "2.15.1", "tf2"),
        ("keras[jax]==3.8.0,numpy<2", {"keras": "3.8.0"}, "3.8.0", "keras[jax]"),
        ("torch:cpu", {"torch": "2.13.0+cpu"}, "2.13.0", "torch"),
        ("tf_keras", {"tf_keras": "2.21.0"}, "2.21.0", "tf_keras"),
    ],
)
def test_a_release_is_called_by_its_version(
    name: str, versions: dict[str, str], release_: str, framework: str
) -> None:
    made = {**_fields(target([BATCH], name)), "versions": versions, "framework": framework.partition("[")[0]}
    found = timeline([TargetMatrix(**made)], "")
    assert (found.releases[0].release, found.framework) == (release_, framework)


def test_releases_of_one_version_are_called_by_their_targets() -> None:
    found = timeline([release("2.0", BATCH), target([BATCH], "tf2==2.0,keras==3.0")], "")
    assert [each.release for each in found.releases] == ["tf2==2.0", "tf2==2.0,keras==3.0"]


def test_cells_that_skip_a_release_are_told_apart_from_those_that_do_not() -> None:
    def side(version: str, word: str, of_rank_4: str) -> TargetMatrix:
        return release(
            version,
            cell(IDENTITY, normalised_by=word),
            cell("batch_norm rank=4 training=true", normalised_by=of_rank_4),
        )

    sides = [
        side("2.0", "batch", "batch"),
        side("2.1", "batch", "undecided"),
        side("2.2", "moving", "moving"),
    ]
    assert [
        (step.old, step.new, [one.when for one in step.conditions]) for step in timeline(sides, "").changes
    ] == [
        ("2.1", "2.2", [{}]),
        ("2.0", "2.2", [{"rank": ["4"]}]),
    ]

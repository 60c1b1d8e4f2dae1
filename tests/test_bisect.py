"""The search for the first release with a new behaviour, on histories made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import log2

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bnmatrix.axes import make_cell
from bnmatrix.bisect import Bisection, Search, bisection
from bnmatrix.comparison import compare
from bnmatrix.matrix import CellResult, TargetMatrix
from bnmatrix.timeline import Release
from tests.tables import cell, target

IDENTITY = "batch_norm training=true"

Cells = Sequence[CellResult]
Step = tuple[int, int]


@dataclass
class Found:
    """A search that has ended: what it said, what it had measured in which order, and foretold."""

    result: Bisection
    columns: list[int]
    measured: list[tuple[int, str]]
    foretold: list[tuple[int, list[int]]] = field(default_factory=list)

    def steps(self, identity: str = IDENTITY, fact: str = "gamma") -> list[Step]:
        """Between which releases a fact of a cell changed."""
        return [
            (int(step.old), int(step.new))
            for step in self.result.changes
            for one in step.conditions
            if one.fact == fact and identity in one.ids
        ]


def search(releases: Sequence[Cells], skipped: Sequence[int] = (), facts: Sequence[str] = ()) -> Found:
    """Search `releases`, of which `skipped` cannot be measured."""
    ends = side(releases[0]), side(releases[-1])
    looking = Search(len(releases), ends, compare(*ends, "0"), facts)
    columns = dict.fromkeys((0, len(releases) - 1))
    measured: list[tuple[int, str]] = []
    foretold = []
    while wanted := looking.next():
        column, ids = wanted
        assert ids
        foretold.append((column, looking.ahead(column)))
        assert column not in looking.skipped
        columns[column] = None
        if column in skipped:
            looking.skip(column)
        else:
            measured += [(column, identity) for identity in ids]
            looking.take(column, [one for one in releases[column] if one.id in ids])
    tried = {
        column: Release(
            release=str(column), target=f"tf2=={column}", versions={}, python="", device="",
            reason="no wheel" if column in skipped else None,
        )
        for column in columns
    }  # fmt: skip
    return Found(bisection(looking, "tf2", tried, "all", "0"), list(columns), measured, foretold)


def side(cells: Cells) -> TargetMatrix:
    return target(cells)


def history(values: Sequence[str], fact: str = "gamma") -> list[Cells]:
    """One cell, of which each release says a value of `fact`; `-` where it is unavailable."""
    return [[_saying(value, fact)] for value in values]


def _saying(value: str, fact: str) -> CellResult:
    if value == "-":
        return cell(IDENTITY, outcome="unavailable", reason="there is none")
    return cell(IDENTITY, **{fact: value})


def runs(lengths: Sequence[int], values: Sequence[str]) -> list[str]:
    return [value for value, length in zip(values, lengths, strict=True) for _ in range(length)]


@given(st.integers(1, 300), st.integers(1, 300))
def test_a_single_change_is_found_to_the_release_with_few_measured(before: int, after: int) -> None:
    found = search(history(runs([before, after], ["updated", "unchanged"])))
    assert found.steps() == [(before - 1, before)]
    assert found.result.changes[0].in_between == []
    assert found.result.measured == len(found.columns) <= log2(before + after) + 3


@given(st.integers(1, 60), st.integers(1, 60))
def test_the_next_release_was_foretold(before: int, after: int) -> None:
    found = search(history(runs([before, after], ["updated", "unchanged"])))
    for (_, ahead), (column, _) in pairwise(found.foretold):
        assert column in ahead
        assert len(ahead) <= 2


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_releases_that_say_nothing_are_left_out(before: int, after: int, data: st.DataObject) -> None:
    values = runs([before, after], ["updated", "unchanged"])
    last = len(values) - 1
    kind = st.sampled_from(["tells", "tells", "-", "skipped"])
    kinds = ["tells", *(data.draw(kind) for _ in range(last - 1)), "tells"]
    skipped = [number for number, kind in enumerate(kinds) if kind == "skipped"]
    found = search(
        history(["-" if kind == "-" else value for kind, value in zip(kinds, values, strict=True)]), skipped
    )
    telling = [number for number, kind in enumerate(kinds) if kind == "tells"]
    old = max(number for number in telling if values[number] == "updated")
    new = min(number for number in telling if values[number] == "unchanged")
    assert found.steps() == [(old, new)]
    assert found.result.changes[0].in_between == [str(number) for number in range(old + 1, new)]
    assert {each.release for each in found.result.releases if each.reason} <= {str(each) for each in skipped}
    told = {each.first for each in found.result.silent} | {each.last for each in found.result.silent}
    assert told <= {str(number) for number in range(old + 1, new)}


@given(st.lists(st.integers(1, 30), min_size=2, max_size=5))
def test_every_further_value_is_a_boundary_of_its_own(lengths: list[int]) -> None:
    words = ["batch", "moving", "sample", "unmasked_batch", "neither"][: len(lengths)]
    found = search(history(runs(lengths, words), "normalised_by"))
    ends = [sum(lengths[: number + 1]) for number in range(len(lengths) - 1)]
    assert found.steps(fact="normalised_by") == [(end - 1, end) for end in ends]
    assert len(found.result.rows[0].runs) == len(lengths)


@given(st.lists(st.sampled_from(["updated", "unchanged", "absent"]), min_size=2, max_size=60))
def test_what_is_said_of_any_history_is_true(values: list[str]) -> None:
    found = search(history(values))
    for old, new in found.steps():
        assert new == old + 1
        assert values[old] != values[new]
    known = sorted(found.columns)
    for old, new in pairwise(known):
        assert (values[old] != values[new]) == ((old, new) in found.steps())
    assert found.steps() or values[0] == values[-1]


def test_a_value_that_comes_back_is_not_a_single_change() -> None:
    # What is measured for the sake of beta shows that gamma changes more often.
    gamma = runs([5, 5, 5, 6], ["updated", "unchanged"] * 2)
    found = search(
        [[cell(IDENTITY, gamma=each, beta="updated" if n < 4 else "absent")] for n, each in enumerate(gamma)]
    )
    assert found.steps() == [(4, 5), (9, 10), (14, 15)]
    assert found.steps(fact="beta") == [(3, 4)]
    (row,) = [row for row in found.result.rows if row.fact == "gamma"]
    assert [run.value for run in row.runs] == ["updated", "unchanged"] * 2


def test_a_fact_on_which_only_the_ends_agree_is_noticed() -> None:
    def release(number: int) -> Cells:
        return [
            cell(
                IDENTITY,
                gamma="updated" if number < 12 else "unchanged",
                beta="unchanged" if 5 <= number < 14 else "updated",
                warnings="a" if 5 <= number < 14 else "none",
            )
        ]

    found = search([release(number) for number in range(20)])
    assert found.steps() == [(11, 12)]
    assert found.steps(fact="beta") == [(4, 5), (13, 14)]
    assert found.steps(fact="warnings") == []  # a description, which nobody has asked for
    assert {row.fact for row in found.result.rows} == {"gamma", "beta"}
    only = search([release(number) for number in range(20)], facts=["gamma"])
    assert {row.fact for row in only.result.rows} == {"gamma"}
    asked = search([release(number) for number in range(20)], facts=["gamma", "warnings"])
    assert asked.steps(fact="warnings") == [(4, 5), (13, 14)]


def test_where_the_ends_agree_nothing_is_measured() -> None:
    found = search(history(["updated", "unchanged", "updated"]))
    assert found.columns == [0, 2]
    assert (found.result.changes, found.result.rows) == ([], [])


def test_a_fact_that_is_not_asked_for_is_not_looked_for() -> None:
    releases = [
        [cell(IDENTITY, gamma="updated" if n < 3 else "unchanged", beta="updated" if n < 7 else "unchanged")]
        for n in range(9)
    ]
    found = search(releases, facts=["beta"])
    assert found.steps(fact="beta") == [(6, 7)]
    assert found.steps() == []


def test_a_release_that_raises_says_nothing_of_what_it_did_not_reach() -> None:
    values = ["updated"] * 6 + ["unchanged"] * 6
    releases = history(values)
    for number in (5, 6):
        releases[number] = [cell(IDENTITY, outcome="raised", reason="ValueError: no", gamma="unchanged")]
    found = search(releases)
    assert found.steps() == [(4, 7)]
    assert found.result.changes[-1].in_between == ["5", "6"]
    # It raised, and the ends do not: that is seen, and found to the release.
    assert found.steps(fact="outcome") == [(4, 5), (6, 7)]
    assert [(each.first, each.last, each.says) for each in found.result.silent] == [("5", "6", "raised")]


def test_of_numbers_those_are_the_same_that_a_measurement_cannot_tell_apart() -> None:
    def release(low: float, high: float) -> Cells:
        return [cell(IDENTITY, measured={"intervals": {"epsilon": [low, high]}}, epsilon=low)]

    found = search([release(1, 2)] * 4 + [release(1.5, 3.5)] + [release(3, 4)] * 4)
    assert found.steps(fact="epsilon") == [(3, 5)]
    assert found.result.changes[0].in_between == ["4"]


AXES = {
    "training": ("true", "false"),
    "trainable": ("true", "false"),
    "rank": ("2", "4"),
    "execution": ("call", "graph", "compiled"),
    "dtype": ("float32", "float16"),
}


def ids() -> list[str]:
    """Cells of every combination."""
    found: list[dict[str, str]] = [{"layer": "batch_norm"}]
    for axis, values in AXES.items():
        found = [{**axes, axis: value} for axes in found for value in values]
    return [make_cell(axes).id for axes in found]


def releases_of(first_new: Mapping[str, int | None], count: int) -> list[Cells]:
    """Cells that each change once, or never."""
    return [
        [
            cell(identity, gamma="updated" if new is None or number < new else "unchanged")
            for identity, new in first_new.items()
        ]
        for number in range(count)
    ]


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_every_cell_of_every_condition_gets_its_release(data: st.DataObject) -> None:
    every = ids()
    first_new = {
        identity: data.draw(st.sampled_from([None, 3, 3, 3, 7, 18])) if number % 3 else 3
        for number, identity in enumerate(every)
    }
    found = search(releases_of(first_new, 30))
    for identity, new in first_new.items():
        assert found.steps(identity) == ([] if new is None else [(new - 1, new)])
    assert len(found.measured) == len(set(found.measured))
    assert all(first_new[identity] is not None for _, identity in found.measured)


def test_conditions_of_one_cause_share_what_is_measured() -> None:
    first_new = {identity: 13 if "execution=graph" in identity else None for identity in ids()}
    found = search(releases_of(first_new, 64))
    (step,) = found.result.changes
    assert (step.old, step.new, [one.when for one in step.conditions]) == (
        "12",
        "13",
        [{"execution": ["graph"]}],
    )
    assert len(found.columns) <= log2(64) + 3
    # The cells that the condition stands for are measured beside the boundary, and nowhere else.
    (lead,) = {identity for column, identity in found.measured if column not in (12, 13)}
    beside = {column for column, identity in found.measured if identity != lead}
    assert beside == {12, 13}


def test_the_first_and_the_last_may_be_all_there_is() -> None:
    found = search(history(["updated", "unchanged"]))
    assert found.steps() == [(0, 1)]
    one = search(history(["updated"]))
    assert (one.result.total, one.result.measured, one.result.changes) == (1, 1, [])


@pytest.mark.parametrize("silent", [1, 2, 7, 40])
def test_a_long_silence_is_left_quickly(silent: int) -> None:
    # Around the middle nothing tells, and the change lies elsewhere: few of the silent are asked.
    values = ["updated"] * 10 + ["unchanged"] * 30 + ["-"] * silent + ["unchanged"] * 60
    found = search(history(values))
    assert found.steps() == [(9, 10)]
    assert sum(values[column] == "-" for column in found.columns) <= log2(silent + 1) + 3

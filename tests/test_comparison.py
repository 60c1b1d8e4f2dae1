"""What counts as a change, and what cannot be compared: a table of pairs."""

from __future__ import annotations

import pytest

from bnmatrix.comparison import compare
from bnmatrix.laws import laws
from bnmatrix.matrix import CellResult
from tests.tables import cell, target

IDENTITY = "batch_norm training=true"


def number(low: float, high: float, value: float) -> CellResult:
    return cell(IDENTITY, update_rate=value, measured={"intervals": {"update_rate": [low, high]}})


def flickering(word: str) -> CellResult:
    return cell(
        IDENTITY, normalised_by=word, measured={"unstable": {"normalised_by": {"rate": 0.5, "values": {}}}}
    )


OK = cell(IDENTITY, normalised_by="batch")
RAISED = cell(IDENTITY, "raised", "ValueError: no", exception="ValueError")

PAIRS = {
    "the same facts": (OK, OK, "same"),
    "another word": (OK, cell(IDENTITY, normalised_by="moving"), "changed"),
    "numbers whose intervals meet": (number(0.009, 0.011, 0.01), number(0.0109, 0.012, 0.011), "same"),
    "numbers whose intervals do not meet": (
        number(0.009, 0.01, 0.01), number(0.0109, 0.012, 0.011), "changed",
    ),
    "ok and raised": (OK, RAISED, "changed"),
    "ok and crashed": (OK, cell(IDENTITY, "crashed"), "changed"),
    "raised alike": (RAISED, RAISED, "same"),
    "another exception": (RAISED, cell(IDENTITY, "raised", exception="TypeError"), "changed"),
    "crashed on both sides": (cell(IDENTITY, "crashed"), cell(IDENTITY, "crashed"), "same"),
    "unavailable": (OK, cell(IDENTITY, "unavailable", "no such layer"), "not_comparable"),
    "timed out": (cell(IDENTITY, "timed_out"), OK, "not_comparable"),
    "skipped": (OK, cell(IDENTITY, "skipped"), "not_comparable"),
    "undecided": (OK, cell(IDENTITY, normalised_by="undecided"), "not_comparable"),
    "undecided beside a fact that changed": (
        cell(IDENTITY, normalised_by="undecided", gamma="updated"),
        cell(IDENTITY, normalised_by="batch", gamma="unchanged"),
        "changed",
    ),
    "unstable": (OK, flickering("unstable"), "unstable"),
    "flickering but settled alike": (OK, flickering("batch"), "unstable"),
    "an outcome that flickers": (
        OK,
        cell(IDENTITY, "raised", exception="ValueError", measured={"unstable": {"outcome": {"rate": 0.4}}}),
        "unstable",
    ),
    "an exception that flickers": (
        RAISED,
        cell(IDENTITY, "raised", exception="unstable", measured={"unstable": {"exception": {"rate": 0.4}}}),
        "unstable",
    ),
    "a fact that one side does not have": (
        OK, cell(IDENTITY, normalised_by="batch", mode_after="yes"), "same",
    ),
}  # fmt: skip


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_of_cells_is_counted_once(pair: str) -> None:
    old, new, expected = PAIRS[pair]
    summary = compare(target([old]), target([new], "torch"), "").summary
    counted = {name: getattr(summary, name) for name in summary.__struct_fields__}
    assert counted == {**dict.fromkeys(counted, 0), expected: 1}


def test_a_cell_that_one_side_lacks_is_listed_with_the_reason() -> None:
    diff = compare(target([OK]), target([], "torch"), "")
    assert [(each.id, each.old, each.new, each.reason) for each in diff.not_comparable] == [
        (IDENTITY, "ok", "not_there", "torch has no such cell")
    ]


def test_changes_that_share_a_cause_are_one_condition() -> None:
    words = ("true", "false")
    old = [
        cell(f"batch_norm trainable={a} training={b}", normalised_by="batch") for a in words for b in words
    ]
    new = [
        cell(each.id, normalised_by="moving" if each.axes["trainable"] == "false" else "batch")
        for each in old
    ]
    found = compare(target(old), target(new), "").conditions
    assert [(each.fact, each.old, each.new, each.when) for each in found] == [
        ("normalised_by", "batch", "moving", {"trainable": ["false"]})
    ]


def test_facts_that_change_together_share_a_condition_even_where_one_was_not_decided() -> None:
    identities = [
        f"batch_norm rank={rank} trainable={word}" for rank in (2, 3, 4) for word in ("true", "false")
    ]
    old = [cell(each, gamma="updated", beta="updated") for each in identities]
    new = [
        cell(
            each.id,
            gamma="unchanged" if each.axes["trainable"] == "false" else "updated",
            beta="undecided" if each.axes["trainable"] == "true" else "unchanged",
        )
        for each in old
    ]
    found = compare(target(old), target(new), "").conditions
    assert [(each.fact, each.when) for each in found] == [
        ("gamma", {"trainable": ["false"]}),
        ("beta", {"trainable": ["false"]}),
    ]


def test_of_most_values_of_an_axis_a_condition_names_those_that_it_leaves_out() -> None:
    old = [cell(f"batch_norm rank={rank}", gamma="updated") for rank in (2, 3, 4, 5)]
    new = [cell(each.id, gamma="updated" if each.axes["rank"] == "3" else "unchanged") for each in old]
    (found,) = compare(target(old), target(new), "").conditions
    assert (found.when, found.but) == ({"rank": ["2", "4", "5"]}, {"rank": ["3"]})


def test_whether_freezing_switches_to_inference_is_a_convention() -> None:
    def side(name: str, frozen: str):
        words = {("true", "true"): "batch", ("true", "false"): frozen}
        cells = [
            cell(f"batch_norm trainable={b} training={a}", normalised_by=words.get((a, b), "moving"))
            for a in ("true", "false") for b in ("true", "false")
        ]  # fmt: skip
        return target(cells, name, laws=laws(cells))

    found = compare(side("tf2", "moving"), side("torch", "batch"), "").conventions
    assert [(each.name, each.old, each.new) for each in found] == [
        ("freezing also switches to inference", "yes", "no")
    ]


def test_a_raise_that_came_before_the_step_is_told_by_the_outcome_alone() -> None:
    stopped = cell(
        IDENTITY, "raised", "ValueError: no", exception="ValueError", gamma="unchanged", updates_per_step=0
    )
    whole = cell(IDENTITY, gamma="updated", updates_per_step=1)
    for old, new in ((stopped, whole), (whole, stopped)):
        assert [change.fact for change in compare(target([old]), target([new]), "0").changes] == ["outcome"]


def test_state_that_moved_before_a_raise_is_a_change() -> None:
    stopped = cell(IDENTITY, "raised", "ValueError: no", exception="ValueError", moving_mean="updated")
    whole = cell(IDENTITY, moving_mean="unchanged")
    changes = compare(target([whole]), target([stopped]), "0").changes
    assert [change.fact for change in changes] == ["outcome", "moving_mean"]

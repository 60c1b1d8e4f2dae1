"""The baseline: laid out for review, and never taken for measured where it is damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from bnmatrix.accepted import Accepted
from bnmatrix.baseline import Baseline, Selected, load, text
from bnmatrix.errors import UsageError
from tests.tables import cell, target

NUMBER = {"intervals": {"update_rate": [0.099998380490, 0.10000165692397871]}}

CELLS = [
    cell("batch_norm training=true", measured=NUMBER, gamma="updated", update_rate=0.1, trainable_weights=2),
    cell("batch_norm training=false", gamma="unchanged", trainable_weights=2, warnings='"quoted" é'),
    cell("batch_norm rank=4", "raised", "ValueError: no", gamma="unchanged", exception="ValueError"),
    cell("batch_norm rank=5", "unavailable", "torch has none"),
    cell(
        "batch_norm dtype=float16",
        measured={"unstable": {"gamma": {"rate": 0.25, "values": ["updated"]}}},
        gamma="unstable",
    ),
]

KNOWN = Accepted(
    fact="gamma",
    old="updated",
    new="unchanged",
    when={"training": ["true"], "execution": ["call", "fit"]},
    targets=["torch"],
    reason="the upgrade",
    owner="me",
    expires=date(2027, 1, 31),
)

BASELINE = Baseline(
    schema_version=1,
    bnmatrix="0.1.0",
    seed=0,
    selection=Selected(layers=["batch_norm"], axes={"rank": ["2", "4"]}),
    targets=[target(CELLS, "torch"), target(CELLS[:2], "tf2")],
    accepted=[KNOWN],
)

TEXT = text(BASELINE)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("baseline") / "bnmatrix.lock"


def read(file: Path, content: str | bytes) -> Baseline:
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return load(file)


def test_what_is_written_is_read_again(file: Path) -> None:
    found = read(file, TEXT)
    assert text(found) == TEXT
    assert found.accepted == [KNOWN]
    assert {each.target: len(each.cells) for each in found.targets} == {"tf2": 2, "torch": 5}
    by_id = found.targets[1].by_id()
    assert by_id.keys() == {each.id for each in CELLS}
    assert all(
        by_id[each.id].facts == each.facts and by_id[each.id].outcome == each.outcome for each in CELLS
    )
    low, high = by_id["batch_norm training=true"].interval("update_rate") or (0, 0)
    assert low <= NUMBER["intervals"]["update_rate"][0] <= NUMBER["intervals"]["update_rate"][1] <= high
    assert high - low < 1.1 * (0.10000165692397871 - 0.099998380490)
    assert by_id["batch_norm dtype=float16"].measured["unstable"]["gamma"]["rate"] == 0.25


def test_it_is_sorted_with_a_line_for_every_cell() -> None:
    lines = TEXT.splitlines()
    ids = [line.partition('": {')[0].strip('"') for line in lines if line.startswith('"batch_norm')]
    assert ids[:2] == sorted(ids[:2])
    assert ids[2:] == sorted(ids[2:])
    assert len(ids) == 7
    backwards = [msgspec.structs.replace(each, cells=each.cells[::-1]) for each in BASELINE.targets[::-1]]
    assert text(msgspec.structs.replace(BASELINE, targets=backwards)) == TEXT


def test_a_change_of_one_fact_is_a_change_of_one_line() -> None:
    first, *rest = CELLS
    other = msgspec.structs.replace(first, facts={**first.facts, "gamma": "unchanged"})
    changed = text(
        msgspec.structs.replace(BASELINE, targets=[target([other, *rest], "torch"), BASELINE.targets[1]])
    )
    differing = [(a, b) for a, b in zip(TEXT.splitlines(), changed.splitlines(), strict=True) if a != b]
    assert len(differing) == 1
    assert "batch_norm training=true" in differing[0][0]


def test_accepted_changes_may_be_edited_by_hand(file: Path) -> None:
    edited = TEXT.replace('"the upgrade", "owner": "me"', '"the  upgrade",\n  "owner": "you"')
    assert read(file, edited).accepted[0].owner == "you"


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ('"schema_version": 1', '"schema_version": 2', "schema version is 2, this bnmatrix reads 1"),
        ('"count": 5', '"count": 6', "torch has 5 cells, and was written with 6"),
        ('"count": 2', '"count": 3', "it has 2 targets, and was written with 3"),
        ('"seed": 0', '"seed": 0,\n<<<<<<< ours', "line 5 is a mark of a merge conflict"),
        ('"seed": 0', '"seed": 0,\n"seed": 0', "'seed' is there twice"),
        (
            '"gamma": "updated"',
            '"gamma": "unchanged"',
            "'batch_norm training=true': the line is not as it was",
        ),
        ('"fact": "gamma"', '"fact": "gama"', "accepted[0]: unknown fact 'gama'"),
        ('"training": ["true"]', '"training": ["yes"]', "unknown value of axis training 'yes'"),
        ('"owner": "me"', '"owner": " "', "accepted[0]: the owner is empty"),
        ('"2027-01-31"', '"2027-31-01"', "Invalid RFC3339"),
        ('"targets": {', '"targets": {}, "others": {', "others"),
    ],
)
def test_what_is_wrong_is_told(file: Path, was: str, becomes: str, message: str) -> None:
    assert was in TEXT
    with pytest.raises(UsageError) as error:
        read(file, TEXT.replace(was, becomes, 1))
    assert message in error.value.message
    assert str(file) in error.value.message
    assert "bnmatrix lock" in (error.value.hint or "")


OFTEN = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@OFTEN
@given(st.integers(0, len(TEXT.encode()) - 2))
def test_a_truncated_file_is_refused(file: Path, length: int) -> None:
    with pytest.raises(UsageError):
        read(file, TEXT.encode()[:length])


@OFTEN
@given(st.data())
def test_a_file_without_some_lines_or_with_some_twice_is_refused(file: Path, data: st.DataObject) -> None:
    lines = TEXT.splitlines(keepends=True)
    first = data.draw(st.integers(0, len(lines) - 1))
    last = data.draw(st.integers(first, len(lines) - 1))
    times = data.draw(st.sampled_from([0, 2]))
    assume(not (times == 0 and all("reason" in line and "owner" in line for line in lines[first : last + 1])))
    assume(not all(line.startswith('"numpy"') for line in lines[first : last + 1]))
    mutated = "".join([*lines[:first], *lines[first : last + 1] * times, *lines[last + 1 :]])
    with pytest.raises(UsageError):
        read(file, mutated)


@OFTEN
@given(st.data())
def test_a_file_with_marks_of_a_conflict_is_refused(file: Path, data: st.DataObject) -> None:
    lines = TEXT.splitlines(keepends=True)
    mark = data.draw(st.sampled_from(["<<<<<<< HEAD\n", "=======\n", ">>>>>>> upgrade\n", "||||||| base\n"]))
    lines.insert(data.draw(st.integers(0, len(lines))), mark)
    with pytest.raises(UsageError, match="merge conflict"):
        read(file, "".join(lines))


VALUES = (None, True, 3, -1, 2.5, "word", "", [], ["word"], {}, {"gamma": "updated"})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(value, (dict, list)):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, key))


PLACES = [path for path in places(json.loads(TEXT)) if path]


@OFTEN
@given(st.sampled_from(PLACES), st.sampled_from(VALUES))
def test_a_value_of_another_type_is_refused(file: Path, path: tuple[Any, ...], value: Any) -> None:
    whole = json.loads(TEXT)
    holder = whole
    for key in path[:-1]:
        holder = holder[key]
    was = holder[path[-1]]
    assume(type(was) is not type(value) and not (isinstance(was, float) and isinstance(value, int)))
    assume(not (path[0] == "accepted" and path[-1] in ("old", "new", "expires")))  # these may be of several
    assume(not (path[-1] in ("coverage", "expires") and value is None))
    holder[path[-1]] = value
    with pytest.raises(UsageError):
        read(file, json.dumps(whole))


@OFTEN
@given(st.binary(max_size=40), st.integers(0, len(TEXT.encode())))
def test_rubbish_in_the_middle_is_no_crash(file: Path, rubbish: bytes, place: int) -> None:
    """It may fall into a text that is free, such as a reason; what was measured never reads otherwise."""
    data = TEXT.encode()
    try:
        found = read(file, data[:place] + rubbish + data[place:])
    except UsageError:
        return
    assert [each.cells for each in found.targets] == [each.cells for each in read(file, TEXT).targets]

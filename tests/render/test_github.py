"""GitHub's workflow commands: what its runner reads back is what was meant, and no more than it shows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion

from bnmatrix.accepted import EXPIRED, MET, UNMATCHED
from bnmatrix.check_places import NOWHERE, Places
from bnmatrix.checked import Check
from bnmatrix.render import as_github
from bnmatrix.render.findings import clean
from bnmatrix.requirement_lines import Place
from tests.render import checks
from tests.render.test_sarif import AT
from tests.render.wild import PLACES, wild

COMMAND = re.compile(r"::(?P<command>error|warning|notice) (?P<properties>[^\n]*?)::(?P<message>[^\n]*)")


def unescaped(text: str) -> str:
    """As the runner reads a value: each of these once, `%` last."""
    for code, sign in {"%0D": "\r", "%0A": "\n", "%3A": ":", "%2C": ",", "%25": "%"}.items():
        text = text.replace(code, sign)
    return text


def read(text: str) -> list[tuple[str, dict[str, str], str]]:
    """What a runner makes of the lines: (command, properties, message). Other lines are log."""
    found = []
    for line in text.split("\n"):
        if match := COMMAND.fullmatch(line):
            entries = (entry.partition("=") for entry in match["properties"].split(","))
            properties = {name: unescaped(value) for name, _, value in entries}
            found.append((match["command"], properties, unescaped(match["message"])))
    return found


def test_an_example(snapshot: SnapshotAssertion) -> None:
    assert as_github.text(checks.full(), AT) == snapshot


def test_where_nothing_is_to_be_told_nothing_is_said() -> None:
    assert as_github.text(checks.green(), AT) == ""


def test_an_annotation_is_at_the_requirement_else_in_the_baseline() -> None:
    where = {
        properties["title"]: (properties["file"], properties["line"])
        for _, properties, _ in read(as_github.text(checks.full(), AT))
    }
    assert where["bnmatrix: tf2: gamma: unchanged → updated"] == ("ml/requirements.txt", "3")
    assert where["bnmatrix: an accepted change is past its date"] == ("ml/bnmatrix.lock", "40")
    assert where["bnmatrix: an accepted change is not there"] == ("ml/bnmatrix.lock", "1")


def test_without_a_place_there_is_an_annotation_of_the_run() -> None:
    _, properties, message = read(as_github.text(checks.full(), NOWHERE))[0]
    assert set(properties) == {"title"}
    assert "gamma: unchanged → updated where trainable=false, in 2 cells" in message


def test_what_fails_is_an_error_and_nothing_else_is() -> None:
    commands = {
        message: command for command, _, message in read(as_github.text(checks.full(), AT))
    }  # fmt: skip
    told = {
        command: [text for text, one in commands.items() if one == command] for command in commands.values()
    }
    assert [len(told[command]) for command in ("error", "warning", "notice")] == [5, 2, 1]
    assert any("update_rate" in text for text in told["warning"])
    assert any("beta in batch_norm execution=fit" in text for text in told["warning"])


@pytest.mark.parametrize("count", [10, 11, 40])
def test_no_more_than_github_shows_and_the_weightiest_first(count: int) -> None:
    conditions = [checks.condition(n, "gamma", "a", f"b{n}", checks.IDS) for n in range(count)]
    text = as_github.text(replace(checks.green(), conditions=conditions), AT)
    assert [f"→ b{n} " in message for n, (_, _, message) in enumerate(read(text))] == [True] * 10
    assert ("and 30 more of what fails" in text) == (count == 40)
    assert len(text.splitlines()) == min(count, 11)


def test_a_title_is_one_that_github_takes() -> None:
    long = checks.condition(1, "warnings", "x" * 300, "y" * 90_000, checks.IDS)
    ((_, properties, message),) = read(as_github.text(replace(checks.green(), conditions=[long]), AT))
    assert len(properties["title"]) <= 255
    assert len(message) <= 4000


@settings(max_examples=50, deadline=None)
@given(check=wild(), places=PLACES)
def test_whatever_the_words_are_each_is_a_line_that_reads_back(check: Check, places: Places) -> None:
    text = as_github.text(check, places)
    text.encode()
    lines = text.split("\n")[:-1]
    found = read(text)
    assert len(found) == sum(line.startswith("::") for line in lines)
    assert all(line.startswith(("::", "and ")) for line in lines)
    failing = [one for one in check.conditions if one.fails]
    gone = [one for one in check.expectations if one.status in (UNMATCHED, EXPIRED)]
    counts = [sum(one == command for one, _, _ in found) for command in ("error", "notice")]
    assert counts == [min(len(failing) + len(gone) + 2, 10), any(o.status == MET for o in check.expectations)]
    for _, properties, _ in found:
        assert set(properties) <= {"file", "line", "title"}
        if "file" in properties:
            assert properties["file"] == clean(places.otherwise.file)  # type: ignore[union-attr]


def test_signs_that_mean_something_to_the_runner_are_escaped() -> None:
    place = Place("a,b:c%.txt", 1, "", "")
    text = as_github.text(checks.full(), Places(otherwise=place)).split("\n")[0]
    assert "file=a%2Cb%3Ac%25.txt,line=1," in text
    assert read(text)[0][1]["file"] == place.file

"""The page of a timeline, as it looks, and its files."""

from __future__ import annotations

import re
from types import ModuleType

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_csv, as_markdown, terminal
from tests.render import miniature_timeline
from tests.render.test_pages import printed

TIMELINES = {
    "history": miniature_timeline.history,
    "steady": miniature_timeline.steady,
    "sixty": miniature_timeline.sixty,
    "nothing": miniature_timeline.nothing,
    "pinned": miniature_timeline.pinned,
}


@pytest.mark.parametrize("width", [80, 120, 40])
@pytest.mark.parametrize("name", ["history", "sixty"])
def test_a_page(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert printed(TIMELINES[name](), width) == snapshot


@pytest.mark.parametrize("name", ["steady", "nothing", "pinned"])
def test_a_small_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert printed(TIMELINES[name](), 80) == snapshot


@pytest.mark.parametrize("width", [80, 120])
def test_an_expanded_page(width: int, snapshot: SnapshotAssertion) -> None:
    assert printed(miniature_timeline.history(), width, expand=True) == snapshot


def test_a_page_in_colour(snapshot: SnapshotAssertion) -> None:
    assert printed(miniature_timeline.history(), 80, colour=True) == snapshot


def test_a_page_in_ascii(snapshot: SnapshotAssertion) -> None:
    assert printed(miniature_timeline.history(), 80, encoding="ascii", expand=True) == snapshot


@pytest.mark.parametrize("form", [as_csv, as_markdown], ids=["csv", "markdown"])
def test_a_file(form: ModuleType, snapshot: SnapshotAssertion) -> None:
    assert form.text(miniature_timeline.history()) == snapshot


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("name", TIMELINES)
def test_no_line_is_wider_than_the_page(name: str, width: int, expand: bool) -> None:
    text = printed(TIMELINES[name](), width, expand=expand)
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("name", TIMELINES)
def test_a_very_narrow_terminal_is_no_reason_to_fail(name: str) -> None:
    assert printed(TIMELINES[name](), 10, expand=True)


@pytest.mark.parametrize("expand", [False, True])
def test_without_colour_the_same_words_are_said(expand: bool) -> None:
    coloured = printed(miniature_timeline.history(), 80, colour=True, expand=expand)
    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert plain == printed(miniature_timeline.history(), 80, expand=expand)


def test_the_page_answers_when_it_changed_in_order_of_release() -> None:
    text = printed(miniature_timeline.history(), 80)
    steps = re.findall(r"^  between (\S+) and (\S+)", text, re.MULTILINE)
    # 2.3.4 has no environment; some cells are undecided in 2.2.3 and 2.4.4, or raise in 2.5.3 and 2.6.5.
    assert steps == [
        ("2.0.4", "2.1.4"), ("2.2.3", "2.4.4"), ("2.4.4", "2.5.3"), ("2.1.4", "2.5.3"), ("2.6.5", "2.7.4"),
        ("2.4.4", "2.7.4"),
    ]  # fmt: skip


@pytest.mark.parametrize(("form", "mark"), [(terminal, "    "), (as_markdown, "- ")])
def test_state_that_comes_and_goes_is_told_in_a_line(form: ModuleType, mark: str) -> None:
    text = form.text(miniature_timeline.comes_and_goes())
    told = [line for line in text.splitlines() if "seed_state" in line]
    assert told == [f"{mark}seed_state appears in 40 cells", f"{mark}seed_state disappears from 40 cells"]


def test_runs_of_sixty_releases_are_folded() -> None:
    lines = printed(miniature_timeline.sixty(), 80).splitlines()
    (row,) = (number for number, line in enumerate(lines) if line.strip() == "normalised_by batch")
    assert "2.0.10 to 2.19.10: training and trainable | 2.20.10 to 2.29.10: training" in lines[row + 1]
    assert len(lines) < 60

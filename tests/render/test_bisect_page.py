"""The page of a bisection, as it looks, and its files."""

from __future__ import annotations

from types import ModuleType

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_csv, as_markdown
from tests.render import miniature_bisection
from tests.render.test_pages import printed

BISECTIONS = {
    "two_changes": miniature_bisection.two_changes,
    "comes_back": miniature_bisection.comes_back,
    "nothing": miniature_bisection.nothing,
}


@pytest.mark.parametrize("width", [80, 120, 40])
def test_a_page(width: int, snapshot: SnapshotAssertion) -> None:
    assert printed(miniature_bisection.two_changes(), width) == snapshot


@pytest.mark.parametrize("name", ["comes_back", "nothing"])
def test_a_small_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert printed(BISECTIONS[name](), 80) == snapshot


def test_an_expanded_page(snapshot: SnapshotAssertion) -> None:
    assert printed(miniature_bisection.comes_back(), 80, expand=True) == snapshot


def test_a_page_in_colour(snapshot: SnapshotAssertion) -> None:
    assert printed(miniature_bisection.two_changes(), 80, colour=True) == snapshot


@pytest.mark.parametrize("form", [as_csv, as_markdown], ids=["csv", "markdown"])
@pytest.mark.parametrize("name", ["two_changes", "comes_back"])
def test_a_file(name: str, form: ModuleType, snapshot: SnapshotAssertion) -> None:
    assert form.text(BISECTIONS[name]()) == snapshot


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("name", BISECTIONS)
def test_no_line_is_wider_than_the_page(name: str, width: int, expand: bool) -> None:
    text = printed(BISECTIONS[name](), width, expand=expand)
    assert max(len(line) for line in text.splitlines()) <= width

"""The pages of a conversion."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_markdown
from bnmatrix.render.convert_page import page
from bnmatrix.render.layout import ASCII, UNICODE, Sheet, Signs
from tests.render import conversions

CONVERSIONS = {"partly": conversions.partly, "equal": conversions.equal}


def lines(name: str, width: int, signs: Signs = UNICODE, expand: bool = False) -> list[str]:
    return [line.plain for line in page(CONVERSIONS[name](), expand)(Sheet(width, signs))]


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("name", CONVERSIONS)
def test_the_page(name: str, expand: bool, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines(name, 80, expand=expand)) == snapshot


@pytest.mark.parametrize("name", CONVERSIONS)
def test_markdown(name: str, snapshot: SnapshotAssertion) -> None:
    assert as_markdown.text(CONVERSIONS[name]()) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_too_wide_or_ends_in_space(width: int) -> None:
    for name in CONVERSIONS:
        for expand in (False, True):
            for line in lines(name, width, expand=expand):
                assert len(line) <= width, line
                assert line == line.rstrip()


def test_there_is_a_form_in_ascii() -> None:
    assert "\n".join(lines("equal", 80, signs=ASCII, expand=True)).isascii()

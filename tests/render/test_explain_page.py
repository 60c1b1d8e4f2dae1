"""The pages of an explanation."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_markdown
from bnmatrix.render.explain_page import page
from bnmatrix.render.layout import ASCII, UNICODE, Sheet
from tests.render import explanations

EXPLANATIONS = {"cell": explanations.of_cell, "fact": explanations.of_fact}


def lines(name: str, width: int, signs: object = UNICODE) -> list[str]:
    return [line.plain for line in page(EXPLANATIONS[name]())(Sheet(width, signs))]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_the_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines(name, 80)) == snapshot


@pytest.mark.parametrize("name", EXPLANATIONS)
def test_markdown(name: str, snapshot: SnapshotAssertion) -> None:
    assert as_markdown.text(EXPLANATIONS[name]()) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_too_wide_or_ends_in_space(width: int) -> None:
    for name in EXPLANATIONS:
        for line in lines(name, width):
            assert len(line) <= width
            assert line == line.rstrip()


def test_there_is_a_form_in_ascii() -> None:
    assert "\n".join(lines("cell", 80, signs=ASCII)).isascii()

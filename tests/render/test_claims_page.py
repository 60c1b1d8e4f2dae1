"""The pages of claims."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_csv, as_markdown
from bnmatrix.render.claims_page import page
from bnmatrix.render.layout import ASCII, UNICODE, Sheet
from tests.render import claimed

CLAIMS = {"several": claimed.several, "releases": claimed.over_releases}


def lines(name: str, width: int, signs: object = UNICODE, expand: bool = False) -> list[str]:
    view = page(CLAIMS[name](), expand)
    return [line.plain for line in view(Sheet(width, signs))]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CLAIMS)
def test_the_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines(name, 80)) == snapshot


@pytest.mark.parametrize("name", CLAIMS)
def test_the_expanded_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines(name, 100, expand=True)) == snapshot


@pytest.mark.parametrize("name", CLAIMS)
def test_markdown(name: str, snapshot: SnapshotAssertion) -> None:
    assert as_markdown.text(CLAIMS[name]()) == snapshot


def test_csv(snapshot: SnapshotAssertion) -> None:
    assert as_csv.text(claimed.several()) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 120])
@pytest.mark.parametrize("expand", [False, True])
def test_no_line_is_too_wide_or_ends_in_space(width: int, expand: bool) -> None:
    for name in CLAIMS:
        for line in lines(name, width, expand=expand):
            assert len(line) <= width
            assert line == line.rstrip()


def test_there_is_a_form_in_ascii() -> None:
    assert "\n".join(lines("several", 80, signs=ASCII, expand=True)).isascii()


def test_every_verdict_has_a_sign_beside_its_colour() -> None:
    text = "\n".join(lines("several", 80))
    for told in ("✓ holds", "✗ contradicted", "~ partly", "– cannot be tried", "? incomplete"):
        assert told in text

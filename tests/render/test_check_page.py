"""The pages of a check: what changed first, numbered to be accepted; what became of accepted changes."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_csv, as_markdown
from bnmatrix.render.check_page import page, told
from bnmatrix.render.layout import ASCII, UNICODE, Sheet
from tests.render import checks

CHECKS = {"full": checks.full, "green": checks.green}


def lines(name: str, width: int, expand: bool = False, signs: object = UNICODE) -> list[str]:
    return [line.plain for line in page(CHECKS[name](), expand)(Sheet(width, signs))]  # type: ignore[arg-type]


@pytest.mark.parametrize("name", CHECKS)
def test_the_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines(name, 80)) == snapshot


def test_the_expanded_page(snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines("full", 120, expand=True)) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_too_wide(width: int) -> None:
    for name in CHECKS:
        for expand in (False, True):
            assert all(len(line) <= width for line in lines(name, width, expand))


def test_there_is_a_form_in_ascii() -> None:
    assert "\n".join(lines("full", 80, signs=ASCII)).isascii()


def test_every_open_change_has_its_number() -> None:
    text = "\n".join(lines("full", 80, expand=True))
    for condition in checks.full().conditions:
        assert str(condition.number) in text
        assert condition.fact in told(condition)


@pytest.mark.parametrize("form", [as_csv, as_markdown], ids=["csv", "markdown"])
def test_other_formats(form: object, snapshot: SnapshotAssertion) -> None:
    assert form.text(checks.full()) == snapshot  # type: ignore[attr-defined]

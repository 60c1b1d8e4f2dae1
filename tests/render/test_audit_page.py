"""The pages of an audit."""

from __future__ import annotations

import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.render import as_markdown
from bnmatrix.render.audit_page import page
from bnmatrix.render.audit_rows import rows
from bnmatrix.render.layout import ASCII, UNICODE, Sheet
from tests.render import audits

AUDITS = {"findings": audits.with_findings, "in order": audits.in_order, "refused": audits.refused}


def lines(name: str, width: int, signs: object = UNICODE, expand: bool = False) -> list[str]:
    return [line.plain for line in page(AUDITS[name](), expand)(Sheet(width, signs))]  # type: ignore[arg-type]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("name", AUDITS)
def test_the_page(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert "\n".join(lines(name, width)) == snapshot


@pytest.mark.parametrize("name", AUDITS)
def test_markdown(name: str, snapshot: SnapshotAssertion) -> None:
    assert as_markdown.text(AUDITS[name]()) == snapshot


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_no_line_is_too_wide(width: int) -> None:
    for name in AUDITS:
        for expand in (False, True):
            assert all(len(line) <= width for line in lines(name, width, expand=expand))


def test_there_is_a_form_in_ascii() -> None:
    assert "\n".join(lines("findings", 80, signs=ASCII)).isascii()


def test_a_hundred_layers_fit_a_screen() -> None:
    assert len(audits.with_findings().layers) > 100
    assert len(lines("findings", 80)) < 40


def test_layers_that_differ_in_what_is_shown_are_not_folded() -> None:
    layers = audits.blocks(3)
    layers[1] = audits.layer("backbone.block0.norm", "BatchNorm2d", "yes", state="unchanged")
    folded = {(row.path, len(row.layers)) for row in rows(layers)}
    assert ("backbone.block0.norm", 1) in folded
    assert ("backbone.block*.norm", 2) in folded

"""Every rendered page, as it looks: at three widths, with and without colour, in ASCII, in every format."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from bnmatrix.comparison import Diff, compare
from bnmatrix.matrix import Matrix
from bnmatrix.render import as_csv, as_markdown, terminal
from bnmatrix.render.layout import ASCII, UNICODE, show
from tests.render import miniature

RUNS = {
    "tf2": lambda: miniature.matrix(miniature.tf2()),
    "three_targets": lambda: miniature.matrix(
        miniature.tf2(), miniature.torch(), miniature.tf1(), expectations=True
    ),
}
DIFFS = {
    "tf1_tf2": lambda: compare(miniature.tf1(), miniature.tf2(), "0.1.0"),
    "tf2_torch": lambda: compare(miniature.tf2(), miniature.torch(), "0.1.0"),
    "tf2_tf2": lambda: compare(miniature.tf2(), miniature.tf2(), "0.1.0"),
}
RESULTS = {**RUNS, **DIFFS}


class Stream(StringIO):
    """A stream of a certain encoding, which takes nothing else."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding

    def write(self, text: str) -> int:
        text.encode(self._encoding)
        return super().write(text)


def printed(
    result: Matrix | Diff,
    width: int,
    *,
    expand: bool = False,
    colour: bool = False,
    encoding: str = "utf-8",
    environment: dict[str, str] | None = None,
) -> str:
    stream = Stream(encoding)
    console = Console(
        file=stream,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        highlight=False,
        _environ=environment or {},
    )
    show(terminal.view(result, expand), console)
    return stream.getvalue()


@pytest.mark.parametrize("width", [80, 120, 40])
@pytest.mark.parametrize("name", RESULTS)
def test_a_page(name: str, width: int, snapshot: SnapshotAssertion) -> None:
    assert printed(RESULTS[name](), width) == snapshot


@pytest.mark.parametrize("name", ["three_targets", "tf1_tf2"])
def test_an_expanded_page(name: str, snapshot: SnapshotAssertion) -> None:
    assert printed(RESULTS[name](), 80, expand=True) == snapshot


@pytest.mark.parametrize("name", ["three_targets", "tf2_torch"])
def test_a_page_in_colour(name: str, snapshot: SnapshotAssertion) -> None:
    assert printed(RESULTS[name](), 80, colour=True) == snapshot


@pytest.mark.parametrize("name", ["three_targets", "tf2_torch"])
def test_a_page_in_ascii(name: str, snapshot: SnapshotAssertion) -> None:
    assert printed(RESULTS[name](), 80, encoding="ascii") == snapshot


@pytest.mark.parametrize("form", [as_csv, as_markdown], ids=["csv", "markdown"])
@pytest.mark.parametrize("name", ["three_targets", "tf1_tf2"])
def test_a_file(name: str, form: object, snapshot: SnapshotAssertion) -> None:
    assert form.text(RESULTS[name]()) == snapshot  # type: ignore[attr-defined]


@pytest.mark.parametrize("expand", [False, True])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 120])
@pytest.mark.parametrize("name", RESULTS)
def test_no_line_is_wider_than_the_page(name: str, width: int, expand: bool) -> None:
    text = printed(RESULTS[name](), width, expand=expand)
    assert max(len(line) for line in text.splitlines()) <= width


@pytest.mark.parametrize("name", RESULTS)
def test_a_very_narrow_terminal_is_no_reason_to_fail(name: str) -> None:
    assert printed(RESULTS[name](), 10)


@pytest.mark.parametrize("name", RESULTS)
def test_without_colour_the_same_words_are_said(name: str) -> None:
    import re

    coloured = printed(RESULTS[name](), 80, colour=True)
    assert "\x1b[" in coloured
    plain = re.sub(r"\x1b\[[0-9;]*m", "", coloured)
    assert plain == printed(RESULTS[name](), 80)


def test_no_color_leaves_no_colour() -> None:
    import re

    text = printed(RUNS["tf2"](), 80, colour=True, environment={"NO_COLOR": "1"})
    codes = {code for codes in re.findall(r"\x1b\[([0-9;]*)m", text) for code in codes.split(";")}
    assert codes <= {"0", "1", "2", "3", ""}  # bold, dim and italic are no colours


def test_a_dumb_terminal_gets_ascii() -> None:
    text = printed(RUNS["tf2"](), 80, colour=True, environment={"TERM": "dumb"})
    assert text.isascii()


def test_every_sign_has_its_own_form_in_ascii() -> None:
    signs = vars(ASCII)
    assert all(sign.isascii() for sign in signs.values())
    told_apart = ("moves", "stays", "undecided", "unstable", "bad", "good")
    assert len({signs[name] for name in told_apart}) == len(told_apart)
    assert len({vars(UNICODE)[name] for name in told_apart}) == len(told_apart)


def test_the_picture_is_the_same_for_the_same_result() -> None:
    first, second = (terminal.svg(RUNS["tf2"](), "bnmatrix run --framework tf2") for _ in range(2))
    assert first == second
    assert first.startswith("<svg")
    assert "normalised_by" in first


def test_the_page_answers_what_the_difference_is() -> None:
    text = printed(RUNS["tf2"](), 80)
    assert "trainable alone decides gamma and beta" in text
    assert "normalised_by batch                   <=>  training and trainable" in text
    assert "training not given acts as false in call, graph, evaluate and" in text
    assert "rank 2 = 4" in text

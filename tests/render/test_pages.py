"""Every rendered page, as it looks: at three widths, with and without colour, in ASCII, in every format."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from types import ModuleType

import pytest
from msgspec.structs import replace
from rich.console import Console
from syrupy.assertion import SnapshotAssertion

from bnmatrix.comparison import Diff, compare
from bnmatrix.matrix import Matrix, TargetMatrix
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


def test_of_several_targets_the_answer_comes_first() -> None:
    lines = printed(RUNS["three_targets"](), 80).splitlines()
    places = {
        start: next(n for n, line in enumerate(lines) if line.startswith(start))
        for start in (
            "tf2 · torch · tf1",
            "side by side  batch_norm",
            "  key",
            "tf2 · tensorflow",
            "expectations",
        )
    }
    assert list(places.values()) == sorted(places.values())
    assert places["tf2 · torch · tf1"] == 0
    assert places["  key"] < 24


@pytest.mark.parametrize("target", [miniature.tf2, miniature.torch])
def test_one_target_fits_a_screen(target: Callable[[], TargetMatrix]) -> None:
    assert len(printed(miniature.matrix(target()), 80).splitlines()) <= 40


HEADLINES = {
    "tf1": "training and trainable together decide moving_mean and moving_variance (in call)",
    "tf2": "trainable alone decides gamma and beta",
    "torch": "trainable alone decides gamma and beta (in call)",
}


@pytest.mark.parametrize("name", HEADLINES)
def test_a_headline_claims_no_more_than_the_laws(name: str) -> None:
    page = printed(miniature.matrix(getattr(miniature, name)()), 120)
    assert f"  {HEADLINES[name]}\n" in page
    assert HEADLINES[name] in as_markdown.text(miniature.matrix(getattr(miniature, name)())).replace("`", "")


@pytest.mark.parametrize(
    ("form", "says"), [(terminal, "  all at    rank=4\n"), (as_markdown, "- all at rank=4\n")]
)
def test_what_all_cells_have_is_said(form: ModuleType, says: str) -> None:
    whole = miniature.torch()
    cells = [cell for cell in whole.cells if cell.axes["rank"] == "4"]
    assert says in form.text(miniature.matrix(replace(whole, cells=cells)))


@pytest.mark.parametrize(
    ("form", "last"), [(terminal, "  only torch has "), (as_markdown, "- only torch has ")]
)
def test_state_that_one_side_lacks_is_told_last_and_in_a_line(form: ModuleType, last: str) -> None:
    old = miniature.tf2()
    cells = [replace(cell, facts={**cell.facts, "num_batches_tracked": "absent"}) for cell in old.cells]
    text = form.text(compare(replace(old, cells=cells), miniature.torch(), "0.1.0"))
    told = [line for line in text.splitlines() if "num_batches_tracked" in line]
    assert told == [f"{last}num_batches_tracked"]
    assert text.index(told[0]) > text.index("normalised_by")


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


def test_a_difference_without_laws_in_common_has_a_page() -> None:
    """One side alone has laws, and they are of what the table tells already."""
    told = [law for law in miniature.tf1().laws if law.fact == "input_gradient"]
    old, new = (
        replace(miniature.tf1(), laws=told or miniature.tf1().laws[:1]),
        replace(miniature.tf2(), laws=[]),
    )
    text = terminal.text(compare(old, new, "0.1.0"))
    assert "tf1" in text

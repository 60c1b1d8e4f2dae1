"""What is said while it lasts fits the terminal."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from bnmatrix.axes import make_cell
from bnmatrix.cli.progress import progress_bar
from bnmatrix.measurement import Plan, counts
from bnmatrix.target import parse


@pytest.mark.parametrize("width", [30, 40, 60, 80, 120])
def test_the_counter_is_whole_on_any_terminal(width: int) -> None:
    console = Console(file=StringIO(), width=width)
    bar = progress_bar(console)
    note = "keras[tensorflow]==3.5.0,numpy==1.26.4: making its environment, 10 s"
    bar.add_task(note, total=12345, completed=1234)
    with console.capture() as captured:
        console.print(bar.get_renderable())
    assert " 1234/12345 " in f" {captured.get()}"
    assert " cells 0:00:0" in captured.get()
    assert "…" not in captured.get().partition("0:00:0")[0]


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        ([1], "1 cell of torch"),
        ([2], "2 cells of torch"),
        ([1, 2], "1 cell of torch, 2 of torch"),
        ([2, 1], "2 cells of torch, 1 of torch"),
    ],
)
def test_cells_are_counted_in_words(numbers: list[int], says: str) -> None:
    cell = make_cell({})
    assert counts([Plan(parse("torch"), (cell,) * number) for number in numbers]) == says

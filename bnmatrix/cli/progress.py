"""How far a measurement is, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import re
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

NARROW = 80
"""Terminals below this width have no room for the bar."""

EVERY = 10.0
"""Seconds between lines."""


def note(text: str, quiet: bool) -> None:
    """A line on stderr."""
    if not quiet:
        typer.echo(text, err=True)


def seconds_told(text: str) -> int | None:
    """The seconds that a line of waiting ends in ("..., 12 s"); None where it is another line."""
    found = re.search(r", (\d+) s$", text)
    return int(found[1]) if found else None


def is_due(seconds: int) -> bool:
    """Whether a line of waiting, which comes every 2 seconds, is to be told where every line stays."""
    return seconds % EVERY < 2


class Reporter:
    """A context; called with (cells done, cells in all, note). `title` is told with the first call."""

    def __init__(self, title: str, quiet: bool) -> None:
        self.title = title
        self.quiet = quiet
        self.on_terminal = sys.stderr.isatty()
        self.last = time.monotonic()
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> Reporter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()

    def __call__(self, done: int, total: int, text: str) -> None:
        if self.title:
            self.title, title = "", self.title
            self.say(title)
        if self.quiet:
            return
        if self.on_terminal:
            self._draw(done, total, text)
        elif time.monotonic() - self.last > EVERY:
            self.last = time.monotonic()
            note(f"{done} of {total} cells", False)

    def say(self, text: str) -> None:
        """A line that stays, above the bar; from any thread. Lines of waiting take turns in the bar."""
        seconds = seconds_told(text)
        if seconds is not None and self.bar is not None and self.task is not None:
            self.bar.update(self.task, description=text)
        elif seconds is not None and not is_due(seconds):
            return
        elif self.bar is not None:
            self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            note(text, self.quiet)

    def _draw(self, done: int, total: int, text: str) -> None:
        if self.bar is None:
            # The first report comes when the probes have been started, so this costs them nothing.
            from rich.console import Console

            self.bar = progress_bar(Console(stderr=True))
            self.task = self.bar.add_task(text, total=total)
            self.bar.start()
        assert self.task is not None
        self.bar.update(self.task, completed=done, description=text)


def progress_bar(console: Console) -> Progress:
    """Bar, counter, time and a note; counter and time alone where the terminal is narrow."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Column

    counter = (MofNCompleteColumn(), TextColumn("cells"), TimeElapsedColumn())
    # What is too long is cut, rather than the counter squeezed.
    cut = Column(no_wrap=True, overflow="ellipsis", ratio=1)
    note = TextColumn("{task.description}", markup=False, table_column=cut)
    parts = counter if console.width < NARROW else (BarColumn(20), *counter, note)
    return Progress(*parts, console=console, transient=True, expand=console.width >= NARROW)

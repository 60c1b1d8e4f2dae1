"""The standard streams, so that whatever becomes of them costs no result and shows no traceback.

    stdin, stdout or stderr closed      /dev/null stands in: nothing else may get their numbers
    who read stdout went away           the rest goes nowhere; the exit code is what it would have been
    stdout cannot be written            UsageError, once
    stderr cannot be written            the rest goes nowhere

Those who write need not know: it happens below the buffers of `sys.stdout` and `sys.stderr`.
"""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

from bnmatrix.errors import UsageError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def prepare() -> None:
    """Put streams of this kind in the place of `sys.stdout` and `sys.stderr`."""
    while (number := os.open(os.devnull, os.O_RDWR)) <= 2:  # the lowest number that is free
        pass
    os.close(number)
    sys.stdout = _text(_Standard(1, "stdout"), sys.stdout)
    sys.stderr = _text(_Standard(2, None), sys.stderr)


class _Standard(io.FileIO):
    """A standard stream by its number. `called`: its name in an error; None where it may be lost silently."""

    def __init__(self, number: int, called: str | None) -> None:
        super().__init__(number, "w", closefd=False)
        self._called = called
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self._is_lost:
            return size
        try:
            return super().write(data)
        except OSError as error:
            self._is_lost = True
            if self._called and not isinstance(error, BrokenPipeError):
                raise UsageError(f"cannot write to {self._called}: {error.strerror}") from error
            return size


def _text(raw: io.RawIOBase, like: TextIO | None) -> io.TextIOWrapper:
    """A text stream over `raw` that is as `like` in all else; None is that of a closed stream."""
    buffer = io.BufferedWriter(raw)
    if not isinstance(like, io.TextIOWrapper):
        return io.TextIOWrapper(buffer, "utf-8", "backslashreplace")
    return io.TextIOWrapper(
        buffer,
        like.encoding,
        like.errors,
        line_buffering=bool(like.line_buffering),
        write_through=bool(like.write_through),
    )

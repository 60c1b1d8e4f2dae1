"""The standard streams, so that whatever becomes of them costs no result and shows no traceback.

    stdin, stdout or stderr closed      /dev/null stands in: nothing else may get their numbers
    who read stdout went away           the rest goes nowhere; the command ends with the code it would have had
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
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free: this one
    sys.stdout = _text(_Standard(1, "stdout"), sys.stdout)
    sys.stderr = _text(_Standard(2, None), sys.stderr)


class _Standard(io.FileIO):
    """A standard stream by its number. `name_if_needed`: what to call it; None where it may be lost silently."""

    def __init__(self, number: int, name_if_needed: str | None) -> None:
        super().__init__(number, "w", closefd=False)
        self._name_if_needed = name_if_needed
        self._is_lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        size = memoryview(data).nbytes
        if self._is_lost:
            return size
        try:
            return super().write(data)
        except OSError as error:
            self._is_lost = True
            if self._name_if_needed and not isinstance(error, BrokenPipeError):
                raise UsageError(f"cannot write to {self._name_if_needed}: {error.strerror}") from error
            return size


def _text(raw: io.RawIOBase, like: TextIO | None) -> io.TextIOWrapper:
    """A text stream over `raw` that is as `like` in all else; None is that of a closed stream."""
    is_text = isinstance(like, io.TextIOWrapper)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=like.encoding if is_text else "utf-8",
        errors=like.errors if is_text else "backslashreplace",
        line_buffering=like.line_buffering if is_text else False,
        write_through=like.write_through if is_text else False,
    )

"""Copies of what a model holds, in a file that goes with the process: in memory the model is held once."""

import tempfile
from typing import Any, Callable

import numpy as np

SMALL = 1 << 14
"""Bytes that are not worth a file."""


class Copies(object):
    """Takes arrays, and hands out for each a function that gives it back."""

    def __init__(self) -> None:
        self.file: Any = None

    def of(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        """What returns the numbers that the array now holds."""
        if array.nbytes >= SMALL:
            try:
                return self._written(array)
            except OSError:  # there is no room
                pass
        kept = np.array(array)
        return lambda: kept

    def _written(self, array: np.ndarray) -> Callable[[], np.ndarray]:
        if self.file is None:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 - open for as long as the process
        file, kind, shape, size = self.file, array.dtype, array.shape, array.nbytes
        place = file.seek(0, 2)
        file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

        def read() -> np.ndarray:
            file.seek(place)
            return np.frombuffer(file.read(size), kind).reshape(shape)

        return read

"""What steps by hand have in common in every framework."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnmatrix.testing.errors import CannotTell

RATE = 0.01
"""Of the plain SGD by hand."""

BATCH = 8
"""Samples of an input that is made up."""


def loss_weights(shape: tuple[int, ...], number: int) -> NDArray[np.float32]:
    """The weight that each entry of output `number` has in the loss: the same in every step and run."""
    return np.random.RandomState(number).uniform(0.5, 1.5, shape).astype(np.float32)


def called(step: Callable[..., Any], model: Any) -> None:
    """Call the user's own step: with the model, or with nothing where it takes nothing."""
    try:
        inspect.signature(step).bind(model)
    except TypeError:
        step()
    except ValueError:  # no signature to be had
        step(model)
    else:
        step(model)


@contextmanager
def raised(number: int) -> Iterator[None]:
    """Say in which step the user's model raised, if it does."""
    try:
        yield
    except CannotTell:
        raise
    except Exception as error:
        raise CannotTell(
            f"training step {number} raised {type(error).__name__}: {_told(str(error))}",
            "look at the input= and target= or the step= that it was given; the model is as it was before",
        ) from error


def _told(message: str) -> str:
    """The line of an exception's message that says what is wrong."""
    plain = re.sub("\x1b\\[[0-9]*m", "", message)  # Keras prints in bold
    lines = [line.strip() for line in plain.splitlines() if line.strip()]
    lines = [line for line in lines if not line.startswith("Exception encountered when calling ")] or [""]
    if lines[0].endswith(":"):  # TensorFlow tells an error in a graph last, and after it where
        lines = [line for line in reversed(lines) if not line.startswith("[")] or lines
    return lines[0][:300]

"""What steps by hand have in common in every framework."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from bnmatrix.testing.errors import CannotTell
from bnmatrix.testing.seen import Training

MOST_LOST = 5
"""Tensors that a message names."""


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


def nothing_tried() -> CannotTell:
    return CannotTell(
        "the given step called nothing of the model and moved nothing of it, so nothing was tried",
        "step= makes one whole training step, with the model that is asked about",
    )


@contextmanager
def differentiated() -> Iterator[None]:
    """Steps by hand have gradients, also where the test runs without."""
    torch: Any = sys.modules.get("torch")
    with ExitStack() as stack:
        for name, arguments in (("inference_mode", (False,)), ("enable_grad", ())):
            if hasattr(torch, name):
                stack.enter_context(getattr(torch, name)(*arguments))
        yield


class Numbers:
    """Raises CannotTell once the steps of a trial make no numbers any more: NaN moves nothing that one could
    see, and everything.

    finite: {tensor: whether all that it holds are numbers}, at the time of the call
    """

    def __init__(self, training: Training, finite: Callable[[], Mapping[str, bool]]) -> None:
        self.training = training
        self.finite = finite
        self.before = finite()

    def loss(self, step: int, value: Any) -> None:
        """Look at the loss of a step."""
        array = np.asarray(value)
        lost = array[~np.isfinite(array)]
        if lost.size:
            raise self._lost(f"the loss of step {step} is {lost.flat[0]}")

    def after(self, step: int) -> None:
        """Look at what a step has left."""
        lost = [name for name, fine in self.finite().items() if not fine and self.before.get(name)]
        if lost:
            more = f" and {len(lost) - MOST_LOST} more" if len(lost) > MOST_LOST else ""
            raise self._lost(f"step {step} left no numbers in {', '.join(lost[:MOST_LOST])}{more}")

    def _lost(self, what: str) -> CannotTell:
        given = {"input": self.training.input, "target": self.training.target}
        holding = [f"the {name} holds NaN" for name, value in given.items() if any(map(_nan, _leaves(value)))]
        return CannotTell(
            f"the steps make no numbers any more: {', and '.join([*holding, what])}",
            "give another input=, target= or loss=, or a smaller step",
        )


def _leaves(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        value = list(value.values())
    if not isinstance(value, (list, tuple)):
        return [value]
    return [leaf for each in value for leaf in _leaves(each)]


def _nan(value: Any) -> bool:
    plain = value if hasattr(value, "detach") else np.asarray(value)
    try:
        return bool((plain != plain).any())
    except (AttributeError, TypeError, ValueError):  # no array at all
        return False


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

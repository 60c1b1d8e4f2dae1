"""Layers side by side: the same steps in the probes of two targets, and how far what they showed parts.

A course is many steps in a row of one cell (`probe/course.py`). Two of them are held against each other step
by step, each number relative to the largest that stands in its place or channel anywhere in the two.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

import msgspec
import numpy as np
from numpy.typing import NDArray

from bnmatrix.axes import Cell
from bnmatrix.converted import Compared
from bnmatrix.errors import BnmatrixError
from bnmatrix.judge.normalisation import Step, fits
from bnmatrix.judge.numbers import number
from bnmatrix.judge.precision import tolerance
from bnmatrix.layers import layers
from bnmatrix.measurement import Options, device_of, guest_of, processors
from bnmatrix.placement import place, ready
from bnmatrix.runner import Answer, Guest, ProbeFailed, Request, Runner
from bnmatrix.runner.messages import Course
from bnmatrix.target import Target

Array = NDArray[np.float64]

ALIKE = 0.01
"""A factor that two updates part by is one where it is the same within 1 %, as the judge tells estimators."""


class Mend(msgspec.Struct, frozen=True):
    """What is done to the state after each step.

    hold:   slots that are put back
    kept:   the share that the moving variance keeps of what it had; what it took in counts `factor` times
    """

    hold: tuple[str, ...] = ()
    kept: float | None = None
    factor: float = 1.0

    def as_sent(self) -> dict[str, Any]:
        """As the probe is told it."""
        sent: dict[str, Any] = {"hold": list(self.hold)} if self.hold else {}
        if self.kept is not None:
            sent["variance"] = {"kept": self.kept, "factor": self.factor}
        return sent


class Asked(msgspec.Struct, frozen=True):
    """A course that is wanted: of the side, 0 or 1, and its cell; `options` are ((name, value), ...)."""

    side: int
    cell: Cell
    options: tuple[tuple[str, float], ...] = ()
    mend: Mend = Mend()


Follow = Callable[[Sequence[Asked]], dict[Asked, Answer]]


@contextmanager
def following(targets: Sequence[Target], steps: int, options: Options) -> Iterator[Follow]:
    """What makes courses of `steps` steps on the targets, whose probes it keeps.

    Raises BnmatrixError where a target cannot be had.
    """
    guests = []
    for target in targets:
        placement = place(target, options.wishes)
        assert placement is not None
        guests.append(guest_of(target, ready(placement, options.wishes), device_of(target, options)))
    with Runner(jobs=options.jobs or max(2, processors()), timeout=options.timeout) as runner:
        yield lambda asked: _followed(runner, guests, steps, options.seed, asked)


def _followed(
    runner: Runner, guests: Sequence[Guest], steps: int, seed: int, asked: Sequence[Asked]
) -> dict[Asked, Answer]:
    for side, guest in enumerate(guests):
        requests = [
            Request(
                each.cell.axes,
                seed,
                {"options": dict(each.options), "course": {"steps": steps, **each.mend.as_sent()}},
                each,
            )
            for each in asked
            if each.side == side
        ]
        if requests:
            runner.submit(guest, requests)
    found: dict[Asked, Answer] = {}
    for event in runner.results():
        if isinstance(event, ProbeFailed):
            raise BnmatrixError(f"{event.guest.target}: {event.message}", event.hint)
        if isinstance(event, Answer):
            found[cast(Asked, event.request.key)] = event
    return found


# Two courses.


def compared(one: Course, other: Course, layer: str, dtype: str) -> list[Compared]:
    """Output, input gradient, parameter gradients, state and what comes out in inference mode afterwards."""
    found = [_held("output", [[step.output for step in course.steps] for course in (one, other)], dtype)]
    gradients = [[step.input_gradient for step in course.steps] for course in (one, other)]
    if any(each is not None for several in gradients for each in several):
        found.append(_held("input_gradient", gradients, dtype, least=_cancelling(one, layer, dtype)))
    for slot in one.steps[0].gradients:
        if all(slot in step.gradients for course in (one, other) for step in course.steps):
            several = [[step.gradients[slot] for step in course.steps] for course in (one, other)]
            found.append(_held(f"gradient of {slot}", several, dtype))
    for slot in one.start:
        if slot in other.start:
            several = [[step.state[slot] for step in course.steps] for course in (one, other)]
            found.append(_held(slot, several, dtype))
    # Relative to what came out before as well: in one batch a whole channel may come to next to nothing.
    outputs = [step.output for course in (one, other) for step in course.steps]
    several = [[one.inference], [other.inference]]
    last = _held("inference_output", several, dtype, after=len(one.steps), beside=outputs)
    return [*found, last]


def _cancelling(course: Course, layer: str, dtype: str) -> float:
    """How large the terms are that an input gradient through a sample's own statistics is the difference of.

    Of two values that normalise each other next to nothing is left but rounding. 0 of other layers.
    """
    if layers()[layer].family != "sample_norm":
        return 0.0
    largest = 0.0
    states = [course.start, *(step.state for step in course.steps)]
    for before, made in zip(states, course.steps, strict=False):
        state = {slot: np.asarray(array, dtype=np.float64) for slot, array in before.items()}
        x, y, arriving = (
            np.asarray(each, dtype=np.float64) for each in (made.inputs, made.output, made.weights)
        )
        for fit in fits(layer, Step(x, y, arriving, None), state, tolerance(dtype)):
            gamma = np.abs(state.get("gamma", np.ones(1))).max()
            largest = max(largest, float(np.abs(fit.scale).max() * gamma * np.abs(arriving).max()))
    return largest


def _held(
    what: str,
    several: Sequence[Sequence[Any]],
    dtype: str,
    after: int = 1,
    least: float = 0.0,
    beside: Sequence[Any] = (),
) -> Compared:
    """The numbers of both courses, step by step; the first of them are of the step `after`.

    least, beside: what a difference is relative to at least: a number; the largest in each channel of these
    """
    ones, others = several
    allowed = tolerance(dtype)
    last = after + len(ones) - 1
    if any(a is None or b is None or np.shape(a) != np.shape(b) for a, b in zip(ones, others, strict=True)):
        return Compared(what=what, largest=None, allowed=allowed * last, parts_at=after)
    first = [_by_channel(each) for each in ones]
    second = [_by_channel(each) for each in others]
    scale = np.max(
        [np.abs(each).max(0, initial=0.0) for each in [*first, *second, *map(_by_channel, beside)]], axis=0
    )
    # A channel of nothing but zeros and their rounding is seen beside the others.
    scale = np.maximum(scale, max(least, allowed * scale.max(initial=0.0)))
    scale[scale == 0] = 1.0
    largest, parts_at = 0.0, None
    for step, (a, b) in enumerate(zip(first, second, strict=True), start=after):
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        with np.errstate(invalid="ignore"):
            apart = float(np.where(same, 0.0, np.abs(a - b) / scale).max(initial=0.0))
        if not apart <= allowed * step and parts_at is None:
            parts_at = step
        largest = max(largest, apart) if np.isfinite(apart) and np.isfinite(largest) else np.inf
    shown = largest if np.isfinite(largest) else None
    return Compared(what=what, largest=shown, allowed=allowed * last, parts_at=parts_at)


def _by_channel(array: Any) -> Array:
    """Rows of channels, float64."""
    wide = np.asarray(array, dtype=np.float64)
    return wide.reshape(-1, wide.shape[-1]) if wide.ndim > 1 else wide.reshape(1, -1)


def variance_factor(one: Course, other: Course, share: float) -> float | None:
    """How many times what the first moving variance took in the second took in; None where that varies.

    share: of a batch's statistic that an update takes in
    """
    taken = []
    for course in (one, other):
        states = [course.start, *(step.state for step in course.steps)]
        values = [np.asarray(state["moving_variance"], dtype=np.float64) for state in states]
        taken.append([new - (1 - share) * old for old, new in itertools.pairwise(values)])
    with np.errstate(divide="ignore", invalid="ignore"):
        factors = np.array(taken[1]) / np.array(taken[0])
    middle = float(np.median(factors))
    if not np.all(np.abs(factors - middle) <= ALIKE * abs(middle)):
        return None
    error = ALIKE * abs(middle) / 2
    return float(number((middle - error, middle + error)).value)


def moved(course: Course, slot: str) -> bool:
    """Whether a step changed the slot, if there is one."""
    if slot not in course.start:
        return False
    return any(
        not np.array_equal(course.start[slot], step.state[slot], equal_nan=True) for step in course.steps
    )


def values_a_channel(course: Course) -> int:
    """How many values of a batch share one statistic."""
    output = course.steps[0].output
    return 0 if output is None else int(np.prod(output.shape[:-1]))


# Weights.


def why_not(one: Course, other: Course, passing: Sequence[str], names: Sequence[str]) -> str | None:
    """Why the values of the one cannot be given to the other; None where they can.

    passing: slots that may be on one side only;  names: of the sides
    """
    for has, lacks, at, there in ((one, other, 0, 1), (other, one, 1, 0)):
        alone = [slot for slot in has.start if slot not in lacks.start and slot not in passing]
        if alone:
            verb = "has" if len(alone) == 1 else "have"
            return f"{', '.join(alone)} of {names[at]} {verb} no counterpart in {names[there]}"
    for slot in one.start:
        if slot in passing or slot not in other.start:
            continue
        shapes = [tuple(each.start[slot].shape) for each in (one, other)]
        if shapes[0] != shapes[1]:
            return f"{slot} is {_told(shapes[0])} in {names[0]} and {_told(shapes[1])} in {names[1]}"
        if not np.array_equal(one.start[slot], other.start[slot]):
            return f"{slot} could not be given the same values in {names[0]} and {names[1]}"
    return None


def _told(shape: Sequence[int]) -> str:
    return " × ".join(map(str, shape)) or "a number"


def transposition(one: Any, other: Any) -> list[int] | None:
    """The order of axes in which the one array is the other: [1, 0] of a kernel that is turned over.

    Of several that fit the one that changes least; None where there is none.
    """
    if one.ndim != other.ndim:
        return None
    for order in itertools.permutations(range(one.ndim)):
        if np.array_equal(one.transpose(order), other):
            return list(order)
    return None

"""What a framework's module writes for one cell, and the axes that it was asked for.

The program that comes of it is

    the docstring, imports, the data x (and w or t), classes
    def measure():
        build               layer, what lies around it, freezing, compilation, steps before the one examined
        before = state      as far as the reading needs it
        step                leaves behind what the reading needs: y, loss, gradient
        after = state
        reading             return what was found
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TypeVar

from bnmatrix.axes import Cell, default_of
from bnmatrix.layers import layers

Choice = TypeVar("Choice")

Lines = list[str]

NOTHING: Mapping[str, str] = MappingProxyType({})

SHAPES = {
    "normal": {2: (6,), 3: (3, 2), 4: (3, 1, 2), 5: (3, 1, 2, 1)},
    "one_sample": {2: (1,), 3: (1, 6), 4: (1, 3, 2), 5: (1, 3, 2, 1)},
    "one_value": {2: (1,), 3: (1, 1), 4: (1, 1, 1), 5: (1, 1, 1, 1)},
    "empty": {2: (0,), 3: (0, 2), 4: (0, 1, 2), 5: (0, 1, 2, 1)},
}
"""(samples, then positions) of a batch, as the probe has them; the channels follow."""

CHANNELS, UNITS = 4, 3

AFTER_A_STEP = ("after_first_step", "recompiled")


class NoProgram(Exception):
    """Why no plain program is written for a cell or a fact, as a clause."""


class Axes:
    """The axes of a cell. What a program does not care for must be at its default: see `check`."""

    def __init__(self, cell: Cell) -> None:
        self._values = cell.axes
        self._asked: set[str] = set()

    def __getitem__(self, axis: str) -> str:
        self._asked.add(axis)
        return self._values[axis]

    def choose(self, axis: str, known: Mapping[str, Choice]) -> Choice:
        """What `known` has for the cell's value of `axis`. Raises NoProgram where it has nothing."""
        value = self[axis]
        if value not in known:
            raise NoProgram(f"none is written for {axis}={value}")
        return known[value]

    def check(self) -> None:
        """Raise NoProgram if the cell has a value off default that nothing was written for."""
        for axis, value in self._values.items():
            if axis not in self._asked and axis != "layer" and value != default_of(axis, self._values):
                raise NoProgram(f"none is written for {axis}={value}")


@dataclass
class Parts:
    """The framework's part of a program.

    environ:   lines that set environment variables before the framework is imported
    framework: the lines that import it; `alias`: names for parts of it
    data:      at least x, a numpy array; w, the weights of the loss over the output; t, targets
    state:     an expression: {name: numpy array} of the layer; `names`: {slot: its name there}; `helper`: the
               function that it calls
    fresh:     whether gamma is 1 and beta 0 before the step, the moving mean 0 and the moving variance 1
    over:      the axes of x that a statistic per channel is taken over
    epsilon, momentum: the layer's defaults: of the old statistic momentum is kept
    values:    {word: expression} of what a reading may need: "y", "loss", "gradient", "infer" (the output
               in inference mode), the counts, dtypes
    flags:     {fact: {object: expression}} of mode_after and trainable_after
    may_hang:  whether some releases hang when the interpreter ends after such a step
    """

    environ: Lines = field(default_factory=list)
    framework: Lines = field(default_factory=list)
    alias: Lines = field(default_factory=list)
    data: Lines = field(default_factory=list)
    classes: Lines = field(default_factory=list)
    build: Lines = field(default_factory=list)
    step: Lines = field(default_factory=list)
    state: str = ""
    helper: Lines = field(default_factory=list)
    fresh: bool = False
    names: dict[str, str] = field(default_factory=dict)
    over: tuple[int, ...] = (0,)
    epsilon: float = 1e-3
    momentum: float = 0.99
    values: dict[str, str] = field(default_factory=dict)
    flags: dict[str, dict[str, str]] = field(default_factory=dict)
    may_hang: bool = False

    def value(self, name: str) -> str:
        """The expression for `name`. Raises NoProgram where this cell shows no such thing."""
        if name not in self.values:
            raise NoProgram(f"its step does not show {name.replace('_', ' ')}")
        return self.values[name]

    def name(self, slot: str) -> str:
        """The name of a slot in the state. Raises NoProgram where it has none."""
        if slot not in self.names:
            raise NoProgram(f"it has no plain name for {slot}")
        return self.names[slot]


def indented(lines: Lines, by: int = 4) -> Lines:
    """`lines`, further in."""
    return [" " * by + line if line else line for line in lines]


def batch(axes: Axes, channels_first: bool) -> tuple[int, ...]:
    """The shape of the cell's input, as the layer has it."""
    if axes["layer"] == "embedding":
        return SHAPES[axes["batch"]][3]
    samples, *positions = SHAPES[axes["batch"]][int(axes["rank"])]
    channels = 256 if layers()[axes["layer"]].family == "dropout" else CHANNELS  # enough to tell chance by
    return (samples, channels, *positions) if channels_first else (samples, *positions, channels)


def output(axes: Axes, shape: tuple[int, ...], channels_first: bool) -> tuple[int, ...]:
    """The shape of what the layer makes of an input of `shape`."""
    if axes["layer"] == "conv" and channels_first:
        return (shape[0], UNITS, *shape[2:])
    if axes["layer"] in ("dense", "conv", "spectral_norm", "weight_norm", "lstm", "gru"):
        return (*shape[:-1], UNITS)
    return (*shape, CHANNELS) if axes["layer"] == "embedding" else shape


def data(axes: Axes, shape: tuple[int, ...], others: Mapping[str, tuple[int, ...]]) -> Lines:
    """The lines that make x of `shape` and `others`, {name: shape}."""
    lines = ["random = np.random.RandomState(0)", f'x = random.normal(3.0, 2.0, {shape}).astype("float32")']
    if axes["layer"] == "embedding":
        lines[1] = f"x = np.arange({math.prod(shape)}).reshape({shape}) % 4"
    return [
        *lines,
        *(f'{name} = random.uniform(0.5, 1.5, {of}).astype("float32")' for name, of in others.items()),
    ]

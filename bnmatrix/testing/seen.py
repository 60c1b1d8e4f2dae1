"""What some training steps showed of a model's layers: plain data, whatever the framework."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnmatrix.testing.errors import CannotTell

MODES = ("train", "as_is")
EXECUTIONS = ("fit", "by_hand")

STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_variance")
"""State that a layer which tracks statistics moves in training: torch's names and Keras's."""


@dataclass(frozen=True)
class Training:
    """How the steps are made; `assert_frozen` tells what each means."""

    input: Any = None
    target: Any = None
    loss: Callable[[Any, Any], Any] | None = None
    optimizer: Any = None
    step: Callable[[Any], Any] | None = None
    steps: int = 2
    mode: str = "train"
    execution: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or self.steps < 1:
            raise CannotTell(f"steps={self.steps!r} tries nothing", "give a whole number, 1 or more")
        if self.mode not in MODES:
            raise CannotTell(f"unknown mode {self.mode!r}", f"known: {', '.join(MODES)}")
        if self.execution not in (None, *EXECUTIONS):
            raise CannotTell(f"unknown execution {self.execution!r}", f"known: {', '.join(EXECUTIONS)}")


@dataclass
class Tensor:
    """A parameter, or a tensor of state, of one layer.

    flag:       its own requires_grad or trainable, when the steps were made; None where it has none
    stepped:    whether the step goes over it (the optimizer's groups, the trainable list); None: unknown
    gradient:   the largest entry of its gradients, None where none came
    looked:     whether a gradient was looked for
    stale:      a gradient lay there though none is computed for it
    in_forward: whether it moved while its layer was called; None: unknown
    moved_by:   what of the optimizer moves without a gradient: {"momentum": 0.9}
    """

    name: str
    is_parameter: bool
    before: NDArray[Any]
    after: NDArray[Any]
    flag: bool | None = None
    stepped: bool | None = None
    gradient: float | None = None
    looked: bool = False
    stale: bool = False
    in_forward: bool | None = None
    moved_by: Mapping[str, float] = field(default_factory=dict)

    @property
    def moved(self) -> bool:
        """Whether a single bit of it is another number."""
        return self.before.shape != self.after.shape or not same(self.before, self.after).all()

    @property
    def is_statistic(self) -> bool:
        """Whether training is expected to move it by the forward."""
        return not self.is_parameter and self.name in STATISTICS

    def distance(self) -> tuple[float, float]:
        """(by how much it moved at the most, the largest value that it had). The first is NaN where it was
        lost: no number any more, or of another shape."""
        if not self.before.size:
            return 0.0, 0.0
        wide = np.complex128 if np.iscomplexobj(self.before) else np.float64
        before = self.before.astype(wide)
        if self.before.shape != self.after.shape:
            return float("nan"), float(np.abs(before).max())
        with np.errstate(invalid="ignore"):
            moved = np.abs(self.after.astype(wide) - before)
        moved = np.where(same(self.before, self.after), 0.0, moved)
        return float(moved.max()), float(np.abs(before).max())


def same(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.bool_]:
    """Where two arrays hold the same number, or both none."""
    if before.dtype.kind not in "fc":
        return np.asarray(before == after)
    return np.asarray((before == after) | (np.isnan(before) & np.isnan(after)))


@dataclass
class Layer:
    """A layer, by its path in the model.

    kind:      its class
    modes:     the modes it was called in, one a call: True, False, None (not given), or a word where the mode
               is decided inside a graph; None where calls could not be seen
    trainable: its own flag, in Keras; parents: {path: trainable} of what holds it, likewise
    unread:    the name of a flag set on the layer that its framework never reads
    """

    path: str
    kind: str
    tensors: list[Tensor]
    modes: list[bool | str | None] | None = None
    trainable: bool | None = None
    parents: Mapping[str, bool] = field(default_factory=dict)
    unread: str | None = None

    def mode(self) -> bool | str | None:
        """The mode of its calls: True where any was in training mode."""
        if not self.modes:
            return None
        return True if True in self.modes else self.modes[0]


@dataclass
class Trial:
    """The layers asked for, after the steps.

    how:           how they were made: "fit, adam"
    fitted:        Keras: by `fit` of a model as the user compiled it
    compiled_anew: the layers of the same trial as if it had just been compiled, by path, where that was tried
    """

    framework: str
    how: str
    steps: int
    layers: list[Layer]
    fitted: bool = False
    compiled_anew: Mapping[str, Layer] = field(default_factory=dict)

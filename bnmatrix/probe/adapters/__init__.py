"""What an adapter must offer. One file here per framework; `REGISTRY` names them.

An `Adapter` speaks for the framework of this process; its `bench` puts one layer, as one cell asks
for it, on the bench: built, placed in its context, frozen or not. The experiment then drives the
bench without knowing the framework. Everything that crosses this boundary is numpy, channels last
and of the framework-neutral layout told at `Bench`.
"""

from typing import Any, Dict, List, Optional, Tuple

import numpy as np

GUEST = "as it is"
"""The device of an adapter in a process that is somebody else's (a test suite): nothing that holds for the
whole process is set, neither devices nor threads."""

Cell = Dict[str, str]  # {axis: value}, values as text
Arrays = Dict[str, np.ndarray]  # {slot: array}

# The entry-point-like names of the frameworks that a probe can serve: module:class, imported only
# in the probe that serves it.
REGISTRY = {
    "tf1": "tensorflow1:TensorFlow1",
    "tf2": "keras3:TensorFlow2",
    "tf_keras": "keras2:TfKeras",
    "keras": "keras3:Keras",
    "torch": "torch:Torch",
    "live": "live:Live",
    "lasagne": "lasagne:Lasagne",
}


class Unavailable(Exception):
    """There is nothing to call in this target (no such layer, context, dtype). Says why, for the reader.

    Only for that: an argument which the framework itself refuses must raise the framework's own error.
    """


class Pass(object):
    """What one step showed.

    output:          what the layer put out, in the dtype it came in (bfloat16 as float32), channels last
    output_dtype:    the framework's name of that dtype ("bfloat16")
    forward:         {slot: array} after the forward and before the gradient step, or None where the
                     two cannot be told apart (fit)
    input_gradient:  d loss / d input, or None where the framework gave no gradient
    has_gradient:    False where the execution takes no gradient at all (predict, evaluate, inference_mode),
                     and where that to the input cannot be seen
    gradients:       {slot: array} of the parameters the step went over and that had a gradient
    """

    def __init__(
        self,
        output: np.ndarray,
        output_dtype: str,
        forward: Optional[Arrays] = None,
        input_gradient: Optional[np.ndarray] = None,
        has_gradient: bool = True,
        gradients: Optional[Arrays] = None,
    ) -> None:
        self.output = output
        self.output_dtype = output_dtype
        self.forward = forward
        self.input_gradient = input_gradient
        self.has_gradient = has_gradient
        self.gradients = gradients or {}


class Bench(object):
    """One layer, ready to be examined.

    Slots are named by the vocabulary of layers.json; further state of the layer goes by the
    framework's own name. Layouts: channels last; a `kernel` of dense and conv (kernel size 1) is
    (in, out), of an embedding (rows, features); everything else as the framework has it.
    """

    def slots(self) -> Dict[str, Dict[str, Any]]:
        """{slot: {"name", "dtype", "trainable"}}, in order: the framework's own name of it, the dtype it is
        stored in, and its own flag or None."""
        raise NotImplementedError

    def read(self) -> Arrays:
        """{slot: array}: copies, never aliases (bfloat16 as float32), of random-number state
        (`seed_state`) too."""
        raise NotImplementedError

    def stored(self) -> Arrays:
        """`read`, in the framework's own layout."""
        raise NotImplementedError

    def write(self, values: Arrays) -> None:
        """Put {slot: array} into the layer in place, without touching flags or optimizer."""
        raise NotImplementedError

    def step(self, inputs: np.ndarray, weights: np.ndarray) -> Pass:
        """One step as the cell's execution and optimizer make it, with loss = sum(weights * output).

        Without an optimizer plain SGD by hand, of `experiment.RATE`, over the trainable list of the outermost
        object; what makes no step (`predict`, `evaluate`, `inference_mode`, ...) makes the forward only.
        """
        raise NotImplementedError

    def turn(self) -> None:
        """Give the layer its cell's `trainable` now, after a step in which it had the opposite.

        Only under the values of `freeze` that say so: `after_first_step` leaves everything else as it is,
        `recompiled` then compiles the model again (or makes a new optimizer).
        """
        raise NotImplementedError

    def infer(self, inputs: np.ndarray) -> np.ndarray:
        """The layer's output in inference mode, by a direct call, whatever the cell says. Leaves the mode
        flags as they were."""
        raise NotImplementedError

    def train_once(self, inputs: np.ndarray) -> None:
        """A direct forward in training mode (no gradient step): the reference for `updates_per_step`.
        Leaves the mode flags as they were."""
        raise NotImplementedError

    def counts(self) -> Dict[str, int]:
        """How many "trainable_weights", "non_trainable_weights" and "regularisation_losses" the layer itself
        has."""
        raise NotImplementedError

    def weight_order(self) -> List[str]:
        """The outermost object's weight list, as ["layer/slot", ...]."""
        raise NotImplementedError

    def flags(self) -> Dict[str, Dict[str, bool]]:
        """{"mode": {object: bool}, "trainable": {object: bool}}, of "layer" and each enclosing object
        ("model"); "mode" is empty where the framework keeps no mode flag."""
        raise NotImplementedError

    def close(self) -> None:
        """Free what the bench holds (sessions, graphs)."""


class Adapter(object):
    """The framework of this process. Constructed once, before the handshake; importing it is the cost.

    own: the `own.Own` that makes a layer of the user's in place of the framework's, or None
    """

    own: Any = None

    def __init__(self, framework: str, backend: Optional[str], device: str) -> None:
        """`framework` as in REGISTRY, `backend` of Keras or None, `device` "cpu", "gpu", "cuda:0", "auto" or
        GUEST."""

    def versions(self) -> Dict[str, str]:
        """{package: version} of the framework and of what it computes with (numpy, keras, ...)."""
        raise NotImplementedError

    def devices(self) -> List[str]:
        """Names of the devices there are: ["cpu"], ["cpu", "cuda:0"]."""
        raise NotImplementedError

    def device(self) -> str:
        """The one that cells run on; raises `Unavailable` where the device asked for is absent."""
        raise NotImplementedError

    def bench(self, cell: Cell, shape: Tuple[int, ...], options: Dict[str, Any]) -> Bench:
        """The `Bench` for `cell` and inputs of `shape`.

        `options` holds constructor options in the framework-neutral names of a scenario's [given]
        ("momentum": the share of the new statistic is 1 - momentum as Keras has it, "epsilon", "rate",
        "units"). Raises `Unavailable`, or whatever the framework raises.
        """
        raise NotImplementedError

    def seed(self, seed: int) -> None:
        """Seed the framework's own random numbers."""
        raise NotImplementedError

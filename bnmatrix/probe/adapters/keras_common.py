"""What Keras 2 and Keras 3 share: the bench. Their layers are told in keras_layers.

No framework is imported here. `keras` is the module of the adapter (`keras`, `tf_keras`,
`tf.keras`); an `Engine` does by hand what depends on the backend: tensors and the gradient step.

How a compiled step is seen into. fit, train_on_batch, evaluate and predict run a model

    Input -> Shift -> the layer -> Recorder

The Shift subtracts a weight of zeros, of the shape of the whole batch, that is always trained: SGD
moves it by RATE times the gradient of the loss to the input. It is also the head that keeps
training when all else is frozen. The Recorder keeps the layer's output in a weight of its own. An embedding
takes integers, so its Shift comes after it and there is no input gradient.
"""

from typing import Any, Dict, Tuple

import numpy as np

from .. import inputs as given_inputs
from ..experiment import RATE
from . import Bench, Pass, Unavailable
from .keras_layers import COMPILED, make_layer, refuse, slot_of

TRAINING = {"true": {"training": True}, "false": {"training": False}, "default": {}}


def helpers(keras, casts=True):
    """The Shift and Recorder classes of the module docstring, for this `keras`. Both let masks end.

    `casts`: whether its layers cast their inputs unless they are told not to.
    """

    Layer: Any = keras.layers.Layer
    uncast = {"autocast": False} if casts else {}

    class Helper(Layer):
        def __init__(self, full_shape, dtype, name):
            super().__init__(dtype=dtype, name=name, **uncast)
            self.supports_masking = True
            self.full_shape = tuple(full_shape)

        def build(self, input_shape):
            self.kept = self.add_weight(
                shape=self.full_shape, initializer="zeros", trainable=self.trains, name="kept"
            )
            self.built = True

        def compute_mask(self, inputs, mask=None):
            return None

        def compute_output_shape(self, input_shape):
            return input_shape

    class Shift(Helper):
        trains = True

        def call(self, inputs):
            return inputs - self.kept  # a sum would be a bias_add to Keras 3: it fails on empty batches

    class Recorder(Helper):
        trains = False

        def call(self, inputs):
            self.saw = inputs.dtype  # at tracing: what comes in, not what was foreseen
            self.kept.assign(inputs)
            return inputs

    return Shift, Recorder


def plain_sgd(keras):
    """Its SGD, of `RATE`. The package Keras 2.6 gives it to those only who ask by name."""
    if hasattr(keras.optimizers, "SGD"):
        return keras.optimizers.SGD(RATE)
    return keras.optimizers.get({"class_name": "SGD", "config": {"learning_rate": RATE}})


def new_numpy(array):
    """A copy; bfloat16, which numpy has not, as float32."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else np.array(array)


class Devices(object):
    """The devices there are, the one asked for (cpu, gpu, cuda:0, auto), and the GPUs left visible."""

    def __init__(self, asked, gpus):
        self.names = ["cpu"] + ["cuda:%d" % each for each in range(gpus)]
        best = "cuda:0" if gpus else "cpu"
        self.asked = {"auto": best, "gpu": "cuda:0", "cuda": "cuda:0"}.get(asked, asked)
        self.visible = [int(self.asked.split(":")[1])] if self.asked in self.names[1:] else []

    def chosen(self):
        """The one that is used; `Unavailable` where it is absent."""
        if self.asked not in self.names:
            raise Unavailable("no device %s here: there is %s" % (self.asked, ", ".join(self.names)))
        return self.asked


class Engine(object):
    """What depends on the backend."""

    def tensor(self, array, dtype):
        """`array` as the backend's tensor of `dtype` (by name), on the device of the target."""
        raise NotImplementedError

    def numpy(self, value):
        """A copy of a tensor or variable as numpy; bfloat16 as float32."""
        raise NotImplementedError

    def assign(self, variable, array):
        """Put `array`, of as many values as it has, into a variable of Keras in place."""
        raise NotImplementedError

    def stepper(self, bench, compiled):
        """A function of (inputs, weights) that makes a step by hand over `bench.trained()` and returns
        (output, {slot: value after the forward} or None, [gradient of each of `bench.trained()`], input
        gradient).

        `compiled`: as one compiled function, fresh for the bench and reused for its further steps.
        """
        raise NotImplementedError

    def batch(self, inputs, targets=None):
        """What fit, evaluate and predict take for one step over the whole batch: (arguments, keywords)."""
        count = max(1, len(inputs))
        return ((inputs,) if targets is None else (inputs, targets)), {"batch_size": count}

    def loss(self, y_true, y_pred):
        """sum(y_true * y_pred) in at least float32."""
        raise NotImplementedError


class KerasBench(Bench):
    """One layer of either Keras; `Keras2Bench` and `Keras3Bench` know where its variables are."""

    executions: Tuple[str, ...] = ("call", "graph")  # beside those of a compiled model

    def __init__(self, adapter, cell, shape, options):
        refuse(cell, self.executions)
        self.keras, self.engine = adapter.keras, adapter.engine
        self.cell, self.name = cell, cell["layer"]
        self.integers = self.name == "embedding"
        self.layer = make_layer(self.keras, adapter.label, cell, shape, options)
        if cell["trainable"] == "false":
            self.layer.trainable = False
        computes_in = self.computes_in()
        self.fed = "int32" if self.integers else computes_in
        self.wide = "float64" if computes_in == "float64" else "float32"
        self.asked = TRAINING[cell["training"]]
        self.execution = cell["execution"]
        self.outer = self.layer
        if self.execution in COMPILED:
            self._compiled_model(shape, adapter)
        elif cell["context"] == "model":
            entry = self.keras.Input(shape=shape[1:], dtype=self.fed)
            self.outer = self.keras.Model(entry, self._attached(entry))
        elif self.name == "multi_head_attention":
            # Its build takes other arguments in other versions; a symbolic call knows them.
            self._attached(self.keras.Input(shape=shape[1:], dtype=self.fed))
        else:
            self.build(shape)
        self._name_variables()
        self._stepper = None

    # What the two generations do differently.

    def build(self, shape):
        """Build the layer for inputs of `shape` without calling it: much quicker than a symbolic call."""
        self.layer.build(shape)

    def variables(self):
        """[(path, variable)] of all state of the layer, random-number state included."""
        raise NotImplementedError

    def mode(self, training):
        """The keywords that put a direct call in `training` mode, in calls that are not examined."""
        return {"training": training}

    def computes_in(self):
        """The name of the dtype that the layer casts its input to."""
        return self.name_of(self.layer.compute_dtype)

    @staticmethod
    def name_of(dtype):
        """The name of a dtype of the framework."""
        return getattr(dtype, "name", None) or str(dtype).split(".")[-1]

    # Construction.

    def _attached(self, tensor):
        """The layer called on `tensor` as a model's author would: no mode given."""
        return self.layer(*self._arguments(tensor))

    def _arguments(self, tensor):
        return (tensor, tensor) if self.name == "multi_head_attention" else (tensor,)

    def _compiled_model(self, shape, adapter):
        entry = self.keras.Input(shape=shape[1:], dtype=self.fed)
        kept = given_inputs.output_shape(self.name, shape)
        shift, recorder = adapter.shift_class, adapter.recorder_class
        if self.integers:
            output = self._attached(entry)
            self.shift = shift(kept, self.name_of(output.dtype), "shift")
            output = self.shift(output)
        else:
            self.shift = shift(shape, self.fed, "shift")
            output = self._attached(self.shift(entry))
        self.recorder = recorder(kept, self.name_of(output.dtype), "recorder")
        self.outer = self.keras.Model(entry, self.recorder(output))
        self.outer.compile(optimizer=plain_sgd(self.keras), loss=self.engine.loss)

    def _name_variables(self):
        self._slots: Dict[str, Any] = {}
        self._own_names: Dict[str, str] = {}
        for path, variable in self.variables():
            slot = slot_of(self.name, path, self._slots)
            self._slots[slot] = variable
            scopes = path.split(":")[0].split("/")
            keep = 2 if self.name == "multi_head_attention" and "seed" not in slot else 1
            self._own_names[slot] = "/".join(scopes[-keep:])
        self._slot_of = {id(variable): slot for slot, variable in self._slots.items()}

    # State.

    def slots(self):
        return {
            slot: {
                "name": self._own_names[slot],
                "dtype": self.name_of(variable.dtype),
                "trainable": getattr(variable, "trainable", None),  # TensorFlow 1.4 has no flag to ask
            }
            for slot, variable in self._slots.items()
        }

    def state(self):
        """{slot: variable}."""
        return self._slots

    def read(self):
        return {
            slot: self._neutral(slot, self.engine.numpy(variable)) for slot, variable in self._slots.items()
        }

    def _neutral(self, slot, array):
        # Kernels of size 1: (1, ..., in, out) -> (in, out).
        return array.reshape(array.shape[-2:]) if self.name == "conv" and slot == "kernel" else array

    def write(self, values):
        for slot, array in values.items():
            self.engine.assign(self._slots[slot], array)

    # Running.

    def trained(self):
        """The trainable list of the outermost object."""
        return list(self.outer.trainable_variables)

    def forward(self, tensor):
        """The output of the outermost object, as the cell asks for it."""
        if self.outer is self.layer:
            return self.layer(*self._arguments(tensor), **self.asked)
        return self.outer(tensor, **self.asked)

    def step(self, inputs, weights):
        if self.execution in COMPILED:
            return self._compiled_step(inputs, weights)
        if self._stepper is None:
            self._stepper = self.engine.stepper(self, self.execution == "graph")
        output, forward, gradients, input_gradient = self._stepper(
            self.engine.tensor(inputs, self.fed), self.engine.tensor(weights, self.wide)
        )
        numpy = self.engine.numpy
        named = {
            self._slot_of.get(id(variable)): gradient for variable, gradient in zip(self.trained(), gradients)
        }
        return Pass(
            numpy(output),
            self.name_of(output.dtype),
            forward=forward and {slot: self._neutral(slot, numpy(value)) for slot, value in forward.items()},
            input_gradient=None if input_gradient is None else numpy(input_gradient),
            gradients={
                slot: self._neutral(slot, numpy(value))
                for slot, value in named.items()
                if slot and value is not None
            },
        )

    def _compiled_step(self, inputs, weights):
        engine, model = self.engine, self.outer
        fed = np.asarray(inputs, dtype="int32" if self.integers else self.wide)
        targets = np.asarray(weights, dtype=self.wide)
        self._clear()
        if self.execution == "predict":
            arguments, keywords = engine.batch(fed)
            made = model.predict(*arguments, verbose=0, **keywords)
            return Pass(engine.numpy(made), self.name_of(self.recorder.saw), has_gradient=False)
        if self.execution == "train_on_batch":
            if hasattr(model, "reset_metrics"):  # else they are not kept from one batch to the next
                model.reset_metrics()
            model.train_on_batch(fed, targets)
        else:
            arguments, keywords = engine.batch(fed, targets)
            if self.execution == "fit":
                keywords = dict(keywords, epochs=1, shuffle=False)
            getattr(model, self.execution)(*arguments, verbose=0, **keywords)
        trains = self.execution != "evaluate"
        input_gradient = None
        if trains and not self.integers:
            input_gradient = engine.numpy(self.shift.kept)[: len(inputs)] / RATE
        output = engine.numpy(self.recorder.kept)
        self._clear()
        return Pass(
            output,
            self.name_of(self.recorder.saw),
            input_gradient=input_gradient,
            has_gradient=trains,
        )

    def _clear(self):
        for helper in (self.shift, self.recorder):
            self.engine.assign(helper.kept, np.zeros(helper.full_shape))

    def infer(self, inputs):
        return self.engine.numpy(self._direct(inputs, False))

    def train_once(self, inputs):
        self._direct(inputs, True)

    def _direct(self, inputs, training):
        return self.layer(*self._arguments(self.engine.tensor(inputs, self.fed)), **self.mode(training))

    # What there is to tell.

    def counts(self):
        return {
            "trainable_weights": len(self.layer.trainable_weights),
            "non_trainable_weights": len(self.layer.non_trainable_weights),
            "regularisation_losses": len(self.layer.losses),
        }

    def weight_order(self):
        return [
            "layer/" + self._slot_of[id(each)] for each in self.outer.weights if id(each) in self._slot_of
        ]

    def flags(self):
        trainable = {"layer": bool(self.layer.trainable)}
        if self.outer is not self.layer:
            trainable["model"] = bool(self.outer.trainable)
        return {"mode": {}, "trainable": trainable}

    def close(self):
        # No clear_session: it frees nothing here (a compiled model leaves some 0.7 MB behind in Keras 3,
        # 1.8 in Keras 2, with it as without; a direct call none), and in Keras 3 it doubles a cell's time.
        self._stepper = self.outer = self.layer = None

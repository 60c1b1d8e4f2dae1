"""What Keras 2 and Keras 3 share: the bench. Their layers are told in keras_layers, what lies around a layer
in keras_paths, when it is frozen in keras_freezing, and how a step is made in keras_steps.

No framework is imported here. `keras` is the module of the adapter (`keras`, `tf_keras`,
`tf.keras`); an `Engine` does by hand what depends on the backend: tensors and the gradient step.

How a compiled step is seen into. fit, train_on_batch, evaluate and predict run a model

    Input -> Shift -> the path to the layer -> Recorder

The Shift subtracts a weight of zeros, of the shape of the whole batch, that is always trained: SGD
moves it by its rate times the gradient of the loss to the input. It is also the head that keeps
training when all else is frozen. The Recorder keeps the layer's output in a weight of its own. An embedding
takes integers, so its Shift comes after it and there is no input gradient. With any optimizer but SGD the
input gradient cannot be seen.
"""

from typing import Any, Dict, List, Tuple

import numpy as np

from .. import inputs as given_inputs
from ..own import made
from . import GUEST, Bench, Pass, Unavailable, keras_steps
from .keras_freezing import Freezing
from .keras_layers import COMPILED, check_rank, make_layer, policy, slot_of
from .keras_paths import CONTEXTS, Path, mask_class, takes

TRAINING: Dict[str, Any] = {"true": {"training": True}, "false": {"training": False}, "default": {}}


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
            return inputs * 1  # another tensor: a mask hangs at the old one, and the loss would see it

    return Shift, Recorder


def new_numpy(array):
    """A copy; bfloat16, which numpy has not, as float32."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else np.array(array)


class Devices(object):
    """The devices there are, the one asked for (cpu, gpu, cuda:0, auto), and the GPUs left visible."""

    def __init__(self, asked, gpus):
        self.names = ["cpu"] + ["cuda:%d" % each for each in range(gpus)]
        best = "cuda:0" if gpus else "cpu"
        self.asked = {GUEST: "cpu", "auto": best, "gpu": "cuda:0", "cuda": "cuda:0"}.get(asked, asked)
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
        """A function of (inputs, weights) that makes a step by hand over `bench.trained()`, with
        `bench.optimizer` where there is one, and returns (output, {slot: value after the forward} or None,
        [gradient of each of `bench.stepped`], input gradient). `bench.stepped` tells what it goes over.

        `compiled`: as one compiled function, fresh for the bench and reused for its further steps: what it
        went over when it was traced, it goes over again.
        """
        raise NotImplementedError

    def optimizer_made(self, bench):
        """Whatever a user does with a new `bench.optimizer` before the first step."""

    def recompute(self, keras):
        """What makes of a function one that is computed again in the backward pass, or None."""
        return getattr(keras, "remat", None)

    def exported(self, bench):
        """`bench.outer`, saved for serving and loaded (see `keras_export`)."""
        raise Unavailable("this target has no execution exported")

    def batch(self, inputs, targets=None):
        """What fit, evaluate and predict take for one step over the whole batch: (arguments, keywords)."""
        count = max(1, len(inputs))
        return ((inputs,) if targets is None else (inputs, targets)), {"batch_size": count}

    def loss(self, y_true, y_pred):
        """sum(y_true * y_pred) in at least float32."""
        raise NotImplementedError


class KerasBench(Bench):
    """One layer of either Keras; `Keras2Bench` and `Keras3Bench` know where its variables are.

    layer:  the one examined     path: what lies around it     outer: the outermost object
    fed:    the name of the dtype that is fed; wide: that of the loss
    shape:  of the whole batch, as the layer has it (channels first where the cell says so)
    """

    executions: Tuple[str, ...] = ("call", "graph")  # beside those of a compiled model

    def __init__(self, adapter, cell, shape, options):
        refuse(cell, self.executions)
        self.adapter, self.keras, self.engine = adapter, adapter.keras, adapter.engine
        self.cell, self.name, self.execution = cell, cell["layer"], cell["execution"]
        self.integers = self.name == "embedding"
        self.channels_first = cell["data_format"] == "channels_first"
        self.shape = self._first(shape)
        self._output_shape = self._first(given_inputs.output_shape(self.name, shape))
        self.mask: Any = None if cell["mask"] == "none" else given_inputs.mask(shape, cell["mask"])
        self.freezing = Freezing(cell)
        self.path: Any = Path(
            self.keras,
            cell,
            lambda: self.new_layer(options),
            self.shape,
            None,
            recompute=self.engine.recompute(self.keras),
            of_parent=self.freezing.of_parent(),
            is_own=adapter.own is not None,
            **self.path_options(),
        )
        self.freezing.layer_made(self.path)
        computes_in = self.computes_in()
        self.fed = self.path.fed = "int32" if self.integers else computes_in
        self.wide = "float64" if computes_in == "float64" else "float32"
        self.asked = self._asked()
        self.optimizer: Any = None
        self.stepped: Any = []  # the variables that the last step by hand went over
        self._stepper = self.exported = None
        self._place(computes_in)
        self.freezing.built(self.path)
        self._prepare()
        self.freezing.compiled(self.path)
        self._name_variables()
        self.exported = self.engine.exported(self) if self.execution == "exported" else None

    # What the two generations, and Keras in graphs, do differently.

    def path_options(self):
        """Keywords for the `Path`."""
        return {"settings": {"autocast": False}}

    def new_layer(self, options):
        """A new layer as the cell asks for it."""
        keras, cell, given, label = self.keras, self.cell, self.freezing.of_layer(), self.adapter.label
        own = self.adapter.own
        if own is None:
            return make_layer(keras, label, cell, self.shape, options, given)
        if cell["dtype"] != "float32":
            given["dtype"] = policy(keras, cell["dtype"])
        return made(own, cell, self.shape, options, keras.layers.Layer, label, "data_format", **given)

    def new_optimizer(self, named):
        """A new optimizer of the axis value `named`."""
        return keras_steps.make_optimizer(self.keras, named, self.adapter.label)

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

    @property
    def layer(self):
        """The layer examined."""
        return self.path.layer

    def _first(self, shape):
        """`shape` with its channels where the layer has them."""
        moves = self.channels_first and len(shape) > 2
        return (shape[0], shape[-1], *shape[1:-1]) if moves else tuple(shape)

    def _given(self, array):
        """An array of the bench's contract, as the layer has it."""
        return np.moveaxis(array, -1, 1) if self.channels_first and np.ndim(array) > 2 else array

    def _shown(self, array):
        """What the layer has, as the bench's contract has it."""
        return np.moveaxis(array, 1, -1) if self.channels_first and np.ndim(array) > 2 else array

    def _asked(self):
        """The mode of an examined call, in the type that the cell says."""
        asked = TRAINING[self.cell["training"]]
        given: Any = {
            "bool": bool,
            "int": int,
            "numpy_bool": np.bool_,
            "tensor": lambda value: self.engine.tensor(np.asarray(value), "bool"),
        }[self.cell["training_as"]]
        return {name: given(value) for name, value in asked.items()}

    def _place(self, computes_in):
        """Build the layer, and what lies around it up to `self.outer`."""
        if self.cell["context"] == "direct":
            if self.mask is not None and not self._takes_mask():
                raise Unavailable("a call of %s takes no mask" % type(self.layer).__name__)
            self.outer = self.layer
            if self.name == "multi_head_attention" or self.adapter.own is not None:
                # Its build takes other arguments in other versions, and that of a user's layer may leave
                # what it holds for the first call; a symbolic call knows.
                self._attached(self.path.entry())
            else:
                self.build(self.shape)
            return
        self.path.enclose(lambda: self.freezing.enclosed(self.path))
        before: List[Any] = []
        after: List[Any] = []
        if self.execution in COMPILED:
            shift_shape = self._output_shape if self.integers else self.shape
            self.shift = self.adapter.shift_class(shift_shape, computes_in, "shift")
            self.recorder = self.adapter.recorder_class(self._output_shape, computes_in, "recorder")
            before, after = ([], [self.shift]) if self.integers else ([self.shift], [])
            after.append(self.recorder)
        if self.mask is not None:
            masked = mask_class(self.keras)
            before.append(masked(self._mask, name="masked", **self.path.settings))
        self.outer = self.path.outermost(before, after)

    def _attached(self, tensor):
        """The layer called on `tensor` as a model's author would: no mode given."""
        return self.layer(*self.path.inputs_of(self.layer, tensor))

    def _prepare(self):
        """Compile the model, or make the optimizer."""
        named, label = self.cell["optimizer"], self.adapter.label
        if self.execution in COMPILED:
            self.outer.compile(
                optimizer=self.new_optimizer(named),
                loss=self.engine.loss,
                **keras_steps.compile_options(self.outer, self.execution, label),
            )
        elif named != "none":
            self.optimizer = self.new_optimizer(named)
            self.engine.optimizer_made(self)

    def turn(self):
        self.freezing.turned(self.path)
        if self.cell["freeze"] == "recompiled":
            self._stepper = None  # a function of the old optimizer
            self._prepare()

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
        """{slot: variable} of what is examined: of what was loaded, where that was exported."""
        return dict(self._slots, **self.exported.state) if self.exported else self._slots

    def read(self):
        return {slot: self._neutral(slot, array) for slot, array in self.stored().items()}

    def stored(self):
        return {slot: self.engine.numpy(variable) for slot, variable in self.state().items()}

    def _neutral(self, slot, array):
        # Kernels of size 1: (1, ..., in, out) -> (in, out).
        return array.reshape(array.shape[-2:]) if self.name == "conv" and slot == "kernel" else array

    def write(self, values):
        state = self.state()
        for slot, array in values.items():
            self.engine.assign(state[slot], array)

    # Running.

    def trained(self):
        """The trainable list of the outermost object."""
        return list(self.outer.trainable_variables)

    def forward(self, tensor):
        """The output of the outermost object, as the cell asks for it."""
        if self.outer is self.layer:
            return self._called(tensor, **self.asked)
        return self.outer(tensor, **self.asked)

    def _called(self, tensor, **keywords):
        """The layer's output, called with the cell's mask."""
        if self.mask is not None:
            keywords = dict(keywords, **self._mask_argument())
        return self.layer(*self.path.inputs_of(self.layer, tensor), **keywords)

    def _mask(self):
        return self.engine.tensor(self.mask, "bool")

    def _takes_mask(self):
        return self.name == "multi_head_attention" or takes(self.layer, "mask")

    def _mask_argument(self):
        if self.name == "multi_head_attention":
            # One row for each query: which values count.
            return {"attention_mask": self.engine.tensor(self.mask[:, None, :], "bool")}
        return {"mask": self._mask()} if self._takes_mask() else {}

    def step(self, inputs, weights):
        inputs, weights = self._given(inputs), self._given(weights)
        if self.execution in COMPILED:
            return self._compiled_step(inputs, weights)
        if self.exported:
            output = self.exported.call(self.engine.tensor(inputs, self.fed))
            return Pass(
                self._shown(self.engine.numpy(output)), self.name_of(output.dtype), has_gradient=False
            )
        if self._stepper is None:
            self._stepper = self.engine.stepper(self, self.execution != "call")
        output, forward, gradients, input_gradient = self._stepper(
            self.engine.tensor(inputs, self.fed), self.engine.tensor(weights, self.wide)
        )
        numpy = self.engine.numpy
        named = {
            self._slot_of.get(id(variable)): gradient for variable, gradient in zip(self.stepped, gradients)
        }
        return Pass(
            self._shown(numpy(output)),
            self.name_of(output.dtype),
            forward=forward and {slot: self._neutral(slot, numpy(value)) for slot, value in forward.items()},
            input_gradient=None if input_gradient is None else self._shown(numpy(input_gradient)),
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
        made = keras_steps.run_compiled(model, self.execution, engine, fed, targets)
        output = engine.numpy(self.recorder.kept if made is None else made)
        input_gradient, has_gradient = self._seen_gradient(len(inputs))
        self._clear()
        return Pass(
            self._shown(output),
            self.name_of(self.recorder.saw),
            input_gradient=input_gradient,
            has_gradient=has_gradient,
        )

    def _seen_gradient(self, count):
        """(the input gradient that the Shift shows, whether there was any to be seen)."""
        rate = keras_steps.shown_rate(self.execution, self.cell["optimizer"])
        if rate is None:
            return None, False
        if self.integers:
            return None, True
        shifted = self.engine.numpy(self.shift.kept)[:count]
        moves = any(each is self.shift.kept for each in self.trained())  # not where the whole model is frozen
        return (self._shown(shifted) / rate, True) if moves or shifted.any() else (None, False)

    def _clear(self):
        for helper in (self.shift, self.recorder):
            self.engine.assign(helper.kept, np.zeros(helper.full_shape))

    def infer(self, inputs):
        return self._shown(self.engine.numpy(self._direct(self._given(inputs), False)))

    def train_once(self, inputs):
        self._direct(self._given(inputs), True)

    def _direct(self, inputs, training):
        """A direct call of the layer; where it was exported, with the state of what was loaded."""
        loaded = self.exported.state if self.exported else {}
        for slot, variable in loaded.items():
            self.engine.assign(self._slots[slot], self.engine.numpy(variable))
        output = self._called(self.engine.tensor(inputs, self.fed), **self.mode(training))
        for slot, variable in loaded.items():
            self.engine.assign(variable, self.engine.numpy(self._slots[slot]))
        return output

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
        objects = dict({"layer": self.layer}, **self.path.holders)
        return {"mode": {}, "trainable": {name: bool(each.trainable) for name, each in objects.items()}}

    def close(self):
        # No clear_session: it frees nothing here (a compiled model leaves some 0.7 MB behind in Keras 3,
        # 1.8 in Keras 2, with it as without; a direct call none), and in Keras 3 it doubles a cell's time.
        self._stepper = self.outer = self.path = self.optimizer = self.stepped = self.exported = None


def refuse(cell, executions):
    """Raise `Unavailable` for the values of axes that no Keras has; of executions there are `executions` and
    those of a compiled model."""
    execution, context = cell["execution"], cell["context"]
    if cell.get("api", "default") != "default":
        raise Unavailable("this target has no api %s" % cell["api"])
    if execution not in (*executions, *COMPILED):
        raise Unavailable("this target has no execution %s" % execution)
    if context not in CONTEXTS:
        raise Unavailable("this target has no context %s" % context)
    if execution in COMPILED and cell["training"] != "default":
        raise Unavailable("only training=default exists under %s" % execution)
    if execution in COMPILED and context == "direct":
        raise Unavailable("%s needs a model" % execution)
    if execution in COMPILED and context == "stateless":
        raise Unavailable("under %s Keras calls the model itself" % execution)
    check_rank(cell)

"""The benches of TensorFlow 1: a graph and a session with one layer. Importing this sets TensorFlow up.

The layer is applied up to three times in one graph, always with the same variables: as the cell
says, in inference mode, and in training mode. The updates of each application are told apart by
collecting them right after it.
"""

import collections
import contextlib
import importlib.util
import inspect
import os
from typing import Any, Dict

# The layers of TensorFlow 2.15 are in it, and in tf_keras if so told; those of 2.16 are in tf_keras alone.
if importlib.util.find_spec("tf_keras") is None:
    os.environ.pop("TF_USE_LEGACY_KERAS", None)
else:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tensorflow  # for tensorflow1 too, which is not to import it before the above

from .. import inputs as sizes
from ..experiment import RATE
from . import Bench, Pass, Unavailable
from . import keras_common as common
from . import keras_layers as table
from .keras2 import dense

tf = getattr(getattr(tensorflow, "compat", None), "v1", tensorflow)

TRAINS = ("fit", "train_on_batch")  # of the compiled executions


class GraphBench(Bench):
    """A graph and a session with one layer; what all executions share."""

    def __init__(self, cell, shape, maker, seed, device):
        self.cell, self.shape, self.maker = cell, shape, maker
        self.graph = tf.Graph()
        self.placement = "/CPU:0" if device == "cpu" else "/GPU:" + device.split(":")[1]
        config = tf.ConfigProto(
            intra_op_parallelism_threads=1,
            inter_op_parallelism_threads=1,
            allow_soft_placement=True,
            device_count={"GPU": 0} if device == "cpu" else {},
        )
        config.gpu_options.allow_growth = True
        self.session = tf.Session(graph=self.graph, config=config)
        self.applied = {}  # mode: (output, updates) of the applications beside the cell's own
        try:
            with self.inside():
                if seed is not None:
                    tf.set_random_seed(seed)
                self.layer = maker.layer()
                self.outermost = self.layer
                self.x = tf.placeholder(maker.fed, shape)
                self.build()
                self.variables = self.named()
                self.losses = self.regularisation()
                self.initialise()
        except BaseException:
            self.close()
            raise

    def build(self):
        """Apply the layer as the cell says, and make all that its step needs."""
        raise NotImplementedError

    @contextlib.contextmanager
    def inside(self):
        """Work in this bench's graph, session and device."""
        with self.graph.as_default(), self.session.as_default(), tf.device(self.placement):
            yield

    def apply(self, outer, x, training):
        """The output of `outer` for `x`, with `training` as in a cell, and the updates that came with it."""
        before = set(map(id, self.updates(outer)))
        output = outer(*self.arguments(outer, x), **common.TRAINING[training])
        return output, [each for each in self.updates(outer) if id(each) not in before]

    def arguments(self, outer, x):
        """Attention takes query and value."""
        return (x, x) if outer is self.layer and self.cell["layer"] == "multi_head_attention" else (x,)

    def updates(self, outer):
        """Keras leaves its updates with the layer, all others put them into the graph's collection."""
        if self.cell["api"] != "keras":
            return self.graph.get_collection(tf.GraphKeys.UPDATE_OPS)
        return outer.updates

    def named(self):
        """{slot: variable}, in the order of the layer's weights."""
        found: Dict[str, Any] = collections.OrderedDict()
        for variable in self.layer.weights:
            found[table.slot_of(self.cell["layer"], variable.name, found)] = variable
        return found

    def slots_by_name(self):
        """{name of the variable: slot}. By name: what mixed precision wraps, collections hold bare."""
        return {variable.name: slot for slot, variable in self.variables.items()}

    def regularisation(self):
        """How many losses the layer adds, where a user of the api looks for them."""
        if self.cell["api"] != "keras":
            return len(self.graph.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
        return len(self.layer.losses)

    def initialise(self):
        """Give every variable a value; Keras must not do so again later."""
        self.session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            variable._keras_initialized = True

    def slots(self):
        return {
            slot: {
                "name": own_name(variable.name),
                "dtype": variable.dtype.base_dtype.name,
                "trainable": getattr(variable, "trainable", None),
            }
            for slot, variable in self.variables.items()
        }

    def read(self):
        if not self.variables:
            return {}
        values = self.session.run(dict(self.variables))
        return {slot: self.neutral(slot, values[slot]) for slot in self.variables}

    def write(self, values):
        operations, feeds = [], {}
        for slot, value in values.items():
            initializer = self.variables[slot].initializer
            operations.append(initializer)
            # Feeding an initializer adds nothing to the graph; this is what `Variable.load` does.
            feeds[initializer.inputs[1]] = np.reshape(value, self.variables[slot].shape.as_list())
        if operations:
            self.session.run(operations, feeds)

    def neutral(self, slot, value):
        """`value` of a slot or of its gradient as a copy in the neutral layout."""
        value = common.new_numpy(value)
        if slot == "kernel" and self.cell["layer"] == "conv":
            return value.reshape(value.shape[-2:])
        return value

    def infer(self, inputs):
        return self.directly("false", inputs)

    def train_once(self, inputs):
        self.directly("true", inputs)

    def directly(self, training, inputs):
        """The layer alone, applied once more in this mode, with its updates and without a gradient step."""
        if training not in self.applied:
            with self.inside():
                # Layers without a mode refuse the argument; here it is not the cell that passes it.
                has_mode = {"training", "is_training"} & set(inspect.signature(self.layer.call).parameters)
                output, updates = self.apply(self.layer, self.x, training if has_mode else "default")
                run_after(updates, output.op)
                self.applied[training] = output, tf.group(*updates)
        output, updates = self.applied[training]
        return common.new_numpy(self.session.run([output, updates], {self.x: inputs})[0])

    def counts(self):
        return {
            "trainable_weights": len(self.layer.trainable_weights),
            "non_trainable_weights": len(self.layer.non_trainable_weights),
            "regularisation_losses": self.losses,
        }

    def weight_order(self):
        slots = self.slots_by_name()
        return [
            "layer/" + slots[variable.name] for variable in self.outermost.weights if variable.name in slots
        ]

    def flags(self):
        objects = {"layer": self.layer}
        if self.outermost is not self.layer:
            objects["model"] = self.outermost
        # A function of tf.contrib keeps no flag.
        flags = {name: each.trainable for name, each in objects.items() if hasattr(each, "trainable")}
        return {"mode": {}, "trainable": flags}

    def close(self):
        self.session.close()


class CallBench(GraphBench):
    """One session run of output, updates and a gradient step by hand."""

    def build(self):
        cell = self.cell
        if cell["context"] == "model":
            source = tf.keras.layers.Input(batch_shape=self.shape, dtype=self.maker.fed.name)
            self.outermost = tf.keras.models.Model(source, self.layer(*self.arguments(self.layer, source)))
        output, updates = self.apply(self.outermost, self.x, cell["training"])
        if cell["execution"] == "call_without_updates":
            updates = []
        if cell["execution"] == "call_over_collection":
            parameters = self.graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
        else:
            parameters = self.outermost.trainable_weights
        wide = tf.float64 if output.dtype == tf.float64 else tf.float32
        self.weights = tf.placeholder(wide, output.shape)
        loss = tf.reduce_sum(self.weights * tf.cast(output, wide))
        sources = [self.x] if self.maker.fed.is_floating else []
        found = tf.gradients(loss, sources + list(parameters))
        found = [dense(tf, each, source) for each, source in zip(found, sources + list(parameters))]
        self.output = output
        self.input_gradient = found.pop(0) if sources else None
        self.stepped = [(variable, each) for variable, each in zip(parameters, found) if each is not None]

        # One run races unless told otherwise: nothing else makes an update or a step wait for those
        # who still read. So: output and all gradients; then what the updates write; then the step.
        read = tf.group(output, *[each for each in [self.input_gradient, *found] if each is not None])
        run_after(updates, read)
        with tf.control_dependencies([read] + [getattr(each, "op", each) for each in updates]):
            steps = [
                variable.assign_sub(RATE * tf.cast(each, variable.dtype.base_dtype))
                for variable, each in self.stepped
            ]
        self.done = tf.group(*(updates + steps))

    def step(self, inputs, weights):
        fetches = {"output": self.output, "done": self.done, "gradients": [each for _, each in self.stepped]}
        if self.input_gradient is not None:
            fetches["input_gradient"] = self.input_gradient
        made = self.session.run(fetches, {self.x: inputs, self.weights: weights})
        slots = self.slots_by_name()
        return Pass(
            common.new_numpy(made["output"]),
            self.output.dtype.name,
            input_gradient=common.new_numpy(made["input_gradient"]) if "input_gradient" in made else None,
            gradients={
                slots[variable.name]: self.neutral(slots[variable.name], each)
                for (variable, _), each in zip(self.stepped, made["gradients"])
            },
        )


class CompiledBench(GraphBench):
    """A compiled Keras model: Input, Shift, the layer, Recorder (see keras_common)."""

    def build(self):
        kept = sizes.output_shape(self.cell["layer"], self.shape)
        shift, recorder = helper_classes()
        source = tf.keras.layers.Input(batch_shape=(None, *self.shape[1:]), dtype=self.maker.fed.name)
        self.sees_input = self.maker.fed.is_floating
        if self.sees_input:
            self.shift = shift(self.shape, dtype=self.maker.fed.name)
            output = self.layer(*self.arguments(self.layer, self.shift(source)))
        else:  # integers cannot be shifted; behind the layer the Shift is still a head that trains
            output = self.layer(source)
            self.shift = shift(kept, dtype=output.dtype.base_dtype.name)
            output = self.shift(output)
        self.recorder = recorder(kept, dtype=output.dtype.base_dtype.name)
        self.outermost = tf.keras.models.Model(source, self.recorder(output))
        optimizers = tf.keras.optimizers
        # Beside a new SGD that a v1 graph cannot compile, the one that it can is called legacy.
        sgd = getattr(getattr(optimizers, "legacy", optimizers), "SGD", optimizers.SGD)
        self.outermost.compile(sgd(RATE), loss=weighted_sum)

    def step(self, inputs, weights):
        execution, model = self.cell["execution"], self.outermost
        whole = {"batch_size": max(1, len(inputs)), "verbose": 0}
        with self.inside():
            if execution == "fit":
                model.fit(inputs, weights, epochs=1, shuffle=False, **whole)
            elif execution == "train_on_batch":
                model.train_on_batch(inputs, weights)
            elif execution == "evaluate":
                model.evaluate(inputs, weights, **whole)
            elif execution == "predict":
                model.predict(inputs, **whole)
            else:
                raise Unavailable("tf.compat.v1.keras is not examined under %s yet" % execution)
        output, shifted = self.session.run([self.recorder.record, self.shift.shift])
        self.session.run(self.shift.shift.initializer)  # back to zero
        trains = execution in TRAINS
        return Pass(
            common.new_numpy(output),
            self.recorder.record.dtype.base_dtype.name,
            has_gradient=trains,
            input_gradient=common.new_numpy(shifted) / -RATE if trains and self.sees_input else None,
        )


def helper_classes():
    """The helper layers; made late, for Keras must know by then that it works in graphs."""
    Layer: Any = tf.keras.layers.Layer

    class Shift(Layer):
        """Adds a trainable zero to each element: plain SGD leaves -RATE times the input's gradient in it."""

        def __init__(self, shape, **arguments):
            super(Shift, self).__init__(**arguments)
            self._of = shape

        def build(self, _):
            self.shift = self.add_weight(name="shift", shape=self._of, initializer="zeros", trainable=True)
            self.built = True

        def call(self, inputs):
            return inputs + self.shift

    class Recorder(Layer):
        """Keeps what passes. The write is part of the forward: updates do not run in evaluate and predict."""

        def __init__(self, shape, **arguments):
            super(Recorder, self).__init__(**arguments)
            self._of = shape

        def build(self, _):
            self.record = self.add_weight(name="record", shape=self._of, initializer="zeros", trainable=False)
            self.built = True

        def call(self, inputs):
            with tf.control_dependencies([tf.assign(self.record, inputs)]):
                return tf.identity(inputs)

    return Shift, Recorder


def weighted_sum(y_true, y_pred):
    """The experiment's loss, as one scalar: some releases scale what a loss leaves unreduced.

    Its gradient waits for the output, as that of any loss which is not linear does. Keras puts no
    order between its optimizer and the forward, so that otherwise the step races with the reads of
    the forward, and half of the outputs come from variables already updated.
    """
    with tf.control_dependencies([y_pred]):
        y_true = tf.identity(y_true)
    wide = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
    return tf.reduce_sum(tf.cast(y_true, wide) * tf.cast(y_pred, wide))


def run_after(updates, barrier):
    """Make all that `updates` write wait for `barrier`, wherever that makes no cycle.

    An update often hangs behind another (renorm): each write that only the updates need is held
    back. What the barrier itself needs is part of the forward, and the framework's own business.
    """
    needed = ancestors([barrier])
    for operation in ancestors([getattr(each, "op", each) for each in updates]) - needed:
        if "Assign" in operation.type or "Scatter" in operation.type:
            operation._add_control_inputs([barrier])  # there is no public way once an operation exists


def ancestors(operations):
    """`operations` and all they depend on."""
    found, left = set(), list(operations)
    while left:
        operation = left.pop()
        if operation not in found:
            found.add(operation)
            left.extend(each.op for each in operation.inputs)
            left.extend(operation.control_inputs)
    return found


def own_name(name):
    """The framework's own name of a variable, without the scopes that depend on the program around it."""
    parts = name.split(":")[0].split("/")
    return "/".join(parts[1:]) if len(parts) > 1 else parts[0]

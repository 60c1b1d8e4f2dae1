"""Keras 2 where it makes graphs: the package `keras` up to 2.3, and the Keras of TensorFlow 1 (`tf.keras`).

Its own backend API is the same on sessions and on TensorFlow 2, where it runs functions that it lifts from
its graph: `keras.backend.function`, of one run's output, gradients and updates.
"""

import importlib.util
import inspect
import re
from typing import Any

import numpy as np

from ..experiment import RATE
from . import Unavailable
from .keras_common import Engine, KerasBench, helpers, new_numpy
from .keras_paths import holding_layer
from .tensorflow1_graphs import (
    executes_eagerly,
    mode_tensor,
    new_session,
    run_after,
    tensorflow,
    tf,
    weighted_sum,
)

CALLS = ("call", "call_without_updates", "call_over_collection")


class KerasInGraphs(object):
    """A Keras that makes graphs, and what its benches share."""

    own = None  # see `Adapter.own`

    def __init__(self, keras, label, devices):
        self.keras, self.label, self.devices = keras, label, devices
        self.in_sessions = not executes_eagerly()
        self.engine = GraphEngine(keras.backend)
        self.shift_class, self.recorder_class = graph_helpers(keras)
        self.bench_class = GraphBench
        self.wrapper_base = holding_base(keras)

    def bench(self, cell, shape, options, seed):
        """The bench of a cell, in a new graph."""
        execution = cell["execution"]
        if execution in ("graph", "compiled", "exported"):
            raise Unavailable(
                "a call of %s is part of a graph already: it has no execution %s" % (self.label, execution)
            )
        if execution == "call_over_collection" and not self.in_sessions:
            raise Unavailable("TensorFlow 2 collects no trainable variables")
        made = inspect.signature(self.keras.models.Model.__init__).parameters
        if cell["outer"] == "subclassed" and "inputs" in made:
            raise Unavailable("%s has no subclassed models" % self.label)
        if cell["context"] == "reloaded" and importlib.util.find_spec("h5py") is None:
            raise Unavailable("h5py is not installed, with which %s saves models" % self.label)
        knows_formats = "save_format" in inspect.signature(self.keras.models.Model.save).parameters
        if cell["saved_as"] == "saved_model" and not knows_formats:
            raise Unavailable("%s saves models as HDF5 only" % self.label)
        self._start_anew(seed)
        return self.bench_class(self, cell, shape, options)

    def _start_anew(self, seed):
        """Leave the graph of the last bench, and with it what its operations took from its seed."""
        if not self.in_sessions:
            tensorflow.random.set_seed(seed)  # first: the graph takes it over when it is made
        self.keras.backend.clear_session()
        if self.in_sessions:
            tf.set_random_seed(seed)
            self.keras.backend.set_session(new_session(self.devices.visible))


def graph_helpers(keras):
    """The Shift and Recorder of `keras_common`, for a Keras that makes graphs.

    What is trained is of its floatx: its optimizers know nothing else.
    """
    plain = helpers(keras, casts=False)
    Shift: Any = plain[0]
    Recorder: Any = plain[1]

    class GraphShift(Shift):
        def __init__(self, full_shape, dtype, name):
            # The optimizer of Keras 2.2 does not take a weight without elements.
            super().__init__((max(1, full_shape[0]), *full_shape[1:]), keras.backend.floatx(), name)

        def call(self, inputs):
            return inputs - tf.cast(self.kept, inputs.dtype)

    class GraphRecorder(Recorder):
        def call(self, inputs):
            # The write is part of the forward: updates do not run in evaluate and predict. Cast, for up to
            # 2.2 no weight is of another dtype than floatx.
            self.saw = inputs.dtype
            with tf.control_dependencies([tf.assign(self.kept, tf.cast(inputs, self.kept.dtype.base_dtype))]):
                return tf.identity(inputs)

    return GraphShift, GraphRecorder


class GraphEngine(Engine):
    """Arrays that are fed, and steps that are one run of a graph."""

    loss = staticmethod(weighted_sum)

    def __init__(self, backend):
        self.backend = backend
        # On TensorFlow 2 this Keras keeps a graph of its own, which is entered by this.
        self.symbolic = getattr(backend, "symbolic", lambda function: function)

    def tensor(self, array, dtype):
        return np.asarray(array, dtype=tf.as_dtype(dtype).as_numpy_dtype)

    def numpy(self, value):
        return new_numpy(value if isinstance(value, np.ndarray) else self.backend.get_value(value))

    def assign(self, variable, array):
        self.backend.set_value(variable, np.reshape(array, self.backend.int_shape(variable)))

    def optimizer_made(self, bench):
        bench.make_step()

    def stepper(self, bench, compiled):
        function, moved, at_input = self.symbolic(self._step)(bench)
        count = len(bench.stepped)

        def run(inputs, weights):
            made = function([inputs, weights])
            gradients = dict(zip(moved, made[1 + at_input :]))
            return (
                made[0],
                None,
                [gradients.get(position) for position in range(count)],
                made[1] if at_input else None,
            )

        return run

    def _step(self, bench):
        """(a function of inputs and weights, which parameters have a gradient, whether the input has one)."""
        K = self.backend
        x, output, updates = bench.applied(bench.outer, bench.forward)
        if bench.execution == "call_without_updates":
            updates = []
        weights = K.placeholder(shape=K.int_shape(output), dtype=bench.wide)
        loss = tf.reduce_sum(weights * tf.cast(output, bench.wide))
        parameters = bench.stepped = bench.trained()
        found = K.gradients(loss, [x] * (not bench.integers) + parameters)
        found = [each if each is None else tf.convert_to_tensor(each) for each in found]
        input_gradient = None if bench.integers else found.pop(0)
        moved = [position for position, each in enumerate(found) if each is not None]

        # One run races unless told otherwise: nothing else makes an update or a step wait for those who
        # still read. So: output and all gradients; then what the updates write; then the step.
        outputs = [output, *[each for each in [input_gradient, *found] if each is not None]]
        outputs = [tf.identity(each) for each in outputs]  # what is fed cannot be fetched
        read = tf.group(*outputs)
        run_after(updates, read)
        at_input = int(input_gradient is not None)
        step = self._by_hand if bench.optimizer is None else self._optimized
        barrier = tf.group(read, *[getattr(each, "op", each) for each in updates])
        steps = step(bench, [parameters[each] for each in moved], outputs[1 + at_input :], loss, barrier)
        function = K.function([x, weights], outputs, updates=[*updates, *steps])
        return function, moved, at_input

    def _by_hand(self, bench, parameters, gradients, loss, barrier):
        with tf.control_dependencies([barrier]):
            return [
                self.backend.update_sub(parameter, RATE * tf.cast(gradient, parameter.dtype.base_dtype))
                for parameter, gradient in zip(parameters, gradients)
            ]

    def _optimized(self, bench, parameters, gradients, loss, barrier):
        if not parameters:
            return []
        # It would take the gradients once more, from variables that the step is about to move.
        bench.optimizer.get_gradients = lambda *_: list(gradients)
        steps = bench.optimizer.get_updates(loss=loss, params=parameters)
        # Not made under the barrier: the first values of its slots would wait for it too.
        run_after(steps, barrier)
        return steps

    def forward_only(self, bench, call):
        """A function of the inputs: the output of `call`, a call of the layer, then the updates with it."""
        x, output, updates = bench.applied(bench.layer, call)
        output = tf.identity(output)
        run_after(updates, output.op)
        return self.backend.function([x], [output], updates=updates)


class GraphBench(KerasBench):
    """One layer, applied anew for each way to run it, always with the same variables."""

    executions = CALLS

    def __init__(self, adapter, cell, shape, options):
        self._made = {}
        super().__init__(adapter, cell, shape, options)

    def path_options(self):
        return {"base": self.adapter.wrapper_base, "begin": self._begin_subclassed}

    def _begin_subclassed(self, model):
        model.compute_output_shape = lambda _: self._output_shape  # this Keras leaves it to the subclass
        # It makes its weights when it is fed; after a call it would have no inputs to be compiled with.
        model.predict(np.zeros(self.shape), batch_size=max(1, self.shape[0]))

    def build(self, shape):
        # By a call: `build` alone would make its variables outside of the layer's scope.
        self._attached(self.keras.layers.Input(batch_shape=shape, dtype=self.fed))

    def computes_in(self):
        dtype = self.cell["dtype"]
        return dtype[len("mixed_") :] if dtype.startswith("mixed_") else dtype

    @staticmethod
    def name_of(dtype):
        return getattr(dtype, "base_dtype", dtype).name

    def variables(self):
        # The second of a name in a graph, which is that of a reloaded model, has a number: gamma_1.
        number = r"_\d+(?=:|$)" if self.cell["context"] == "reloaded" else "$^"
        return [(re.sub(number, "", variable.name), variable) for variable in self.layer.weights]

    def mode(self, training):
        # Refused where the layer has no mode.
        return {"training": training} if "training" in inspect.signature(self.layer.call).parameters else {}

    def _asked(self):
        if self.cell["training_as"] != "tensor" or self.cell["training"] == "default":
            return super()._asked()
        return {"training": self.engine.symbolic(mode_tensor)(self.cell["training"] == "true")}

    def _mask(self):
        return tf.constant(self.mask)

    def trained(self):
        if self.execution != "call_over_collection":
            return list(self.outer.trainable_weights)
        # What mixed precision wraps lies there bare.
        known = {variable.name: variable for variable in self.layer.weights}
        return [known.get(each.name, each) for each in tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)]

    def make_step(self):
        """Make the operations of the step, as a user does before the first."""
        self._stepper = self.engine.stepper(self, True)

    def applied(self, called, call):
        """(a new placeholder, the output of `call` for it, the updates that the object `called` has)."""
        x = self.keras.backend.placeholder(shape=self.shape, dtype=self.fed)
        old = set(map(id, called.updates))
        output = call(x)
        # A subclassed model knows those of its layers, but not of which input they are.
        found = [each for each in called.updates if id(each) not in old]
        found += [*called.get_updates_for(x), *called.get_updates_for(None)]
        return x, output, list({id(each): each for each in found}.values())

    def stored(self):
        values = self.keras.backend.batch_get_value(list(self._slots.values()))
        return {slot: new_numpy(value) for slot, value in zip(self._slots, values)}

    def _direct(self, inputs, training):
        if training not in self._made:
            self._made[training] = self.engine.symbolic(self.engine.forward_only)(
                self, lambda x: self._called(x, **self.mode(training))
            )
        return self._made[training]([self.engine.tensor(inputs, self.fed)])[0]


def holding_base(keras):
    """The base of wrappers: a Layer, or a Wrapper where this Keras looks into no other layer."""
    Base: Any = holding_layer(keras) if holds_layers(keras) else keras.layers.Wrapper

    class Holding(Base):
        def __init__(self, layer, **arguments):
            super().__init__(layer, **arguments)
            self.supports_masking = True

        def compute_output_shape(self, input_shape):
            return self.layer.compute_output_shape(input_shape)  # the package takes its input's otherwise

    return Holding


def holds_layers(keras):
    """Whether a layer of this Keras knows the weights of a layer that it keeps in an attribute."""
    inner = keras.layers.Dense(1)
    outer = holding_layer(keras)(inner)
    inner.build((None, 1))
    return len(outer.weights) > 0

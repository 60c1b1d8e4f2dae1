"""`keras` while it was Keras 2, a package beside TensorFlow.

Up to 2.3 it builds a graph and runs it, on TensorFlow 1 in a session and on TensorFlow 2 in functions that it
lifts from that graph. Its own backend API is the same on both: `keras.backend.function`, of one run's output,
gradients and updates. From 2.4 on its layers work eagerly, and `keras2` knows how to examine them.
"""

import inspect
import os
import random
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tensorflow

from ..experiment import RATE
from . import Adapter, Unavailable
from .keras2 import TensorFlowAdapter, use_tensorflow2
from .keras_common import Devices, Engine, KerasBench, helpers, new_numpy
from .tensorflow1 import CALLS, count_gpus
from .tensorflow1_bench import run_after, tf, weighted_sum


def adapter_for(keras):
    """The adapter class for this Keras 2: whether its layers compute at once or make a graph decides."""
    # Where they are eager they are TensorFlow's own modules, as its tf.Module came with TensorFlow 2.
    eager = executes_eagerly() and issubclass(keras.layers.Layer, tensorflow.Module)
    return KerasOnEager if eager else KerasOnGraph


def executes_eagerly():
    """Whether this is TensorFlow 2, which has no sessions of its own."""
    return getattr(tensorflow, "executing_eagerly", lambda: False)()


class KerasOnEager(TensorFlowAdapter):
    """`keras` 2.4 (which hands out tf.keras) and later."""

    def find_keras(self):
        import keras

        return keras


class KerasOnGraph(Adapter):
    """`keras` up to 2.3."""

    def __init__(self, framework, backend, device):
        import keras

        self.keras = keras
        self.label = "Keras %s" % keras.__version__
        self.in_sessions = not executes_eagerly()
        self._devices = (
            Devices(device, count_gpus()) if self.in_sessions else use_tensorflow2(tensorflow, device)
        )
        self.engine = GraphEngine(keras.backend)
        self.shift_class, self.recorder_class = graph_helpers(keras)
        self._seed = None

    def versions(self):
        return {
            "keras": self.keras.__version__,
            "tensorflow": getattr(tf, "VERSION", None) or tensorflow.__version__,
            "numpy": np.__version__,
        }

    def devices(self):
        return self._devices.names

    def device(self):
        return self._devices.chosen()

    def seed(self, seed):
        # numpy's generator too: this Keras draws the seeds of its operations from it.
        random.seed(seed)
        np.random.seed(seed)
        self._seed = seed

    def bench(self, cell, shape, options):
        execution = cell["execution"]
        if execution == "graph":
            raise Unavailable("a call of %s is part of a graph already" % self.label)
        if execution == "call_over_collection" and not self.in_sessions:
            raise Unavailable("TensorFlow 2 collects no trainable variables")
        self._start_anew()
        return GraphBench(self, cell, shape, options)

    def _start_anew(self):
        """Leave the graph of the last bench, and with it what its operations took from its seed."""
        if not self.in_sessions:
            tensorflow.random.set_seed(self._seed)  # first: the graph takes it over when it is made
        self.keras.backend.clear_session()
        if self.in_sessions:
            tf.set_random_seed(self._seed)
            config = tf.ConfigProto(
                intra_op_parallelism_threads=1,
                inter_op_parallelism_threads=1,
                allow_soft_placement=True,
                device_count={} if self._devices.visible else {"GPU": 0},
            )
            config.gpu_options.allow_growth = True
            config.gpu_options.visible_device_list = ",".join(map(str, self._devices.visible))
            self.keras.backend.set_session(tf.Session(config=config))


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

    def stepper(self, bench, compiled):
        function, moved, at_input = self.symbolic(self._step)(bench)

        def run(inputs, weights):
            made = function([inputs, weights])
            gradients = dict(zip(moved, made[1 + at_input :]))
            return (
                made[0],
                None,
                [gradients.get(position) for position in range(len(bench.trained()))],
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
        parameters = bench.trained()
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
        with tf.control_dependencies([read] + [getattr(each, "op", each) for each in updates]):
            steps = [
                K.update_sub(
                    parameters[position],
                    RATE * tf.cast(found[position], parameters[position].dtype.base_dtype),
                )
                for position in moved
            ]
        function = K.function([x, weights], outputs, updates=[*updates, *steps])
        return function, moved, int(input_gradient is not None)

    def forward_only(self, bench, call):
        """A function of the inputs: the output of `call`, a call of the layer, then the updates with it."""
        x, output, updates = bench.applied(bench.layer, call)
        output = tf.identity(output)
        run_after(updates, output.op)
        return self.backend.function([x], [output], updates=updates)


class GraphBench(KerasBench):
    """A layer of Keras 2 up to 2.3. It is applied anew for each way to run it, with the same variables."""

    executions = CALLS

    def __init__(self, adapter, cell, shape, options):
        self.shape, self._made = shape, {}
        super().__init__(adapter, cell, shape, options)

    def build(self, shape):
        # By a call: `build` alone would make its variables outside of the layer's scope.
        self._attached(self.keras.Input(batch_shape=shape, dtype=self.fed))

    def computes_in(self):
        return self.cell["dtype"]  # of policies this Keras knows nothing

    @staticmethod
    def name_of(dtype):
        return getattr(dtype, "base_dtype", dtype).name

    def variables(self):
        return [(variable.name, variable) for variable in self.layer.weights]

    def mode(self, training):
        # Refused where the layer has no mode.
        return {"training": training} if "training" in inspect.signature(self.layer.call).parameters else {}

    def trained(self):
        if self.execution == "call_over_collection":
            return tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
        return list(self.outer.trainable_weights)

    def applied(self, called, call):
        """(a new placeholder, the output of `call` for it, the updates that the object `called` has)."""
        x = self.keras.backend.placeholder(shape=self.shape, dtype=self.fed)
        output = call(x)
        return x, output, list(called.get_updates_for(x)) + list(called.get_updates_for(None))

    def read(self):
        values = self.keras.backend.batch_get_value(list(self._slots.values()))
        return {slot: self._neutral(slot, new_numpy(value)) for slot, value in zip(self._slots, values)}

    def _direct(self, inputs, training):
        if training not in self._made:
            self._made[training] = self.engine.symbolic(self.engine.forward_only)(
                self, lambda x: self.layer(x, **self.mode(training))
            )
        return self._made[training]([self.engine.tensor(inputs, self.fed)])[0]

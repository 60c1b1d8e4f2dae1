"""Keras 2 in TF 2's eager mode (`tf_keras`, and `tf.keras` of TensorFlow 2.0 to 2.15), and what is
TensorFlow's own under both Keras: `TensorFlowEngine` makes the step by hand with a GradientTape.
"""

import inspect
import random
import sys
from typing import Type

import numpy as np

from ..experiment import RATE
from . import GUEST, Adapter, Unavailable
from .keras_common import Devices, Engine, KerasBench, helpers, new_numpy
from .keras_export import Onnx, SavedModel


def raw(variable):
    """The tf.Variable of a variable of either Keras."""
    return variable if hasattr(variable, "assign_sub") and hasattr(variable, "read_value") else variable.value


def dense(tf, gradient, source):
    """A gradient as one tensor. An embedding's comes row by row; TensorFlow's own conversion of it may warn,
    and the warning would be taken for the layer's."""
    if not isinstance(gradient, tf.IndexedSlices):
        return gradient
    return tf.math.unsorted_segment_sum(gradient.values, gradient.indices, source.shape.as_list()[0])


class TensorFlowEngine(Engine):
    """Tensors and steps by hand, eager or in a tf.function."""

    def __init__(self, tf):
        self.tf = tf

    def tensor(self, array, dtype):
        return self.tf.constant(np.asarray(array, dtype=self.tf.as_dtype(dtype).as_numpy_dtype))

    def numpy(self, value):
        return new_numpy(value if isinstance(value, np.ndarray) else value.numpy())

    def assign(self, variable, array):
        # Not by Keras 3's own `assign`, which takes three times as long.
        variable = raw(variable)
        variable.assign(self.tensor(np.reshape(array, variable.shape.as_list()), variable.dtype))

    def batch(self, inputs, targets=None):
        # One tensor is one batch: a tenth of the time that Keras's adapter for arrays takes.
        return (self.tf.data.Dataset.from_tensors(inputs if targets is None else (inputs, targets)),), {}

    def loss(self, y_true, y_pred):
        tf = self.tf
        # The gradient of a linear loss needs nothing of the forward, and in `train_on_batch` Keras 3 puts
        # no other order between the update and the forward's reads: the step then races, in up to 9 of 10
        # compiled models. With this it waits for the output, as that of any loss that is not linear does.
        with tf.control_dependencies([y_pred]):
            y_true = tf.identity(y_true)
        wide = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
        return tf.reduce_sum(tf.cast(y_true, wide) * tf.cast(y_pred, wide))

    def stepper(self, bench, compiled):
        tf = self.tf

        def step(inputs, weights):
            state = {slot: raw(variable) for slot, variable in bench.state().items()}
            bench.stepped = bench.trained()
            trained = [raw(variable) for variable in bench.stepped]
            with tf.GradientTape() as tape:
                if inputs.dtype.is_floating:
                    tape.watch(inputs)
                output = bench.forward(inputs)
                loss = tf.reduce_sum(weights * tf.cast(output, weights.dtype))
            forward = {slot: tf.identity(variable) for slot, variable in state.items()}
            sources = trained + ([inputs] if inputs.dtype.is_floating else [])
            gradients = tape.gradient(loss, sources)
            gradients = [dense(tf, gradient, source) for gradient, source in zip(gradients, sources)]
            at_input = gradients.pop() if inputs.dtype.is_floating else None
            if bench.optimizer is None:
                for variable, gradient in zip(trained, gradients):
                    if gradient is not None:
                        variable.assign_sub(RATE * gradient)
            elif any(gradient is not None for gradient in gradients):
                bench.optimizer.apply_gradients(zip(gradients, bench.stepped))
            return output, forward, gradients, at_input

        return self._compiled(step, bench) if compiled else step

    def _compiled(self, step, bench):
        if bench.execution != "compiled":
            return self.tf.function(step)
        parameters = inspect.signature(self.tf.function).parameters
        for name in ("jit_compile", "experimental_compile"):
            if name in parameters:
                return self.tf.function(step, **{name: True})
        raise Unavailable("tf.function of TensorFlow %s compiles nothing" % self.tf.__version__)

    def exported(self, bench):
        if bench.cell["exported_as"] == "onnx":
            return Onnx(bench, ("tf2onnx",))
        return SavedModel(self.tf, bench)

    def recompute(self, keras):
        return getattr(keras, "remat", None) or getattr(self.tf, "recompute_grad", None)


class Keras2Bench(KerasBench):
    """A layer of Keras 2."""

    executions = ("call", "graph", "compiled", "exported")

    def variables(self):
        found = [(variable.name, variable) for variable in self.layer.weights]
        # TensorFlow 2.0 to 2.2 cannot list them, nor had any layer a generator then.
        for part in getattr(self.layer, "_flatten_layers", tuple)():
            # Kept out of `weights` by Keras, for the sake of old checkpoints.
            generator = getattr(getattr(part, "_random_generator", None), "_generator", None)
            if generator is not None:
                found.append(("seed_state", generator.state))
        return found

    def computes_in(self):
        layer = self.layer  # the public name of it is as old as TensorFlow 2.4
        return self.name_of(layer.compute_dtype if hasattr(layer, "compute_dtype") else layer._compute_dtype)

    def mode(self, training):
        # Keras 2 refuses the argument where the layer has none.
        return {"training": training} if self.layer._expects_training_arg else {}


def use_tensorflow2(tf, device):
    """Make TensorFlow 2 use one thread, and the device asked for; returns `Devices`."""
    if device == GUEST:
        return Devices(device, 0)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    config = tf.config if hasattr(tf.config, "list_physical_devices") else tf.config.experimental
    gpus = config.list_physical_devices("GPU")
    devices = Devices(device, len(gpus))
    # What is not to be used is hidden: then every op, of Keras's trainer too, lands where it should.
    config.set_visible_devices([gpus[each] for each in devices.visible], "GPU")
    return devices


class TensorFlowAdapter(Adapter):
    """Any Keras on TensorFlow in eager mode. Subclasses say which `keras` it is and how a bench is made."""

    bench_class: Type[KerasBench] = Keras2Bench
    package = "Keras"

    def __init__(self, framework, backend, device):
        import tensorflow as tf

        self.tf = tf
        self._devices = use_tensorflow2(tf, device)
        self.engine = TensorFlowEngine(tf)
        self.keras = self.find_keras()
        self.label = "%s %s" % (self.package, self.keras_version())
        self.shift_class, self.recorder_class = helpers(self.keras)

    def find_keras(self):
        """The module of this Keras."""
        raise NotImplementedError

    def keras_version(self):
        """Its version; tf.keras of TensorFlow 2.6 to 2.15 keeps it in the package that it comes from."""
        package = sys.modules[self.keras.layers.Layer.__module__.split(".")[0]]
        return getattr(self.keras, "__version__", None) or package.__version__

    def versions(self):
        return {"tensorflow": self.tf.__version__, "keras": self.keras_version(), "numpy": np.__version__}

    def devices(self):
        return self._devices.names

    def device(self):
        return self._devices.chosen()

    def bench(self, cell, shape, options):
        return self.bench_class(self, cell, shape, options)

    def seed(self, seed):
        # Python's generator too: Keras 2 draws the seeds of its layers from it.
        random.seed(seed)
        np.random.seed(seed)
        self.tf.random.set_seed(seed)


class TfKeras(TensorFlowAdapter):
    """`tf_keras`, the package that carries Keras 2 on."""

    package = "tf_keras"

    def find_keras(self):
        import tf_keras

        return tf_keras

    def versions(self):
        return {"tensorflow": self.tf.__version__, "tf_keras": self.keras_version(), "numpy": np.__version__}


class LegacyTfKeras(TensorFlowAdapter):
    """`tf.keras` where it is Keras 2."""

    def find_keras(self):
        return self.tf.keras

"""`keras` while it was Keras 2, a package beside TensorFlow.

Up to 2.3 it builds a graph and runs it, on TensorFlow 1 in a session and on TensorFlow 2 in functions that it
lifts from that graph. Its own backend API is the same on both: `keras.backend.function`, of one run's output,
gradients and updates. From 2.4 on its layers work eagerly, and `keras2` knows how to examine them.
"""

import random

import numpy as np

from . import Adapter
from .keras2 import TensorFlowAdapter, use_tensorflow2
from .keras_common import Devices
from .keras_graph import KerasInGraphs
from .tensorflow1_graphs import count_gpus, executes_eagerly, tensorflow, tf


def adapter_for(keras):
    """The adapter class for this Keras 2: whether its layers compute at once or make a graph decides."""
    # Where they are eager they are TensorFlow's own modules, as its tf.Module came with TensorFlow 2.
    eager = executes_eagerly() and issubclass(keras.layers.Layer, tensorflow.Module)
    return KerasOnEager if eager else KerasOnGraph


class KerasOnEager(TensorFlowAdapter):
    """`keras` 2.4 (which hands out tf.keras) and later."""

    def find_keras(self):
        import keras

        return keras


class KerasOnGraph(Adapter):
    """`keras` up to 2.3."""

    def __init__(self, framework, backend, device):
        import keras

        label = "Keras %s" % keras.__version__
        eager = executes_eagerly()
        self._devices = use_tensorflow2(tensorflow, device) if eager else Devices(device, count_gpus())
        self._benches = KerasInGraphs(keras, label, self._devices)
        self.keras = keras
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
        self._benches.own = self.own
        return self._benches.bench(cell, shape, options, self._seed)

"""The Keras of TensorFlow 1 (api `keras`): `tf.keras`, or `tf.compat.v1.keras` of a TensorFlow 2."""

from types import SimpleNamespace

from . import keras_steps
from .keras_graph import GraphBench, KerasInGraphs
from .keras_layers import make_layer
from .tensorflow1_graphs import tensorflow, tf


class KerasOfTensorFlow(KerasInGraphs):
    """That of this process."""

    def __init__(self, devices):
        label = "tf.keras" if tf is tensorflow else "tf.compat.v1.keras"
        super().__init__(tf.keras, label, devices)
        self.bench_class = TensorFlowGraphBench


class TensorFlowGraphBench(GraphBench):
    """A layer of it."""

    def path_options(self):
        return {"base": self.adapter.wrapper_base}

    def new_layer(self, options):
        if self.adapter.own is not None or not self.cell["dtype"].startswith("mixed_"):
            return super().new_layer(options)
        # It has no policies of its own but takes those of TensorFlow 2, and casts only when told to.
        home = SimpleNamespace(
            layers=tf.keras.layers,
            regularizers=tf.keras.regularizers,
            mixed_precision=getattr(tensorflow.keras, "mixed_precision", None),
        )
        given = dict(self.freezing.of_layer(), autocast=True)
        return make_layer(home, self.adapter.label, self.cell, self.shape, options, given)

    def new_optimizer(self, named):
        # Beside new ones that work in no graph of TensorFlow 1, those that do are called legacy.
        optimizers = tf.keras.optimizers
        home = SimpleNamespace(optimizers=getattr(optimizers, "legacy", optimizers))
        return keras_steps.make_optimizer(home, named, self.adapter.label)

    def applied(self, called, call):
        # `get_updates_for` knows the updates of one input; not in every release those of a model on it.
        x = tf.placeholder(self.fed, self.shape)
        before = set(map(id, called.updates))
        output = call(x)
        return x, output, [each for each in called.updates if id(each) not in before]

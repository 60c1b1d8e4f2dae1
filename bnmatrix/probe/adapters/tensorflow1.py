"""TensorFlow 1: graph and session, `tf.layers` (api `default`), the v1 Keras classes (api `keras`) and
`tf.contrib.layers` (api `contrib`).

Serves the real one, and `tf.compat.v1` of a TensorFlow 2 with v2 behaviour switched off for the whole
process. What moved between releases is looked for, never asked of a version number.
"""

import importlib
from typing import Any, List

import numpy as np

from . import Adapter, Unavailable
from . import keras_common as common
from . import keras_layers as table
from .tensorflow1_bench import CallBench, CompiledBench, tensorflow, tf
from .tensorflow1_contrib import ContribMaker

CALLS = ("call", "call_without_updates", "call_over_collection")
HOMES = {
    "default": "tf.layers",
    "keras": "tf.keras" if tf is tensorflow else "tf.compat.v1.keras",
    "contrib": "tf.contrib.layers",
}


class TensorFlow1(Adapter):
    """The TensorFlow of this process, in graph mode."""

    def __init__(self, framework, backend, device):
        self._seed = None
        tf.logging.set_verbosity(tf.logging.ERROR)
        getattr(tf, "disable_v2_behavior", lambda: None)()
        try:
            getattr(tf.layers, "BatchNormalization")  # noqa: B009 - loaded only when asked for
        except (AttributeError, ImportError):
            importlib.import_module("tf_keras")  # where it is missing, say so by name
            raise
        self._devices = common.Devices(device, count_gpus())

    def versions(self):
        found = {
            "tensorflow": getattr(tf, "VERSION", None) or tensorflow.__version__,
            "numpy": np.__version__,
        }
        source = tf.keras.layers.Dense.__module__.split(".")[0]
        if source != "tensorflow":  # else Keras is part of TensorFlow
            found[source] = importlib.import_module(source).__version__
        return found

    def devices(self):
        return self._devices.names

    def device(self):
        return self._devices.chosen()

    def seed(self, seed):
        self._seed = seed  # a seed belongs to a graph, and each bench has its own

    def bench(self, cell, shape, options):
        execution, context, api = cell["execution"], cell["context"], cell["api"]
        compiled = execution in table.COMPILED
        if api not in HOMES:
            raise Unavailable("tf1 has no api %s" % api)
        if api == "contrib" and not hasattr(tensorflow, "contrib"):
            raise Unavailable("tf.contrib is not part of this TensorFlow")
        if execution not in CALLS and not compiled:
            raise Unavailable(
                "tf1 has no execution %s: a call is part of a graph already, run in a session" % execution
            )
        if context not in ("direct", "model"):
            raise Unavailable("context %s is not examined for tf1 yet" % context)
        if api != "keras" and compiled:
            raise Unavailable("%s has no %s" % (HOMES[api], execution))
        if api != "keras" and context == "model":
            raise Unavailable("%s has no model" % HOMES[api])
        if compiled and context == "direct":
            raise Unavailable("%s needs a model" % execution)
        if compiled and cell["training"] != "default":
            raise Unavailable("only training=default exists under %s" % execution)
        maker = (ContribMaker if api == "contrib" else Maker)(cell, shape, options)
        kind = CompiledBench if compiled else CallBench
        return kind(cell, shape, maker, self._seed, self.device())


def count_gpus():
    """How many there are, without claiming one where that can be helped."""
    config = getattr(tensorflow, "config", None)
    places: List[Any] = [config, getattr(config, "experimental", None)]
    for place in places:
        if hasattr(place, "list_physical_devices"):
            return len(place.list_physical_devices("GPU"))
    from tensorflow.python.client import device_lib

    return sum(each.device_type == "GPU" for each in device_lib.list_local_devices())


class Maker(object):
    """The layer that the cell asks for: class and arguments. Says `Unavailable` before any graph is made."""

    def __init__(self, cell, shape, options):
        layer, self.api = cell["layer"], cell["api"]
        table.check_rank(cell)
        # tf itself has `layers`, as Keras has.
        home, label = tf if self.api == "default" else tf.keras, HOMES[self.api]
        self.made = table.find_class(home, label, layer, len(shape))
        self.arguments = dict(table.REQUIRED.get(layer, {}))
        self.arguments.update(table.variant_options(tf.keras, self.made, label, cell, shape))
        names = table.OPTION_NAMES.get(layer, {})
        self.arguments.update({names.get(option, option): value for option, value in options.items()})
        self.frozen = cell["trainable"] == "false"
        self.early = self.api == "default" or cell.get("freeze") == "constructor"
        self.fed = self._numerics(layer, cell["dtype"])

    def _numerics(self, layer, dtype):
        """The dtype that the layer is fed with; its own goes to the arguments."""
        self.arguments["dtype"] = dtype
        if dtype.startswith("mixed_"):
            if self.api == "default":
                raise Unavailable("tf.layers has no mixed precision")
            # The v1 Keras has no policies of its own but takes the v2 one's, and casts only when told to.
            self.arguments.update(dtype=table.policy(tensorflow.keras, dtype), autocast=True)
            dtype = dtype[len("mixed_") :]
        return tf.as_dtype("int32" if layer == "embedding" else dtype)

    def layer(self):
        """The layer, frozen or not, unbuilt."""
        if self.early:
            return self.made(trainable=not self.frozen, **self.arguments)
        layer = self.made(**self.arguments)
        layer.trainable = not self.frozen
        return layer

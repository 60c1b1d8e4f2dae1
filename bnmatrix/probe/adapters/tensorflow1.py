"""TensorFlow 1: graph and session, `tf.layers` (api `default`), the v1 Keras classes (api `keras`) and
`tf.contrib.layers` (api `contrib`).

Serves the real one, and `tf.compat.v1` of a TensorFlow 2 with v2 behaviour switched off for the whole
process. What moved between releases is looked for, never asked of a version number.
"""

import importlib
from typing import Any

import numpy as np

from ..construction import constructed
from ..own import made
from . import Adapter, Unavailable
from . import keras_common as common
from . import keras_layers as table
from .keras_freezing import Freezing
from .tensorflow1_bench import LayersBench
from .tensorflow1_contrib import ContribMaker
from .tensorflow1_graphs import count_gpus, tensorflow, tf
from .tensorflow1_keras import KerasOfTensorFlow

HOMES = {"default": "tf.layers", "contrib": "tf.contrib.layers"}
CALLS = ("call", "call_without_updates", "call_over_collection")


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
        self._keras = None

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
        api = cell["api"]
        self.device()
        if api == "keras":
            if self._keras is None:
                self._keras = KerasOfTensorFlow(self._devices)
            self._keras.own = self.own
            return self._keras.bench(dict(cell, api="default"), shape, options, self._seed)
        if api not in HOMES:
            raise Unavailable("tf1 has no api %s" % api)
        if api == "contrib" and not hasattr(tensorflow, "contrib"):
            raise Unavailable("tf.contrib is not part of this TensorFlow")
        refuse(cell, HOMES[api])
        if self.own is not None:
            maker: Any = OwnMaker(cell, shape, options, self.own)
        else:
            maker = (ContribMaker if api == "contrib" else Maker)(cell, shape, options)
        return LayersBench(cell, shape, maker, self._seed, self._devices.visible)


def refuse(cell, home):
    """Raise `Unavailable` for what neither `tf.layers` nor `tf.contrib.layers` has."""
    execution, context = cell["execution"], cell["context"]
    table.check_rank(cell)
    if execution in table.COMPILED:
        raise Unavailable("%s has no %s" % (home, execution))
    if execution not in CALLS:
        raise Unavailable(
            "tf1 has no execution %s: a call is part of a graph already, run in a session" % execution
        )
    if context == "shared" and cell["outer"] == "functional":
        pass  # two calls with the same variables; no model needed
    elif context != "direct" or cell["outer"] != "functional":
        raise Unavailable("%s has no model" % home)
    if cell["freeze_on"] == "parent":
        raise Unavailable("nothing holds what %s makes" % home)
    if cell["mask"] != "none":
        raise Unavailable("no call of %s takes a mask" % home)


class Maker(object):
    """The layer of `tf.layers` that the cell asks for. Says `Unavailable` before any graph is made."""

    def __init__(self, cell, shape, options):
        layer, dtype, label = cell["layer"], cell["dtype"], HOMES["default"]
        # tf itself has `layers`, as Keras has.
        self.made = table.find_class(tf, label, layer, len(shape))
        if dtype.startswith("mixed_"):
            raise Unavailable("tf.layers has no mixed precision")
        self.freezing = Freezing(cell)
        self.arguments = dict(table.REQUIRED.get(layer, {}), dtype=dtype, **self.freezing.of_layer())
        self.arguments.update(table.variant_options(tf.keras, self.made, label, cell, shape))
        if cell["data_format"] == "channels_first":
            self.arguments.update(channels_first(layer))
        names = table.OPTION_NAMES.get(layer, {})
        self.arguments.update({names.get(option, option): value for option, value in options.items()})
        self.fed = tf.as_dtype("int32" if layer == "embedding" else dtype)
        self.path = ("tf." if tf is tensorflow else "tf.compat.v1.") + table.public_name(
            tf, layer, len(shape)
        )

    def layer(self):
        """The layer, unbuilt."""
        hidden = ("dtype",) if self.arguments["dtype"] == "float32" else ()
        return constructed(self.made, self.path, (), self.arguments, hidden=hidden)


class OwnMaker(object):
    """The same, of a layer of the user's own."""

    def __init__(self, cell, shape, options, own):
        self.freezing = Freezing(cell)
        given = self.freezing.of_layer()
        if cell["dtype"] != "float32":
            given["dtype"] = cell["dtype"]
        self.layer = lambda: made(
            own, cell, shape, options, tf.layers.Layer, HOMES["default"], "data_format", **given
        )
        self.fed = tf.as_dtype("int32" if cell["layer"] == "embedding" else cell["dtype"])


def channels_first(layer):
    """The arguments of a class of `tf.layers` that put the channels first."""
    if layer == "batch_norm":
        return {"axis": 1}
    if layer == "conv":
        return {"data_format": "channels_first"}
    raise Unavailable("%s of tf.layers has its channels last" % layer)

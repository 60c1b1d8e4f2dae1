"""The functions of `tf.contrib.layers` (api `contrib`), each as if it were a layer.

They are no objects: their state lies in a variable scope, which a second call of the same scope shares.
Nothing is given to them but what has to be, and what the cell asks for.
"""

from typing import Any, Dict

from .. import inputs as sizes
from . import Unavailable
from . import keras_layers as table
from .tensorflow1_bench import tensorflow, tf

SCOPE = "layer"
FUNCTIONS = {
    "batch_norm": "batch_norm",
    "layer_norm": "layer_norm",
    "group_norm": "group_norm",
    "instance_norm": "instance_norm",
    "unit_norm": "unit_norm",
    "dropout": "dropout",
    "dense": "fully_connected",
    "conv": "conv%dd",
    "embedding": "embed_sequence",
}
# Of dense and conv no activation, as everywhere else: here they have one unless told otherwise.
REQUIRED: Dict[str, Dict[str, Any]] = {
    "group_norm": {"groups": 2},
    "dense": {"num_outputs": sizes.UNITS, "activation_fn": None},
    "conv": {"num_outputs": sizes.UNITS, "kernel_size": 1, "activation_fn": None},
    "embedding": {"vocab_size": sizes.VOCABULARY, "embed_dim": sizes.CHANNELS},
}
NO_BIAS = {"biases_initializer": None}
# Arguments that take an L2 penalty by slot or one alone are made when asked for.
VARIANTS: Dict[str, Dict[str, Any]] = {
    "batch_norm": dict(
        table.AFFINE,
        renorm={"renorm": True},
        fused={"fused": True},
        not_fused={"fused": False},
        regularised=lambda penalty: {"param_regularizers": {"gamma": penalty, "beta": penalty}},
    ),
    "layer_norm": table.AFFINE,
    "group_norm": table.AFFINE,
    "instance_norm": {"affine": {"center": True, "scale": True}},
    "dropout": {"noise_shape": "noise_shape", "rate_zero": {"keep_prob": 1.0}},
    "dense": {"no_bias": NO_BIAS, "regularised": lambda penalty: {"weights_regularizer": penalty}},
    "conv": {"no_bias": NO_BIAS, "regularised": lambda penalty: {"weights_regularizer": penalty}},
    "embedding": {"regularised": lambda penalty: {"regularizer": penalty}},
}


class ContribMaker(object):
    """The function that the cell asks for, and its arguments."""

    def __init__(self, cell, shape, options):
        layer, dtype = cell["layer"], cell["dtype"]
        table.check_rank(cell)
        if layer not in FUNCTIONS:
            raise Unavailable("tf.contrib.layers has no %s" % layer)
        if dtype.startswith("mixed_"):
            raise Unavailable("tf.contrib.layers has no mixed precision")
        name = FUNCTIONS[layer]
        name = name % (len(shape) - 2) if "%" in name else name
        home = tensorflow.contrib.layers
        if not hasattr(home, name):
            raise Unavailable("tf.contrib.layers has no %s" % name)
        self.made = getattr(home, name)
        self.arguments = dict(REQUIRED.get(layer, {}))
        if layer == "unit_norm":
            self.arguments["dim"] = len(shape) - 1  # that of the channels; it cannot count from the end
        variant = table.variant_of(VARIANTS, "tf.contrib.layers", cell, shape)
        self.arguments.update(variant(home.l2_regularizer(0.01)) if callable(variant) else variant)
        for option, value in options.items():
            self.arguments.update(own_option(option, value))
        if cell["trainable"] == "false":
            self.arguments["trainable"] = False
        # A function computes in the dtype that it is fed with.
        self.fed = tf.as_dtype("int32" if layer == "embedding" else dtype)

    def layer(self):
        """The function with its state, as a layer that is not built yet."""
        return Function(self.made, self.arguments)


class Function(object):
    """What the benches need of a layer."""

    def __init__(self, function, arguments):
        self.call, self._arguments = function, arguments
        self._graph = tf.get_default_graph()

    def __call__(self, x, **mode):
        given = {"is_training": mode["training"]} if mode else {}
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            return self.call(x, scope=SCOPE, **dict(self._arguments, **given))

    @property
    def weights(self):
        """All variables of the scope."""
        return self._graph.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, SCOPE + "/")

    @property
    def trainable_weights(self):
        """Those which the optimizers of TF 1 find."""
        return self._graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, SCOPE + "/")

    @property
    def non_trainable_weights(self):
        """The others."""
        trained = {variable.name for variable in self.trainable_weights}
        return [variable for variable in self.weights if variable.name not in trained]


def own_option(option, value):
    """An option by its neutral name, as these functions call it."""
    if option == "rate":
        return {"keep_prob": 1.0 - value}
    return {{"momentum": "decay", "units": "num_outputs"}.get(option, option): value}

"""The functions of `tf.contrib.layers` (api `contrib`), each as if it were a layer.

They are no objects: their state lies in a variable scope, which a second call of the same scope shares.
Nothing is given to them but what has to be, and what the cell asks for.
"""

from typing import Any, Dict

from .. import inputs as sizes
from ..construction import note
from . import Unavailable
from . import keras_layers as table
from .keras_freezing import Freezing
from .tensorflow1_graphs import tensorflow, tf

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
        if cell["data_format"] == "channels_first":
            self.arguments.update(channels_first(layer, len(shape)))
        variant = table.variant_of(VARIANTS, "tf.contrib.layers", cell, shape)
        self.arguments.update(variant(home.l2_regularizer(0.01)) if callable(variant) else variant)
        for option, value in options.items():
            self.arguments.update(own_option(option, value))
        if cell["freeze_on"] == "layer":
            if cell["freeze"] not in ("constructor", "before_build"):
                raise Unavailable(
                    "a function of tf.contrib.layers makes its variables at once and keeps no flag"
                )
            if cell["trainable"] == "false":
                cell = dict(cell, freeze="constructor")  # its argument is the only way
        self.freezing = Freezing(cell)
        self.arguments.update(self.freezing.of_layer())
        # A function computes in the dtype that it is fed with.
        self.fed = tf.as_dtype("int32" if layer == "embedding" else dtype)

    def layer(self):
        """The function with its state, as a layer that is not built yet."""
        note("tf.contrib.layers." + self.made.__name__, ["x"], self.arguments)
        return Function(self.made, self.arguments)


class Function(object):
    """What the bench needs of a layer."""

    def __init__(self, function, arguments):
        self.call, self._arguments = function, arguments
        self.weights = []  # all variables of the scope; what an optimizer adds to it later is none of them

    def __call__(self, x, **mode):
        given = {"is_training": mode["training"]} if mode else {}
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            output = self.call(x, scope=SCOPE, **dict(self._arguments, **given))
        self.weights = self.weights or tf.get_collection(tf.GraphKeys.GLOBAL_VARIABLES, SCOPE + "/")
        return output

    @property
    def trainable_weights(self):
        """Those which the optimizers of TF 1 find."""
        return tf.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES, SCOPE + "/")

    @property
    def non_trainable_weights(self):
        """The others."""
        trained = {variable.name for variable in self.trainable_weights}
        return [variable for variable in self.weights if variable.name not in trained]


def channels_first(layer, rank):
    """The arguments that put the channels first."""
    if layer in ("batch_norm", "instance_norm"):
        return {"data_format": "NCHW"}
    if layer == "conv":
        return {"data_format": {3: "NCW", 4: "NCHW", 5: "NCDHW"}[rank]}
    if layer == "group_norm":
        return {"channels_axis": 1, "reduction_axes": tuple(range(2, rank))}
    if layer == "unit_norm":
        return {"dim": 1}
    raise Unavailable("%s of tf.contrib.layers has its channels last" % layer)


def own_option(option, value):
    """An option by its neutral name, as these functions call it."""
    if option == "rate":
        return {"keep_prob": 1.0 - value}
    return {{"momentum": "decay", "units": "num_outputs"}.get(option, option): value}

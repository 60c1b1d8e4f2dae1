"""How programs for Keras say what an axis value means: layers, contexts, executions, optimizers.

A new context is an entry of CONTEXTS: the classes it needs, what is put around the layer, how that is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bnmatrix.witness.parts import AFTER_A_STEP, NOTHING, Lines

IMPORTS = {
    "tf2": ["import tensorflow as tf"],
    "tf1": ["import tensorflow.compat.v1 as tf"],
    "tf_keras": ["import tensorflow as tf", "import tf_keras as keras"],
    "tensorflow": ["import keras", "import tensorflow as tf"],
    "torch": ["import keras", "import torch"],
    "jax": ["import jax", "import keras"],
}
"""{framework or backend of `keras`: lines}"""

ALIAS = {"tf2": ["keras = tf.keras"], "tf1": ["keras = tf.keras", "tf.disable_v2_behavior()"]}

MODE, NO_MODE = ("gamma", "beta", "moving_mean", "moving_variance"), ("gamma", "beta")
DENSE = ("kernel", "bias")
RECURRENT = ("kernel", "recurrent_kernel", "bias")


class Layer(NamedTuple):
    """
    made:     its constructor, {d} for the dimensions; more arguments follow
    slots:    {slot: name of its weight}
    mode:     whether its call takes `training` in every release
    variants: {variant: arguments}
    """

    made: str
    slots: tuple[str, ...] = ()
    mode: bool = True
    variants: Mapping[str, str] = NOTHING
    names: Mapping[str, str] = NOTHING


def _penalty(*weights: str) -> str:
    return ", ".join(f"{weight}_regularizer=keras.regularizers.l2(0.01)" for weight in weights)


AFFINE = {"no_affine": "center=False, scale=False", "no_center": "center=False", "no_scale": "scale=False"}
OF_BATCH = {
    **AFFINE, "renorm": "renorm=True", "fused": "fused=True", "not_fused": "fused=False",
    "synchronized": "synchronized=True", "regularised": _penalty("gamma", "beta"),
}  # fmt: skip
DROPOUTS = {
    "default": "dropout=0.5, recurrent_dropout=0.5", "no_dropout": "", "dropout_only": "dropout=0.5",
    "recurrent_dropout_only": "recurrent_dropout=0.5",
}  # fmt: skip
SCALE = {"gamma": "scale"}

LAYERS = {
    "batch_norm": Layer("BatchNormalization(", MODE, True, OF_BATCH),
    "layer_norm": Layer(
        "LayerNormalization(", NO_MODE, False, {**AFFINE, "regularised": _penalty("gamma", "beta")}
    ),
    "group_norm": Layer("GroupNormalization(groups=2", NO_MODE, False, AFFINE),
    "rms_norm": Layer("RMSNormalization(", ("gamma",), False, names=SCALE),
    "unit_norm": Layer("UnitNormalization(", (), False),
    "spectral_norm": Layer(
        "SpectralNormalization(keras.layers.Dense(3)", (*DENSE, "power_iteration_vector"),
        names={"power_iteration_vector": "vector_u"},
    ),
    "dropout": Layer("Dropout(", variants={"default": "0.5", "rate_zero": "0.0"}),
    "spatial_dropout": Layer("SpatialDropout{d}D(0.5"),
    "alpha_dropout": Layer("AlphaDropout(0.5"),
    "gaussian_dropout": Layer("GaussianDropout(0.5"),
    "gaussian_noise": Layer("GaussianNoise(0.5"),
    "dense": Layer(
        "Dense(3", DENSE, False, {"no_bias": "use_bias=False", "regularised": _penalty("kernel")}
    ),
    "conv": Layer(
        "Conv{d}D(3, 1", DENSE, False, {"no_bias": "use_bias=False", "regularised": _penalty("kernel")}
    ),
    "embedding": Layer(
        "Embedding(5, 4", ("kernel",), False,
        {"regularised": _penalty("embeddings"), "mask_zero": "mask_zero=True"}, {"kernel": "embeddings"},
    ),
    "lstm": Layer("LSTM(3", RECURRENT, True, DROPOUTS),
    "gru": Layer("GRU(3", RECURRENT, True, DROPOUTS),
    "multi_head_attention": Layer(
        "MultiHeadAttention(2, 2", (), True, {"default": "dropout=0.5", "no_dropout": ""}
    ),
}  # fmt: skip


def _wrapper(says: str, arguments: str, returns: str) -> Lines:
    return [
        f"class Wrapper(keras.layers.Layer):  # {says}",
        "    def __init__(self, layer, **arguments):",
        "        super(Wrapper, self).__init__(**arguments)",
        "        self.layer = layer",
        f"    def call(self, inputs{arguments}):",
        f"        return {returns}",
    ]


STATE = [
    "",
    "",
    "def state(layer):",
    '    names = [weight.name.split("/")[-1].split(":")[0] for weight in layer.weights]',
    "    return dict(zip(names, layer.get_weights()))",
]

SIBLING = [
    "class Sibling(keras.layers.Layer):  # its own default is training",
    "    def call(self, inputs, training=True):",
    "        return inputs * 1",
]


class Context(NamedTuple):
    """
    classes:  the classes it needs; {mode} is `, training=training` where the layer takes it
    around:   what holds the layer beside the outermost model: INNER models, WRAPPED layers or nothing
    pin:      what an inner call is told whatever the outer is told
    forwards: whether `training` is handed on to what holds the layer
    """

    classes: Sequence[str] = ()
    around: str = ""
    pin: str = ""
    forwards: bool = True


INNER = "keras.models.Model(inputs, {held}(inputs){more})"
WRAPPED = "Wrapper({held}{more})"

CONTEXTS = {
    "direct": Context(),
    "model": Context(),
    "stateless": Context(),
    "pinned_false": Context(around=INNER, pin=", training=False"),
    "pinned_true": Context(around=INNER, pin=", training=True"),
    "pinned_default": Context(around=INNER, pin=", training=None"),
    "forwarding": Context(
        _wrapper("passes `training` on", ", training=None", "self.layer(inputs{mode})"), WRAPPED
    ),
    "not_forwarding": Context(
        _wrapper("does not pass `training` on", ", training=None", "self.layer(inputs)"), WRAPPED
    ),
    "no_argument": Context(
        _wrapper("has no argument `training`", "", "self.layer(inputs)"), WRAPPED, forwards=False
    ),
    "checkpointed": Context(
        _wrapper(
            "computes the layer again in the backward pass",
            ", training=None",
            "recompute(lambda given: self.layer(given{mode}))(inputs)",
        ),
        WRAPPED,
    ),
    "frozen_parent": Context(around=INNER),
    "thawed_parent": Context(around=INNER),
    "reloaded": Context(around=INNER),
    "cloned": Context(around=INNER),
    "after_sibling": Context(SIBLING),
    "shared": Context(),
}

SAVED = {
    "default": ['file = os.path.join(tempfile.mkdtemp(), "inner.keras")', "inner.save(file)"],
    "h5": ['file = os.path.join(tempfile.mkdtemp(), "inner.h5")', "inner.save(file)"],
    "saved_model": ['file = os.path.join(tempfile.mkdtemp(), "inner")', "inner.save(file)"],
}

FITTED = {
    "fit": "",
    "run_eagerly": ", run_eagerly=True",
    "jit_compile": ", jit_compile=True",
    "train_on_batch": "",
    "test_on_batch": "",
    "evaluate": "",
    "predict": "",
}
"""Executions of a compiled model, with their arguments of `compile`."""

RUNS = {
    "fit": "loss = model.fit(x, t, batch_size=len(x), shuffle=False, verbose=0)",
    "train_on_batch": "loss = model.train_on_batch(x, t)",
    "test_on_batch": "loss = model.test_on_batch(x, t)",
    "evaluate": "loss = model.evaluate(x, t, batch_size=len(x), verbose=0)",
    "predict": "y = model.predict(x, batch_size=len(x), verbose=0)",
}
TRAINS = ("fit", "run_eagerly", "jit_compile", "train_on_batch")

OPTIMIZERS = {
    "none": '"sgd"',
    "sgd": "keras.optimizers.SGD(0.125)",
    "momentum": "keras.optimizers.SGD(0.125, momentum=0.9)",
    "weight_decay": "keras.optimizers.SGD(0.125, weight_decay=0.5)",
    "adam": "keras.optimizers.Adam(0.125)",
    "adamw": "keras.optimizers.AdamW(0.125, weight_decay=0.5)",
    "rmsprop": "keras.optimizers.RMSprop(0.125)",
}

GRADIENTS = {
    "tensorflow": "(None if gradient is None else gradient.numpy())",
    "torch": "(None if gradient is None else gradient.numpy())",
    "jax": "np.asarray(gradient)",
}

LATE = ("before_compile", "after_compile", *AFTER_A_STEP)
"""Moments until which the layer has the opposite."""

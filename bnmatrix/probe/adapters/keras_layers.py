"""What each layer of layers.json is in Keras 2 and 3: tables, and what builds a layer from them.

No framework is imported here. `keras` is the module of the adapter (`keras`, `tf_keras`, `tf.keras`, or
`tf` itself, whose `layers` go by the same names), and `label` is what messages call it.
"""

import inspect
from typing import Any, Dict

from .. import inputs as given_inputs
from ..construction import constructed, last
from . import Unavailable

COMPILED = ("fit", "train_on_batch", "test_on_batch", "evaluate", "predict", "run_eagerly", "jit_compile")
"""Executions of a compiled model."""
BY_RANK = {"conv": "Conv%dD", "spatial_dropout": "SpatialDropout%dD"}
CLASSES = {
    "batch_norm": "BatchNormalization",
    "layer_norm": "LayerNormalization",
    "group_norm": "GroupNormalization",
    "rms_norm": "RMSNormalization",
    "unit_norm": "UnitNormalization",
    "spectral_norm": "SpectralNormalization",
    "dropout": "Dropout",
    "alpha_dropout": "AlphaDropout",
    "gaussian_dropout": "GaussianDropout",
    "gaussian_noise": "GaussianNoise",
    "dense": "Dense",
    "embedding": "Embedding",
    "lstm": "LSTM",
    "gru": "GRU",
    "multi_head_attention": "MultiHeadAttention",
}
# Only what must be given is given: everything else is the framework's own default.
REQUIRED: Dict[str, Dict[str, Any]] = {
    "group_norm": {"groups": 2},
    "dropout": {"rate": 0.5},
    "spatial_dropout": {"rate": 0.5},
    "alpha_dropout": {"rate": 0.5},
    "gaussian_dropout": {"rate": 0.5},
    "gaussian_noise": {"stddev": 0.5},
    "dense": {"units": given_inputs.UNITS},
    "conv": {"filters": given_inputs.UNITS, "kernel_size": 1},
    "embedding": {"input_dim": given_inputs.VOCABULARY, "output_dim": given_inputs.CHANNELS},
    "lstm": {"units": given_inputs.UNITS, "dropout": 0.5, "recurrent_dropout": 0.5},
    "gru": {"units": given_inputs.UNITS, "dropout": 0.5, "recurrent_dropout": 0.5},
    "multi_head_attention": {"num_heads": 2, "key_dim": 2, "dropout": 0.5},
}
# The framework's name of an option, where it is not the neutral one.
OPTION_NAMES = {
    "conv": {"units": "filters"},
    "gaussian_noise": {"rate": "stddev"},
    "lstm": {"rate": "dropout"},
    "gru": {"rate": "dropout"},
    "multi_head_attention": {"rate": "dropout"},
    "embedding": {"units": "output_dim"},
}
AFFINE = {
    "no_affine": {"center": False, "scale": False},
    "no_center": {"center": False},
    "no_scale": {"scale": False},
}
RECURRENT = {
    "no_dropout": {"dropout": 0.0, "recurrent_dropout": 0.0},
    "dropout_only": {"recurrent_dropout": 0.0},
    "recurrent_dropout_only": {"dropout": 0.0},
}
VARIANTS: Dict[str, Dict[str, Any]] = {
    "batch_norm": dict(
        AFFINE,
        renorm={"renorm": True},
        fused={"fused": True},
        not_fused={"fused": False},
        synchronized={"synchronized": True},
        regularised=("gamma_regularizer", "beta_regularizer"),
    ),
    "layer_norm": dict(AFFINE, regularised=("gamma_regularizer", "beta_regularizer")),
    "group_norm": AFFINE,
    "dropout": {"noise_shape": "noise_shape", "rate_zero": {"rate": 0.0}},
    "dense": {"no_bias": {"use_bias": False}, "regularised": ("kernel_regularizer",)},
    "conv": {"no_bias": {"use_bias": False}, "regularised": ("kernel_regularizer",)},
    "embedding": {"regularised": ("embeddings_regularizer",), "mask_zero": {"mask_zero": True}},
    "lstm": RECURRENT,
    "gru": RECURRENT,
    "multi_head_attention": {"no_dropout": {"dropout": 0.0}},
}
NO_SUCH_VARIANT = {
    "no_tracking": "has no track_running_stats",
    "tracking_switched_off_later": "has no track_running_stats",
    "cumulative_momentum": "has no cumulative average (momentum=None)",
    "max_norm": "rescales no row on look-up (embeddings_constraint acts after an optimizer's step)",
    "in_place": "has no dropout in place",
    "legacy": "has no older form of it",
}
SLOT_NAMES = {
    "embeddings": "kernel",
    "scale": "gamma",
    "vector_u": "power_iteration_vector",
    "weights": "kernel",  # of tf.contrib.layers, like the next
    "biases": "bias",
}
ATTENTION = {"query": "", "attention_output": "output_", "key": "key_", "value": "value_"}


def check_rank(cell):
    """Raise `Unavailable` where the layer does not take input of this rank."""
    layer = cell["layer"]
    ranks = given_inputs.LAYERS[layer]["ranks"]
    if int(cell["rank"]) not in ranks:
        taken = str(ranks[0]) if len(ranks) == 1 else "%d to %d" % (ranks[0], ranks[-1])
        raise Unavailable("%s takes input of rank %s" % (layer, taken))


def find_class(keras, label, layer, rank):
    """The class of `layer` in `keras.layers`; `Unavailable` with the name that was looked for."""
    name = BY_RANK[layer] % (rank - 2) if layer in BY_RANK else CLASSES.get(layer)
    found = getattr(keras.layers, name, None) if name else None
    if found is None:
        # Keras 2.6 to 2.8 kept some layers here before they were public.
        found = getattr(getattr(keras.layers, "experimental", None), name, None) if name else None
    if found is None:
        raise Unavailable("%s has no %s layer" % (label, name or layer))
    return found


def variant_of(variants, label, cell, shape):
    """What `variants`, {layer: {variant: options}}, has for the cell; `label` is who has it or not."""
    layer, variant = cell["layer"], cell["variant"]
    if variant == "default":
        return {}
    options = variants.get(layer, {}).get(variant)
    if options is None:
        raise Unavailable(
            "%s %s" % (label, NO_SUCH_VARIANT.get(variant, "has no %s of variant %s" % (layer, variant)))
        )
    if options == "noise_shape":
        return {"noise_shape": shape[:1] + (1,) * (len(shape) - 2) + shape[-1:]}
    return options


def variant_options(keras, cls, label, cell, shape):
    """The options of the cell's variant for the constructor of `cls`; `label` is where that is from."""
    options = variant_of(VARIANTS, label, cell, shape)
    for name in options:
        if not accepts(cls, name):
            raise Unavailable("%s of %s has no argument %s" % (cls.__name__, label, name))
    if isinstance(options, tuple):
        return {name: keras.regularizers.l2(0.01) for name in options}
    return options


def make_layer(keras, label, cell, shape, options, given):
    """The layer of `cell`, not built yet; `given` are further keywords of its constructor."""
    layer = cell["layer"]
    cls = find_class(keras, label, layer, len(shape))
    names = OPTION_NAMES.get(layer, {})
    chosen = variant_options(keras, cls, label, cell, shape)
    arguments = dict(REQUIRED.get(layer, {}), **chosen, **given)
    if cell["data_format"] == "channels_first":
        arguments.update(channels_first(cls, label))
    arguments.update({names.get(name, name): value for name, value in options.items()})
    dtype = policy(keras, cell["dtype"])
    hidden = ("name",) if cell["dtype"] != "float32" else ("name", "dtype")
    home = home_of(keras, label)
    path = home + public_name(keras, layer, len(shape))
    arguments.update(dtype=dtype, name="layer")
    if layer == "spectral_norm":
        inner = {"units": arguments.pop("units", given_inputs.UNITS), "dtype": dtype, "name": "wrapped"}
        wrapped = constructed(keras.layers.Dense, home + "layers.Dense", (), inner, hidden=hidden)
        return constructed(cls, path, (wrapped,), arguments, (last(),), hidden)
    return constructed(cls, path, (), arguments, hidden=hidden)


def home_of(keras, label):
    """What users write before `layers`, a dot after it; `label` is what messages call this Keras."""
    if label.startswith("tf."):
        return label + "."
    return (keras.__name__ if keras.__name__ in ("keras", "tf_keras") else "tf.keras") + "."


def public_name(keras, layer, rank):
    """What users write for the class that `find_class` finds: `layers.Dense`."""
    name = BY_RANK[layer] % (rank - 2) if layer in BY_RANK else CLASSES[layer]
    return ("layers." if hasattr(keras.layers, name) else "layers.experimental.") + name


def channels_first(cls, label):
    """The options that tell a layer that the channels of its input come first."""
    for name, value in (("data_format", "channels_first"), ("axis", 1)):
        if accepts(cls, name):
            return {name: value}
    raise Unavailable("%s of %s does not ask where the channels are" % (cls.__name__, label))


def accepts(cls, name):
    """Whether a constructor of `cls`, or of a base that it hands its **kwargs to, has the argument `name`."""
    made = [base.__init__ for base in cls.__mro__ if "__init__" in vars(base)]
    return any(name in inspect.signature(each).parameters for each in made)


def policy(keras, dtype):
    """What `dtype=` of a layer takes: a mixed policy has to be an object in Keras 2."""
    if not dtype.startswith("mixed_"):
        return dtype
    module = getattr(keras, "mixed_precision", None)
    module = getattr(module, "experimental", module) if not hasattr(module, "Policy") else module
    found = getattr(module, "Policy", None) or getattr(keras, "DTypePolicy", None)
    if found is None:
        raise Unavailable("this Keras has no dtype policies")
    return found(dtype)


def slot_of(layer, path, taken):
    """The neutral name of the variable at `path` (the framework's, scopes and all) of `layer`."""
    parts = path.split(":")[0].split("/")
    slot = SLOT_NAMES.get(parts[-1], parts[-1])
    if layer == "multi_head_attention":
        for part in parts[:-1]:
            slot = ATTENTION.get(part, "") + slot
    if "seed" in slot:
        slot = "seed_state"
    name, number = slot, 2
    while name in taken:
        name, number = "%s_%d" % (slot, number), number + 1
    return name

"""The layers of Lasagne that are examined, and what each is called there.

What a layer of this name does is linear here: Lasagne's own default is to rectify, which would hide half of
every output.
"""

import inspect
from typing import Any, Callable, Dict, Mapping, NamedTuple, Tuple

import lasagne

from .. import inputs
from ..own import made
from . import Unavailable

RELEASE = "Lasagne %s" % lasagne.__version__

Keywords = Mapping[str, Any]
NONE: Mapping[str, Any] = {}


class Layer(NamedTuple):
    """One layer of `lasagne.layers`.

    name:           of its class, "1D/2D/3D" by the rank of the input
    arguments:      positional arguments of the constructor but the first, from (channels, units)
    names:          {own name of a parameter: slot}
    keywords:       keyword arguments of the constructor
    options:        {option of a scenario: (value) -> (keyword, value)}
    variants:       {variant: keyword arguments that make it}
    channels_first: is the input channels first
    """

    name: str
    arguments: Callable[[int, int], Tuple[int, ...]] = lambda channels, units: ()
    names: Mapping[str, str] = NONE
    keywords: Keywords = NONE
    options: Mapping[str, Callable[[Any], Tuple[str, Any]]] = NONE
    variants: Mapping[str, Keywords] = NONE
    channels_first: bool = False


_LINEAR = {"nonlinearity": None}
_KERNEL = {"W": "kernel", "b": "bias"}
_NO_BIAS = {"no_bias": {"b": None}}

LAYERS = {
    "batch_norm": Layer(
        "BatchNormLayer",
        names={"gamma": "gamma", "beta": "beta", "mean": "moving_mean"},
        # alpha is the share of the new statistic, Keras's momentum that of the old.
        options={
            "epsilon": lambda value: ("epsilon", value),
            "momentum": lambda value: ("alpha", round(1.0 - value, 12)),
        },
        variants={
            "no_affine": {"gamma": None, "beta": None},
            "no_center": {"beta": None},
            "no_scale": {"gamma": None},
        },
        channels_first=True,
    ),
    "dropout": Layer(
        "DropoutLayer", options={"rate": lambda value: ("p", value)}, variants={"rate_zero": {"p": 0}}
    ),
    "gaussian_noise": Layer(
        "GaussianNoiseLayer", keywords={"sigma": 0.5}, options={"rate": lambda value: ("sigma", value)}
    ),
    "dense": Layer("DenseLayer", lambda channels, units: (units,), _KERNEL, _LINEAR, variants=_NO_BIAS),
    "conv": Layer(
        "Conv1D/2D/3DLayer",
        lambda channels, units: (units, 1),
        _KERNEL,
        _LINEAR,
        variants=_NO_BIAS,
        channels_first=True,
    ),
    "embedding": Layer(
        "EmbeddingLayer", lambda channels, units: (inputs.VOCABULARY, inputs.CHANNELS), {"W": "kernel"}
    ),
}


def constructor(layer, shape):
    """The class of `layer` for channels-last inputs of `shape`."""
    entry = LAYERS.get(layer)
    if entry is None:
        raise Unavailable("%s has no %s" % (RELEASE, layer))
    name = entry.name.replace("1D/2D/3D", "%dD" % (len(shape) - 2))
    found = getattr(lasagne.layers, name, None)
    if found is None:
        raise Unavailable("%s has no %s" % (RELEASE, name))
    return found


def keywords_of(layer, variant, shape, options):
    """The keyword arguments that make this layer."""
    target = constructor(layer, shape)
    entry = LAYERS[layer]
    keywords: Dict[str, Any] = dict(entry.keywords)
    for option, value in options.items():
        if option != "units":
            if option not in entry.options:
                raise Unavailable("%s has no option %s" % (target.__name__, option))
            keyword, given = entry.options[option](value)
            keywords[keyword] = given
    if variant != "default":
        if variant not in entry.variants:
            raise Unavailable("%s has no variant %s" % (target.__name__, variant))
        keywords.update(entry.variants[variant])
    if layer == "dense" and len(shape) > 2:
        if "num_leading_axes" not in inspect.signature(target).parameters:
            raise Unavailable(
                "%s of %s makes one vector of each sample of rank %d" % (target.__name__, RELEASE, len(shape))
            )
        keywords["num_leading_axes"] = -1
    return keywords


def layer_of(cell, shape, options, incoming, own=None):
    """A fresh layer behind `incoming`: a layer, or the shape of what it will be given."""
    if own is not None:
        return made(own, cell, shape, options, lasagne.layers.Layer, RELEASE, incoming=incoming)
    keywords = keywords_of(cell["layer"], cell["variant"], shape, options)
    arguments = LAYERS[cell["layer"]].arguments(shape[-1], options.get("units", inputs.UNITS))
    return constructor(cell["layer"], shape)(incoming, *arguments, **keywords)

"""What each layer of layers.json is in PyTorch, as module and as function: a table, and what builds from it.

Modules are named, not imported: which of them a torch has is asked when a cell wants one, so the
table serves every release. "1d/2d/3d" stands for the dimension that the input's rank asks for.
"""

import importlib
import inspect
from typing import Any, Callable, Dict, Mapping, NamedTuple, Optional, Tuple

import torch
from torch import nn

from .. import inputs
from ..construction import constructed, last, note
from . import Unavailable

RELEASE = "torch " + str(torch.__version__).split("+")[0]

# The framework's own name of a state -> the neutral slot.
NORM = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
DENSE = {"weight": "kernel"}
RECURRENT = {"weight_ih_l0": "kernel", "weight_hh_l0": "recurrent_kernel", "bias_ih_l0": "bias"}
ATTENTION = {
    "in_proj_weight": "kernel",
    "in_proj_bias": "bias",
    "out_proj.weight": "output_kernel",
    "out_proj.bias": "output_bias",
}
# Both ways to reparametrise, the parametrisation (whose first release had no underscore) and the older
# hook, name their state differently.
SPECTRAL = {
    "parametrizations.weight.original": "kernel",
    "parametrizations.weight.0.u": "power_iteration_vector",
    "parametrizations.weight.0._u": "power_iteration_vector",
    "weight_orig": "kernel",
    "weight_u": "power_iteration_vector",
}
WEIGHT = {
    "parametrizations.weight.original0": "magnitude",
    "parametrizations.weight.original1": "direction",
    "weight_g": "magnitude",
    "weight_v": "direction",
}

# A scenario's option -> torch's keyword and value. Keras's momentum is the share that is kept.
EPSILON = {"epsilon": lambda value: ("eps", value)}
NORM_OPTIONS = dict(EPSILON, momentum=lambda value: ("momentum", round(1.0 - value, 12)))
RATE = {"rate": lambda value: ("p", value)}
INNER_RATE = {"rate": lambda value: ("dropout", value)}

# Variants that no layer of torch has, and why.
NO_SUCH_VARIANT = {
    "no_scale": "has no option that drops gamma alone",
    "renorm": "has no renormalisation",
    "fused": "has no option to ask for a fused kernel",
    "not_fused": "has no option to refuse a fused kernel",
    "synchronized": "is not synchronised: SyncBatchNorm is, and needs a group of processes on GPUs",
    "regularised": "has no regulariser: weight decay belongs to torch's optimizers",
    "noise_shape": "has no noise_shape",
    "recurrent_dropout_only": "has no dropout of the recurrent state",
}


Keywords = Mapping[str, Any]
Options = Mapping[str, Callable[[Any], Tuple[str, Any]]]
NONE: Mapping[str, Any] = {}


class Layer(NamedTuple):
    """One layer as a `torch.nn` module.

    module:         its name in torch.nn
    arguments:      positional arguments of the constructor, from (channels, units)
    names:          {own name: slot}
    keywords:       keyword arguments of the constructor
    options:        {option of a scenario: (value) -> (keyword, value)}
    variants:       {variant: keyword arguments that make it}
    channels_first: is the input channels first from rank 3 on
    transposed:     is its kernel (out, in)
    result:         what of a call's result is the output: "all", "last step", "attention"
    wrap:           {variant: path below torch.nn.utils of the function that wraps the module}
    """

    module: str
    arguments: Callable[[int, int], Tuple[int, ...]]
    names: Mapping[str, str] = NONE
    keywords: Keywords = NONE
    options: Options = NONE
    variants: Mapping[str, Keywords] = NONE
    channels_first: bool = False
    transposed: bool = False
    result: str = "all"
    wrap: Mapping[str, str] = NONE


class Function(NamedTuple):
    """One layer as a function of `torch.nn.functional`, with tensors of its own.

    function: its name in torch.nn.functional
    tensors:  {tensor: its shape from (channels, units, spatial dimensions)}
    without:  {variant: the tensors that it is not given}
    keywords: further arguments, from the channels
    variants: {variant: keyword arguments that make it}
    mode:     the keyword that says whether it trains
    modeless: variants in which that keyword has no meaning
    absent:   {variant of the module: why the function has none}
    """

    function: str
    tensors: Mapping[str, Callable[[int, int, int], Tuple[int, ...]]] = NONE
    without: Mapping[str, Tuple[str, ...]] = NONE
    keywords: Callable[[int], Dict[str, Any]] = lambda channels: {}
    variants: Mapping[str, Keywords] = NONE
    mode: Optional[str] = None
    modeless: Tuple[str, ...] = ()
    absent: Mapping[str, str] = NONE


def _channels(channels, units):
    return (channels,)


def _linear(channels, units):
    return (channels, units)


def _nothing(channels, units):
    return ()


_NO_BIAS = {"no_bias": {"bias": False}}
_DROPOUTS: Dict[str, Keywords] = {"rate_zero": {"p": 0.0}, "in_place": {"inplace": True}}
_NO_AFFINE = {"no_affine": {"affine": False}, "no_center": {"bias": False}}
_NO_ELEMENTWISE = {"no_affine": {"elementwise_affine": False}, "no_center": {"bias": False}}
_TABLES: Dict[str, Keywords] = {"max_norm": {"max_norm": 1.0}, "mask_zero": {"padding_idx": 0}}
_TRACKING = {
    "no_tracking": {"track_running_stats": False},
    "tracking_switched_off_later": {},  # see `module`
    "cumulative_momentum": {"momentum": None},
}


def _norm(name, arguments=_channels, variants=_NO_AFFINE, options=EPSILON, channels_first=True):
    return Layer(name, arguments, NORM, {}, options, variants, channels_first)


def _dropout(name, channels_first=False):
    return Layer(name, _nothing, {}, {"p": 0.5}, RATE, _DROPOUTS, channels_first)


def _reparametrised(names, function, transposed):
    wrap = {"default": "parametrizations." + function, "legacy": function}
    return Layer("Linear", _linear, names, variants={"legacy": {}}, transposed=transposed, wrap=wrap)


def _recurrent(name):
    keywords = {"num_layers": 2, "batch_first": True, "dropout": 0.5}
    variants = {"no_dropout": {"dropout": 0.0}, "dropout_only": {}}
    return Layer(name, _linear, RECURRENT, keywords, INNER_RATE, variants, result="last step")


def _attention(name):
    variants = {"no_dropout": {"dropout": 0.0}}
    return Layer(name, _two_heads, ATTENTION, {"dropout": 0.5}, INNER_RATE, variants, result="attention")


def _two_heads(channels, units):
    return (channels, 2)


def _two_groups(channels, units):
    return (2, channels)


def _pointwise(channels, units):
    return (channels, units, 1)


def _vocabulary(channels, units):
    return (inputs.VOCABULARY, inputs.CHANNELS)


_INSTANCE = {"affine": {"affine": True}, "tracking": {"affine": True, "track_running_stats": True}}

LAYERS = {
    "batch_norm": _norm("BatchNorm1d/2d/3d", variants=dict(_NO_AFFINE, **_TRACKING), options=NORM_OPTIONS),
    "layer_norm": _norm("LayerNorm", variants=_NO_ELEMENTWISE, channels_first=False),
    "group_norm": _norm("GroupNorm", _two_groups),
    "instance_norm": _norm("InstanceNorm1d/2d/3d", variants=_INSTANCE, options=NORM_OPTIONS),
    "rms_norm": _norm("RMSNorm", variants=_NO_ELEMENTWISE, channels_first=False),
    "spectral_norm": _reparametrised(SPECTRAL, "spectral_norm", transposed=True),
    "weight_norm": _reparametrised(WEIGHT, "weight_norm", transposed=False),
    "dropout": _dropout("Dropout"),
    "spatial_dropout": _dropout("Dropout1d/2d/3d", channels_first=True),
    "alpha_dropout": _dropout("AlphaDropout"),
    "dense": Layer("Linear", _linear, DENSE, {}, {}, _NO_BIAS, transposed=True),
    "conv": Layer("Conv1d/2d/3d", _pointwise, DENSE, {}, {}, _NO_BIAS, channels_first=True, transposed=True),
    "embedding": Layer("Embedding", _vocabulary, DENSE, {}, {}, _TABLES),
    "lstm": _recurrent("LSTM"),
    "gru": _recurrent("GRU"),
    "multi_head_attention": _attention("MultiheadAttention"),
}


def _per_channel(channels, units, dimensions):
    return (channels,)


def _per_unit(channels, units, dimensions):
    return (units,)


def _kernel(channels, units, dimensions):
    return (units, channels) + (1,) * dimensions


_AFFINE = {"weight": _per_channel, "bias": _per_channel}
_STATISTICS = {"running_mean": _per_channel, "running_var": _per_channel}
_WITHOUT = {"no_affine": ("weight", "bias"), "no_center": ("bias",), "no_scale": ("weight",)}
_WITHOUT_BIAS = {"no_bias": ("bias",)}
_DENSE = {"weight": lambda channels, units, dimensions: (units, channels), "bias": _per_unit}
_NO_SWITCH = "has no tracking to switch off: it is told to train or given statistics"


def _normalized_shape(channels):
    return {"normalized_shape": (channels,)}


def _dropout_function(name):
    return Function(name, variants=_DROPOUTS, mode="training")


FUNCTIONS = {
    "batch_norm": Function(
        "batch_norm",
        dict(_AFFINE, **_STATISTICS),
        _WITHOUT,
        mode="training",
        absent={
            "no_tracking": _NO_SWITCH,
            "tracking_switched_off_later": _NO_SWITCH,
            "cumulative_momentum": "keeps no count of batches to average over",
        },
    ),
    "layer_norm": Function("layer_norm", _AFFINE, _WITHOUT, _normalized_shape),
    "group_norm": Function("group_norm", _AFFINE, _WITHOUT, lambda channels: {"num_groups": 2}),
    # Without running statistics there is nothing to choose between, as in the module.
    "instance_norm": Function(
        "instance_norm",
        dict(_AFFINE, **_STATISTICS),
        {
            "default": ("weight", "bias", "running_mean", "running_var"),
            "affine": tuple(_STATISTICS),
            "tracking": (),
        },
        mode="use_input_stats",
        modeless=("default", "affine"),
    ),
    "rms_norm": Function("rms_norm", {"weight": _per_channel}, {"no_affine": ("weight",)}, _normalized_shape),
    "unit_norm": Function("normalize", keywords=lambda channels: {"dim": -1}),
    "dropout": _dropout_function("dropout"),
    "spatial_dropout": _dropout_function("dropout1d/2d/3d"),
    "alpha_dropout": _dropout_function("alpha_dropout"),
    "dense": Function("linear", _DENSE, _WITHOUT_BIAS),
    "conv": Function("conv1d/2d/3d", {"weight": _kernel, "bias": _per_unit}, _WITHOUT_BIAS),
    "embedding": Function(
        "embedding", {"weight": lambda *sizes: (inputs.VOCABULARY, inputs.CHANNELS)}, variants=_TABLES
    ),
}

# Layers that torch has as a function of another form than `Function`'s.
OTHER_FUNCTIONS = {
    "multi_head_attention": "torch.nn.functional.multi_head_attention_forward is not examined yet",
}


def module(layer, variant, shape, options):
    """`layer` as a fresh `torch.nn` module for channels-last inputs of `shape`."""
    entry = LAYERS.get(layer)
    if entry is None:
        raise Unavailable("%s has no %s module" % (RELEASE, layer))
    name = _of_rank(entry.module, shape)
    constructor = getattr(nn, name, None)
    if constructor is None:
        raise Unavailable("%s has no %s" % (RELEASE, name))
    keywords = dict(entry.keywords, **_given(entry.options, name, options))
    keywords.update(_variant(entry, name, variant, constructor))
    if entry.result == "attention" and _accepts(constructor, "batch_first"):
        keywords["batch_first"] = True
    made = constructed(
        constructor,
        "torch.nn." + name,
        entry.arguments(shape[-1], options.get("units", inputs.UNITS)),
        keywords,
        entry.arguments("channels", "units"),
    )
    if variant == "tracking_switched_off_later":
        made.track_running_stats = False
    if entry.wrap:
        path = "nn.utils." + entry.wrap[variant]
        made = constructed(torch_function(path), "torch." + path, (made,), names=(last(),))
    return made


def function(layer, variant, shape, options):
    """`layer` as a fresh `Functional` around its function of `torch.nn.functional`."""
    entry = FUNCTIONS.get(layer)
    if entry is None:
        raise Unavailable(OTHER_FUNCTIONS.get(layer, "torch.nn.functional has no %s" % layer))
    name = _of_rank(entry.function, shape)
    called = getattr(nn.functional, name, None)
    if called is None:
        raise Unavailable("%s has no torch.nn.functional.%s" % (RELEASE, name))
    name = "torch.nn.functional." + name
    if variant in entry.absent:
        raise Unavailable("%s %s" % (name, entry.absent[variant]))
    like = LAYERS.get(layer)
    keywords = entry.keywords(shape[-1])
    keywords.update(_given(like.options if like else {}, name, options))
    dropped = entry.without.get(variant, ())
    if variant not in entry.without:
        keywords.update(_variant(entry, name, variant, called))
    units, dimensions = options.get("units", inputs.UNITS), len(shape) - 2
    tensors = {
        tensor: size(shape[-1], units, dimensions)
        for tensor, size in entry.tensors.items()
        if tensor not in dropped
    }
    note(name, ["x", *("%s=%s" % (tensor, tensor) for tensor in tensors)], keywords)
    return Functional(called, tensors, keywords, None if variant in entry.modeless else entry.mode)


class Functional(nn.Module):
    """Holds the tensors of a function; `passed` is what it is told of training, by the keyword `mode`."""

    def __init__(self, function, tensors, keywords, mode):
        super().__init__()
        self.function, self.keywords, self.mode, self.passed = function, keywords, mode, {}
        for name, shape in tensors.items():
            if name.startswith("running_"):
                self.register_buffer(name, torch.ones(shape))
            else:
                self.register_parameter(name, nn.Parameter(torch.ones(shape)))

    def telling(self, training):
        """The keyword argument that says `training`, if there is one."""
        return {} if self.mode is None else {self.mode: training}

    def forward(self, source):
        return self.function(source, **self._parameters, **self._buffers, **self.keywords, **self.passed)


def _of_rank(name, shape):
    """`name` with "1d/2d/3d" resolved: rank 4 is 2d, and rank 2 is 1d without positions."""
    return name.replace("1d/2d/3d", "%dd" % max(1, len(shape) - 2))


def _given(known, name, options):
    """A scenario's options as keyword arguments; `known` as in the table, `units` is positional."""
    keywords = {}
    for option, value in options.items():
        if option != "units":
            if option not in known:
                raise Unavailable("%s has no option %s" % (name, option))
            keyword, value = known[option](value)
            keywords[keyword] = value
    return keywords


def _variant(entry, name, variant, target):
    """The keyword arguments that make `variant` of `target` (a constructor or function, called `name`)."""
    if variant == "default":
        return {}
    if variant not in entry.variants:
        raise Unavailable("%s %s" % (name, NO_SUCH_VARIANT.get(variant, "has no variant %s" % variant)))
    keywords = entry.variants[variant]
    for keyword in keywords:
        if not _accepts(target, keyword):
            raise Unavailable("%s of %s has no argument %s" % (name, RELEASE, keyword))
    return keywords


def _accepts(target, keyword):
    """Does `target` (a constructor or function) have the argument `keyword` in this release?"""
    parameters = inspect.signature(target).parameters
    return keyword in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())


def torch_function(path):
    """What is at `path` below torch; not every release imports the submodules by itself."""
    place, _, name = ("torch." + path).rpartition(".")
    try:
        found = importlib.import_module(place)
        return getattr(found, name) if hasattr(found, name) else importlib.import_module(place + "." + name)
    except (ImportError, AttributeError):
        raise Unavailable("%s has no torch.%s" % (RELEASE, path)) from None

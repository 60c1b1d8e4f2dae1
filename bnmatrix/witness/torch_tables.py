"""How programs for PyTorch say what an axis value means: layers, contexts, executions, optimizers.

A new context is an entry of CONTEXTS: the class it needs, and how the model is made of the layer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bnmatrix.witness.parts import NOTHING

NORM = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
    "num_batches_tracked": "num_batches_tracked",
}  # fmt: skip
DENSE = {"kernel": "weight", "bias": "bias"}
RECURRENT = {"kernel": "weight_ih_l0", "recurrent_kernel": "weight_hh_l0", "bias": "bias_ih_l0"}
ATTENTION = {
    "kernel": "in_proj_weight", "bias": "in_proj_bias", "output_kernel": "out_proj.weight",
    "output_bias": "out_proj.bias",
}  # fmt: skip
SPECTRAL = {
    "kernel": "parametrizations.weight.original",
    "power_iteration_vector": "parametrizations.weight.0._u",
    "bias": "bias",
}
LEGACY_SPECTRAL = {"kernel": "weight_orig", "power_iteration_vector": "weight_u", "bias": "bias"}
WEIGHT = {
    "magnitude": "parametrizations.weight.original0",
    "direction": "parametrizations.weight.original1",
    "bias": "bias",
}

AFFINE = {"no_affine": "affine=False", "no_center": "bias=False"}
DROPOUT = {"rate_zero": "p=0.0", "in_place": "inplace=True"}
OF_BATCH = {
    **AFFINE, "no_tracking": "track_running_stats=False", "cumulative_momentum": "momentum=None",
    "tracking_switched_off_later": "",  # a line of its own
}  # fmt: skip


class Layer(NamedTuple):
    """
    made:     its constructor, {d} for the dimensions and {more} for the options of its variant
    names:    {slot: name in its state_dict}
    variants: {variant: options}; `slots`: those that each of them takes away
    result:   how the output is had of a call: "({x})" or the like
    """

    made: str
    names: dict[str, str]
    variants: Mapping[str, str] = NOTHING
    channels_first: bool = False
    result: str = "({x})"


LAYERS = {
    "batch_norm": Layer(
        "torch.nn.BatchNorm{d}d(4{more})", NORM, OF_BATCH, True
    ),
    "layer_norm": Layer("torch.nn.LayerNorm(4{more})", NORM, {"no_affine": "elementwise_affine=False"}),
    "group_norm": Layer("torch.nn.GroupNorm(2, 4{more})", NORM, {"no_affine": "affine=False"}, True),
    "instance_norm": Layer(
        "torch.nn.InstanceNorm{d}d(4{more})",
        NORM,
        {"affine": "affine=True", "tracking": "affine=True, track_running_stats=True"},
        True,
    ),
    "rms_norm": Layer("torch.nn.RMSNorm(4{more})", NORM, {"no_affine": "elementwise_affine=False"}),
    "spectral_norm": Layer(
        "torch.nn.utils.parametrizations.spectral_norm(torch.nn.Linear(4, 3))", SPECTRAL
    ),
    "weight_norm": Layer("torch.nn.utils.parametrizations.weight_norm(torch.nn.Linear(4, 3))", WEIGHT),
    "dropout": Layer("torch.nn.Dropout({more})", {}, DROPOUT),
    "spatial_dropout": Layer("torch.nn.Dropout{d}d({more})", {}, DROPOUT, True),
    "alpha_dropout": Layer("torch.nn.AlphaDropout({more})", {}, DROPOUT),
    "dense": Layer("torch.nn.Linear(4, 3{more})", DENSE, {"no_bias": "bias=False"}),
    "conv": Layer("torch.nn.Conv{d}d(4, 3, 1{more})", DENSE, {"no_bias": "bias=False"}, True),
    "embedding": Layer(
        "torch.nn.Embedding(5, 4{more})", DENSE, {"max_norm": "max_norm=1.0", "mask_zero": "padding_idx=0"}
    ),
    "lstm": Layer(
        "torch.nn.LSTM(4, 3, num_layers=2, batch_first=True{more})", RECURRENT,
        {"default": "dropout=0.5", "no_dropout": "", "dropout_only": "dropout=0.5"}, result="({x})[0]",
    ),
    "gru": Layer(
        "torch.nn.GRU(4, 3, num_layers=2, batch_first=True{more})", RECURRENT,
        {"default": "dropout=0.5", "no_dropout": "", "dropout_only": "dropout=0.5"}, result="({x})[0]",
    ),
    "multi_head_attention": Layer(
        "torch.nn.MultiheadAttention(4, 2{more})", ATTENTION, {"default": "dropout=0.5", "no_dropout": ""},
        result="({x}, {x}, {x})[0]",
    ),
}  # fmt: skip
LEGACY = {
    "spectral_norm": Layer("torch.nn.utils.spectral_norm(torch.nn.Linear(4, 3))", LEGACY_SPECTRAL),
    "weight_norm": Layer(
        "torch.nn.utils.weight_norm(torch.nn.Linear(4, 3))",
        {"magnitude": "weight_g", "direction": "weight_v", "bias": "bias"},
    ),
}

WRAPPER = """\
class Wrapper(torch.nn.Module):  # {says}
    def __init__(self, layer):
        super(Wrapper, self).__init__()
        self.layer = layer

    def forward(self, x):
        return {result}
"""


class Context(NamedTuple):
    """
    wraps:  what the forward of a wrapper around the layer returns (its comment, the expression), or None
    made:   lines that make another model of the model, after its mode was set
    place:  where the layer's model lies in that
    """

    wraps: tuple[str, str] | None = None
    made: Sequence[str] = ()
    place: str = ""


CONTEXTS = {
    "direct": Context(),
    "model": Context(),
    "pinned_false": Context(),
    "pinned_true": Context(),
    "frozen_parent": Context(),
    "thawed_parent": Context(),
    "shared": Context(("uses the layer twice", "(self.layer(x) + self.layer(x)) / 2")),
    "reloaded": Context(made=[
        "file = io.BytesIO()",
        "torch.save(model, file)",
        "file.seek(0)",
        'asked = "weights_only" in inspect.signature(torch.load).parameters',
        'model = torch.load(file, **({"weights_only": False} if asked else {}))',
    ]),
    "cloned": Context(made=["model = copy.deepcopy(model)"]),
    "converted": Context(made=["model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)"]),
    "checkpointed": Context(
        ("computes the model again in the backward pass", "checkpoint(self.layer, x{how})"),
        ["model = Wrapper(model)"],
        "layer",
    ),
    "functional_call": Context(
        (
            "calls the model with its own tensors",
            "functional_call(self.layer, self.layer.state_dict(keep_vars=True), (x,))",
        ),
        ["model = Wrapper(model)"],
        "layer",
    ),
    "data_parallel": Context(made=["model = torch.nn.DataParallel(model)"], place="module"),
    "averaged": Context(made=["model = torch.optim.swa_utils.AveragedModel(model)"], place="module"),
}  # fmt: skip

FRAMEWORK = {
    "averaged": ["import torch.optim.swa_utils"],
    "checkpointed": ["from torch.utils.checkpoint import checkpoint"],
    "functional_call": ["from torch.func import functional_call"],
}
CHECKPOINTS = {"default": "", "reentrant": ", use_reentrant=True", "non_reentrant": ", use_reentrant=False"}

NESTED = ("pinned_false", "pinned_true", "frozen_parent", "thawed_parent")
PINNED = {"pinned_false": False, "pinned_true": True}

CONVERSIONS: dict[str, tuple[str, str]] = {
    "graph": ("torch.jit.script(model)", ""),
    "traced": ("torch.jit.trace(model, {inputs})", ""),
    "compiled": ('torch.compile(model, backend="{compiler}")', "_orig_mod"),
    "exported": ("torch.export.export(model, ({inputs},)).module()", ""),
}
"""{execution: (what is made of the model, where the model lies in that)}"""
WITHIN = {"no_grad": "torch.no_grad()", "inference_mode": "torch.inference_mode()"}

OPTIMIZERS = {
    "sgd": "SGD(model.parameters(), lr=0.125)",
    "momentum": "SGD(model.parameters(), lr=0.125, momentum=0.9)",
    "weight_decay": "SGD(model.parameters(), lr=0.125, weight_decay=0.5)",
    "adam": "Adam(model.parameters(), lr=0.125)",
    "adamw": "AdamW(model.parameters(), lr=0.125, weight_decay=0.5)",
    "rmsprop": "RMSprop(model.parameters(), lr=0.125)",
}

OTHER_WAY = [
    "# The way to clear gradients that is not this release's default.",
    'asked = inspect.signature(optimizer.zero_grad).parameters.get("set_to_none")',
    "if asked is not None:",
    "    optimizer.zero_grad(set_to_none=not asked.default)",
    "for parameter in model.parameters():",
    "    parameter.grad = parameter.grad if asked is not None else None",
]

TRAINING_AS = {
    "bool": {"true": "True", "false": "False"},
    "int": {"true": "1", "false": "0"},
    "numpy_bool": {"true": "np.bool_(True)", "false": "np.bool_(False)"},
    "tensor": {"true": "torch.tensor(True)", "false": "torch.tensor(False)"},
}

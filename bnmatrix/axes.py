"""Axes, their values, and cells: one value for every axis, with an id that never changes.

To add a value, add it to its axis here and teach the adapters that have it to act on it (the
others answer `unavailable`). To add an axis, add it to `AXES` and read it in the adapters: its
default keeps every old id as it is. What exists only together with other values is told in `NEEDS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bnmatrix.errors import UsageError, unknown
from bnmatrix.layers import layers
from bnmatrix.own_layers import is_own, written


@dataclass(frozen=True)
class Axis:
    """One thing that is varied. `values` maps each value to what it means."""

    name: str
    meaning: str
    default: str
    values: Mapping[str, str]


COMPILING = ("fit", "train_on_batch", "test_on_batch", "evaluate", "predict", "run_eagerly", "jit_compile")
"""Executions that compile a model: `training` is theirs to set, and `context` is `model`."""

TRAINING = ("call", "call_over_collection", "graph", "traced", "compiled", "fit", "train_on_batch",
            "run_eagerly", "jit_compile")  # fmt: skip
"""Executions that make a gradient step."""

CONVERTING = ("graph", "traced", "compiled", "exported")
"""Executions that make something else of the layer before they call it."""

_OPTIMIZERS = {
    "sgd": "plain SGD",
    "momentum": "SGD with momentum",
    "weight_decay": "SGD with weight decay",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}
_ZEROED = {
    f"{name}_zeroed": f"{meaning}, gradients cleared the other way" for name, meaning in _OPTIMIZERS.items()
}


def _variants() -> dict[str, str]:
    named: dict[str, str] = {"default": "the layer's own defaults"}
    for layer in layers().values():
        for name, meaning in layer.variants.items():
            named.setdefault(name, meaning)
    return named


def _classes() -> dict[str, str]:
    """What each layer is called where people know it from."""
    return {
        name: layer.classes.get("torch") or next(iter(layer.classes.values()))
        for name, layer in layers().items()
    }


def _axes() -> dict[str, Axis]:
    listed = [
        Axis("layer", "the layer examined", "batch_norm", _classes()),
        Axis("like", "whose inputs and closed forms a layer of the user's own is examined with", "none", {
            "none": "it is a layer of the framework's",
            **dict.fromkeys(layers(), ""),
        }),
        Axis("api", "which of the framework's interfaces", "default", {
            "default": "the layer class (tf1: the tf.layers function)",
            "keras": "tf1: tf.compat.v1.keras.layers",
            "contrib": "tf1: tf.contrib.layers",
            "functional": "torch: torch.nn.functional",
        }),
        Axis("variant", "named sets of the layer's own options", "default", _variants()),
        Axis("training", "the mode asked for in the call", "default", {
            "true": "training mode (torch: train())",
            "false": "inference mode (torch: eval())",
            "default": "not given (torch: the fresh module's flag)",
        }),
        Axis("training_as", "the type that the mode is given as", "bool", {
            "bool": "True, False",
            "int": "1, 0",
            "numpy_bool": "numpy.bool_",
            "tensor": "a tensor of the framework",
        }),
        Axis("trainable", "whether the layer may be trained", "true", {
            "true": "it may",
            "false": "it is frozen",
        }),
        Axis("freeze", "when `trainable` takes its value, the opposite until then", "before_build", {
            "constructor": "in the constructor",
            "before_build": "before it is built (torch: before the optimizer is made)",
            "before_compile": "built, before the model is compiled",
            "after_compile": "after the model is compiled (or the optimizer made), and not compiled again",
            "after_first_step": "after a step was made",
            "between_backward_and_step": "torch: in the step, after backward()",
            "recompiled": "after a step was made, and compiled again (or a new optimizer made)",
        }),
        Axis("freeze_on", "where `trainable` is set", "layer", {
            "layer": "on the layer",
            "parent": "on what holds the layer",
            "variables": "on each of its variables",
            "first_variable": "on the first of its variables alone: a kernel without its bias",
        }),
        Axis("rank", "rank of the input", "2", {str(rank): f"{rank} dimensions" for rank in (2, 3, 4, 5)}),
        Axis("batch", "how large the batch is", "normal", {
            "normal": "6 values a channel",
            "one_sample": "one sample of 6 positions",
            "one_value": "one value a statistic",
            "empty": "no sample",
        }),
        Axis("dtype", "dtype or policy of the layer", "float32", {
            "float32": "", "float64": "", "float16": "", "bfloat16": "",
            "mixed_float16": "float16 computation, float32 weights (torch: autocast)",
            "mixed_bfloat16": "bfloat16 computation, float32 weights (torch: autocast)",
        }),
        Axis("data_format", "where the channels are", "default", {
            "default": "as the layer has it (Keras: last; torch: first)",
            "channels_first": "Keras: first",
            "channels_last": "torch: last in memory (memory_format)",
        }),
        Axis("mask", "which positions count", "none", {
            "none": "all",
            "padded": "a mask of each sample's positions",
            "broadcast": "a mask of whole samples, to be broadcast over their positions",
        }),
        Axis("execution", "how the step is made", "call", {
            "call": "a direct call and a step by hand (tf1: one session run of output, updates and step)",
            "call_without_updates": "tf1: the updates are not run",
            "call_over_collection": "tf1: the step goes over TRAINABLE_VARIABLES",
            "graph": "the call and the step inside tf.function (jax: jit; torch: the call of jit.script)",
            "traced": "torch: the call of jit.trace",
            "compiled": "torch.compile; TensorFlow: tf.function(jit_compile=True)",
            "fit": "model.fit, one batch",
            "train_on_batch": "model.train_on_batch",
            "run_eagerly": "model.fit, compiled with run_eagerly=True",
            "jit_compile": "model.fit, compiled with jit_compile=True",
            "evaluate": "model.evaluate, one batch",
            "test_on_batch": "model.test_on_batch",
            "predict": "model.predict",
            "exported": "saved for serving, loaded and called",
            "no_grad": "torch: the call under torch.no_grad",
            "inference_mode": "torch: the call under torch.inference_mode",
        }),
        Axis("compiler", "the backend of torch.compile, under execution=compiled", "eager", {
            "eager": "the graph is captured and run as it is",
            "aot_eager": "forward and backward are captured and run as they are",
            "inductor": "machine code (torch's own default)",
        }),
        Axis("exported_as", "the format, under execution=exported", "default", {
            "default": "the framework's own: SavedModel, torch.export",
            "onnx": "ONNX",
        }),
        Axis("mode_set", "torch: when the mode is set of what is converted, compiled or wrapped", "before", {
            "before": "before that is done",
            "after": "after that is done",
        }),
        Axis("optimizer", "what makes the step", "none", {
            "none": "plain SGD by hand (of a compiled model: the plainest SGD)",
            **_OPTIMIZERS,
            **_ZEROED,
        }),
        Axis("context", "the path to the layer", "direct", {
            "direct": "the layer is called itself",
            "model": "the layer is reached through a model that holds it",
            "pinned_false": "an inner model is called with training=False (torch: the child is in eval())",
            "pinned_true": "an inner model is called with training=True (torch: the child is in train())",
            "pinned_default": "an inner model is called with training=None",
            "forwarding": "a wrapper passes `training` on",
            "not_forwarding": "a wrapper takes `training` and does not pass it on",
            "no_argument": "a wrapper does not take `training`",
            "frozen_parent": "what holds the layer is frozen, then the layer takes its `trainable`",
            "thawed_parent": "the layer takes its `trainable`, then what holds it is thawed",
            "after_sibling": "behind a layer whose own default is training=True",
            "shared": "the layer is used twice in one model",
            "reloaded": "the model is saved and loaded",
            "cloned": "the model is cloned (torch: deep-copied)",
            "converted": "torch: converted to SyncBatchNorm",
            "converted_back": "torch: converted to SyncBatchNorm and back",
            "checkpointed": "computed again in the backward pass (torch checkpoint, Keras remat)",
            "functional_call": "torch: the module is called with parameters from outside",
            "stateless": "Keras 3: stateless_call",
            "data_parallel": "torch: inside DataParallel",
            "averaged": "torch: inside AveragedModel",
        }),
        Axis("outer", "kind of the outermost model", "functional", {
            "functional": "built from its inputs and outputs (torch: nn.Sequential)",
            "sequential": "a list of layers",
            "subclassed": "a class with a call of its own",
        }),
        Axis("depth", "how many objects lie between the outermost model and the layer", "1", {
            "0": "none: the layer's own call is pinned",
            "1": "one",
            "2": "two, one in the other",
        }),
        Axis("saved_as", "the format, under context=reloaded", "default", {
            "default": "the newest there is (torch: the whole module)",
            "h5": "HDF5",
            "saved_model": "SavedModel",
            "weights": "only the weights, loaded into a freshly built model (torch: the state_dict)",
        }),
        Axis("checkpoint", "which kind, under context=checkpointed", "default", {
            "default": "as the framework chooses",
            "reentrant": "torch: use_reentrant=True",
            "non_reentrant": "torch: use_reentrant=False",
        }),
    ]  # fmt: skip
    return {axis.name: axis for axis in listed}


AXES: dict[str, Axis] = _axes()


@dataclass(frozen=True)
class Cell:
    """One value for every axis, in the order of `AXES`."""

    values: tuple[str, ...]

    @cached_property
    def axes(self) -> dict[str, str]:
        """{axis: value}, every axis."""
        return dict(zip(AXES, self.values, strict=True))

    @cached_property
    def id(self) -> str:
        """The layer, then `axis=value` for every axis that is not at its default, axes sorted."""
        axes = self.axes
        rest = sorted(
            f"{name}={value}"
            for name, value in axes.items()
            if name != "layer" and value != default_of(name, axes)
        )
        return " ".join([axes["layer"], *rest])


def default_of(axis: str, axes: Mapping[str, str]) -> str:
    """The default of `axis` in a cell of the other `axes`.

    The context of an execution that compiles a model is that model; the rank of a layer that does
    not take rank 2 is the smallest it takes. A layer of the user's own is like a batch_norm.
    """
    if axis == "like":
        return AXES["layer"].default if is_own(axes["layer"]) else "none"
    if axis == "context":
        return "model" if axes.get("execution") in COMPILING else "direct"
    if axis == "rank":
        return str(layers()[examined_as(axes)].ranks[0])
    return AXES[axis].default


def examined_as(axes: Mapping[str, str]) -> str:
    """The layer by whose inputs and closed forms a cell is examined."""
    return axes["like"] if is_own(axes["layer"]) else axes["layer"]


def as_own(cell: Cell, layer: str) -> Cell:
    """The cell of a layer of the user's own that is examined as that of `cell`."""
    return Cell(tuple({**cell.axes, "layer": layer, "like": cell.axes["layer"]}.values()))


def as_like(cell: Cell) -> Cell:
    """The cell of the framework's layer that a layer of the user's own is examined as."""
    return Cell(tuple({**cell.axes, "layer": examined_as(cell.axes), "like": "none"}.values()))


def make_cell(chosen: Mapping[str, str]) -> Cell:
    """The cell of the `chosen` values, the rest at its default. Values must be known (`check_value`)."""
    axes = {"layer": AXES["layer"].default, "execution": AXES["execution"].default, **chosen}
    axes.setdefault("like", default_of("like", axes))
    return Cell(tuple(axes[name] if name in axes else default_of(name, axes) for name in AXES))


def parse_id(text: str) -> Cell:
    """The cell that an id names; the order of its parts and defaults that are spelt out do not matter.

    Raises UsageError for an unknown layer, axis or value, for an axis with two values, and where `like` does
    not fit the layer.
    """
    words = text.split()
    if not words:
        raise UsageError("a cell id is empty", "an id reads: batch_norm trainable=false training=true")
    chosen: dict[str, str] = {}
    if "=" not in words[0].partition(":")[0]:
        check_value("layer", words[0])
        word = words.pop(0)
        chosen["layer"] = written(word) if is_own(word) else word
    for word in words:
        axis, separator, value = word.partition("=")
        if not separator:
            raise UsageError(f"{word!r} in the cell id {text!r} is not of the form axis=value")
        check_value(axis, value)
        if chosen.setdefault(axis, value) != value:
            raise UsageError(
                f"the cell id {text!r} says both {axis}={chosen[axis]} and {axis}={value}",
                "a cell has one value of every axis",
            )
    layer, like = chosen.get("layer", AXES["layer"].default), chosen.get("like")
    if like is not None and is_own(layer) == (like == "none"):
        raise UsageError(
            f"like={like} does not go with {layer}",
            "like says what a layer of your own, package.module:Class, is examined as",
        )
    return make_cell(chosen)


def check_value(axis: str, value: str, where: str = "") -> None:
    """Raise UsageError, naming the nearest known word, unless `axis` is known and has the value `value`."""
    if axis not in AXES:
        raise unknown("axis", axis, list(AXES), where)
    if axis == "layer" and is_own(value):
        written(value, where)
    elif value not in AXES[axis].values:
        known = [each for each in AXES[axis].values if axis != "like" or each != "none"]
        if axis == "layer" and "." in value:
            raise UsageError(
                f"{where}unknown layer {value!r}", "one of your own is written package.module:Class"
            )
        raise unknown("layer" if axis in ("layer", "like") else f"value of axis {axis}", value, known, where)


@dataclass(frozen=True)
class Need:
    """`values` of `axis` exist only where one of `where`, {axis: values}, holds."""

    axis: str
    values: tuple[str, ...]
    where: tuple[Mapping[str, tuple[str, ...]], ...]


def _others(axis: str, *without: str) -> tuple[str, ...]:
    """The values of `axis` but its default and those of `without`."""
    return tuple(value for value in AXES[axis].values if value not in (AXES[axis].default, *without))


def _needs() -> tuple[Need, ...]:
    in_a_model = _others("context")
    wrapped = ("forwarding", "not_forwarding", "no_argument", "frozen_parent", "thawed_parent")
    pinned = ("pinned_false", "pinned_true", "pinned_default")
    made = ("converted", "converted_back", "reloaded", "cloned", "data_parallel", "averaged", "checkpointed")
    steps_compiled = tuple(value for value in COMPILING if value in TRAINING)
    stepping = tuple(value for value in TRAINING if value not in COMPILING)
    with_optimizer = {"optimizer": _others("optimizer"), "execution": stepping}
    deep = ("3", "4", "5")
    return (
        Need("like", _others("like"), ()),  # it goes with no layer of the framework's
        Need("training", ("true", "false"), ({"execution": _others_than("execution", COMPILING)},)),
        Need("context", ("direct",), ({"execution": _others_than("execution", COMPILING)},)),
        Need("training_as", _others("training_as"), ({"training": ("true", "false")},)),
        Need("outer", _others("outer"), ({"context": in_a_model},)),
        Need("depth", ("0",), ({"context": pinned},)),
        Need("depth", ("2",), ({"context": (*wrapped, *pinned)},)),
        Need("saved_as", _others("saved_as"), ({"context": ("reloaded",)},)),
        Need("checkpoint", _others("checkpoint"), ({"context": ("checkpointed",)},)),
        Need("compiler", _others("compiler"), ({"execution": ("compiled",)},)),
        Need("exported_as", _others("exported_as"), ({"execution": ("exported",)},)),
        Need("mode_set", ("after",), ({"execution": CONVERTING}, {"context": (*made, *pinned)})),
        Need("optimizer", _others("optimizer"), ({"execution": TRAINING},)),
        Need("freeze_on", ("parent",), ({"context": in_a_model},)),
        Need("freeze", ("before_compile",), ({"execution": steps_compiled},)),
        Need("freeze", ("after_compile", "recompiled"), ({"execution": steps_compiled}, with_optimizer)),
        Need("freeze", ("after_first_step",), ({"execution": TRAINING},)),
        Need("freeze", ("between_backward_and_step",), ({"execution": stepping},)),
        Need("mask", _others("mask"), ({"rank": deep},)),
        Need("data_format", _others("data_format"), ({"rank": deep},)),
    )


def _others_than(axis: str, values: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(value for value in AXES[axis].values if value not in values)


NEEDS: tuple[Need, ...] = _needs()
"""Which values exist only together with others."""


def is_sensible(axes: Mapping[str, str]) -> bool:
    """Whether the combination exists at all: a product leaves out those that do not."""
    if is_own(axes["layer"]):
        axes = {**axes, "layer": axes["like"], "like": "none"}
    if axes["variant"] != "default" and axes["variant"] not in layers()[examined_as(axes)].variants:
        return False
    return all(
        axes[need.axis] not in need.values
        or any(all(axes[axis] in values for axis, values in where.items()) for where in need.where)
        for need in NEEDS
    )

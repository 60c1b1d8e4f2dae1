"""Axes, their values, and cells: one value for every axis, with an id that never changes.

To add a value, add it to its axis here and teach the adapters that have it to act on it (the
others answer `unavailable`). To add an axis, add it to `AXES` and read it in the adapters: its
default keeps every old id as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from bnmatrix.errors import UsageError, unknown
from bnmatrix.layers import layers


@dataclass(frozen=True)
class Axis:
    """One thing that is varied. `values` maps each value to what it means."""

    name: str
    meaning: str
    default: str
    values: Mapping[str, str]


COMPILING = ("fit", "train_on_batch", "evaluate", "predict")
"""Executions that compile a model: `training` is theirs to set, and `context` is `model`."""


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
        Axis("trainable", "whether the layer may be trained", "true", {
            "true": "as it is made",
            "false": "frozen before it is built (torch: before the optimizer)",
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
        Axis("execution", "how the step is made", "call", {
            "call": "a direct call and a step by hand (tf1: one session run of output, updates and step)",
            "call_without_updates": "tf1: the updates are not run",
            "call_over_collection": "tf1: the step goes over TRAINABLE_VARIABLES",
            "graph": "the call and the step inside tf.function",
            "fit": "model.fit, one batch",
            "train_on_batch": "model.train_on_batch",
            "evaluate": "model.evaluate, one batch",
            "predict": "model.predict",
            "inference_mode": "torch: the call under torch.inference_mode",
        }),
        Axis("context", "the path to the layer", "direct", {
            "direct": "the layer is called itself",
            "model": "the layer is reached through a model that holds it",
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
    not take rank 2 is the smallest it takes.
    """
    if axis == "context":
        return "model" if axes.get("execution") in COMPILING else "direct"
    if axis == "rank":
        return str(layers()[axes["layer"]].ranks[0])
    return AXES[axis].default


def make_cell(chosen: Mapping[str, str]) -> Cell:
    """The cell of the `chosen` values, the rest at its default. Values must be known (`check_value`)."""
    axes = {"layer": AXES["layer"].default, "execution": AXES["execution"].default, **chosen}
    return Cell(tuple(axes[name] if name in axes else default_of(name, axes) for name in AXES))


def parse_id(text: str) -> Cell:
    """The cell that an id names; the order of its parts and defaults that are spelt out do not matter.

    Raises UsageError for an unknown layer, axis or value, and for an axis with two values.
    """
    words = text.split()
    if not words:
        raise UsageError("a cell id is empty", "an id reads: batch_norm trainable=false training=true")
    chosen: dict[str, str] = {}
    if "=" not in words[0]:
        check_value("layer", words[0])
        chosen["layer"] = words.pop(0)
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
    return make_cell(chosen)


def check_value(axis: str, value: str, where: str = "") -> None:
    """Raise UsageError, naming the nearest known word, unless `axis` is known and has the value `value`."""
    if axis not in AXES:
        raise unknown("axis", axis, list(AXES), where)
    if value not in AXES[axis].values:
        kind = "layer" if axis == "layer" else f"value of axis {axis}"
        raise unknown(kind, value, list(AXES[axis].values), where)


def is_sensible(axes: Mapping[str, str]) -> bool:
    """Whether the combination exists at all: a product leaves out those that do not."""
    if axes["execution"] in COMPILING:
        return axes["training"] == "default" and axes["context"] == "model"
    return axes["variant"] == "default" or axes["variant"] in layers()[axes["layer"]].variants

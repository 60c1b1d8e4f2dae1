"""The messages of failed assertions: what moved, how far, and why that is possible although the flag says
otherwise.
"""

from __future__ import annotations

import math
import re
import textwrap

from bnmatrix.testing.seen import Layer, Tensor, Trial
from bnmatrix.testing.why import why_moved

MOST_LAYERS = 10
MOST_TENSORS = 12
WIDTH = 100


def not_frozen(trial: Trial) -> str | None:
    """What moved in layers that were to stand still, or None."""
    layers = [layer for layer in trial.layers if any(tensor.moved for tensor in layer.tensors)]
    said: dict[str, str] = {}
    return _told([_moved(layer, trial, said) for layer in layers], len(trial.layers), "moved")


def not_trained(trial: Trial, still: dict[str, list[tuple[Tensor, str]]]) -> str | None:
    """What stood still in layers that were to train: {layer: [(tensor, why)]}, or None."""
    parts = []
    for layer in trial.layers:
        found = still.get(layer.path)
        if not found:
            continue
        lines = [f"{layer.path or 'model'} does not train: {_steps(trial)}"]
        by_reason: dict[str, list[str]] = {}
        for tensor, reason in found:
            by_reason.setdefault(reason, []).append(tensor.name)
        for reason, names in by_reason.items():
            lines += _wrapped(f"{', '.join(names)} stood still: {reason}")
        moved = [tensor for tensor in layer.tensors if tensor.moved]
        lines += _wrapped(f"{', '.join(tensor.name for tensor in moved)} moved") if moved else []
        parts.append("\n".join(lines))
    return _told(parts, len(trial.layers), "stood still")


def _told(parts: list[str], asked: int, what: str) -> str | None:
    if not parts:
        return None
    shown = parts[:MOST_LAYERS]
    if len(parts) > MOST_LAYERS:
        shown.append(f"and {len(parts) - MOST_LAYERS} further layers, of {asked}, in which something {what}")
    return "\n".join(shown)


def _steps(trial: Trial) -> str:
    return f"in {trial.steps} step{'s' if trial.steps > 1 else ''} ({trial.how})"


def _moved(layer: Layer, trial: Trial, said: dict[str, str]) -> str:
    """What moved in a layer, and why. `said`: reasons that were told, {reason: the layer}; told once each."""
    moved = [tensor for tensor in layer.tensors if tensor.moved]
    still = [tensor for tensor in layer.tensors if not tensor.moved]
    lines = [f"{layer.path or 'model'} is not frozen: {_steps(trial)}"]
    width = max(len(tensor.name) for tensor in moved[:MOST_TENSORS])
    lines += [f"  {tensor.name:{width}}  {_distance(tensor)}" for tensor in moved[:MOST_TENSORS]]
    if len(moved) > MOST_TENSORS:
        lines.append(f"  and {len(moved) - MOST_TENSORS} more")
    if still:
        lines += _wrapped(f"{', '.join(tensor.name for tensor in still)} stood still")
    for reason in why_moved(layer, trial):
        first = said.setdefault(_of_any_layer(reason, layer), layer.path)
        lines += textwrap.wrap(f"{reason}." if first == layer.path else f"as with {first}.", WIDTH)
    return "\n".join(lines)


def _of_any_layer(reason: str, layer: Layer) -> str:
    """A reason without what is of one layer: its path, and the names of its tensors."""
    names = "|".join(re.escape(tensor.name) for tensor in layer.tensors)
    plain = reason.replace(layer.path, "it") if layer.path else reason
    return re.sub(rf"\b({names})(, | and )?", "", plain)


def _distance(tensor: Tensor) -> str:
    by, of = tensor.distance()
    if tensor.before.shape != tensor.after.shape:
        return f"is of another shape now: {tensor.before.shape} before, {tensor.after.shape} after"
    if math.isnan(by):
        return "is no number any more"
    if tensor.before.dtype.kind in "iub":
        return f"moved by {by:.0f} (from {of:.0f})" if tensor.before.size == 1 else f"moved by up to {by:.0f}"
    return f"moved by up to {by:.2g} (of {of:.2g})"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="    ")

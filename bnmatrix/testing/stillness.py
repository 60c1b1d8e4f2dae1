"""What stood still in layers that were to train, and why; and the trial made again to find out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from bnmatrix.testing.seen import Tensor, Training, Trial
from bnmatrix.testing.why import why_still


def compiled_anew(trial: Trial, live: Any, training: Training, chosen: Mapping[str, list[str]]) -> Trial:
    """`trial`, and beside it the same of the model as if it had just been compiled: was it what was compiled
    before that made the difference?"""
    anew = live.trial(chosen, training, anew=True)
    return replace(trial, compiled_anew={layer.path: layer for layer in anew.layers})


def stood_still(
    trial: Trial, live: Any, training: Training, chosen: Mapping[str, list[str]]
) -> dict[str, list[tuple[Tensor, str]]]:
    """{layer: [(tensor, why)]}; state that training need not move is left out."""
    still = [
        (layer, tensor) for layer in trial.layers for tensor in layer.tensors
        if not tensor.moved and (tensor.is_parameter or tensor.is_statistic)
    ]  # fmt: skip
    if still and trial.fitted:
        trial = compiled_anew(trial, live, training, chosen)
    hidden = any(tensor.is_parameter and not tensor.looked for _, tensor in still)
    if hidden and trial.framework == "keras" and training.step is None:
        # `fit` shows no gradients: take them in a step by hand.
        for (path, name), gradient in live.gradients(training).items():
            for layer, tensor in still:
                if (layer.path, tensor.name) == (path, name):
                    tensor.looked, tensor.gradient = True, gradient
    found: dict[str, list[tuple[Tensor, str]]] = {}
    for layer, tensor in still:
        reason = why_still(layer, tensor, trial)
        if reason is not None:
            found.setdefault(layer.path, []).append((tensor, reason))
    return found

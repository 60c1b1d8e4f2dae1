"""Layers that multiply by a kernel or look rows up in it: dense, convolution of kernel size 1, embedding."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnmatrix.judge.closed_forms import Array
from bnmatrix.judge.normalisation import Step, plain_gradient
from bnmatrix.judge.numbers import UNDECIDED, Reading
from bnmatrix.judge.precision import tolerance

MARGIN = 4.0
"""Between a rounding error and a difference of two estimates."""


def effective_kernel(layer: str, step: Step, state: Mapping[str, Array]) -> Array | None:
    """What x is multiplied by, (in, out); None where `state` has no such thing.

    Weight normalisation: K = g v / |v|, by output (Salimans and Kingma 2016). Spectral normalisation:
    K / sigma (Miyato et al. 2018), sigma being fitted from the output: it is an estimate that moves.
    """
    if layer == "weight_norm":
        if "direction" not in state or "magnitude" not in state:
            return None
        direction = state["direction"]
        length = np.sqrt((direction**2).sum(axis=1, keepdims=True))
        return np.asarray((state["magnitude"].reshape(-1, 1) * direction / length).T)
    kernel = state.get("kernel")
    if kernel is None or kernel.ndim != 2 or kernel.shape[0] != step.x.shape[-1]:
        return None
    if layer == "spectral_norm":
        made, wanted = step.x @ kernel, step.y - state.get("bias", np.zeros(1))
        power = float((made**2).sum())
        return kernel * (float((made * wanted).sum()) / power) if power else None
    return kernel


def facts(layer: str, step: Step, start: Mapping[str, Array], dtype: str) -> tuple[dict[str, Reading], bool]:
    """`input_gradient`, and whether y = x K + b explains the output.

    The gradient is `through_kernel` where it is that of the closed form.
    """
    plain = plain_gradient(step.gradient)
    kernel = effective_kernel(layer, step, start)
    if kernel is None:
        return {"input_gradient": plain}, False
    if step.y.shape != (*step.x.shape[:-1], kernel.shape[1]):
        return {"input_gradient": plain}, False  # seen of an empty batch
    error = tolerance(dtype)
    bias = start.get("bias", np.zeros(1))
    terms = np.abs(step.x) @ np.abs(kernel) + np.abs(bias)
    explained = bool(np.all(np.abs(step.y - (step.x @ kernel + bias)) <= error * terms))
    if plain.value == "other" and step.gradient is not None and explained:
        size = np.abs(step.arriving) @ np.abs(kernel.T)
        missed = np.abs(step.gradient - step.arriving @ kernel.T)
        # The estimate of sigma may have moved a little on, where the layer is called again for the gradient.
        margin = MARGIN if layer == "spectral_norm" else 1.0
        if np.all(missed <= error / margin * size):
            plain = Reading("through_kernel")
        elif np.all(missed <= error * margin * size):
            plain = UNDECIDED
    return {"input_gradient": plain}, explained


def looked_up(step: Step, states: Mapping[str, Mapping[str, Array]]) -> bool:
    """Whether the output is rows of the table, as it was before or (rescaled on look-up) after the step."""
    rows = step.x.astype(np.int64)
    tables = [state["kernel"] for state in states.values() if "kernel" in state]
    return any(
        np.allclose(table[rows], step.y, rtol=1e-2, atol=1e-6)
        for table in tables
        if rows.max(initial=0) < len(table)
    )

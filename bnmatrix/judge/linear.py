"""Layers that multiply by a kernel: dense, convolution of kernel size 1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from bnmatrix.judge.closed_forms import Array
from bnmatrix.judge.normalisation import plain_gradient
from bnmatrix.judge.numbers import Reading
from bnmatrix.judge.precision import tolerance


def facts(
    x: Array, y: Array, arriving: Array, gradient: Array | None, start: Mapping[str, Array], dtype: str
) -> dict[str, Reading]:
    """`input_gradient`: `through_kernel` where y = x K + b and the gradient is that of it, K of shape (in, out)."""
    plain = plain_gradient(gradient)
    kernel = start.get("kernel")
    if plain.value != "other" or gradient is None or kernel is None or kernel.shape[0] != x.shape[-1]:
        return {"input_gradient": plain}
    error = tolerance(dtype)
    bias = start.get("bias", np.zeros(1))
    output = np.abs(y - (x @ kernel + bias)) <= error * (np.abs(x) @ np.abs(kernel) + np.abs(bias))
    passed = np.abs(gradient - arriving @ kernel.T) <= error * (np.abs(arriving) @ np.abs(kernel.T))
    return {"input_gradient": Reading("through_kernel") if output.all() and passed.all() else plain}

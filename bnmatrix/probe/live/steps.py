"""What steps by hand have in common in every framework."""

from typing import Tuple

import numpy as np

RATE = 0.01
"""Of the plain SGD by hand."""


def loss_weights(shape: Tuple[int, ...], number: int) -> np.ndarray:
    """The weight that each entry of output `number` has in the loss: the same in every step and run."""
    return np.random.RandomState(number).uniform(0.5, 1.5, shape).astype(np.float32)

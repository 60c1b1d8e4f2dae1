"""Inputs and parameters."""

import numpy as np

from bnmatrix.probe import inputs


def test_a_slot_of_one_number_gets_a_value() -> None:
    """The renormalisation of TensorFlow 1.12 keeps weights that are scalars."""
    value = inputs.parameter("renorm_mean_weight", (), 0)
    assert value.shape == ()
    assert np.isfinite(value)

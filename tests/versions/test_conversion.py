"""A layer of an old release made to behave like that of the installed one."""

from __future__ import annotations

import pytest

import bnmatrix
from tests.versions.releases import MAKING, need


@pytest.mark.versions
@pytest.mark.timeout(MAKING)
def test_an_average_rid_of_its_bias_towards_0_has_no_counterpart() -> None:
    """Keras 2.2.4: the first update takes in the whole batch's statistics, the second a half of them."""
    need("keras==2.2.4")
    (case,) = bnmatrix.convert("batch_norm", "keras==2.2.4", "tf2", {"rank": 2}).cases
    assert case.destination_code == "tf.keras.layers.BatchNormalization(momentum=0.99, epsilon=0.001)"
    proofs = {proof.scenario: proof for proof in case.proofs}
    training = proofs["training"]
    assert training.parting() == ["moving_mean", "moving_variance", "inference_output"]
    rates = {cause.fact: (cause.source, cause.destination) for cause in training.causes}
    assert rates["update_rate"] == (1.0, 0.01)
    assert training.remedy is None
    assert proofs["inference"].answer == "equal"

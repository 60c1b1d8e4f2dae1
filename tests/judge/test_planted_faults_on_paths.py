"""Faults that show only under a mask, with an optimizer, or where a step calls a layer twice: each is found
by the fact that names it, and the twin without it is clean. Real torch and Keras."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

import torch

from bnmatrix.axes import parse_id
from bnmatrix.judge import judge
from bnmatrix.judge.state import driven_by_noise, lost_in_rounding, slot_facts
from bnmatrix.layers import layers
from tests.judge import torch_path_mutants as planted
from tests.judge.test_planted_faults import in_place_of
from tests.laboratory import adapter, facts, observe, probe

TRAINING = "batch_norm training=true"
FROZEN = f"{TRAINING} trainable=false freeze=after_first_step"
SEEDS = tuple(range(4))


class Masking:
    """An adapter whose layers take no mask; `told` hears of it."""

    def __init__(self, used: Any, told: Any) -> None:
        self.used, self.told = used, told

    def seed(self, seed: int) -> None:
        self.used.seed(seed)

    def bench(self, cell: dict[str, str], shape: tuple[int, ...], options: dict[str, Any]) -> Any:
        self.told(probe("inputs").mask(shape, cell["mask"]))
        return self.used.bench({**cell, "mask": "none"}, shape, options)


def tell_torch(mask: np.ndarray) -> None:
    planted.Masked.counted = torch.tensor(mask)[:, None]


BY_UNMASKED = {
    "normalised_by": "unmasked_batch",
    "input_gradient": "through_unmasked_batch_statistics",
    "variance_estimator": "unmasked_unbiased",
    "update_rate": 0.1,
    "updates_per_step": 1,
    "epsilon": 1e-5,
}
UNDER_A_MASK = {
    planted.Masked: {},
    planted.IgnoresTheMask: {
        "normalised_by": "batch",
        "input_gradient": "through_batch_statistics",
        "variance_estimator": "unbiased",
    },
    planted.CountsMaskedPositionsInTheVariance: {
        "normalised_by": "neither",
        "input_gradient": "other",
        "variance_estimator": "other",
        "epsilon": None,
    },
    planted.CountsMaskedPositionsInTheMean: {
        "normalised_by": "neither",
        "input_gradient": "other",
        "variance_estimator": "other",
        "epsilon": None,
    },
    planted.CorrectsByTheNumberOfAll: {"variance_estimator": "other"},
    planted.StoresTheStatisticsOfAll: {"variance_estimator": "unbiased"},
    planted.HoldsMaskedStatisticsConstant: {"input_gradient": "statistics_held_constant"},
    planted.NormalisesTheMaskedOnly: {"normalised_by": "neither", "input_gradient": "other", "epsilon": None},
}


@pytest.mark.parametrize("module", UNDER_A_MASK, ids=lambda each: each.__name__)
@pytest.mark.parametrize("mask", ["rank=3 mask=padded", "rank=4 mask=broadcast"])
def test_under_a_mask(module: type, mask: str) -> None:
    expected = {**BY_UNMASKED, **UNDER_A_MASK[module]}
    with in_place_of(module):
        found = facts(Masking(adapter("torch"), tell_torch), f"{TRAINING} {mask}", SEEDS).facts
    assert {fact: found.get(fact) for fact in expected} == expected


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "mixed_bfloat16"])
@pytest.mark.parametrize(
    ("module", "gradient"),
    [
        (planted.Masked, "through_unmasked_batch_statistics"),
        (planted.HoldsMaskedStatisticsConstant, "statistics_held_constant"),
    ],
)
def test_under_a_mask_in_half_precision(module: type, gradient: str, dtype: str) -> None:
    with in_place_of(module):
        used = Masking(adapter("torch"), tell_torch)
        found = facts(used, f"{TRAINING} rank=3 mask=padded dtype={dtype}", SEEDS).facts
    assert (found["normalised_by"], found["input_gradient"]) == ("unmasked_batch", gradient)


def test_a_mask_says_nothing_of_inference() -> None:
    with in_place_of(planted.Masked):
        used = Masking(adapter("torch"), tell_torch)
        found = facts(used, "batch_norm training=false rank=3 mask=padded", SEEDS).facts
    assert (found["normalised_by"], found["input_gradient"]) == ("moving", "elementwise")


@pytest.mark.parametrize("passes", [True, False])
@pytest.mark.parametrize("mask", ["rank=3 mask=padded", "rank=4 mask=broadcast"])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "mixed_bfloat16"])
def test_the_mask_of_keras(passes: bool, mask: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keras's own layer, given the mask or not."""
    pytest.importorskip("tensorflow")
    used = adapter("tf2")
    import keras

    told: list[np.ndarray] = []

    class Given(keras.layers.BatchNormalization):
        def call(self, x, training=None):
            more = {"mask": keras.ops.convert_to_tensor(told[-1])} if passes else {}
            return super().call(x, training=training, **more)

    monkeypatch.setattr(probe("adapters.keras_layers"), "find_class", lambda *where: Given)
    found = facts(Masking(used, told.append), f"{TRAINING} {mask} dtype={dtype}", SEEDS).facts
    whose = "unmasked_batch" if passes else "batch"
    assert (found["normalised_by"], found["input_gradient"]) == (whose, f"through_{whose}_statistics")
    if dtype in ("float32", "float64"):
        assert (found["update_rate"], found["updates_per_step"]) == (0.01, 1)
        assert found["variance_estimator"] == ("unmasked_biased" if passes else "biased")


WITH_AN_OPTIMIZER = [
    (planted.BatchNorm, f"{FROZEN} optimizer=weight_decay", "unchanged"),
    (planted.BatchNorm, f"{FROZEN} optimizer=momentum", "unchanged"),
    (planted.LeaksThroughTheOptimizer, f"{FROZEN} optimizer=weight_decay", "updated"),
    (planted.LeaksThroughTheOptimizer, f"{FROZEN} optimizer=momentum", "updated"),
    (planted.LeaksInTheSecondStep, f"{TRAINING} trainable=false optimizer=sgd", "updated"),
    (planted.BatchNorm, f"{TRAINING} trainable=false optimizer=sgd", "unchanged"),
    # torch's own leak: a gradient that is cleared to zero, not to None, is one for the optimizer.
    (None, f"{FROZEN} optimizer=weight_decay_zeroed", "updated"),
    (None, f"{FROZEN} optimizer=weight_decay", "unchanged"),
]


@pytest.mark.parametrize(("module", "identity", "expected"), WITH_AN_OPTIMIZER)
def test_a_freeze_that_leaks_through_the_optimizer(module: Any, identity: str, expected: str) -> None:
    with in_place_of(module):
        found = facts(adapter("torch"), identity).facts
    assert found["gamma"] == expected
    assert found["update_rate"] == 0.1


TWICE = {
    planted.BatchNorm: (2, 0.19),
    planted.WithoutCounter: (2, 0.19),
    planted.UpdatesOnceABatch: (1, 0.1),
    planted.UpdatesOnceABatchWithoutCounter: (1, 0.1),
}


@pytest.mark.parametrize("module", TWICE, ids=lambda each: each.__name__)
@pytest.mark.parametrize("context", ["shared", "checkpointed"])
def test_updates_of_a_layer_that_a_step_calls_twice(module: type, context: str) -> None:
    with in_place_of(module):
        found = facts(adapter("torch"), f"{TRAINING} context={context}", SEEDS).facts
    assert (found["updates_per_step"], found["update_rate"]) == TWICE[module]
    assert (found["next_update_rate"], found["variance_estimator"]) == (TWICE[module][1], "unbiased")
    assert found["input_gradient"] == "through_batch_statistics"


SHARED_DROPOUT = [
    (None, "dropout rank=4", {"output_scale": 2.0, "dropped_unit": "element", "expected_output": "kept"}),
    (None, "spatial_dropout rank=4", {"output_scale": 2.0, "dropped_unit": "channel"}),
    (None, "alpha_dropout rank=4", {"output_scale": 0.8864, "dropped_unit": "element"}),
    (planted.DropsUnscaled, "dropout rank=4", {"output_scale": 1.0, "expected_output": "shifted"}),
    (planted.DropsWholeChannels, "dropout rank=4", {"output_scale": 2.0, "dropped_unit": "channel"}),
]


@pytest.mark.parametrize(("module", "layer", "expected"), SHARED_DROPOUT)
def test_the_mean_of_two_draws(module: Any, layer: str, expected: dict[str, Any]) -> None:
    with in_place_of(module):
        found = facts(adapter("torch"), f"{layer} context=shared training=true", SEEDS).facts
    assert found["input_gradient"] == "elementwise"
    assert {fact: found[fact] for fact in expected} == {
        fact: pytest.approx(value, abs=1e-4) if isinstance(value, float) else value
        for fact, value in expected.items()
    }


def test_what_can_be_told_of_a_step_that_raises() -> None:
    with in_place_of(planted.RaisesAfterItsUpdate):
        found = facts(adapter("torch"), f"{TRAINING} context=model").facts
    assert found["exception"] == "RuntimeError"
    assert (found["moving_mean"], found["gamma"]) == ("updated", "unchanged")
    assert (found["updates_per_step"], found["update_rate"]) == (1, 0.1)
    assert (found["statistics_dtype"], found["trainable_weights"]) == ("float32", 2)
    assert found["mode_after"] == found["trainable_after"] == "layer=yes model=yes"
    assert (found["weight_order"].split()[0], found["warnings"]) == ("layer/gamma", "none")


def test_what_can_be_told_of_a_step_before_the_freeze_that_raises() -> None:
    identity = f"{FROZEN} optimizer=sgd"
    with in_place_of(planted.RaisesAfterItsUpdate):
        observation = observe(adapter("torch"), identity, 0)
    found = judge(observation, layers()["batch_norm"], parse_id(identity).axes).facts
    assert (observation.outcome, observation.stage) == ("raised", "step before the freeze")
    assert found["mode_after"].value == "yes"
    assert "gamma" not in found  # that step is not the cell's


def test_what_an_optimizer_makes_of_rounding_noise_is_not_decided() -> None:
    before = {"kernel": np.array([1.0, 2.0]), "bias": np.array([0.5])}
    full = {"kernel": np.array([1.125, 1.875]), "bias": np.array([0.6])}
    gradients = {"kernel": np.array([-0.5, 0.25]), "bias": np.array([-1e-8])}
    for seen in (gradients, {}):
        part = full if seen else {**full, "bias": np.array([0.51])}
        noisy = driven_by_noise(before, part, ["kernel", "bias"], seen, "float32")
        found = slot_facts([(before, part)], ["kernel", "bias"], ["kernel", "bias"], noisy)
        assert (found["kernel"].value, found["bias"].value) == ("updated", "undecided")


def test_a_step_that_rounding_may_swallow_is_not_decided() -> None:
    state = {"kernel": np.array([1.0])}
    for gradient, expected in ((0.5, "unchanged"), (0.01, "undecided"), (0.0, "unchanged")):
        lost = lost_in_rounding(state, {"kernel": np.array([gradient])}, {"kernel": "bfloat16"})
        assert slot_facts([(state, state)], ["kernel"], ["kernel"], (), lost)["kernel"].value == expected


def test_a_gradient_of_exactly_zero_is_no_noise() -> None:
    """An optimizer that moves a slot all the same remembers something."""
    state = {"kernel": np.array([1.0]), "bias": np.array([1.0])}
    gradients = {"kernel": np.array([1.0]), "bias": np.array([0.0])}
    assert driven_by_noise(state, state, ["kernel", "bias"], gradients, "float32") == set()

"""Faults are called by their names: the fact that a mutant shows is the one it was planted for."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

from bnmatrix.axes import parse_id
from bnmatrix.judge import judge
from bnmatrix.layers import layers
from tests.judge import torch_mutants as planted
from tests.judge.test_planted_faults import in_place_of
from tests.laboratory import adapter, facts, observe

TRAINING = "batch_norm training=true rank=4"
INFERENCE = "batch_norm training=false"
FROZEN = "batch_norm training=true trainable=false"

SHOWN = {
    planted.BatchNorm: (TRAINING, {"normalised_by": "batch", "variance_estimator": "unbiased"}),
    planted.UpdatesByTheBiasedEstimator: (TRAINING, {"variance_estimator": "biased"}),
    planted.CorrectsTheEstimatorTwice: (TRAINING, {"variance_estimator": "unbiased_twice"}),
    planted.StoresTheDeviation: (TRAINING, {"variance_estimator": "other"}),
    planted.TakesMomentumForTheOtherSide: (TRAINING, {"update_rate": 0.9}),
    planted.UpdatesTwice: (TRAINING, {"update_rate": 0.19}),
    planted.UpdatesByTheFirstSample: (TRAINING, {"update_rate": "other"}),
    planted.UpdatesOnlyOnce: (INFERENCE.replace("false", "true"), {"next_update_rate": 0.0}),
    planted.HasALargeEpsilon: (TRAINING, {"epsilon": 0.001}),
    planted.NormalisesByTheUnbiasedEstimator: (TRAINING, {"normalised_by": "neither"}),
    planted.TakesBatchMeanAndMovingVariance: (TRAINING, {"normalised_by": "neither"}),
    planted.TakesMovingMeanAndBatchVariance: (TRAINING, {"normalised_by": "neither"}),
    planted.TakesGammaOfTheNextChannel: (TRAINING, {"normalised_by": "neither"}),
    planted.IgnoresEval: (INFERENCE, {"normalised_by": "batch"}),
    # These two normalise by what they have just updated: neither the batch's nor what was stored before.
    planted.IgnoresTrain: (TRAINING, {"normalised_by": "neither"}),
    planted.FreezeSwitchesToInference: (FROZEN, {"normalised_by": "neither", "moving_mean": "updated"}),
    planted.FreezeStopsTheStatistics: (FROZEN, {"normalised_by": "batch", "moving_mean": "unchanged"}),
    planted.FreezeLeaksIntoGamma: (FROZEN, {"gamma": "updated", "beta": "unchanged"}),
    planted.GradientIgnoresTheStatistics: (TRAINING, {"input_gradient": "statistics_held_constant"}),
    planted.GradientIgnoresTheVariance: (TRAINING, {"input_gradient": "other"}),
    planted.DoublesTheGradient: (TRAINING, {"input_gradient": "other"}),
    planted.DetachesTheInput: (TRAINING, {"input_gradient": "none"}),
    planted.AddsNoise: (TRAINING, {"stochastic": "yes"}),
    planted.CountsTwice: (TRAINING, {"updates_per_step": 2}),
    planted.DropsUnscaled: ("dropout training=true", {"output_scale": 1.0, "expected_output": "shifted"}),
    planted.ScalesAtInference: ("dropout training=false", {"output_scale": 0.5}),
    planted.DropsMoreThanItScales: ("dropout training=true", {"expected_output": "shifted"}),
    planted.DropsWholeChannels: ("dropout rank=4 training=true", {"dropped_unit": "channel"}),
    planted.HoldsStatisticsOfLayersConstant: ("layer_norm", {"input_gradient": "statistics_held_constant"}),
    planted.DenseGradientIsHalved: ("dense", {"input_gradient": "other"}),
}  # fmt: skip


@pytest.mark.parametrize("module", SHOWN, ids=lambda each: each.__name__)
def test_a_fault_is_called_by_its_name(module: type) -> None:
    identity, expected = SHOWN[module]
    with in_place_of(module):
        found = facts(adapter("torch"), identity).facts
    assert {fact: found.get(fact) for fact in expected} == expected


def test_a_single_value_near_the_moving_mean_tells_little_of_the_scale() -> None:
    identity, seed = "batch_norm batch=one_value rank=4 training=false", 9001
    axes = parse_id(identity).axes
    found = judge(observe(adapter("torch"), identity, seed), layers()["batch_norm"], axes)
    assert found.facts["normalised_by"].value == "moving"

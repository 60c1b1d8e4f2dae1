"""Planted faults that only a compiled step or Keras's own freeze can have. Real Keras on TensorFlow."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tensorflow")

from bnmatrix.comparison import compare
from bnmatrix.matrix import TargetMatrix
from tests.laboratory import adapter, matrix, probe

CELLS = [
    "batch_norm training=true",
    "batch_norm training=false",
    "batch_norm trainable=false training=true",
    "batch_norm execution=graph rank=4 training=true",
    "batch_norm execution=fit",
    "batch_norm execution=fit rank=4 trainable=false",
    "batch_norm execution=evaluate",
]
DROPOUT_CELLS = ["dropout training=true", "dropout execution=fit", "dropout execution=predict"]
UNCHANGED = 200


def mutants() -> dict[str, tuple[str, Any]]:
    """{name of the fault: (layer, class)}; made late, for they need Keras."""
    adapter("tf2")
    import keras
    import tensorflow as tf

    Original, ops = keras.layers.BatchNormalization, keras.ops

    class FreezeLeaksIntoGamma(Original):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            if not self.trainable:
                self.gamma.assign(self.gamma * 0.99)
            return y

    class FreezeLeaksIntoBeta(Original):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            if not self.trainable:
                self.beta.assign(self.beta + 0.01)
            return y

    class FreezeLeaksIntoTheMean(Original):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            if training and not self.trainable:
                self.moving_mean.assign(self.moving_mean * 0.99)
            return y

    class FreezeLeaksIntoTheVariance(Original):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            if training and not self.trainable:
                self.moving_variance.assign(self.moving_variance * 0.99)
            return y

    class FrozenNormalisesByTheBatch(Original):
        def call(self, x, training=None):
            if training and not self.trainable:
                mean, variance = ops.moments(x, axes=tuple(range(len(x.shape) - 1)))
                return (x - mean) / ops.sqrt(variance + self.epsilon) * self.gamma + self.beta
            return super().call(x, training=training)

    class SkipsItsUpdateInAGraph(Original):
        def call(self, x, training=None):
            if training and not tf.executing_eagerly():
                mean, variance = ops.moments(x, axes=tuple(range(len(x.shape) - 1)))
                return (x - mean) / ops.sqrt(variance + self.epsilon) * self.gamma + self.beta
            return super().call(x, training=training)

    class UpdatesTwiceInAGraph(Original):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            if training and self.trainable and not tf.executing_eagerly():
                y = super().call(x, training=training)
            return y

    class UpdatesInEvaluate(Original):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            if not training:
                self.moving_mean.assign(self.moving_mean * 0.99)
            return y

    class TakesMomentumForTheOtherSide(Original):
        def __init__(self, **options):
            super().__init__(momentum=0.01, **options)

    class CorrectsTheEstimator(Original):
        def _moments(self, inputs, mask):
            mean, variance = super()._moments(inputs, mask)
            return mean, variance * 6 / 5

    class HasTorchsEpsilon(Original):
        def __init__(self, **options):
            super().__init__(epsilon=1e-5, **options)

    class HoldsTheStatisticsConstant(Original):
        def _moments(self, inputs, mask):
            mean, variance = super()._moments(inputs, mask)
            return ops.stop_gradient(mean), ops.stop_gradient(variance)

    class DropsUnscaled(keras.layers.Dropout):
        def call(self, x, training=None):
            y = super().call(x, training=training)
            return y * (1 - self.rate) if training else y

    class DropsInPredict(keras.layers.Dropout):
        def call(self, x, training=None):
            return super().call(x, training=True)

    return {
        name: ("dropout" if "Drops" in name else "batch_norm", each)
        for name, each in locals().items()
        if isinstance(each, type) and issubclass(each, keras.layers.Layer) and each is not Original
    }


NAMES = [
    "FreezeLeaksIntoGamma", "FreezeLeaksIntoBeta", "FreezeLeaksIntoTheMean", "FreezeLeaksIntoTheVariance",
    "FrozenNormalisesByTheBatch", "SkipsItsUpdateInAGraph", "UpdatesTwiceInAGraph", "UpdatesInEvaluate",
    "TakesMomentumForTheOtherSide", "CorrectsTheEstimator", "HasTorchsEpsilon", "HoldsTheStatisticsConstant",
    "DropsUnscaled", "DropsInPredict",
]  # fmt: skip


def of(layer: str, replacement: Any, seeds: tuple[int, int] = (0, 1)) -> TargetMatrix:
    """The truth table of Keras's own layer, or of `replacement` in its place."""
    used = adapter("tf2")
    table = probe("adapters.keras_layers")
    usual = table.find_class
    if replacement is not None:
        table.find_class = lambda *where: replacement
    try:
        return matrix(used, DROPOUT_CELLS if layer == "dropout" else CELLS, seeds)
    finally:
        table.find_class = usual


@pytest.fixture(scope="module")
def planted() -> dict[str, tuple[str, Any]]:
    return mutants()


@pytest.fixture(scope="module")
def originals() -> dict[str, TargetMatrix]:
    return {layer: of(layer, None) for layer in ("batch_norm", "dropout")}


def test_every_mutant_is_named(planted: dict[str, tuple[str, Any]]) -> None:
    assert sorted(planted) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_planted_fault_is_found(name: str, planted: Any, originals: dict[str, TargetMatrix]) -> None:
    layer, mutant = planted[name]
    assert compare(originals[layer], of(layer, mutant, (7, 8)), "").summary.changed > 0


def test_an_unchanged_subclass_shows_no_difference(originals: dict[str, TargetMatrix]) -> None:
    import keras

    class Unchanged(keras.layers.BatchNormalization):
        pass

    diff = compare(originals["batch_norm"], of("batch_norm", Unchanged, (7, 8)), "")
    assert [(change.id, change.fact, change.old, change.new) for change in diff.changes] == []


@pytest.mark.timeout(300)
def test_new_seeds_show_no_difference(originals: dict[str, TargetMatrix]) -> None:
    eager = [identity for identity in CELLS if "execution" not in identity]
    for run in range(UNCHANGED):
        fresh = matrix(adapter("tf2"), [eager[run % len(eager)]], (100 + 2 * run, 101 + 2 * run))
        known = {cell.id for cell in fresh.cells}
        cells = [cell for cell in originals["batch_norm"].cells if cell.id in known]
        old = TargetMatrix(target="here", framework="tf2", versions={}, python="", device="cpu", cells=cells)
        diff = compare(old, fresh, "")
        found = [(change.id, change.fact, change.old, change.new) for change in diff.changes]
        assert (found, diff.unstable) == ([], [])

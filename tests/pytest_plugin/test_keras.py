"""Assertions on live Keras models of both generations: good ones pass, bad twins fail, nothing is changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow")

from bnmatrix.testing import CannotTell, assert_frozen, assert_trains
from tests.laboratory import adapter

INPUT = np.sin(np.linspace(-2, 5, 32)).reshape(8, 4).astype("float32")
TARGET = np.linspace(0, 1, 16).reshape(8, 2).astype("float32")

KERAS = {"keras": "tf2", "tf_keras": "tf_keras"}


@pytest.fixture(scope="module", params=KERAS)
def keras(request: pytest.FixtureRequest) -> Any:
    """Keras 3 on TensorFlow, and Keras 2."""
    pytest.importorskip(request.param)
    return adapter(KERAS[request.param]).keras  # which sets TensorFlow up as all tests need it


def keeps_counting(keras: Any) -> Any:
    """A layer whose state moves in training mode, frozen or not."""

    class KeepsCounting(keras.layers.Layer):
        def build(self, shape: Any) -> None:
            self.mean = self.add_weight(
                shape=(shape[-1],), initializer="zeros", trainable=False, name="moving_mean"
            )
            self.gamma = self.add_weight(shape=(shape[-1],), initializer="ones", name="gamma")
            self.built = True

        def call(self, inputs: Any, training: Any = None) -> Any:
            if training:
                self.mean.assign(self.mean + 1.0)
            return inputs * self.gamma

    return KeepsCounting(name="counts")


def network(keras: Any, *further: Any, frozen: bool = True, compiled: bool = True, eager: bool = True) -> Any:
    """A backbone, frozen before compile, and a head. `eager`: `fit` compiles nothing, which takes time."""
    keras.utils.set_random_seed(7)
    layers = keras.layers
    backbone = keras.Sequential(
        [
            layers.Input((4,)),
            layers.Dense(6, name="dense"),
            layers.BatchNormalization(name="bn1"),
            *further,
            layers.Dropout(0.5, name="drop"),
        ],
        name="backbone",
    )
    backbone.trainable = not frozen
    inputs = layers.Input((4,))
    model = keras.Model(inputs, layers.Dense(2, name="head")(backbone(inputs)))
    if compiled:
        model.compile("adam", "mse", metrics=["mae"], run_eagerly=eager)
    return model


def failure(question: Callable[[], None]) -> str:
    with pytest.raises(AssertionError) as caught:
        question()
    return " ".join(str(caught.value).split())


def test_a_frozen_backbone_stands_still_and_its_head_trains(keras: Any) -> None:
    model = network(keras)
    assert_frozen(model, "backbone.*")
    assert_trains(model, "head.*")
    assert_frozen(model, "backbone.*", execution="by_hand")
    assert_trains(model, "head.*", input=INPUT, execution="by_hand")


def test_a_model_without_compile_is_stepped_by_hand(keras: Any) -> None:
    model = network(keras, frozen=False, compiled=False)
    assert_trains(model)
    told = failure(lambda: assert_frozen(model, "backbone.bn1"))
    assert "backbone.bn1 is not frozen: in 2 steps (by hand, SGD)" in told
    assert "nothing freezes it: trainable=True" in told


def test_a_layer_that_counts_though_frozen_is_found(keras: Any) -> None:
    told = failure(lambda: assert_frozen(network(keras, keeps_counting(keras)), "backbone.*"))
    assert "backbone.counts is not frozen: in 2 steps (fit, " in told
    assert "moving_mean moved by up to 2 (of 0)" in told
    assert "gamma stood still" in told
    assert "although trainable=False: it was called with training=True" in told
    assert "(KeepsCounting) from writing moving_mean" in told
    assert "bn1" not in told


def test_a_freeze_after_compile_is_explained_by_compiling_anew(keras: Any) -> None:
    model = network(keras, frozen=False, eager=False)
    model.fit(INPUT, TARGET, verbose=0)
    model.get_layer("backbone").trainable = False
    told = failure(lambda: assert_frozen(model, "backbone.bn1"))
    assert "although trainable=False: fit goes by what was compiled before the freeze" in told
    assert "Compiled anew, gamma, beta, moving_mean and moving_variance stood still here" in told
    model.compile("adam", "mse", run_eagerly=True)
    assert_frozen(model, "backbone.*")


def test_what_is_thawed_after_compile_does_not_train(keras: Any) -> None:
    model = network(keras, eager=False)
    model.fit(INPUT, TARGET, verbose=0)
    model.get_layer("backbone").trainable = True
    told = failure(lambda: assert_trains(model, "backbone.dense"))
    assert "kernel, bias stood still: fit goes by what was compiled before it was thawed" in told


def test_a_frozen_layer_does_not_train(keras: Any) -> None:
    told = failure(lambda: assert_trains(network(keras), "backbone.bn1"))
    assert "gamma, beta stood still: its layer is frozen (trainable=False, as is backbone)" in told


def test_statistics_of_a_pinned_layer_stand_still(keras: Any) -> None:
    class Pinned(keras.layers.Layer):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(name="pinned")
            self.normal = keras.layers.BatchNormalization(name="bn1")

        def build(self, shape: Any) -> None:
            self.normal.build(shape)
            self.built = True

        def call(self, inputs: Any) -> Any:
            return self.normal(inputs, training=False)

    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.layers.Input((4,)), Pinned(), keras.layers.Dense(2)])
    model.compile("sgd", "mse", run_eagerly=True)
    told = failure(lambda: assert_trains(model, "pinned.bn1"))
    assert "moving_mean, moving_variance stood still: the layer is pinned to inference" in told
    assert "training=False at its calls" in told
    assert "gamma, beta moved" in told


def test_flags_on_variables_do_not_hold_the_statistics() -> None:
    keras = adapter("tf2").keras
    model = network(keras, frozen=False)
    for variable in model.get_layer("backbone").get_layer("bn1").weights:
        variable.trainable = False
    model.compile("adam", "mse", run_eagerly=True)
    told = failure(lambda: assert_frozen(model, "backbone.bn1"))
    assert "trainable=False on each of its variables: the layer's own trainable is True" in told
    assert "gamma, beta stood still" in told


def test_a_layer_that_no_gradient_reaches(keras: Any) -> None:
    class Stops(keras.layers.Layer):  # type: ignore[misc]
        def call(self, inputs: Any) -> Any:
            import tensorflow as tf

            return tf.stop_gradient(inputs)

    keras.utils.set_random_seed(1)
    model = keras.Sequential(
        [keras.layers.Input((4,)), keras.layers.Dense(3, name="first"), Stops(), keras.layers.Dense(2)]
    )
    model.compile("sgd", "mse", run_eagerly=True)
    told = failure(lambda: assert_trains(model, "first"))
    assert "kernel, bias stood still: no gradient reached it" in told


def test_a_classifier_gets_the_target_of_its_loss(keras: Any) -> None:
    for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy"):
        model = network(keras, compiled=False)
        model.compile("sgd", loss, run_eagerly=True)
        assert_trains(model, "head")


def test_a_model_that_cannot_be_asked_is_told(keras: Any) -> None:
    model = network(keras)
    with pytest.raises(CannotTell, match="not built yet"):
        assert_frozen(keras.Sequential([keras.layers.Dense(3)]), "*")
    with pytest.raises(CannotTell, match=r"training step 1 raised \w+Error: .*"):
        assert_frozen(model, "backbone.*", input=np.ones((8, 5), "float32"), target=TARGET)
    with pytest.raises(CannotTell, match=r"near it: .*backbone\.bn1"):
        assert_frozen(model, "backbone.bn2")
    with pytest.raises(CannotTell, match="no parameters and no state"):
        assert_frozen(model, "backbone.drop")
    with pytest.raises(CannotTell, match="unknown execution"):
        assert_frozen(model, execution="predict")


def test_a_step_of_ones_own(keras: Any) -> None:
    model = network(keras)
    assert_frozen(model, "backbone", step=lambda held: held.train_on_batch(INPUT, TARGET))
    told = failure(lambda: assert_frozen(model, "head", step=lambda: model.fit(INPUT, TARGET, verbose=0)))
    assert "head is not frozen: in 2 steps (the given step)" in told


@pytest.mark.parametrize("question", [assert_frozen, assert_trains])
def test_steps_that_make_no_numbers_are_told(keras: Any, question: Any) -> None:
    model = network(keras)
    given = INPUT * float("nan")
    for how in ({"target": TARGET}, {"execution": "by_hand"}):
        with pytest.raises(CannotTell, match="the input holds NaN, and the loss of step 1 is nan"):
            question(model, "head", input=given, **how)
    for how in ({}, {"execution": "by_hand"}):
        with pytest.raises(CannotTell, match="the loss of step 1 is nan"):
            question(network(keras, loses_numbers(keras)), "head", **how)

    def step(held: Any) -> None:
        held.get_layer("head").bias.assign([float("inf"), 0.0])

    with pytest.raises(CannotTell, match=r"step 1 left no numbers in head\.bias"):
        question(model, "backbone", step=step)


def loses_numbers(keras: Any) -> Any:
    class Loses(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            return inputs * float("nan")

    return Loses()


@pytest.mark.parametrize("question", [assert_frozen, assert_trains])
def test_where_nothing_is_tried_nothing_is_told(keras: Any, question: Any) -> None:
    model = network(keras)
    for how, said in [
        ({"steps": 0}, "steps=0"),
        ({"mode": "eval"}, "unknown mode 'eval'"),
        ({"step": lambda: None}, "the given step called nothing of the model and moved nothing"),
    ]:
        with pytest.raises(CannotTell, match=said):
            question(model, "backbone", **how)
    assert_frozen(model, "backbone", step=lambda held: held(INPUT, training=False))


# --- nothing is changed


def fingerprint(model: Any) -> list[Any]:
    """All that a user could see of a model, its optimizer and the random numbers."""
    variables = list(getattr(model, "variables", model.weights))
    held = model.optimizer.variables
    held = list(held() if callable(held) else held)
    return [
        [np.asarray(each).tobytes() for each in variables + held],
        [(layer.name, layer.trainable, "call" in vars(layer)) for layer in model._flatten_layers()],
        {name: id(value) for name, value in vars(model).items()},
        [sorted(vars(getattr(model, part))) for part in ("_compile_metrics", "compiled_metrics")
         if hasattr(model, part)],
        random.getstate(), str(np.random.get_state()),
    ]  # fmt: skip


def raising(model: Any) -> None:
    model.fit(INPUT, TARGET, verbose=0)
    np.random.rand()
    random.random()
    raise RuntimeError("on the way")


QUESTIONS: dict[str, Callable[[Any], None]] = {
    "frozen": lambda model: assert_frozen(model, "backbone.*"),
    "not frozen": lambda model: assert_frozen(model),
    "by hand": lambda model: assert_trains(model, execution="by_hand"),
    "raises": lambda model: assert_frozen(model, step=raising),
}


@pytest.mark.parametrize(("fitted", "eager"), [(False, True), (True, False)], ids=["fresh", "fitted"])
def test_nothing_is_changed(keras: Any, fitted: bool, eager: bool) -> None:
    import tensorflow as tf

    def trained(asked: bool) -> list[Any]:
        """The weights after a fit, and the random number that comes next."""
        model = network(keras, eager=eager)
        if keras.__name__ == "tf_keras":
            # Its dropout draws inside the compiled function, where TensorFlow keeps a count of its own.
            model.get_layer("backbone").get_layer("drop").rate = 0.0
        if fitted:
            model.fit(INPUT, TARGET, verbose=0, shuffle=False)
        for question in QUESTIONS.values() if asked else ():
            before = fingerprint(model)
            with suppress(AssertionError, CannotTell):
                question(model)
            assert fingerprint(model) == before
        drawn = tf.random.normal((2,)).numpy().tobytes()
        model.fit(INPUT, TARGET, verbose=0, shuffle=False)
        return [drawn, *(np.asarray(each).tobytes() for each in model.weights)]

    assert trained(asked=True) == trained(asked=False)

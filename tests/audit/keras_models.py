"""Minimal bad models of Keras and their mended twins: {finding: (bad, mended)}.

`pairs(keras, generation)` serves Keras 3 on each backend, and Keras 2.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Factory = Callable[[], Any]

SHAPE = (8, 8, 3)


def batch(count: int, spread: float = 2.0) -> Any:
    return np.random.RandomState(0).normal(1.0, spread, (count, *SHAPE)).astype("float32")


def pairs(keras: Any, generation: int) -> dict[str, tuple[Factory, Factory]]:
    """The pairs of this Keras."""
    layers = keras.layers

    def body(name: str = "body", **options: Any) -> Any:
        x = inputs = layers.Input(SHAPE)
        x = layers.Conv2D(6, 3, name="conv")(x)
        x = layers.BatchNormalization(name="norm", **options)(x)
        x = layers.Dropout(0.3, name="drop")(x)
        return keras.Model(inputs, x, name=name)

    def compiled(model: Any) -> Any:
        model.compile(optimizer="sgd", loss="mse")
        return model

    def functional(part: Any = None, **call: Any) -> Any:
        inputs = layers.Input(SHAPE)
        x = (part or body())(inputs, **call)
        x = layers.GlobalAveragePooling2D()(x)
        x = layers.Dropout(0.5, name="dropout")(x)
        return compiled(keras.Model(inputs, layers.Dense(2, name="head")(x)))

    class Subclassed(keras.Model):  # type: ignore[misc, name-defined]
        """`modes`: what it hands to the parts that have a mode; without any that of its own call."""

        def __init__(self, norm: Any = None, modes: dict[str, Any] | None = None, stop: bool = False) -> None:
            super().__init__()
            self.conv = layers.Conv2D(6, 3)
            self.norm = norm or layers.BatchNormalization()
            self.pool = layers.GlobalAveragePooling2D()
            self.drop = layers.Dropout(0.5)
            self.head = layers.Dense(2)
            self.modes, self.stop = modes or {}, stop

        def call(self, x: Any, training: Any = None) -> Any:
            x = self.conv(x)
            if self.stop:
                x = self.stopped(x)
            x = self.pool(self.norm(x, training=self.modes.get("norm", training)))
            return self.head(self.drop(x, training=self.modes.get("drop", training)))

        def stopped(self, x: Any) -> Any:
            if generation == 3:
                return keras.ops.stop_gradient(x)
            import tensorflow as tf

            return tf.stop_gradient(x)

    class WithoutArgument(keras.Model):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.norm = layers.BatchNormalization()
            self.pool = layers.GlobalAveragePooling2D()
            self.head = layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.head(self.pool(self.norm(x)))

    class Lying(layers.BatchNormalization):  # type: ignore[misc, name-defined]
        def call(self, x: Any, training: Any = None) -> Any:
            return super().call(x, training=False)

    def built(model: Any) -> Any:
        model(np.zeros((1, *SHAPE), np.float32))
        return {
            "model": compiled(model),
            "input": np.random.RandomState(0).normal(1.0, 2.0, (8, *SHAPE)).astype("float32"),
        }

    def frozen_variables(whole: bool) -> Any:
        part = body()
        norm = part.get_layer("norm")
        if whole:
            norm.trainable = False
        else:
            for variable in norm.trainable_variables:
                variable.trainable = False
        return functional(part)

    def frozen() -> Any:
        part = body()
        part.trainable = False
        return functional(part)

    def late(again: bool) -> Any:
        """Frozen after it was compiled, and in Keras 3 after a step."""
        model = functional()
        if generation == 3:
            model.fit(np.ones((8, *SHAPE), np.float32), np.ones((8, 2), np.float32), verbose=0)
        model.get_layer("body").trainable = False
        return compiled(model) if again else model

    def shared(one: bool) -> Any:
        inputs = layers.Input(SHAPE)
        first = layers.BatchNormalization()
        second = first if one else layers.BatchNormalization()
        x = layers.Concatenate()([first(inputs), second(layers.ReLU()(inputs))])
        x = layers.GlobalAveragePooling2D()(x)
        return compiled(keras.Model(inputs, layers.Dense(2)(x)))

    def over_all(frozen_ones: bool) -> Any:
        """A step of the user's own, over the frozen parameters as well or over the trainable ones."""
        model = frozen()
        parameters = [each for each in model.weights if "moving_" not in each.name]

        def step(model: Any) -> None:
            model(np.ones((4, *SHAPE), np.float32), training=True)
            for variable in parameters if frozen_ones else model.trainable_weights:
                variable.assign(np.asarray(variable) * 0.9 + 0.01)

        return {"model": model, "step": step, "input": np.ones((4, *SHAPE), np.float32)}

    def low(dtype: str) -> Any:
        """Statistics near what the batch has, so that updates are small."""
        inputs = layers.Input(SHAPE)
        norm = layers.BatchNormalization(dtype=dtype, moving_mean_initializer="ones", momentum=0.999)
        x = layers.GlobalAveragePooling2D(dtype="float32")(norm(inputs))
        model = compiled(keras.Model(inputs, layers.Dense(2)(x)))
        return {"model": model, "input": batch(16, 1.0)}

    def of_samples(count: int) -> Any:
        return {
            "model": functional(),
            "input": np.random.RandomState(0).normal(size=(count, *SHAPE)).astype("float32"),
        }

    def subclassed(**options: Any) -> Factory:
        return lambda: built(Subclassed(**options))

    plain = subclassed()

    found: dict[str, tuple[Factory, Factory]] = {
        "BN002": (subclassed(stop=True), plain),
        "BN003": (lambda: over_all(True), lambda: over_all(False)),
        "BN004": (lambda: shared(True), lambda: shared(False)),
        "BN005": (subclassed(modes={"norm": True}), plain),
        "BN007": (lambda: late(False), lambda: late(True)),
        "BN009": (lambda: built(Subclassed(norm=Lying())), plain),
        "BN010": (lambda: of_samples(1), lambda: of_samples(4)),
        "BN012": (subclassed(modes={"drop": False}), plain),
        "BN013": (subclassed(modes={"drop": True}), plain),
    }
    if generation == 3:
        found["BN001"] = (lambda: frozen_variables(False), lambda: frozen_variables(True))
        found["BN011"] = (lambda: low("bfloat16"), lambda: low("float32"))  # Keras 2 stores float32
        found["BN006"] = (lambda: functional(training=False), functional)
        found["BN014"] = (lambda: built(WithoutArgument()), plain)
    return found

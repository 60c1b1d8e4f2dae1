"""Applications that Keras comes with, made by chance and small: factories for `bnmatrix audit`, each with a
backbone to be frozen.

    bnmatrix audit tests/audit/zoo_keras.py:resnet50 --arg frozen=True
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

LEAST = {"Xception": 71, "InceptionV3": 75}
"""The smallest side of an image where it is not 32."""


def fine_tuned(
    application: str, frozen: bool = False, pinned: bool = False, late: bool = False, **options: Any
) -> Any:
    """A backbone with a head of its own, compiled.

    frozen: the backbone is not trainable; late: only once the model is compiled and was fitted
    pinned: the backbone is called with training=False, as the guide to fine-tuning has it
    """
    side = LEAST.get(application, 32)
    make = getattr(keras.applications, application)
    base = make(weights=None, include_top=False, input_shape=(side, side, 3), **options)
    base.trainable = not (frozen and not late)
    inputs = keras.Input((side, side, 3))
    x = base(inputs, training=False) if pinned else base(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(inputs, keras.layers.Dense(4, activation="softmax")(x))
    model.compile(optimizer="sgd", loss="categorical_crossentropy")
    if late:
        model.fit(*batch(side), batch_size=8, verbose=0)
        base.trainable = not frozen
    return model


def whole(application: str, classes: int = 4) -> Any:
    """The application itself, with its own head, to be trained from the start."""
    side = LEAST.get(application, 32)
    make = getattr(keras.applications, application)
    model = make(weights=None, input_shape=(side, side, 3), classes=classes)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    return model


def batch(side: int = 32, count: int = 8) -> Any:
    """Images and their classes."""
    random = keras.random.SeedGenerator(0)
    images = keras.random.normal((count, side, side, 3), 1.0, 2.0, seed=random)
    return images, keras.ops.one_hot(keras.ops.arange(count) % 4, 4)


mobilenet = partial(fine_tuned, "MobileNet")
mobilenet_v2 = partial(fine_tuned, "MobileNetV2")
mobilenet_v3 = partial(fine_tuned, "MobileNetV3Small")
resnet50 = partial(fine_tuned, "ResNet50")
resnet50_v2 = partial(fine_tuned, "ResNet50V2")
densenet121 = partial(fine_tuned, "DenseNet121")
efficientnet = partial(fine_tuned, "EfficientNetB0")
efficientnet_v2 = partial(fine_tuned, "EfficientNetV2B0")
xception = partial(fine_tuned, "Xception")
inception_v3 = partial(fine_tuned, "InceptionV3")
nasnet = partial(fine_tuned, "NASNetMobile")
vgg16 = partial(fine_tuned, "VGG16")
convnext = partial(fine_tuned, "ConvNeXtTiny")

ZOO = ("MobileNet", "MobileNetV2", "MobileNetV3Small", "VGG16", "ResNet50", "ResNet50V2", "DenseNet121",
       "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny", "Xception", "InceptionV3",
       "NASNetMobile")  # fmt: skip

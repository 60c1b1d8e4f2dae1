"""A model with a frozen, pinned or late-frozen backbone, of the Keras that the environment has."""

import os

try:
    import tensorflow as tf

    keras = tf.keras
    if os.environ.get("KERAS_BACKEND", "tensorflow") != "tensorflow":
        raise ImportError
except ImportError:
    import keras

layers = keras.layers


def plain():
    return model()


def frozen():
    return model(trainable=False)


def pinned():
    return model(training=False)


def late():
    found = model()
    found.get_layer("base").trainable = False
    return found


def model(trainable=True, **call):
    inputs = layers.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, name="conv")(inputs)
    x = layers.BatchNormalization(name="norm")(x)
    base = keras.Model(inputs, layers.Dropout(0.3, name="drop")(x), name="base")
    base.trainable = trainable
    inputs = layers.Input((8, 8, 3))
    x = layers.GlobalAveragePooling2D()(base(inputs, **call))
    found = keras.Model(inputs, layers.Dense(2, name="head")(x))
    found.compile(optimizer="sgd", loss="mse")
    return found

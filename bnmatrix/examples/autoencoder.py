"""The two phases of fine-tuning a classifier on the encoder of a convolutional autoencoder.

The encoder has 19 layers. Phase one freezes them and trains the head; phase two thaws all and compiles again.
"""

import tensorflow as tf

ENCODER = 19
"""How many of the model's first layers are the encoder."""


def phase_one():
    """The encoder frozen, the model compiled."""
    return _phase(False)


def phase_two():
    """Compiled with the encoder frozen, as in phase one; then thawed, and compiled again."""
    model = _phase(False)
    for layer in model.layers[:ENCODER]:
        layer.trainable = True
    _compile(model)
    return model


def _phase(trainable):
    model = _classifier()
    for layer in model.layers[:ENCODER]:
        layer.trainable = trainable
    _compile(model)
    return model


def _classifier():
    """The input and 18 layers of the encoder, then the head."""
    inputs = tf.keras.Input(shape=(28, 28, 1))
    x = _twice(inputs, 8, "encoder_1")
    x = tf.keras.layers.MaxPooling2D(name="encoder_1_pool")(x)
    x = _twice(x, 16, "encoder_2")
    x = tf.keras.layers.MaxPooling2D(name="encoder_2_pool")(x)
    x = _twice(x, 32, "encoder_3")
    x = _twice(x, 64, "encoder_4")
    x = tf.keras.layers.Flatten(name="head_flat")(x)
    x = tf.keras.layers.Dense(32, activation="relu", name="head_dense")(x)
    outputs = tf.keras.layers.Dense(10, activation="softmax", name="head_out")(x)
    return tf.keras.Model(inputs, outputs)


def _twice(x, filters, name):
    """Convolution and batch normalisation, twice."""
    for number in ("a", "b"):
        x = tf.keras.layers.Conv2D(
            filters, 3, activation="relu", padding="same", name="%s%s_conv" % (name, number)
        )(x)
        x = tf.keras.layers.BatchNormalization(name="%s%s_norm" % (name, number))(x)
    return x


def _compile(model):
    model.compile(optimizer=tf.keras.optimizers.SGD(0.01), loss="categorical_crossentropy")

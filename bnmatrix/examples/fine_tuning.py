"""Base models of tf.keras.applications under a head, for fine-tuning as TensorFlow's tutorial has it.

The base is called with training=False, which is to keep its moving statistics as they are also when it is
unfrozen. Random weights and the smallest input, so that nothing is fetched and a step is short.
"""

import tensorflow as tf


def mobilenet():
    """MobileNetV2, thawed: phase two of the tutorial."""
    return _model(_mobilenet(), True)


def mobilenet_frozen():
    """MobileNetV2, frozen: phase one."""
    return _model(_mobilenet(), False)


def xception():
    """Xception, thawed."""
    return _model(_xception(), True)


def xception_frozen():
    """Xception, frozen."""
    return _model(_xception(), False)


def _mobilenet():
    return tf.keras.applications.MobileNetV2(
        input_shape=(32, 32, 3), alpha=0.35, include_top=False, weights=None
    )


def _xception():
    return tf.keras.applications.Xception(input_shape=(71, 71, 3), include_top=False, weights=None)


def _model(base, trainable):
    """The base under pooling and a head, compiled."""
    base.trainable = trainable
    inputs = tf.keras.Input(shape=base.input_shape[1:])
    x = base(inputs, training=False)
    x = tf.keras.layers.GlobalAveragePooling2D()(x)
    outputs = tf.keras.layers.Dense(1, name="head")(x)
    model = tf.keras.Model(inputs, outputs)
    model.compile(optimizer=_sgd(0.01), loss="mse")
    return model


def _sgd(rate):
    # By position: the name of the first argument has changed.
    return tf.keras.optimizers.SGD(rate)

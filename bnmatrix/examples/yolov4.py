"""The batch normalisation of a YOLOv4 for Keras: "frozen" is to mean "inference mode" as well.

As it was written for TF 1, where a frozen layer went on normalising with the batch, and taken along since.
"""

import tensorflow as tf


class BatchNormalization(tf.keras.layers.BatchNormalization):
    """Normalises with the batch only where it is told to train, and may."""

    def call(self, x, training=False):
        """The argument is ANDed with `trainable`."""
        if not training:
            training = tf.constant(False)
        training = tf.logical_and(training, self.trainable)
        return super().call(x, training)

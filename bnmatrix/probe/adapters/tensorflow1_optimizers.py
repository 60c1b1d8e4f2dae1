"""The optimizers of TensorFlow 1: those of `tf.train`, and of `tf.contrib.opt` those that decay weights."""

from typing import Any

from . import Unavailable
from .tensorflow1_graphs import tensorflow, tf

RATE = 0.125  # large, so that it shows in the coarsest dtype
MOMENTUM = 0.9
DECAY = 0.5


def make_optimizer(name):
    """The optimizer of the axis value `name`, as a user makes it."""
    train = tf.train
    if name == "sgd":
        return train.GradientDescentOptimizer(RATE)
    if name == "momentum":
        return train.MomentumOptimizer(RATE, MOMENTUM)
    if name == "adam":
        return train.AdamOptimizer(RATE)
    if name == "rmsprop":
        return train.RMSPropOptimizer(RATE)
    if name not in ("weight_decay", "adamw"):
        raise Unavailable("TensorFlow 1 has no optimizer %s: gradients are no state to be cleared" % name)
    contrib: Any = getattr(getattr(tensorflow, "contrib", None), "opt", None)
    wanted = "extend_with_decoupled_weight_decay" if name == "weight_decay" else "AdamWOptimizer"
    if not hasattr(contrib, wanted):
        raise Unavailable(
            "tf.train has no optimizer that decays weights, and there is no tf.contrib.opt.%s" % wanted
        )
    if name == "adamw":
        return contrib.AdamWOptimizer(weight_decay=DECAY, learning_rate=RATE)
    decaying = contrib.extend_with_decoupled_weight_decay(train.GradientDescentOptimizer)
    return decaying(weight_decay=DECAY, learning_rate=RATE)

"""What everything that builds graphs of TensorFlow needs, and nothing of any layer.

Importing this sets TensorFlow up: it comes before any other import of TensorFlow.
"""

import importlib.util
import os
from typing import Any, List

# The layers of TensorFlow 2.15 are in it, and in tf_keras if so told; those of 2.16 are in tf_keras alone.
if importlib.util.find_spec("tf_keras") is None:
    os.environ.pop("TF_USE_LEGACY_KERAS", None)
else:
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tensorflow

tf = getattr(getattr(tensorflow, "compat", None), "v1", tensorflow)


def executes_eagerly():
    """Whether this is TensorFlow 2 as it comes, which has no sessions of its own."""
    return getattr(tensorflow, "executing_eagerly", lambda: False)()


def count_gpus():
    """How many there are, without claiming one where that can be helped."""
    config = getattr(tensorflow, "config", None)
    places: List[Any] = [config, getattr(config, "experimental", None)]
    for place in places:
        if hasattr(place, "list_physical_devices"):
            return len(place.list_physical_devices("GPU"))
    from tensorflow.python.client import device_lib

    return sum(each.device_type == "GPU" for each in device_lib.list_local_devices())


def new_session(visible, graph=None):
    """A session on one thread, which sees the GPUs of the numbers `visible`."""
    config = tf.ConfigProto(
        intra_op_parallelism_threads=1,
        inter_op_parallelism_threads=1,
        allow_soft_placement=True,
        device_count={} if visible else {"GPU": 0},
    )
    config.gpu_options.allow_growth = True
    config.gpu_options.visible_device_list = ",".join(map(str, visible))
    return tf.Session(graph=graph, config=config)


def weighted_sum(y_true, y_pred):
    """The experiment's loss, as one scalar: some releases scale what a loss leaves unreduced.

    Its gradient waits for the output, as that of any loss which is not linear does. Keras puts no
    order between its optimizer and the forward, so that otherwise the step races with the reads of
    the forward, and half of the outputs come from variables already updated.
    """
    with tf.control_dependencies([y_pred]):
        y_true = tf.identity(y_true)
    wide = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
    return tf.reduce_sum(tf.cast(y_true, wide) * tf.cast(y_pred, wide))


def run_after(updates, barrier):
    """Make all that `updates` write wait for `barrier`, wherever that makes no cycle.

    An update often hangs behind another (renorm): each write that only the updates need is held
    back. What the barrier itself needs is part of the forward, and the framework's own business.
    """
    needed = ancestors([barrier])
    for operation in ancestors([getattr(each, "op", each) for each in updates]) - needed:
        if any(word in operation.type for word in ("Assign", "Scatter", "Apply")):
            operation._add_control_inputs([barrier])  # there is no public way once an operation exists


def ancestors(operations):
    """`operations` and all they depend on."""
    found, left = set(), list(operations)
    while left:
        operation = left.pop()
        if operation not in found:
            found.add(operation)
            left.extend(each.op for each in operation.inputs)
            left.extend(operation.control_inputs)
    return found


def mode_tensor(value):
    """A mode as TensorFlow 1 takes it where it is to change between runs."""
    return tf.placeholder_with_default(value, shape=())

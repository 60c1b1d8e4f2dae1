"""The measurement of one batch norm cell, as a plain loop in Keras on TensorFlow. Prints seconds a cell."""

import os
import time

os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf

tf.config.threading.set_intra_op_parallelism_threads(1)
tf.config.threading.set_inter_op_parallelism_threads(1)
RATE = 1.0


def snapshot(layer):
    return [variable.numpy().copy() for variable in layer.variables]


def write(layer, values):
    for variable, value in zip(layer.variables, values, strict=True):
        variable.assign(value)


def step(layer, x, weights):
    source = tf.constant(x, tf.float32)
    with tf.GradientTape() as tape:
        tape.watch(source)
        output = layer(source, training=True)
        forward = snapshot(layer)
        loss = tf.reduce_sum(output * tf.constant(weights, tf.float32))
    gradients = tape.gradient(loss, [source, *(each.value for each in layer.trainable_variables)])
    for variable, gradient in zip(layer.trainable_variables, gradients[1:], strict=True):
        variable.assign_sub(RATE * gradient)
    return output.numpy(), forward, [each.numpy() for each in gradients]


def call(layer, x, training):
    return layer(tf.constant(x, tf.float32), training=training).numpy()


def cell(seed):
    random = np.random.RandomState(seed)
    first, second, other = (random.standard_normal((6, 4)) for _ in range(3))
    first_weights, second_weights = (random.uniform(0.25, 1, (6, 4)) for _ in range(2))
    keras.utils.set_random_seed(seed)
    layer = keras.layers.BatchNormalization()
    layer.build((6, 4))
    write(layer, [random.uniform(0.5, 2, 4).astype("float32") for _ in range(4)])
    start = snapshot(layer)
    record = [call(layer, other, False)]
    write(layer, start)
    record.append(step(layer, first, first_weights))
    after = snapshot(layer)
    record.append(call(layer, other, False))
    write(layer, after)
    record += [step(layer, second, second_weights), snapshot(layer)]
    write(layer, start)
    record.append(step(layer, first, first_weights))
    write(layer, start)
    record += [call(layer, first, True), snapshot(layer)]
    return record


for seed in range(30):
    cell(seed)
started = time.perf_counter()
for seed in range(300):
    cell(30 + seed)
print((time.perf_counter() - started) / 300)

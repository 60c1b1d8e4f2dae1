"""Taps in the calls of Keras layers: what they see survives tf.function, XLA, jax.jit and a session.

On TensorFlow the moments go into variables of the tap's own, which the graph assigns; on jax a callback takes
them out; torch computes as it goes.
"""

import sys
from typing import Any, Dict

import numpy as np

from . import taps


def tap_for(layer, backend, graph=False):
    """A tap that fits the layer, or None where there is nothing to see. `graph`: in a session."""
    norm = hasattr(layer, "moving_mean") and hasattr(layer, "moving_variance")
    if not norm and taps.chance_of(layer) is None:
        return None
    made = {"torch": OfTorch, "jax": OfJax}.get(backend, OfGraph if graph else OfTensorFlow)
    return made(layer, norm)


def axis_of(layer):
    """Where a normalisation has its channels."""
    axis = getattr(layer, "axis", -1)
    return int(axis if isinstance(axis, int) else next(iter(axis)))


class KerasTap(object):
    """Sees the calls of one layer; `phases` holds a `taps.Tap` for the steps and one for the inference."""

    def __init__(self, layer, norm):
        self.layer, self.norm = layer, norm
        self.phases = {"training": taps.Tap(), "inference": taps.Tap()}
        self.phase = "training"

    def before(self):
        """What the layer holds as its call begins."""
        return [getattr(self.layer, name, None) for name in taps.STATE] if self.norm else None

    def after(self, state, x, y):
        """Take the moments of a call; returns the output, with which they are taken."""
        raise NotImplementedError

    def begin(self, phase):
        """What follows belongs to `phase`."""
        self.phase = phase

    def end(self):
        """The phase is over: take out what the framework holds back."""

    def fits(self, x, y):
        """Whether moments of these can be taken."""
        shapes = [getattr(each, "shape", None) for each in (x, y)]
        x_shape, y_shape = (None if shape is None else tuple(shape) for shape in shapes)
        return x_shape is not None and len(x_shape) > 1 and x_shape == y_shape

    def take(self, seen, state, shape):
        """Note what a call showed."""
        tap = self.phases[self.phase]
        tap.calls += 1
        tap.seen = np.array(seen)
        if self.norm:
            tap.state = np.array(state)
            tap.values, tap.samples = taps.values_of(shape, axis_of(self.layer)), int(shape[0])


class OfTorch(KerasTap):
    """Keras on torch."""

    def before(self):
        found = super(OfTorch, self).before()
        return found and [
            None if each is None else each.value.detach()[: taps.MOST].float().cpu().numpy().copy()
            for each in found
        ]

    def after(self, state, x, y):
        from .torch_live import Operations

        to = Operations(sys.modules["torch"])
        if self.fits(x, y):
            told = taps.moments if self.norm else taps.difference
            where = (axis_of(self.layer),) if self.norm else ()
            self.take(told(to, x.detach(), y.detach(), *where), filled(state), tuple(x.shape))
        return y


def filled(state):
    """(4, channels), NaN where the layer has none."""
    if not state:
        return None
    size = max(len(each) for each in state if each is not None)
    return np.stack([np.full(size, np.nan, np.float32) if each is None else each for each in state])


class Jax(taps.Operations):
    """Of jax."""

    def __init__(self):
        self.numpy = sys.modules["jax"].numpy

    def wide(self, value):
        return value.astype("float32")

    def mean(self, value, axes):
        return self.numpy.mean(value, axis=axes, keepdims=True)

    def absolute(self, value):
        return self.numpy.abs(value)

    def stack(self, vectors):
        return self.numpy.stack(vectors)

    def flat(self, value):
        return self.numpy.reshape(value, (-1,))


class OfJax(KerasTap):
    """Keras on jax: within `stateless_call`, where a variable's value is that of the scope."""

    def before(self):
        found = super(OfJax, self).before()
        return found and [None if each is None else each.value[: taps.MOST] for each in found]

    def after(self, state, x, y):
        if not self.fits(x, y):
            return y
        to = Jax()
        seen = taps.moments(to, x, y, axis_of(self.layer)) if self.norm else taps.difference(to, x, y)
        shape = tuple(int(size) for size in x.shape)
        held = []
        if self.norm:
            size = min(taps.MOST, shape[axis_of(self.layer)])
            gone = to.numpy.full((size,), np.nan, "float32")
            held = [to.numpy.stack([gone if each is None else to.wide(each) for each in state])]

        def take(seen, *held):
            self.take(seen, held[0] if held else None, shape)

        sys.modules["jax"].debug.callback(take, seen, *held)
        return y

    def end(self):
        barrier = getattr(sys.modules["jax"], "effects_barrier", None)
        if barrier is not None:
            barrier()


class OfTensorFlow(KerasTap):
    """Keras on TensorFlow, eager, in tf.function and compiled by XLA."""

    def __init__(self, layer, norm):
        super(OfTensorFlow, self).__init__(layer, norm)
        self.tf = sys.modules["tensorflow"]
        channels = min(taps.MOST, int(layer.moving_mean.shape[0])) if norm else 1
        rows = len(taps.NAMES) + len(taps.STATE) if norm else 2
        made = {"seen": (rows, channels), "calls": (), "shape": (MOST_AXES,)}
        self.held = {name: self.variable(np.full(shape, 0.0, np.float32)) for name, shape in made.items()}

    def variable(self, value):
        return self.tf.Variable(value, trainable=False)

    def before(self):
        found = super(OfTensorFlow, self).before()
        if not found:
            return None
        tf = self.tf
        gone = np.full(int(self.layer.moving_mean.shape[0]), np.nan, np.float32)
        held = [gone if each is None else tf.cast(raw(each), tf.float32) for each in found]
        return tf.stop_gradient(tf.stack(held))

    def assignments(self, state, x, y):
        """What is to be put into the variables."""
        tf = self.tf
        if not self.norm:
            x, y = tf.cast(x, tf.float32), tf.cast(y, tf.float32)
            told = [tf.reduce_mean(tf.abs(each)) for each in (y - x, x)]
            return {"seen": tf.reshape(tf.stack(told), [2, 1])}
        taken = self.taking(x, y)(tf.stop_gradient(x), tf.stop_gradient(y), state)
        return dict(zip(("seen", "shape"), taken))

    def taking(self, x, y):
        """What takes moments: a function in the graph, made once for layers alike, as each operation in the
        graph of a large model takes time before anything runs."""
        tf, rank, axis = self.tf, len(x.shape), axis_of(self.layer)
        key = (rank, axis, x.dtype, y.dtype)
        if key not in _taking:
            free = [None] * rank
            signature = [tf.TensorSpec(free, x.dtype), tf.TensorSpec(free, y.dtype)]
            signature.append(tf.TensorSpec([len(taps.STATE), None], tf.float32))
            _taking[key] = tf.function(
                lambda x, y, state: seen_in_graph(tf, x, y, state, axis % rank),
                input_signature=signature,
                autograph=False,
            )
        return _taking[key]

    def after(self, state, x, y):
        if self.fits(x, y):
            for name, value in self.assignments(state, x, y).items():
                self.held[name].assign(value)
            self.held["calls"].assign_add(1.0)
        return y

    def fits(self, x, y):
        return (
            all(hasattr(each, "shape") for each in (x, y)) and len(x.shape) > 1 and x.shape[1:] == y.shape[1:]
        )

    def end(self):
        self.keep({name: variable.numpy() for name, variable in self.held.items()})
        self.held["calls"].assign(0.0)

    def keep(self, held):
        """Note what the variables hold at the end of a phase."""
        tap = self.phases[self.phase]
        tap.calls = int(held["calls"])
        if not tap.calls:
            return
        seen = np.array(held["seen"])
        if not self.norm:
            tap.seen = seen
            return
        tap.seen, tap.state = seen[[IN_GRAPH.index(name) for name in taps.NAMES]], seen[len(IN_GRAPH) :]
        shape = tuple(int(size) for size in held["shape"] if size)
        tap.values, tap.samples = taps.values_of(shape, axis_of(self.layer)), shape[0]


MOST_AXES = 8

IN_GRAPH = (
    "input_mean", "output_mean", "input_variance", "output_variance", "input_between_samples",
    "output_between_samples", "covariance",
)  # fmt: skip
"""The rows of `seen_in_graph`; the state follows them."""

_taking: Dict[Any, Any] = {}


def seen_in_graph(tf, x, y, state, axis):
    """(`taps.moments` and below them the state, the shape of what went in with zeros behind it)."""
    rank = len(x.shape)
    shape = tf.pad(tf.cast(tf.shape(x), tf.float32), [[0, MOST_AXES - rank]])
    order = [number for number in range(rank) if number != axis] + [axis]
    x, y = (tf.transpose(each, order) if order != sorted(order) else each for each in (x, y))
    both = tf.stack([tf.cast(each[..., : taps.MOST], tf.float32) for each in (x, y)])
    others = list(range(1, rank))  # the first axis is now that of input and output
    mean = tf.reduce_mean(both, axis=others, keepdims=True)
    both -= mean
    of_samples = tf.reduce_mean(both, axis=others[1:]) if rank > 2 else both
    x, y = tf.unstack(both)
    rows = [
        tf.reshape(mean, [2, -1]),
        tf.reduce_mean(both * both, axis=others),
        tf.reduce_mean(of_samples * of_samples, axis=1),
        tf.reduce_mean(x * y, axis=list(range(rank - 1)))[None],
        state[:, : taps.MOST],
    ]
    return tf.concat(rows, 0), shape


def raw(variable):
    """The tf.Variable of a variable of either Keras."""
    return variable.value if hasattr(variable, "path") and not callable(variable.value) else variable


class OfGraph(OfTensorFlow):
    """Keras in a session: the output waits for what is assigned. Who has the session reads the variables, of
    all taps at once: what a session has not run yet it makes ready first, in the whole of a large graph."""

    def __init__(self, layer, norm):
        tf = sys.modules["tensorflow"]
        self.v1 = getattr(getattr(tf, "compat", tf), "v1", tf)
        super(OfGraph, self).__init__(layer, norm)
        self.initial = [each.initializer for each in self.held.values()]
        self.zero = self.held["calls"].initializer

    def taking(self, x, y):
        return lambda x, y, state: seen_in_graph(self.tf, x, y, state, axis_of(self.layer) % len(x.shape))

    def variable(self, value):
        collections = [self.v1.GraphKeys.LOCAL_VARIABLES]
        return self.v1.Variable(value, trainable=False, collections=collections)

    def after(self, state, x, y):
        if not self.fits(x, y):
            return y
        with self.v1.control_dependencies([] if state is None else [state]):
            done = [
                self.v1.assign(self.held[name], value)
                for name, value in self.assignments(state, x, y).items()
            ]
            done.append(self.v1.assign_add(self.held["calls"], 1.0))
        with self.v1.control_dependencies(done):
            return self.v1.identity(y)

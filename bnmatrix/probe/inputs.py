"""Deterministic inputs and parameters: the same in every framework, version and dtype.

Everything is channels-last, of 4 channels, with 6 values a channel in a normal batch: the biased,
unbiased and twice-unbiased variance then lie 20 % apart. Values are rounded to what bfloat16 can
hold, so a layer of any dtype receives exactly these numbers. Batch statistics and moving ones lie
far apart in every channel; channel 0 has a variance below 0.01, which makes an epsilon of 1e-5 visible.
"""

import functools
import json
import os
import zlib
from typing import Any, Dict, Tuple

import numpy as np

Shape = Tuple[int, ...]

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "layers.json")) as file:
    # Read by the host side too: what each layer is, said once.
    LAYERS: Dict[str, Dict[str, Any]] = json.load(file)

CHANNELS = 4
UNITS = 3  # what dense, conv and the recurrent layers put out
VOCABULARY = 5
WIDE = 256  # channels of the layers with chance: enough elements to tell a rate

# One entry a channel. Distinct, so that a channel taken for another shows.
_MEANS = np.array([0.25, -1.5, 3.0, -0.75])
_DEVIATIONS = np.array([0.0625, 0.5, 1.0, 2.0])
_MOVING_MEANS = np.array([-0.5, 1.25, -2.0, 1.5])
_MOVING_VARIANCES = np.array([0.0025, 0.9, 0.3, 11.0])
_GAMMAS = np.array([1.5, 0.625, 2.0, 0.8])
_BETAS = np.array([0.3, -0.7, 1.1, -1.3])

# (samples, then positions) of a batch by rank; the channels follow.
_SHAPES: Dict[str, Dict[int, Shape]] = {
    "normal": {2: (6,), 3: (3, 2), 4: (3, 1, 2), 5: (3, 1, 2, 1)},
    "one_sample": {2: (1,), 3: (1, 6), 4: (1, 3, 2), 5: (1, 3, 2, 1)},
    "one_value": {2: (1,), 3: (1, 1), 4: (1, 1, 1), 5: (1, 1, 1, 1)},
    "empty": {2: (0,), 3: (0, 2), 4: (0, 1, 2), 5: (0, 1, 2, 1)},
}


def representable(values: np.ndarray) -> np.ndarray:
    """`values` (float64) rounded toward zero to what bfloat16 holds: exact in every float dtype
    but float16, whose narrower range these magnitudes do not leave."""
    bits = np.asarray(values, dtype=np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
    rounded = np.array(bits.view(np.float32), dtype=np.float64)  # an array of one number too
    rounded.flags.writeable = False  # shared by all who ask for the same numbers
    return rounded


_RANDOM = np.random.RandomState()  # its streams are frozen across numpy; seeding one again beats making many


def generator(*key: object) -> np.random.RandomState:
    """A `RandomState` that depends on the words and numbers of `key` alone; good until the next call."""
    _RANDOM.seed(zlib.crc32(" ".join(str(part) for part in key).encode("ascii")))
    return _RANDOM


def input_shape(layer: str, rank: int, batch: str) -> Shape:
    """The shape of the layer's input, channels last. Embeddings take (samples, positions) of integers."""
    if layer == "embedding":
        return _SHAPES[batch][3]
    return (*_SHAPES[batch][rank], WIDE if LAYERS[layer]["family"] == "dropout" else CHANNELS)


def mask(shape: Shape, kind: str) -> np.ndarray:
    """Which positions of an input of `shape` count, as booleans.

    padded:    one a position, the last of every sample but the first left out
    broadcast: one a sample, of shape (samples, 1, ...), the last left out
    """
    if kind == "broadcast":
        found = np.ones((*shape[:1], *(1,) * (len(shape) - 2)), dtype=bool)
        found[-1:] = False
        return found
    found = np.ones(shape[:-1], dtype=bool)
    if found.size:
        found.reshape(len(found), -1)[1:, -1] = False
    return found


def output_shape(layer: str, shape: Shape, units: int = UNITS) -> Shape:
    """The shape of what the layer makes of an input of `shape`; recurrent layers give their last step."""
    if layer in ("dense", "conv", "spectral_norm", "weight_norm"):
        return (*shape[:-1], units)
    if layer == "embedding":
        return (*shape, CHANNELS)
    if layer in ("lstm", "gru"):
        return (shape[0], units)
    return shape


@functools.lru_cache(maxsize=256)
def batch(layer: str, shape: Shape, seed: int, which: str) -> np.ndarray:
    """The batch named `which` ("first", "second", "inference") as float64, or int64 for embeddings."""
    random = generator("batch", layer, len(shape), seed, which)
    if layer == "embedding":
        count = int(np.prod(shape))
        # Every row is looked up but the last, so that "not looked up" shows too.
        return (
            (random.permutation(max(count, VOCABULARY - 1)) % (VOCABULARY - 1))[:count]
            .reshape(shape)
            .astype(np.int64)
        )
    channels = shape[-1]
    count = int(np.prod(shape[:-1]))
    noise = random.standard_normal((count, channels))
    if count > 1:
        noise = (noise - noise.mean(axis=0)) / noise.std(axis=0)
    if LAYERS[layer]["family"] == "sample_norm":
        # Neighbouring positions never coincide: two alone may be all that a statistic has.
        noise = (np.abs(noise) + 0.5) * np.where(np.arange(count) % 2, 1.0, -1.0)[:, None]
    # The second batch lies elsewhere: two updates by one batch could not be told from one.
    shift = {"first": 1.0, "second": -1.5, "inference": 0.5}[which]
    spread = random.uniform(0.8, 1.25, channels)
    values = cycle(_MEANS, channels) * shift * random.uniform(0.85, 1.15, channels)
    values = values + noise * cycle(_DEVIATIONS, channels) * spread
    if LAYERS[layer]["family"] == "recurrent":
        values /= 4.0  # no gate saturates: what is dropped must show
    if LAYERS[layer]["family"] == "sample_norm":
        # One sample of small variance shows the epsilon.
        values[: count // shape[0] if count else 0] /= 64.0
    return representable(values.reshape(shape))


@functools.lru_cache(maxsize=256)
def loss_weights(shape: Shape, seed: int, which: str) -> np.ndarray:
    """The fixed random weighting of the output that the loss sums: no gradient vanishes by accident."""
    random = generator("loss", shape, seed, which)
    return representable(random.uniform(0.25, 1.0, shape) * random.choice([-1.0, 1.0], shape))


@functools.lru_cache(maxsize=1024)
def parameter(slot: str, shape: Shape, seed: int) -> np.ndarray:
    """Known, distinct, non-trivial values for a slot of `shape`, as float64."""
    random = generator("parameter", slot, shape, seed)
    jitter = random.uniform(0.9, 1.1, shape)
    size = shape[-1] if shape else 1
    base = {
        "gamma": _GAMMAS,
        "beta": _BETAS,
        "moving_mean": _MOVING_MEANS,
        "moving_variance": _MOVING_VARIANCES,
    }.get(slot)
    if slot == "num_batches_tracked":
        return np.full(shape, 3.0)
    if base is not None:
        return representable(cycle(base, size) * jitter)
    values = random.uniform(0.25, 1.0, shape) * random.choice([-1.0, 1.0], shape)
    if any(word in slot for word in ("var", "std", "sigma")):
        values = np.abs(values)  # a root may be taken of it
    if slot == "power_iteration_vector" or slot.endswith(("_v", ".v")):  # of spectral norm: unit vectors
        values = values / np.sqrt((values**2).sum())
    return representable(values)


def cycle(values: np.ndarray, count: int) -> np.ndarray:
    """`values`, repeated until there are `count` of them."""
    return np.resize(values, count)

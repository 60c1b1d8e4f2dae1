"""What a call of a layer did, told by a few moments of what went in and came out: small, so that it can be
taken inside a compiled graph, and enough to tell afterwards what normalised the output.

Of the first `MOST` channels, each a vector: the means and variances of input and output over all but the
channel axis, their covariance, and how far the means of single samples differ, in output and input. An
elementwise affine map y = a x + b shows in them (a = covariance / variance), and so does where a and b come
from; what normalises each sample by itself leaves no difference between samples.
"""

from typing import Any, List, Tuple

MOST = 4
"""Channels."""

NAMES = ("input_mean", "input_variance", "output_mean", "output_variance", "covariance",
         "output_between_samples", "input_between_samples")  # fmt: skip

LEAST_BETWEEN = 1e-7
"""Of a variance: differences between samples that are more than rounding."""

BY_CHANCE = ("Dropout", "Noise", "DropPath", "StochasticDepth")
"""In the name of a class whose layers change by chance what goes through them."""

STATE = ("gamma", "beta", "moving_mean", "moving_variance")
"""What the layer holds of these, before the call; NaN where it has none."""


class Operations(object):
    """What taking moments needs of a framework: `wide` casts to float32, `mean` keeps its axes."""

    def wide(self, value: Any) -> Any:
        raise NotImplementedError

    def mean(self, value: Any, axes: Tuple[int, ...]) -> Any:
        raise NotImplementedError

    def absolute(self, value: Any) -> Any:
        raise NotImplementedError

    def stack(self, vectors: List[Any]) -> Any:
        raise NotImplementedError

    def flat(self, value: Any) -> Any:
        raise NotImplementedError


def moments(to: Operations, x: Any, y: Any, axis: int) -> Any:
    """The moments of NAMES, an array (7, channels), of input and output with the channels at `axis`."""
    rank = len(x.shape)
    axis %= rank
    cut = tuple(slice(0, MOST) if number == axis else slice(None) for number in range(rank))
    x, y = to.wide(x[cut]), to.wide(y[cut])
    others = tuple(number for number in range(rank) if number != axis)
    within = tuple(number for number in others if number)  # of one sample
    x_mean, y_mean = to.mean(x, others), to.mean(y, others)
    x, y = x - x_mean, y - y_mean
    between = [to.mean(each, within) if within else each for each in (y, x)]
    found = [
        x_mean, to.mean(x * x, others), y_mean, to.mean(y * y, others), to.mean(x * y, others),
        *(to.mean(each * each, others) for each in between),
    ]  # fmt: skip
    return to.stack([to.flat(each) for each in found])


def alike(seen: Any) -> bool:
    """Whether the samples that went in have all the same means."""
    return bool((seen[-1] <= LEAST_BETWEEN * seen[1]).all())


def difference(to: Operations, x: Any, y: Any) -> Any:
    """(mean |y - x|, mean |x|): how far a layer changed what went through it."""
    x, y = to.wide(x), to.wide(y)
    axes = tuple(range(len(x.shape)))
    return to.stack([to.flat(to.mean(to.absolute(each), axes)) for each in (y - x, x)])


class Tap(object):
    """What was seen of one layer in one phase (the training steps, or the inference after them).

    calls:  how many
    seen:   the moments of the last call, or what `difference` gives; state: (4, channels) of STATE
    values: how many numbers one statistic is made of; samples: of the batch
    """

    def __init__(self) -> None:
        self.calls = 0
        self.seen: Any = None
        self.state: Any = None
        self.values = 0
        self.samples = 0

    def record(self) -> Any:
        """As plain data."""
        return dict(vars(self))


def values_of(shape: Tuple[int, ...], axis: int) -> int:
    """How many numbers a statistic of a channel is made of, in an input of `shape`."""
    count = 1
    for number, size in enumerate(shape):
        if number != axis % len(shape):
            count *= int(size)
    return count


def chance_of(layer: Any) -> Any:
    """The rate of a layer that changes by chance what goes through it; None of any other layer."""
    names = [base.__name__ for base in type(layer).__mro__]
    if not any(word in name for name in names for word in BY_CHANCE):
        return None
    for attribute in ("rate", "p", "stddev", "drop_prob", "drop_path_rate"):
        value = getattr(layer, attribute, None)
        if isinstance(value, (int, float)):
            return float(value)
    return None

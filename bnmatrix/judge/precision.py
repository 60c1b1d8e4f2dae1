"""How closely a number that a framework computed can be trusted: from the dtype it was computed in.

An operation rounds within one unit (the machine epsilon) of its dtype, relative to the numbers that go
into it. `SLACK` units bound the few tens of operations that lead to one element of an output; that it
is enough is confirmed by A/A runs, and that it is not too much by the planted faults.
"""

from __future__ import annotations

SLACK = 24.0
UPDATE_SLACK = 4.0  # a moving average is three operations

_UNITS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}

HALVES = ("float16", "bfloat16")

ZERO_GRADIENT = 64.0 * 2.0**-23
"""How large a gradient that is zero by nature may come out, relative to the layer's largest: some terms
that cancel, in float32 (parts of float64 are computed in it, too). In the half precisions such noise
cannot be told from true updates, which are as small."""

GRADIENT_NOISE = 4.0
"""The same in units of a half precision, of gradients themselves."""


def unit(dtype: str) -> float:
    """The machine epsilon of a dtype or dtype policy by its name; of integers, that of float64."""
    return _UNITS.get(dtype.removeprefix("mixed_"), _UNITS["float64"])


def tolerance(*dtypes: str) -> float:
    """The relative error to allow in what was computed in these dtypes: `SLACK` units of the coarsest."""
    return SLACK * max(unit(dtype) for dtype in dtypes)


def update_tolerance(*dtypes: str) -> float:
    """The same for one update of a moving average."""
    return UPDATE_SLACK * max(unit(dtype) for dtype in dtypes)

"""Lasagne, release 0.1 and later, on Theano: `lasagne.layers`, and a `theano.function` as a step."""

import importlib
import logging
import os

import numpy as np

from .. import inputs
from . import GUEST, Adapter, Unavailable

# Theano reads its settings when it is imported. Without a compiler (`cxx`) every operation is the one of
# numpy that Theano holds its compiled ones against: a function is there in hundredths of a second, where
# compiling takes minutes in a home that is empty, and what is not compiled cannot differ by compiler.
# `fast_compile` leaves out the rewriting of a graph for speed alone. Neither decides what is updated.
FLAGS = "device=cpu,cxx=,optimizer=fast_compile"

_NO_NESTING = "a layer of Lasagne is no network: what is called is the graph behind the last layer"
# Values of the axes that are notions of others: what Lasagne has in their place, if anything.
NO_NOTION = {
    "freeze": {
        "constructor": "no layer of Lasagne takes an argument trainable",
        "before_compile": "Lasagne compiles no model with an optimizer",
        "between_backward_and_step": "gradients and step are one function in Theano",
    },
    "freeze_on": {"parent": "nothing holds a layer of Lasagne: the next one points at it"},
    "context": {"shared": _NO_NESTING, "frozen_parent": _NO_NESTING, "thawed_parent": _NO_NESTING},
}
ONLY = {
    "api": ("default",),
    "context": ("direct", "model"),
    "outer": ("functional",),
    "depth": ("1",),
    "execution": ("call",),
    "data_format": ("default",),
    "mask": ("none",),
    "mode_set": ("before",),
}
"""What there is of other axes."""


def imported():
    """lasagne and theano, the latter set up; in somebody else's process as they are there."""
    # Of the setting `cxx=` Theano 0.8.2 says that no compiler was found.
    logging.getLogger("theano.configdefaults").setLevel(logging.ERROR)
    import lasagne
    import theano

    return lasagne, theano


class Lasagne(Adapter):
    """The Lasagne of this process."""

    def __init__(self, framework, backend, device):
        self.asked = device
        if device != GUEST:
            os.environ.setdefault("THEANO_FLAGS", FLAGS)  # a target of the user's own may set it
        self.lasagne, self.theano = imported()
        from . import lasagne_bench

        self.make = lasagne_bench.LasagneBench

    def versions(self):
        return {
            "lasagne": self.lasagne.__version__,
            "theano": self.theano.__version__,
            "scipy": importlib.import_module("scipy").__version__,
            "numpy": np.__version__,
        }

    def devices(self):
        return ["cpu"]

    def device(self):
        if self.asked not in (GUEST, "auto", "cpu"):
            raise Unavailable("Theano is examined on the cpu, not on %s" % self.asked)
        return "cpu"

    def seed(self, seed):
        # Layers draw the seeds of their random streams from it, initial values too.
        self.lasagne.random.set_rng(np.random.RandomState(seed))

    def bench(self, cell, shape, options):
        for axis, reasons in NO_NOTION.items():
            if cell[axis] in reasons:
                raise Unavailable(reasons[cell[axis]])
        for axis, values in ONLY.items():
            if cell[axis] not in values:
                raise Unavailable("Lasagne has no %s %s" % (axis, cell[axis]))
        ranks = inputs.LAYERS[cell["layer"]]["ranks"]
        if int(cell["rank"]) not in ranks:
            raise Unavailable(
                "%s takes input of rank %s" % (cell["layer"], " or ".join(str(rank) for rank in ranks))
            )
        if cell["dtype"] not in DTYPES:
            raise Unavailable("Theano has no dtype or policy %s" % cell["dtype"])
        return self.make(cell, shape, options, self.own)


DTYPES = ("float16", "float32", "float64")
"""Those of Theano's setting floatX."""

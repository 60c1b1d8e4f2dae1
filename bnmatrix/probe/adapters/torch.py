"""PyTorch, release 1.0 and later: `torch.nn` modules, and `torch.nn.functional` as the api `functional`."""

from typing import Any

import numpy as np
import torch

from .. import inputs
from ..own import made
from . import GUEST, Adapter, Unavailable
from . import torch_layers as table
from .torch_bench import FunctionalBench, TorchBench
from .torch_paths import NESTED

_PASSES_NOTHING = "torch passes no training argument from module to module"
# Values of the axes that are notions of Keras: what torch has in their place, if anything.
NO_NOTION = {
    "freeze": {
        "constructor": "torch.nn has no constructor argument trainable",
        "before_compile": "torch compiles no model with an optimizer",
    },
    "data_format": {"channels_first": "torch has no option for channels first: they are"},
    "context": {
        "pinned_default": "torch has no third mode beside train() and eval()",
        "forwarding": _PASSES_NOTHING,
        "not_forwarding": _PASSES_NOTHING,
        "no_argument": _PASSES_NOTHING,
        "after_sibling": "no layer of torch takes a training argument that could have a default",
        "stateless": "torch has no stateless_call (it has functional_call)",
    },
    "outer": {
        "sequential": "torch has one kind of list of layers, the default here",
        "subclassed": "every module of torch is a subclass: there is no other kind to tell it from",
    },
    "saved_as": {"h5": "torch writes no HDF5", "saved_model": "torch writes no SavedModel"},
}


class Torch(Adapter):
    """The torch of this process."""

    def __init__(self, framework, backend, device):
        self.asked = device
        cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
        self.present = ["cpu"] + ["cuda:%d" % index for index in range(cuda)]
        self.chosen: Any = None  # a torch.device, from the first bench on
        if device == GUEST:
            return
        torch.set_num_threads(1)
        if getattr(torch, "get_num_interop_threads", lambda: 1)() != 1:
            torch.set_num_interop_threads(1)  # once a process: a second call raises

    def versions(self):
        return {"torch": str(torch.__version__), "numpy": np.__version__}

    def devices(self):
        return list(self.present)

    def device(self):
        first_gpu = self.present[1] if len(self.present) > 1 else None
        name = {GUEST: "cpu", "auto": first_gpu or "cpu", "gpu": first_gpu, "cuda": first_gpu}.get(
            self.asked, self.asked
        )
        if name not in self.present:
            raise Unavailable(
                "%s finds no device %s here, only %s" % (table.RELEASE, self.asked, ", ".join(self.present))
            )
        return name

    def seed(self, seed):
        if len(self.present) > 1:
            torch.manual_seed(seed)
        else:  # the same, without a word to the accelerators that are not there: as slow as a step
            torch.default_generator.manual_seed(seed)

    def bench(self, cell, shape, options):
        layer, api = cell["layer"], cell["api"]
        if api not in BUILDERS:
            raise Unavailable("torch has no api %s" % api)
        ranks = inputs.LAYERS[layer]["ranks"]
        if int(cell["rank"]) not in ranks:
            raise Unavailable("%s takes input of rank %s" % (layer, " or ".join(str(rank) for rank in ranks)))
        for axis, reasons in NO_NOTION.items():
            if cell[axis] in reasons:
                raise Unavailable(reasons[cell[axis]])
        check_depth(cell["context"], cell["depth"])
        if self.chosen is None:
            self.chosen = torch.device(self.device())
        dtype, autocast = self._numerics(cell["dtype"])
        build, examine = BUILDERS[api]

        def fresh():
            if self.own is not None:
                module = made(self.own, cell, shape, options, torch.nn.Module, table.RELEASE)
            else:
                module = build(layer, cell["variant"], shape, options)
            if dtype is not torch.float32 or self.chosen.type != "cpu":
                module.to(device=self.chosen, dtype=dtype)
            return module

        return examine(fresh, cell, shape, dtype, autocast, self.chosen)

    def _numerics(self, name):
        """(dtype of parameters and input, what opens an autocast or None)."""
        mixed = name.startswith("mixed_")
        own = name[len("mixed_") :] if mixed else name
        low = getattr(torch, own, None)
        if low is None:
            raise Unavailable("%s has no dtype %s" % (table.RELEASE, own))
        if not mixed:
            return low, None
        if not hasattr(torch, "autocast"):
            raise Unavailable("%s has no torch.autocast" % table.RELEASE)
        return torch.float32, lambda: torch.autocast(self.chosen.type, dtype=low)


def check_depth(context, depth):
    """Raise `Unavailable` where there is no path of that `depth`."""
    possible = ("012" if context.startswith("pinned") else "12") if context in NESTED else "1"
    if depth not in possible:
        raise Unavailable("context %s has no depth %s" % (context, depth))


BUILDERS = {"default": (table.module, TorchBench), "functional": (table.function, FunctionalBench)}

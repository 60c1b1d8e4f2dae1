"""The path to a layer in PyTorch: the modules around it, and what is made of them (axis `context`).

A path is built in two parts: the layer is put into modules (`held`), then something may be made of
their outermost (`made`): it is saved and loaded, copied, converted, wrapped. Between the two the
bench sets the mode and `trainable`, as far as the cell wants it there. Objects are found by their
place in the outermost module, for what is made of it may hold others.
"""

import copy
import functools
import inspect
import io
from typing import Any, Callable, Dict, NamedTuple, Optional

import torch
from torch import nn

from . import Unavailable
from .torch_layers import RELEASE, torch_function


class Path(NamedTuple):
    """
    outermost: the module that is called and stepped over
    places:    {object: its dotted name in the outermost}, of "layer" and each module around it, in order
    parent:    which of them holds the layer, or None
    inside:    where these places begin, in what was made of the outermost by compiling it
    """

    outermost: Any
    places: Dict[str, str]
    parent: Optional[str]
    inside: str = ""

    def inner_place(self, name):
        """The dotted name of what is called `name` here, wrapped or not."""
        return joined(self.inside, self.places[name])

    def find(self, name):
        """What the user knows as `name`: the outermost is what was made of it."""
        return submodule(self.outermost, self.inner_place(name) if self.places[name] else "")

    def layer(self):
        """The module that holds the layer's state."""
        return submodule(self.outermost, self.inner_place("layer"))

    def without_lost(self):
        """The path less the objects that are no longer there: an export leaves out what holds no state."""
        places = {name: place for name, place in self.places.items() if self._has(name)}
        return self._replace(places=places)

    def _has(self, name):
        try:
            return self.find(name) is not None
        except AttributeError:
            return False


def joined(*names):
    """A dotted name of parts, some of them empty."""
    return ".".join(name for name in names if name)


def submodule(module, place):
    """The module at the dotted name `place` in `module`."""
    for name in place.split(".") if place else ():
        module = getattr(module, name)
    return module


# --- modules around the layer


class LastStep(nn.Module):
    """A recurrent layer, as far as `nn.Sequential` can take it: the output's last step."""

    def __init__(self, layer, mask=None):
        super().__init__()
        self.layer = layer

    def forward(self, source):
        return self.layer(source)[0][:, -1]


class SelfAttention(nn.Module):
    """Attention of a source to itself."""

    def __init__(self, layer, mask=None):
        super().__init__()
        self.layer = layer
        self.mask = mask

    def forward(self, source):
        return self.layer(source, source, source, self.mask)[0]


class Shared(nn.Module):
    """Uses what it holds twice, for the mean of both."""

    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, source):
        return (self.inner(source) + self.inner(source)) / 2


class Checkpointed(nn.Module):
    """Computes what it holds again in the backward pass."""

    def __init__(self, inner, checkpoint):
        super().__init__()
        self.inner = inner
        self.checkpoint = checkpoint

    def forward(self, source):
        return self.checkpoint(self.inner, source)


class CalledWith(nn.Module):
    """Calls what it holds with tensors given from outside: its own."""

    def __init__(self, inner, functional_call):
        super().__init__()
        self.inner = inner
        self.functional_call = functional_call

    def forward(self, source):
        given = dict(self.inner.named_parameters())
        given.update(self.inner.named_buffers())
        return self.functional_call(self.inner, given, (source,))


class BatchNormXd(nn.modules.batchnorm._BatchNorm):
    """What SyncBatchNorm is turned back into where the rank is not known, as it is usually done."""

    def _check_input_dim(self, input):
        pass


WRAPPERS = {"last step": LastStep, "attention": SelfAttention}


def held(layer: Any, result: str, mask: Any, context: str, depth: str) -> Path:
    """The path to `layer` as far as it is made of modules around it.

    result: what of a call's result is the output (`torch_layers.Layer`);  mask: for attention
    """
    if context == "direct":
        return Path(layer, {"layer": ""}, None)
    wrapper = WRAPPERS.get(result)
    core, below = (layer, "") if wrapper is None else (wrapper(layer, mask), "layer")
    if context == "shared":
        core, below = Shared(core), joined("inner", below)
    inner = int(depth) if context in NESTED else 0
    for _ in range(inner):
        core = nn.Sequential(core)
    chain = ["inner" if level == 0 else "inner_%d" % (level + 1) for level in range(inner)]
    places = {"layer": joined(*["0"] * (inner + 1), below), "model": ""}
    places.update((name, joined(*["0"] * (level + 1))) for level, name in enumerate(chain))
    return Path(nn.Sequential(core), places, chain[-1] if chain else "model")


NESTED = ("pinned_false", "pinned_true", "frozen_parent", "thawed_parent")


def subject(path: Path) -> Any:
    """What a pinned or frozen parent's context acts on: the outermost of the inner models, or the layer."""
    return path.find("inner" if "inner" in path.places else "layer")


# --- what is made of the outermost module


def made(path: Path, cell: Dict[str, str], again: Callable[[], Any]) -> Path:
    """The path after what the cell's context makes of it; `again` builds the same modules freshly."""
    make = MAKING.get(cell["context"])
    if make is None:
        return path
    outermost, prefix = make(path.outermost, cell, again)
    if not prefix:
        return path._replace(outermost=outermost)
    places = {name: joined(prefix, place) for name, place in path.places.items()}
    places["inner"] = places.pop("model")
    places["model"] = ""
    return Path(outermost, places, "inner" if path.parent == "model" else path.parent)


def _reloaded(model, cell, again):
    file = io.BytesIO()
    if cell["saved_as"] == "weights":
        torch.save(model.state_dict(), file)
        file.seek(0)
        model = again()
        model.load_state_dict(torch.load(file))
        return model, ""
    torch.save(model, file)
    file.seek(0)
    # A module is more than tensors: newer releases load it only where one says so.
    whole = {"weights_only": False} if "weights_only" in inspect.signature(torch.load).parameters else {}
    return torch.load(file, **whole), ""


def _cloned(model, cell, again):
    return copy.deepcopy(model), ""


def _converted(model, cell, again):
    convert = getattr(getattr(nn, "SyncBatchNorm", None), "convert_sync_batchnorm", None)
    if convert is None:
        raise Unavailable("%s has no torch.nn.SyncBatchNorm.convert_sync_batchnorm" % RELEASE)
    return convert(model), ""


def _converted_back(model, cell, again):
    return _reverted(_converted(model, cell, again)[0]), ""


def _reverted(module):
    """`module` with plain batch norms in place of SyncBatchNorm: the recipe that goes around.

    Every flag is kept, that only torch's own part of the way there and back shows.
    """
    found = module
    if isinstance(module, nn.SyncBatchNorm):
        found = BatchNormXd(
            module.num_features, module.eps, module.momentum, module.affine, module.track_running_stats
        )
        found.training = module.training
        if module.affine:
            found.weight, found.bias = module.weight, module.bias
        for name, buffer in module._buffers.items():
            found._buffers[name] = buffer
    for name, child in module.named_children():
        found.add_module(name, _reverted(child))
    return found


def _checkpointed(model, cell, again):
    checkpoint = torch_function("utils.checkpoint.checkpoint")
    kind = {"default": {}, "reentrant": {"use_reentrant": True}, "non_reentrant": {"use_reentrant": False}}
    keywords = kind[cell["checkpoint"]]
    if keywords and "use_reentrant" not in inspect.signature(checkpoint).parameters:
        raise Unavailable("torch.utils.checkpoint.checkpoint of %s has no argument use_reentrant" % RELEASE)
    return Checkpointed(model, functools.partial(checkpoint, **keywords) if keywords else checkpoint), "inner"


def _functional_call(model, cell, again):
    try:
        call = torch_function("func.functional_call")
    except Unavailable:
        call = torch_function("nn.utils.stateless.functional_call")
    return CalledWith(model, call), "inner"


def _data_parallel(model, cell, again):
    return nn.DataParallel(model), "module"


def _averaged(model, cell, again):
    return torch_function("optim.swa_utils.AveragedModel")(model), "module"


MAKING = {
    "reloaded": _reloaded,
    "cloned": _cloned,
    "converted": _converted,
    "converted_back": _converted_back,
    "checkpointed": _checkpointed,
    "functional_call": _functional_call,
    "data_parallel": _data_parallel,
    "averaged": _averaged,
}

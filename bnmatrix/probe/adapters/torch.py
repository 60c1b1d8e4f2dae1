"""PyTorch, release 1.0 and later: `torch.nn` modules, and `torch.nn.functional` as the api `functional`.

Mode and trainability are two switches here: `training` is `train()` or `eval()` on the outermost
module (or the function's own argument), `trainable` is `requires_grad_` on the layer's parameters,
set after construction. `default` leaves the fresh module's flag, or does not pass the argument.

State is looked up anew at each reading, in the dictionaries of the modules that hold it: some
releases replace a buffer where others write into it, and reading an attribute of a parametrised
module computes it, which in spectral norm changes state.
"""

from typing import Any

import numpy as np
import torch
from torch import nn

from .. import inputs
from ..experiment import RATE
from . import Adapter, Bench, Pass, Unavailable
from . import torch_layers as table

BFLOAT16 = getattr(torch, "bfloat16", None)
# What only the Keras family has; of other executions nothing is said but that they are to come.
KERAS_EXECUTIONS = [
    "call_without_updates",
    "call_over_collection",
    "run_eagerly",
    "fit",
    "train_on_batch",
    "test_on_batch",
    "evaluate",
    "predict",
]


class Torch(Adapter):
    """The torch of this process."""

    def __init__(self, framework, backend, device):
        self.asked = device
        cuda = torch.cuda.device_count() if torch.cuda.is_available() else 0
        self.present = ["cpu"] + ["cuda:%d" % index for index in range(cuda)]
        self.chosen: Any = None  # a torch.device, from the first bench on
        torch.set_num_threads(1)
        if getattr(torch, "get_num_interop_threads", lambda: 1)() != 1:
            torch.set_num_interop_threads(1)  # once a process: a second call raises

    def versions(self):
        return {"torch": str(torch.__version__), "numpy": np.__version__}

    def devices(self):
        return list(self.present)

    def device(self):
        first_gpu = self.present[1] if len(self.present) > 1 else None
        name = {"auto": first_gpu or "cpu", "gpu": first_gpu, "cuda": first_gpu}.get(self.asked, self.asked)
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
        execution, context = cell["execution"], cell["context"]
        if execution in KERAS_EXECUTIONS:
            raise Unavailable("torch has no %s" % execution)
        if execution not in EXECUTIONS:
            raise Unavailable("execution %s is not examined for torch yet" % execution)
        if execution == "inference_mode" and not hasattr(torch, "inference_mode"):
            raise Unavailable("%s has no inference_mode" % table.RELEASE)
        if context not in ("direct", "model"):
            raise Unavailable("context %s is not examined for torch yet" % context)
        if self.chosen is None:
            self.chosen = torch.device(self.device())
        dtype, autocast = self._numerics(cell["dtype"])
        build, examine = BUILDERS[api]
        module = build(layer, cell["variant"], shape, options)
        if dtype is not torch.float32 or self.chosen.type != "cpu":
            module.to(device=self.chosen, dtype=dtype)
        return examine(module, cell, shape, dtype, autocast, self.chosen)

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


class TorchBench(Bench):
    """A module on the bench, alone or inside an `nn.Sequential`."""

    def __init__(self, layer, cell, shape, dtype, autocast, device):
        entry = table.LAYERS.get(cell["layer"])
        self.layer = layer
        self.dtype = None if cell["layer"] == "embedding" else dtype  # indices stay integers
        self.autocast, self.device = autocast, device
        self.in_place = cell["variant"] == "in_place"
        self.transposed = entry is not None and entry.transposed
        self.order, self.back = layout(entry, layer, len(shape))
        self.states = states_of(layer, entry.names if entry else {})
        self.call = CALLS[entry.result if entry else "all"]
        self.execute = EXECUTIONS[cell["execution"]]
        self.modules = list(layer.modules())
        if cell["context"] == "model":
            inner = layer if self.call is CALLS["all"] else Called(layer, self.call)
            self.model = nn.Sequential(inner)
            self.prefix = "0." if inner is layer else "0.layer."
        else:
            self.model, self.prefix = None, ""
        self.outermost = layer if self.model is None else self.model
        self.set_mode(cell["training"])
        if cell["trainable"] == "false":
            for parameter in layer.parameters():
                parameter.requires_grad_(False)

    def set_mode(self, training):
        """The cell's `training`, as a user would set it."""
        if training != "default":
            self.outermost.train(training == "true")

    def slots(self):
        return {
            slot: {
                "name": own,
                "dtype": dtype_name(holder[key]),
                "trainable": holder[key].requires_grad if ours else None,
            }
            for slot, own, holder, key, ours in self.states
        }

    def read(self):
        return {slot: self._stored(slot, holder[key]) for slot, _, holder, key, _ in self.states}

    def _stored(self, slot, tensor):
        """A copy of a state or of its gradient, in the layout of `Bench`."""
        array = to_numpy(tensor)
        if self.transposed and slot == "kernel":
            array = array.reshape(array.shape[:2]).T
        return array

    def write(self, values):
        with torch.no_grad():
            for slot, _, holder, key, _ in self.states:
                if slot not in values:
                    continue
                tensor, array = holder[key], np.asarray(values[slot])
                if is_inference(tensor):  # a buffer replaced under inference_mode cannot be written to
                    tensor = holder[key] = tensor.clone()
                if self.transposed and slot == "kernel":
                    array = array.T.reshape(tuple(tensor.shape))
                # torch warns of arrays that cannot be written to
                tensor.copy_(torch.from_numpy(array if array.flags.writeable else array.copy()))

    def step(self, inputs, weights):
        return self.execute(self, inputs, weights)

    def call_and_step(self, inputs, weights):
        """Forward, backward and plain SGD by hand."""
        source = self._tensor(inputs, self.dtype)
        if self.dtype is not None:
            source.requires_grad_(True)
        parameters = list(self.outermost.parameters())
        for parameter in parameters:
            parameter.grad = None
        # In place on the leaf itself autograd forbids; a user's input is no leaf that wants a gradient.
        output = self._forward(self._outer, source.clone() if self.in_place else source)
        forward = self.read()
        wide = output if output.dtype is torch.float64 else output.float()
        loss = (wide * self._tensor(weights, wide.dtype)).sum()
        if loss.requires_grad:
            loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad * RATE)
        return Pass(
            self._array(output),
            dtype_name(output),
            forward,
            None if source.grad is None else self._array(source.grad),
            gradients={
                slot: self._stored(slot, holder[key].grad)
                for slot, _, holder, key, ours in self.states
                if ours and holder[key].grad is not None
            },
        )

    def call_in_inference_mode(self, inputs, weights):
        """The forward alone, under `torch.inference_mode`."""
        with torch.inference_mode():
            output = self._forward(self._outer, self._tensor(inputs, self.dtype))
            return Pass(self._array(output), dtype_name(output), self.read(), has_gradient=False)

    def infer(self, inputs):
        return self._direct(inputs, False)

    def train_once(self, inputs):
        return self._direct(inputs, True)

    def _direct(self, inputs, training):
        """A direct call of the layer in this mode, without gradient; every submodule's flag as before."""
        flags = [module.training for module in self.modules]
        self.layer.train(training)
        try:
            with torch.no_grad():
                return self._array(self._forward(self._inner, self._tensor(inputs, self.dtype)))
        finally:
            for module, flag in zip(self.modules, flags):
                module.training = flag

    def _inner(self, source):
        return self.call(self.layer, source)

    def _outer(self, source):
        return self._inner(source) if self.model is None else self.model(source)

    def _forward(self, call, source):
        if self.autocast is None:
            return call(source)
        with self.autocast():
            return call(source)

    def _tensor(self, array, dtype):
        """`array` as a tensor of its own, in torch's layout. Contiguous, as a user's would be: torch keeps
        strides, and those of channels-last data lead to other kernels."""
        if self.order is not None:
            array = np.ascontiguousarray(array.transpose(self.order))
        return torch.tensor(array, dtype=dtype, device=self.device)

    def _array(self, tensor):
        array = to_numpy(tensor)
        return array if self.back is None else array.transpose(self.back)

    def counts(self):
        trainable = [holder[key].requires_grad for _, _, holder, key, ours in self.states if ours]
        return {
            "trainable_weights": sum(trainable),
            "non_trainable_weights": len(self.states) - sum(trainable),
            "regularisation_losses": 0,
        }

    def weight_order(self):
        slots = {self.prefix + own: slot for slot, own, _, _, _ in self.states}
        return ["layer/" + slots[name] for name in self.outermost.state_dict()]

    def flags(self):
        found = [("layer", self.layer)] + ([("model", self.model)] if self.model is not None else [])
        trainable = {}
        for name, module in found:
            wanted = [parameter.requires_grad for parameter in module.parameters()]
            if wanted:
                trainable[name] = all(wanted)
        return {"mode": {name: module.training for name, module in found}, "trainable": trainable}


class FunctionalBench(TorchBench):
    """A function on the bench. It has no mode of its own: it is told, or left to its default."""

    def set_mode(self, training):
        self.layer.passed = {} if training == "default" else self.layer.telling(training == "true")
        if self.model is not None:
            super().set_mode(training)

    def _direct(self, inputs, training):
        passed, self.layer.passed = self.layer.passed, self.layer.telling(training)
        try:
            return super()._direct(inputs, training)
        finally:
            self.layer.passed = passed

    def flags(self):
        flags = super().flags()
        del flags["mode"]["layer"]
        return flags


class Called(nn.Module):
    """A layer that `nn.Sequential` cannot call by itself."""

    def __init__(self, layer, call):
        super().__init__()
        self.layer = layer
        self.how = call

    def forward(self, source):
        return self.how(self.layer, source)


def _plain(layer, source):
    return layer(source)


def _last_step(layer, source):
    return layer(source)[0][:, -1]


def _self_attention(layer, source):
    return layer(source, source, source)[0]


CALLS = {"all": _plain, "last step": _last_step, "attention": _self_attention}
BUILDERS = {"default": (table.module, TorchBench), "functional": (table.function, FunctionalBench)}
EXECUTIONS = {"call": TorchBench.call_and_step, "inference_mode": TorchBench.call_in_inference_mode}


def layout(entry, layer, rank):
    """The axes of channels-last data in torch's order, and the way back; None for each where they agree."""
    if entry is not None and entry.channels_first and rank > 2:
        return (0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)
    if entry is not None and entry.result == "attention" and not getattr(layer, "batch_first", False):
        return (1, 0, 2), (1, 0, 2)  # releases without batch_first take the positions first
    return None, None


def states_of(layer, names):
    """[(slot, own name, dictionary that holds it, key there, is it a parameter)], in order of state_dict."""
    found = []
    for path, module in layer.named_modules():
        for holder, ours in ((module._parameters, True), (module._buffers, False)):
            for key, tensor in holder.items():
                if tensor is not None:
                    own = path + "." + key if path else key
                    found.append((names.get(own, own), own, holder, key, ours))
    return found


def is_inference(tensor):
    """Was it made under inference_mode? The first releases that have the mode offer no function to ask."""
    try:
        return tensor._version is None
    except RuntimeError:  # only those keep no count of what was written into them
        return True


def dtype_name(tensor):
    return str(tensor.dtype).split(".")[-1]


def to_numpy(tensor):
    """A copy as an array; bfloat16, which numpy lacks, as float32."""
    tensor = tensor.detach()
    if tensor.dtype is BFLOAT16:
        tensor = tensor.float()
    return tensor.cpu().numpy().copy()

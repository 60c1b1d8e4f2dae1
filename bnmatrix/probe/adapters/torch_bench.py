"""A layer of PyTorch on the bench: its state, mode and trainability, and one step as the cell makes it.

Mode and trainability are two switches here: `training` is `train()` or `eval()` on the outermost
module (or the function's own argument), `trainable` is `requires_grad_` on the layer's parameters,
set after construction. `default` leaves the fresh module's flag, or does not pass the argument.

What an execution makes of the outermost module (a script, a trace, ...) is made at the first step and
kept, and from then on everything is read from that, as by a user who holds nothing else.
"""

from typing import Any

import numpy as np
import torch

from .. import inputs as samples
from . import Bench, Pass, Unavailable, torch_paths, torch_steps
from . import torch_layers as table
from .torch_tensors import dtype_name, is_inference, layout, states_of, to_numpy

TRAINING_AS = {"bool": bool, "int": int, "numpy_bool": np.bool_, "tensor": torch.tensor}
PINNED = {"pinned_false": False, "pinned_true": True}  # of the axis `context`: the mode of the child

# (source, mask) -> the arguments of a layer, and what of its result is the output.
FORMS = {
    "all": (lambda source, mask: (source,), lambda result: result),
    "last step": (lambda source, mask: (source,), lambda result: result[0][:, -1]),
    "attention": (
        lambda source, mask: (source,) * 3 if mask is None else (source,) * 3 + (mask,),
        lambda result: result[0],
    ),
}


class TorchBench(Bench):
    """A module on the bench.

    build: () -> a fresh layer, on its device and in its dtype
    """

    def __init__(self, build, cell, shape, dtype, autocast, device):
        entry = table.LAYERS.get(cell["layer"])
        result = entry.result if entry else "all"
        self.cell = cell
        self.dtype = None if cell["layer"] == "embedding" else dtype  # indices stay integers
        self.autocast, self.device = autocast, device
        self.memory_format = memory_format(cell["data_format"], len(shape))
        self.in_place = cell["variant"] == "in_place"
        self.transposed = entry is not None and entry.transposed
        self.names = entry.names if entry else {}
        self.execution = torch_steps.execution(cell["execution"])
        self.stepper: Any = None  # from the first step on
        self.form = FORMS[result]
        self.outer_form = self.form if cell["context"] == "direct" else FORMS["all"]
        self.mask = padding(cell, result, shape, device)
        self.place(build, result)
        self.layer = self.path.layer()
        self.modules = list(self.layer.modules())
        self.own = self.states = states_of(self.layer, self.names)
        self.order, self.back = layout(entry, self.layer, len(shape))

    def place(self, build, result):
        """Put a fresh layer into its path; set mode and `trainable` on the way, where they come first."""
        cell = self.cell

        def held():
            return torch_paths.held(build(), result, self.mask, cell["context"], cell["depth"])

        self.path = held()
        last = cell["mode_set"] == "after"
        pinned = PINNED.get(cell["context"])
        if pinned is not None and not last:
            torch_paths.subject(self.path).train(pinned)
        if pinned is not None or not last:
            self.set_mode(self.path.outermost)
        if pinned is not None and last:
            torch_paths.subject(self.path).train(pinned)
        if cell["freeze"] == "before_build":
            self.take()
        self.path = torch_paths.made(self.path, cell, lambda: held().outermost)
        if (
            cell["freeze"] != "before_build"
        ):  # the opposite until its moment comes; a fresh layer is trainable
            set_trainable(self.path.find("layer"), cell["trainable"] == "false")
        if last and pinned is None and self.execution.convert is None:
            self.set_mode(self.path.outermost)

    # --- mode and trainability

    def set_mode(self, outermost):
        """The cell's `training`, as a user would set it."""
        if self.cell["training"] != "default":
            outermost.train(self.asked())

    def asked(self):
        """What is said of training, in the cell's type."""
        return TRAINING_AS[self.cell["training_as"]](self.cell["training"] == "true")

    def take(self):
        """Give the layer its cell's `trainable`, in the way of the cell."""
        context, on, path = self.cell["context"], self.cell["freeze_on"], self.path
        if on == "parent" and path.parent is None:
            raise Unavailable("nothing holds the layer")
        if context == "frozen_parent":
            set_trainable(torch_paths.subject(path), False)
        target = path.find(path.parent if on == "parent" else "layer")
        set_trainable(target, self.cell["trainable"] == "true", on)
        if context == "thawed_parent":
            set_trainable(torch_paths.subject(path), True)

    def turn(self):
        self.take()
        if self.cell["freeze"] == "recompiled":
            self.stepper = torch_steps.stepper(self.cell["optimizer"], self.path.outermost)

    # --- state

    def slots(self):
        return {
            state.slot: {
                "name": state.own,
                "dtype": dtype_name(state.tensor),
                "trainable": state.tensor.requires_grad if state.is_parameter else None,
            }
            for state in self.states
        }

    def read(self):
        return {state.slot: self._stored(state.slot, state.tensor) for state in self.states}

    def stored(self):
        return {state.slot: to_numpy(state.tensor) for state in self.states}

    def _stored(self, slot, tensor):
        """A copy of a state or of its gradient, in the layout of `Bench`."""
        array = to_numpy(tensor)
        if self.transposed and slot == "kernel":
            array = array.reshape(array.shape[:2]).T
        return array

    def write(self, values):
        with torch.no_grad():
            for state in self.states:
                slot = state.slot
                if slot not in values:
                    continue
                tensor, array = state.tensor, np.asarray(values[slot])
                if is_inference(tensor):  # a buffer replaced under inference_mode cannot be written to
                    tensor = state.holder[state.key] = tensor.clone()
                if self.transposed and slot == "kernel":
                    array = array.T.reshape(tuple(tensor.shape))
                # torch warns of arrays that cannot be written to
                tensor.copy_(torch.from_numpy(array if array.flags.writeable else array.copy()))

    # --- the step

    def step(self, inputs, weights):
        source = self._source(inputs)
        if self.stepper is None:
            self._make_ready(source)
        if self.execution.steps:
            return self._step(source, weights)
        if self.execution.within is None:
            return self._forward_only(source)
        with getattr(torch, self.execution.within)():
            return self._forward_only(source)

    def _make_ready(self, source):
        """What is done once, at the first step: convert the module, make the optimizer."""
        convert = self.execution.convert
        if convert is not None:
            state = self.read()
            arguments = self.outer_form[0](source.clone(), self.mask)
            held = self._in_autocast(convert, self.path.outermost, arguments, self.cell)
            self.path = self.path._replace(outermost=held, inside=self.execution.place).without_lost()
            if self.states:
                self.states = states_of(self.path.layer(), self.names)
            # The conversion's result is examined, not what it did on the way: a module is traced by calling
            # it, which is a step where statistics are concerned.
            self.write(state)
            if self.cell["mode_set"] == "after" and self.cell["context"] not in PINNED:
                self.set_mode(held)
        self.stepper = torch_steps.stepper(self.cell["optimizer"], self.path.outermost)
        if self.cell["freeze"] == "after_compile":
            self.take()

    def _step(self, source, weights):
        """Forward, backward, and a step over the parameters."""
        if self.dtype is not None:
            source.requires_grad_(True)
        self.stepper.clear()
        # In place on the leaf itself autograd forbids; a user's input is no leaf that wants a gradient.
        output = self._outer(source.clone() if self.in_place else source)
        forward = self.read()
        wide = output if output.dtype is torch.float64 else output.float()
        loss = (wide * self._tensor(weights, wide.dtype)).sum()
        if loss.requires_grad:
            loss.backward()
        gradients = {
            state.slot: self._stored(state.slot, state.tensor.grad)
            for state in self.states
            if state.is_parameter and state.tensor.grad is not None
        }
        if self.cell["freeze"] == "between_backward_and_step":
            self.take()
        self.stepper.step()
        given = None if source.grad is None else self._array(source.grad)
        return Pass(self._array(output), dtype_name(output), forward, given, gradients=gradients)

    def _forward_only(self, source):
        output = self._outer(source)
        return Pass(self._array(output), dtype_name(output), self.read(), has_gradient=False)

    def infer(self, inputs):
        return self._direct(inputs, False)

    def train_once(self, inputs):
        return self._direct(inputs, True)

    def _direct(self, inputs, training):
        """A direct call of the layer in this mode, without gradient; every submodule's flag as before."""
        flags = [module.training for module in self.modules]
        self._share(self.states, self.own)
        self.layer.train(training)
        try:
            with torch.no_grad():
                return self._array(self._called(self.layer, self.form, self._source(inputs)))
        finally:
            for module, flag in zip(self.modules, flags):
                module.training = flag
            self._share(self.own, self.states)

    def _share(self, given, taken):
        """Bring states up to date: what was converted may have tensors of its own, and then the layer that
        it was made of knows nothing of them."""
        if given is not taken:
            held = {state.own: state for state in taken}
            with torch.no_grad():
                for state in given:
                    held[state.own].tensor.copy_(state.tensor)

    def _outer(self, source):
        return self._called(self.path.outermost, self.outer_form, source)

    def _called(self, module, form, source):
        arguments, output = form
        return output(self._in_autocast(module, *arguments(source, self.mask)))

    def _in_autocast(self, call, *arguments):
        if self.autocast is None:
            return call(*arguments)
        with self.autocast():
            return call(*arguments)

    def _tensor(self, array, dtype):
        """`array` as a tensor of its own, in torch's layout. Contiguous, as a user's would be: torch keeps
        strides, and those of channels-last data lead to other kernels."""
        if self.order is not None:
            array = np.ascontiguousarray(array.transpose(self.order))
        return torch.tensor(array, dtype=dtype, device=self.device)

    def _source(self, array):
        """An input of the layer."""
        tensor = self._tensor(array, self.dtype)
        return tensor if self.memory_format is None else tensor.to(memory_format=self.memory_format)

    def _array(self, tensor):
        array = to_numpy(tensor)
        return array if self.back is None else array.transpose(self.back)

    # --- what the framework says of them

    def counts(self):
        trainable = [state.tensor.requires_grad for state in self.states if state.is_parameter]
        return {
            "trainable_weights": sum(trainable),
            "non_trainable_weights": len(self.states) - sum(trainable),
            "regularisation_losses": 0,
        }

    def weight_order(self):
        slots = {
            torch_paths.joined(self.path.inner_place("layer"), state.own): "layer/" + state.slot
            for state in self.states
        }
        return [slots.get(name, "model/" + name) for name in self.path.outermost.state_dict()]

    def flags(self):
        mode, trainable = {}, {}
        for name in self.path.places:
            module = self.path.find(name)
            mode[name] = bool(module.training)
            wanted = [parameter.requires_grad for parameter in module.parameters()]
            if wanted:
                trainable[name] = all(wanted)
        return {"mode": mode, "trainable": trainable}

    def close(self):
        self.execution.forget()


class FunctionalBench(TorchBench):
    """A function on the bench. It has no mode of its own: it is told, or left to its default."""

    def place(self, build, result):
        cell = self.cell
        if cell["context"] in PINNED:
            raise Unavailable("a function has no mode that could be pinned: it is told at each call")
        if cell["execution"] == "graph":
            raise Unavailable(
                "torch.jit.script compiles a user's own code around the function, not the function"
            )
        super().place(build, result)
        layer = self.path.layer()
        layer.passed = {} if cell["training"] == "default" else layer.telling(self.asked())

    def set_mode(self, outermost):
        if self.cell["context"] != "direct" and self.cell["training"] != "default":
            outermost.train(self.cell["training"] == "true")

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


def set_trainable(module, trainable, on="layer"):
    """`on`: as the axis `freeze_on`."""
    if on != "variables" and hasattr(
        module, "requires_grad_"
    ):  # the first releases set it on parameters only
        module.requires_grad_(trainable)
        return
    for parameter in module.parameters():
        parameter.requires_grad = trainable


def memory_format(data_format, rank):
    """What `Tensor.to` is told of where the channels lie in memory, or None."""
    if data_format == "default":
        return None
    return table.torch_function("channels_last_3d" if rank == 5 else "channels_last")


def padding(cell, result, shape, device):
    """The cell's mask as attention takes it: true where a position does not count."""
    if cell["mask"] == "none":
        return None
    if result != "attention" or cell["api"] != "default":
        raise Unavailable("torch's %s takes no mask" % cell["layer"])
    return torch.tensor(~samples.mask(shape, cell["mask"]), device=device)

"""How a step is made in PyTorch: what becomes of the module before it is called (axis `execution`), and
what steps over its parameters (axis `optimizer`).

What takes seconds to import (torch.optim, torch.compile) is imported by the cell that needs it.
"""

import contextlib
import copy
import importlib
import importlib.util
import inspect
import os
import shutil
import sys
import tempfile
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

import torch

from ..experiment import RATE
from . import Unavailable
from .torch_layers import RELEASE, torch_function

OPTIMIZER_RATE = 0.125  # shows in bfloat16, and leaves Adam's steps of that length small beside the values


class Execution(NamedTuple):
    """
    convert: (module, arguments, cell) -> what is made of the module before it is called, if something is
    within:  the name below torch of the context manager that the call is made in
    steps:   is a backward pass and a step made
    place:   where the module is then found in what was made of it
    forget:  frees what the conversion left behind in the process
    """

    convert: Optional[Callable[[Any, Tuple[Any, ...], Dict[str, str]], Any]] = None
    within: Optional[str] = None
    steps: bool = True
    place: str = ""
    forget: Callable[[], None] = lambda: None


def _scripted(module, arguments, cell):
    return torch.jit.script(module)


def _traced(module, arguments, cell):
    return torch.jit.trace(module, arguments)


def _compiled(module, arguments, cell):
    compile_ = torch_function("compile")
    if cell["compiler"] == "inductor":
        config = torch_function("_inductor.config")
        if hasattr(config, "compile_threads"):
            config.compile_threads = 1  # in this process: a pool of others outlives the cell
    return compile_(module, backend=cell["compiler"])


def _exported(module, arguments, cell):
    if cell["exported_as"] == "onnx":
        return _onnx(module, arguments)
    return torch_function("export.export")(module, arguments).module()


def _onnx(module, arguments):
    """A copy of the module, whose call is that of the exported file in ONNX Runtime."""
    export = torch_function("onnx.export")
    needed = ["onnx", "onnxruntime"]
    if getattr(inspect.signature(export).parameters.get("dynamo"), "default", False):
        needed.append("onnxscript")
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise Unavailable("not installed: %s" % ", ".join(missing))
    if any(each.dtype is getattr(torch, "bfloat16", None) for each in arguments):
        raise Unavailable("ONNX Runtime is fed through numpy, which has no bfloat16")
    onnxruntime = importlib.import_module("onnxruntime")
    folder = tempfile.mkdtemp(prefix="bnmatrix-")
    try:
        path = os.path.join(folder, "exported.onnx")
        export(module, arguments, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    names = [each.name for each in session.get_inputs()]

    def call(*given):
        fed = {name: each.detach().cpu().numpy() for name, each in zip(names, given)}
        made = [torch.from_numpy(each) for each in session.run(None, fed)]
        return made[0] if len(made) == 1 else tuple(made)

    served = copy.deepcopy(module)
    served.forward = call
    return served


def _forget_compiled():
    if "torch._dynamo" in sys.modules:
        sys.modules["torch._dynamo"].reset()


def _forget_scripted():
    """As torch's own tests do it between two of them."""
    for clear in ("_C._jit_clear_class_registry", "jit._state._clear_class_state"):
        with contextlib.suppress(Unavailable):  # not every release keeps all of them
            torch_function(clear)()
    recursive: Any = getattr(torch.jit, "_recursive", None)
    if hasattr(recursive, "concrete_type_store"):
        recursive.concrete_type_store = recursive.ConcreteTypeStore()


EXECUTIONS = {
    "call": Execution(),
    "graph": Execution(_scripted, forget=_forget_scripted),
    "traced": Execution(_traced, forget=_forget_scripted),
    "compiled": Execution(_compiled, place="_orig_mod", forget=_forget_compiled),
    "exported": Execution(_exported, steps=False),
    "no_grad": Execution(within="no_grad", steps=False),
    "inference_mode": Execution(within="inference_mode", steps=False),
}


def execution(name: str) -> Execution:
    """The execution called `name`, if this release has it."""
    found = EXECUTIONS.get(name)
    if found is None:
        raise Unavailable("torch has no %s" % name)
    if found.within is not None and not hasattr(torch, found.within):
        raise Unavailable("%s has no %s" % (RELEASE, found.within))
    return found


class ByHand(object):
    """Plain SGD by hand, over what the module lists as its parameters at each step."""

    def __init__(self, module):
        self.module = module

    def clear(self):
        for parameter in self.module.parameters():
            parameter.grad = None

    def step(self):
        with torch.no_grad():
            for parameter in self.module.parameters():
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad * RATE)


class WithOptimizer(object):
    """An optimizer of torch.optim, over the parameters that there are when it is made.

    other_way: gradients are cleared the way that is not this release's default
    """

    def __init__(self, module, kind, keywords, other_way):
        make = torch_function("optim." + kind)
        self.optimizer = make(module.parameters(), lr=OPTIMIZER_RATE, **keywords)
        self.step = self.optimizer.step
        self.clear = self._other_way if other_way else self.optimizer.zero_grad

    def _other_way(self):
        asked = inspect.signature(self.optimizer.zero_grad).parameters.get("set_to_none")
        if asked is not None:
            self.optimizer.zero_grad(set_to_none=not asked.default)
            return
        for group in self.optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None


_OTHER_WAY = "_zeroed"
_DECAY = {"weight_decay": 0.5}
OPTIMIZERS: Dict[str, Tuple[str, Dict[str, float]]] = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "weight_decay": ("SGD", _DECAY),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", _DECAY),
    "rmsprop": ("RMSprop", {}),
}


def stepper(name: str, module: Any) -> Any:
    """What clears gradients and steps over the parameters of `module`; `name`: of the axis `optimizer`."""
    if name == "none":
        return ByHand(module)
    other_way = name.endswith(_OTHER_WAY)
    kind, keywords = OPTIMIZERS[name[: -len(_OTHER_WAY)] if other_way else name]
    return WithOptimizer(module, kind, keywords, other_way)

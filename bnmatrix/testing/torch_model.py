"""A live torch model: its layers, some training steps, and everything back as it was.

torch is not imported: who holds a model of it has done so.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnmatrix.probe.live.steps import RATE, loss_weights
from bnmatrix.probe.live.torch_parts import MOVES_ALONE, equal, joined, unread_flag, walk
from bnmatrix.probe.live.torch_parts import own as own_of
from bnmatrix.probe.live.torch_parts import tensors as tensors_of
from bnmatrix.testing.errors import CannotTell
from bnmatrix.testing.keeping import attributes_kept, chance_kept, contents_kept
from bnmatrix.testing.seen import Layer, Tensor, Training, Trial
from bnmatrix.testing.steps import Numbers, called, differentiated, nothing_tried, raised


class TorchModel:
    """A `torch.nn.Module`."""

    framework = "torch"

    def __init__(self, model: Any) -> None:
        self.torch: Any = sys.modules["torch"]
        self.model = model
        self.modules: dict[str, Any] = dict(walk(model))

    def named(self) -> dict[str, list[str]]:
        """{path of a module: the names of its own parameters and buffers}."""
        return {path: [name for name, _ in own_of(module)] for path, module in self.modules.items()}

    def _once(self, chosen: Mapping[str, list[str]]) -> dict[str, list[str]]:
        """`chosen`, with each module and each of its tensors under the first of its names only."""
        first: dict[int, str] = {}
        found: dict[str, dict[int, str]] = {}
        for path, names in chosen.items():
            module = self.modules[path]
            own = dict(own_of(module))
            held = found.setdefault(first.setdefault(id(module), path), {})
            for name in names:
                held.setdefault(id(own[name]), name)
        return {path: list(held.values()) for path, held in found.items()}

    def _finite(self) -> dict[str, bool]:
        """{path of a tensor: whether all that it holds are numbers}."""
        found = {}
        for path, names in self._once(self.named()).items():
            own = dict(own_of(self.modules[path]))
            for name in names:
                value = own[name].detach()
                if value.is_floating_point():
                    wide = value.float() if value.element_size() < 4 else value
                    found[joined(path, name)] = bool(self.torch.isfinite(wide).all())
        return found

    def trial(self, chosen: Mapping[str, list[str]], training: Training) -> Trial:
        """The layers `chosen` after the steps that `training` describes, everything else as before."""
        self._refuse(training)
        chosen = self._once(chosen)
        asked = training.step is not None or training.optimizer is not None
        optimizers = [] if training.optimizer is None else [training.optimizer]
        if training.step is not None:
            optimizers = self._live_optimizers()
        flags = {id(each): each.requires_grad for each in self.model.parameters()}
        before = self._values(chosen)
        numbers = Numbers(training, self._finite)
        with (
            self._kept(optimizers) as moved,
            self._watched(chosen, all_calls=training.step is not None) as watch,
        ):
            for number in range(1, training.steps + 1):
                watch.stale(self.model.parameters())
                with raised(number):
                    if training.step is not None:
                        called(training.step, self.model)
                    else:
                        with differentiated():
                            self._step(training, number, numbers)
                watch.stale(self.model.parameters())
                numbers.after(number)
            if training.step is not None and not watch.called and not moved():
                raise nothing_tried()
            after = self._values(chosen)
            layers = [
                self._layer(path, names, before[path], after[path], flags, optimizers, asked, watch)
                for path, names in chosen.items()
            ]
        return Trial("torch", self._how(training, optimizers), training.steps, layers)

    def _refuse(self, training: Training) -> None:
        """Raise CannotTell for what no step can be made of."""
        lazy = getattr(getattr(self.torch.nn, "parameter", None), "UninitializedParameter", ())
        if any(isinstance(each, lazy) for each in self.model.parameters()):
            raise CannotTell("the model has parameters without a shape yet", "call it once before the test")
        if any(getattr(each, "is_meta", False) for each in (*self.model.parameters(), *self.model.buffers())):
            raise CannotTell("the model is on the meta device, so it holds no numbers", "make it on the CPU")
        if training.execution == "fit":
            raise CannotTell("torch has no fit", "leave execution= out, or give a step of your own: step=")
        if training.step is None and training.input is None:
            raise CannotTell("a torch model does not say what it takes", "give input=, a tensor or a tuple")
        given = training.optimizer
        if isinstance(given, type):
            raise CannotTell(
                "optimizer= is a class", f"make one of it: {given.__name__}(model.parameters(), ...)"
            )
        if given is not None and not hasattr(given, "param_groups"):
            raise CannotTell(f"optimizer= is no optimizer of torch: {str(given)[:60]!r}")

    # --- the step

    def _step(self, training: Training, number: int, numbers: Numbers) -> None:
        torch, model = self.torch, self.model
        if training.mode == "train":
            model.train()
        if training.optimizer is not None:
            training.optimizer.zero_grad()
        else:
            for parameter in model.parameters():
                parameter.grad = None
        arguments, keywords = self._arguments(training.input)
        output = model(*arguments, **keywords)
        loss = self._weighted(output) if training.loss is None else training.loss(output, training.target)
        numbers.loss(number, self._numpy(loss))
        if loss.requires_grad:
            loss.backward()
        if training.optimizer is not None:
            training.optimizer.step()
            return
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.requires_grad and parameter.grad is not None:
                    parameter.sub_(RATE * parameter.grad.to(parameter.dtype))

    def _arguments(self, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
        def tensor(value: Any) -> Any:
            if isinstance(value, np.ndarray):
                return self.torch.as_tensor(value)
            # In-place operations at the start of a model would change the user's batch.
            return value.detach().clone() if isinstance(value, self.torch.Tensor) else value

        if isinstance(given, dict):
            return (), {name: tensor(value) for name, value in given.items()}
        values = given if isinstance(given, (tuple, list)) else (given,)
        return tuple(tensor(value) for value in values), {}

    def _weighted(self, output: Any) -> Any:
        """A fixed random weighting of the whole output, so that no gradient vanishes by accident."""
        floating = [each for each in tensors_of(self.torch, output) if each.is_floating_point()]
        if not floating:
            raise CannotTell("the model puts out no floating tensor to make a loss of", "give loss= or step=")
        total = 0
        for number, each in enumerate(floating):
            weights = self.torch.as_tensor(loss_weights(tuple(each.shape), number)).to(each.device)
            wide = each if each.dtype == self.torch.float64 else each.float()
            total = total + (wide * weights.to(wide.dtype)).sum()
        return total

    def _how(self, training: Training, optimizers: list[Any]) -> str:
        names = ", ".join(dict.fromkeys(type(each).__name__ for each in optimizers))
        if training.step is not None:
            return f"the given step{f', {names}' if names else ''}"
        return f"by hand, {names or 'SGD'}"

    # --- what is watched, and what is put back

    def _values(self, chosen: Mapping[str, list[str]]) -> dict[str, dict[str, NDArray[Any]]]:
        found: dict[str, dict[str, NDArray[Any]]] = {}
        for path, names in chosen.items():
            own = dict(own_of(self.modules[path]))
            found[path] = {name: self._numpy(own[name]) for name in names if name in own}
        return found

    def _numpy(self, tensor: Any) -> NDArray[Any]:
        plain = tensor.detach().cpu()
        if plain.dtype == getattr(self.torch, "bfloat16", None):
            plain = plain.float()
        return np.array(plain.numpy())

    def _live_optimizers(self) -> list[Any]:
        """The optimizers of this process that hold a parameter of the model: a step of the user's uses them,
        and nothing else knows them."""
        base = self.torch.optim.Optimizer
        own = {id(each) for each in self.model.parameters()}
        return [
            each
            for each in gc.get_objects()
            if issubclass(type(each), base)
            and any(id(held) in own for group in each.param_groups for held in group["params"])
        ]

    @contextmanager
    def _watched(self, chosen: Mapping[str, list[str]], all_calls: bool) -> Iterator[_Watch]:
        watch = _Watch(self.torch)
        try:
            for module in self.model.modules() if all_calls else ():
                watch.listen(module)
            for path in chosen:
                watch.over(path, self.modules[path], own_of(self.modules[path]))
            yield watch
        finally:
            watch.remove()

    @contextmanager
    def _kept(self, optimizers: list[Any]) -> Iterator[Callable[[], bool]]:
        """Everything as before, on the way out. Yields what tells whether anything has moved."""
        torch = self.torch
        modules = list(self.model.modules())
        held = [(module._parameters, dict(module._parameters.items())) for module in modules]
        held += [(module._buffers, dict(module._buffers.items())) for module in modules]
        tensors = {
            id(tensor): (tensor, tensor.detach().clone(), tensor.requires_grad)
            for own in (*(own for _, own in held), *map(vars, modules)) for tensor in own.values()
            if isinstance(tensor, torch.Tensor)
        }  # fmt: skip
        grads = [
            (each, each.grad, None if each.grad is None else each.grad.detach().clone())
            for each in self.model.parameters()
        ]
        modes = [module.training for module in modules]
        kept_by_optimizers = [_kept_optimizer(torch, each) for each in optimizers]

        def moved() -> bool:
            return any(
                name not in place or place[name] is not tensor
                for place, own in held for name, tensor in own.items()
            ) or not all(equal(torch, tensor, value) for tensor, value, _ in tensors.values())  # fmt: skip

        try:
            with chance_kept(), attributes_kept([*modules, *optimizers]), contents_kept(modules):
                yield moved
        finally:
            for module, mode in zip(modules, modes, strict=True):
                if module.training != mode:
                    module.training = mode
            for place, own in held:
                for name, tensor in own.items():
                    if place[name] is not tensor:
                        place[name] = tensor
            with torch.no_grad():
                for tensor, value, flag in tensors.values():
                    if not torch.equal(tensor.detach(), value):
                        tensor.detach().copy_(value)
                    if tensor.is_leaf and tensor.requires_grad != flag:
                        tensor.requires_grad_(flag)
                for parameter, grad, value in grads:
                    if grad is not None and not torch.equal(grad, value):
                        grad.detach().copy_(value)
                    parameter.grad = grad
            for put_back in kept_by_optimizers:
                put_back()

    def _layer(
        self,
        path: str,
        names: Iterable[str],
        before: Mapping[str, NDArray[Any]],
        after: Mapping[str, NDArray[Any]],
        flags: Mapping[int, bool],
        optimizers: list[Any],
        asked: bool,
        watch: _Watch,
    ) -> Layer:
        module = self.modules[path]
        own = dict(own_of(module))
        parameters = dict(module._parameters.items())
        tensors = []
        for name in names:
            tensor = own.get(name)
            is_parameter = name in parameters
            groups = [
                group for optimizer in optimizers for group in optimizer.param_groups
                if any(held is tensor for held in group["params"])
            ]  # fmt: skip
            flag = flags.get(id(tensor)) if is_parameter else None
            tensors.append(Tensor(
                name=name,
                is_parameter=is_parameter,
                before=before[name],
                after=after.get(name, np.zeros(0)),
                flag=flag,
                stepped=(bool(groups) if optimizers else None if asked else flag) if is_parameter else None,
                gradient=watch.gradients.get(id(tensor)),
                looked=bool(is_parameter and flag),
                stale=id(tensor) in watch.found_stale,
                in_forward=watch.in_forward(path, name),
                moved_by={
                    option: group[option]
                    for group in groups for option in MOVES_ALONE if group.get(option)
                },
            ))  # fmt: skip
        return Layer(
            path=path,
            kind=type(module).__name__,
            tensors=tensors,
            modes=watch.modes.get(path),
            unread=unread_flag(self.modules, path),
        )


class _Watch:
    """Hooks that see in which mode modules are called, what moves meanwhile, and which gradients come."""

    def __init__(self, torch: Any) -> None:
        self.torch = torch
        self.modes: dict[str, list[bool | str | None]] = {}
        self.gradients: dict[int, float] = {}
        self.found_stale: set[int] = set()
        self.called = False
        self._moved: set[tuple[str, str]] = set()
        self._started: dict[str, list[dict[str, Any]]] = {}
        self._handles: list[Any] = []

    def listen(self, module: Any) -> None:
        """Note whether a module is called at all; taken as called where it takes no hook."""

        def entered(*_: Any) -> None:
            self.called = True

        try:
            self._handles.append(module.register_forward_pre_hook(entered))
        except (RuntimeError, AttributeError):
            self.called = True

    def over(self, path: str, module: Any, own: list[tuple[str, Any]]) -> None:
        """Watch a module and its own tensors."""
        names = [name for name, _ in own]

        def tensors() -> dict[str, Any]:
            held = {**module._parameters, **module._buffers}
            return {name: held[name] for name in names if held.get(name) is not None}

        def entered(called: Any, *_: Any) -> None:
            self.modes.setdefault(path, []).append(bool(called.training))
            start = {name: tensor.detach().clone() for name, tensor in tensors().items()}
            self._started.setdefault(path, []).append(start)

        def left(*_: Any) -> None:
            start = self._started[path].pop()
            now = tensors()
            self._moved |= {
                (path, name) for name, value in start.items()
                if name not in now or not equal(self.torch, now[name], value)
            }  # fmt: skip

        try:
            self._handles.append(module.register_forward_pre_hook(entered))
            self._handles.append(module.register_forward_hook(left))
            self.modes.setdefault(path, [])
        except (RuntimeError, AttributeError):  # scripted modules take no hooks from Python
            self.modes.pop(path, None)
        for name, tensor in own:
            if name in module._parameters and tensor.requires_grad:
                self._handles.append(tensor.register_hook(self._noting(id(tensor))))

    def _noting(self, key: int) -> Any:
        def note(gradient: Any) -> None:
            dense = gradient.to_dense() if gradient.is_sparse else gradient
            largest = float(dense.detach().abs().max()) if dense.numel() else 0.0
            self.gradients[key] = max(self.gradients.get(key, 0.0), largest)

        return note

    def stale(self, parameters: Iterable[Any]) -> None:
        """Note which parameters hold a gradient though none is computed for them."""
        self.found_stale |= {
            id(each) for each in parameters if each.grad is not None and not each.requires_grad
        }

    def in_forward(self, path: str, name: str) -> bool | None:
        """Whether a tensor moved in a call of its module; None where calls could not be seen."""
        return (path, name) in self._moved if path in self.modes else None

    def remove(self) -> None:
        """Take every hook away again."""
        for handle in self._handles:
            handle.remove()


def _kept_optimizer(torch: Any, optimizer: Any) -> Any:
    """Remember an optimizer's state and groups; what is returned puts them back."""
    state = {key: _copied(torch, value) for key, value in optimizer.state.items()}
    groups = [{**group, "params": list(group["params"])} for group in optimizer.param_groups]
    options = [_copied(torch, {k: v for k, v in group.items() if k != "params"}) for group in groups]

    def put_back() -> None:
        optimizer.state.clear()
        optimizer.state.update(state)
        del optimizer.param_groups[len(groups) :]
        for present, group, values in zip(optimizer.param_groups, groups, options, strict=True):
            present.clear()
            present.update(group)
            present.update(values)

    return put_back


def _copied(torch: Any, value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(torch, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_copied(torch, each) for each in value]
    return value

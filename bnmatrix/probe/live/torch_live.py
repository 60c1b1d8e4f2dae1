"""A torch model on which training steps are made: hooks see calls, gradients and what moves meanwhile.

Nothing is put back: the process is thrown away after the audit.
"""

from typing import Any, Dict, List

import numpy as np

from . import taps
from .copies import Copies
from .refusals import Refused
from .steps import RATE, loss_weights
from .torch_parts import MOVES_ALONE, equal, joined, own, tensors, unread_flag, walk

BATCH = 4
SIDE = 64
"""Pixels of an image that is made up; LENGTH steps of a sequence."""
LENGTH = 16

TRIES = 20
"""Of a layer of chance that changed nothing in a step, before it is taken for one that never does."""

RUNNING = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var",
}  # fmt: skip

OPTIMIZERS = {
    "sgd": ("SGD", {}),
    "momentum": ("SGD", {"momentum": 0.9}),
    "weight_decay": ("SGD", {"weight_decay": 0.01}),
    "adam": ("Adam", {}),
    "adamw": ("AdamW", {}),
    "rmsprop": ("RMSprop", {}),
}


class Operations(taps.Operations):
    """Of torch."""

    def __init__(self, torch):
        self.torch = torch

    def wide(self, value):
        return value.detach().float()

    def mean(self, value, axes):
        for axis in axes:
            value = value.mean(axis, keepdim=True)
        return value

    def absolute(self, value):
        return value.abs()

    def stack(self, vectors):
        return self.torch.stack(vectors).cpu().numpy()

    def flat(self, value):
        return value.reshape(-1)


class Watch(object):
    """What hooks see of one module: modes, calls, what its forward moved, and its taps by phase."""

    def __init__(self):
        self.modes: Dict[str, List[bool]] = {"training": [], "inference": []}
        self.taps = {"training": taps.Tap(), "inference": taps.Tap()}
        self.moving_calls = 0
        self.in_forward: Dict[str, bool] = {}
        self.seen = True
        self.recomputed = 0


class TorchLive(object):
    """A `torch.nn.Module`, with the optimizer, loss, input or step that the user gave beside it."""

    framework = "torch"

    def __init__(self, subject, torch):
        self.torch, self.subject, self.model = torch, subject, subject.model
        self.modules = self._once(dict(walk(self.model)))
        self.watches = {path: Watch() for path in self.modules}
        self.gradients: Dict[int, float] = {}
        self.looked: Dict[int, bool] = {}
        self.stale: Dict[int, bool] = {}
        self.phase = "training"
        self.handed = {path: bool(module.training) for path, module in self.modules.items()}
        self.to = Operations(torch)
        self.started: Dict[str, List[Any]] = {}
        self.optimizer = subject.optimizer

    def _once(self, modules):
        """Each module under the first of its paths only."""
        first: Dict[int, str] = {}
        return {
            path: module for path, module in modules.items() if first.setdefault(id(module), path) == path
        }

    def versions(self):
        return {"torch": str(self.torch.__version__), "numpy": np.__version__}

    def check(self):
        """Raise `Refused` for a model of which no step can be made."""
        lazy = getattr(getattr(self.torch.nn, "parameter", None), "UninitializedParameter", ())
        if any(isinstance(each, lazy) for each in self.model.parameters()):
            raise Refused("the model has parameters without a shape yet", "call it once in the factory")
        held = list(self.model.parameters()) + list(self.model.buffers())
        if any(getattr(each, "is_meta", False) for each in held):
            raise Refused("the model is on the meta device: it holds no numbers", "make it on the CPU")
        lost = [path for path, fine in self.finite() if not fine]
        if lost:
            raise Refused(
                "the weights of the model are no numbers: %s" % listed(lost), "look at how it is made"
            )

    def finite(self):
        """(path of a tensor, whether all that it holds are numbers)."""
        for path, module in self.modules.items():
            for name, tensor in own(module):
                value = tensor.detach()
                if value.is_floating_point():
                    yield joined(path, name), bool(self.torch.isfinite(value.float()).all())

    # --- the input

    def made_input(self, shapes):
        """(an input of these shapes, or of what the first layer takes; in words where it comes from)."""
        if shapes:
            made = [self.torch.as_tensor(self._numbers(shape, kind)) for shape, kind in shapes]
            return (made[0] if len(made) == 1 else tuple(made)), "--input-shape"
        given = getattr(self.model, "example_input_array", None)
        if given is not None:
            return given, "the model's example_input_array"
        shape, kind, module = self._guess()
        return self.torch.as_tensor(self._numbers(shape, kind)), "guessed from its first layer, %s" % module

    def _numbers(self, shape, kind):
        chance = np.random.RandomState(0)
        if kind.startswith("int"):
            return chance.randint(0, 2, shape)
        return chance.normal(1.0, 2.0, shape).astype("float32")

    def _guess(self):
        for module in self.modules.values():
            name = getattr(module, "original_name", None) or type(module).__name__  # of what is scripted
            for rank in (1, 2, 3):
                if hasattr(module, "in_channels") and name.endswith("Conv%dd" % rank):
                    side = {1: LENGTH * 4, 2: SIDE, 3: LENGTH}[rank]
                    return (BATCH, module.in_channels) + (side,) * rank, "float", name
                if hasattr(module, "num_features") and name.endswith("%dd" % rank):
                    spatial = (8,) * rank if rank > 1 else ()
                    return (BATCH * 2, module.num_features, *spatial), "float", name
            if hasattr(module, "num_embeddings"):
                return (BATCH, LENGTH), "int", name
            if name in ("Linear", "Bilinear") or (hasattr(module, "in_features") and own(module)):
                return (BATCH * 2, module.in_features), "float", name
            if hasattr(module, "input_size") and hasattr(module, "hidden_size"):
                return (BATCH, LENGTH, module.input_size), "float", name
        raise Refused(
            "a torch model does not say what it takes, and none of its layers does",
            "give --input-shape 8,3,64,64, or --input module:function",
        )

    # --- the steps

    def prepare(self, execution, optimizer):
        """Take the way that steps are made: raises `Refused` for one that torch has not."""
        if execution not in (None, "by_hand"):
            raise Refused("torch has no %s" % execution, "leave --execution out: steps are made by hand")
        if optimizer is not None and self.optimizer is None:
            name, options = OPTIMIZERS[optimizer]
            self.optimizer = getattr(self.torch.optim, name)(
                self.model.parameters(), **dict({"lr": RATE}, **options)
            )

    def how(self):
        if self.subject.step is not None:
            return "the given step"
        name = "plain SGD" if self.optimizer is None else type(self.optimizer).__name__
        return "train(), then by hand with %s" % name

    def attach(self):
        """Hook every module and every parameter."""
        for path, module in self.modules.items():
            self._hook(path, module)

    def _hook(self, path, module):
        watch, held = self.watches[path], own(module)
        norm = hasattr(module, "running_mean")
        rate, inside = taps.chance_of(module), rate_inside(module)

        def entered(called, arguments, *_):
            watch.modes[self.phase].append(bool(called.training))
            state, x = None, arguments[0] if arguments else None
            x = x if isinstance(x, self.torch.Tensor) else None
            if norm and x is not None:
                state = self._state(called)
                tap = watch.taps[self.phase]
                if x.dim() > 1:
                    tap.values, tap.samples = taps.values_of(tuple(x.shape), 1), int(x.shape[0])
            if x is not None and (norm or rate is not None) and getattr(called, "inplace", False):
                x = x.detach().clone()  # the call writes over what went in
            moving = [(name, tensor.detach().clone()) for name, tensor in held if tensor.numel() < 1 << 16]
            self.started.setdefault(path, []).append((state, x, version_of(x), moving))

        def left(called, arguments, output, *_):
            state, x, version, moving = self.started[path].pop()
            tap = watch.taps[self.phase]
            tap.calls += 1
            now = dict(own(called))
            moved = [
                name for name, value in moving if name not in now or not equal(self.torch, now[name], value)
            ]
            watch.moving_calls += bool(moved) and self.phase == "training"
            for name in moved if self.phase == "training" else ():
                watch.in_forward[name] = True
            if inside and tap.seen is None:
                tap.seen = self._twice(called, arguments)
            if not isinstance(output, self.torch.Tensor) or x is None or version_of(x) != version:
                return
            if x.shape != output.shape or not output.is_floating_point() or not output.numel():
                return
            if norm and x.dim() > 1:
                tap.seen, tap.state = taps.moments(self.to, x, output, 1), state
                if taps.alike(tap.seen) and x.dim() > 2:
                    tap.seen = self._of_differing(called, x, tap.seen)
            elif rate is not None:
                told = self._changed(called, x, output)
                tap.seen = told if tap.seen is None else max(tap.seen, told, key=lambda each: each[0, 0])

        try:
            module.register_forward_pre_hook(entered)
            module.register_forward_hook(left)
        except (RuntimeError, AttributeError):  # scripted modules take no hooks from Python
            watch.seen = False
        for _, tensor in held:
            if tensor.requires_grad and tensor.is_leaf:
                self.looked[id(tensor)] = True
                tensor.register_hook(self._noting(id(tensor)))

    def _changed(self, module, x, output):
        """How far a layer of chance changes what goes through it; one call may spare all of a few samples."""
        told = taps.difference(self.to, x, output)
        try:
            with self.torch.no_grad(), self.torch.random.fork_rng():
                for _ in range(TRIES if module.training else 0):
                    if told[0, 0] > 0:
                        break
                    told = taps.difference(self.to, x, module.forward(x.detach().clone()))
        except Exception:  # it was given more than what hooks are told of
            pass
        return told

    def _twice(self, module, arguments):
        """How far two calls beside the steps differ, of a layer within which chance has a hand."""
        try:
            with self.torch.no_grad(), self.torch.random.fork_rng():
                first, second = (next(tensors(self.torch, module.forward(*arguments))) for _ in range(2))
                return taps.difference(self.to, first, second)
        except Exception:  # it was given more than what hooks are told of
            return None

    def _of_differing(self, module, x, usual):
        """The moments of a call beside the steps, of samples that differ: with alike ones, or a single one, a
        batch normalises as each sample itself would. What the call writes is thrown away."""
        one = x.detach()[:1]
        held = dict(module._buffers)
        module._buffers.update((name, each.clone()) for name, each in held.items() if each is not None)
        try:
            with self.torch.no_grad():
                x = self.torch.cat([one, 2 * one + 1])
                return taps.moments(self.to, x, module.forward(x), 1)
        except Exception:  # a forward of the user's own, that expects what it was called with
            return usual
        finally:
            module._buffers.update(held)

    def _state(self, module):
        """The first numbers of gamma, beta and the running statistics, NaN where there is none."""
        found = []
        for name in taps.STATE:
            tensor = getattr(module, RUNNING[name], None)
            if isinstance(tensor, self.torch.Tensor):
                found.append(tensor.detach().reshape(-1)[: taps.MOST].float().cpu().numpy())
            else:
                found.append(np.full(1, np.nan, np.float32))
        size = max(len(each) for each in found)
        return np.stack([each if len(each) == size else np.full(size, each[0]) for each in found])

    def _noting(self, key):
        def note(gradient):
            dense = gradient.to_dense() if gradient.is_sparse else gradient
            largest = float(dense.detach().abs().max()) if dense.numel() else 0.0
            self.gradients[key] = max(self.gradients.get(key, 0.0), largest)

        return note

    def _note_stale(self):
        for each in self.model.parameters():
            if each.grad is not None and not each.requires_grad:
                self.stale[id(each)] = True

    def train(self, given, target, steps):
        """Make the steps; yields the loss of each (None where it is not known)."""
        for _ in range(steps):
            self._note_stale()
            if self.subject.step is not None:
                self.subject.call_step()
                loss = None
            else:
                loss = self._step(given, target)
            self._note_stale()
            yield loss

    def look_for_gradients(self, given):
        """Nothing: hooks have seen all that came."""

    def _step(self, given, target):
        model, optimizer = self.model, self.optimizer
        model.train()
        if optimizer is not None:
            optimizer.zero_grad()
        else:
            for parameter in model.parameters():
                parameter.grad = None
        output = self._call(given)
        if self.subject.loss is not None:
            loss = self.subject.loss(output, target) if target is not None else self.subject.loss(output)
        else:
            loss = self._weighted(output)
        if loss.requires_grad:
            loss.backward()
        if optimizer is not None:
            optimizer.step()
        else:
            with self.torch.no_grad():
                for parameter in model.parameters():
                    if parameter.requires_grad and parameter.grad is not None:
                        parameter.sub_(RATE * parameter.grad.to(parameter.dtype))
        return float(loss.detach())

    def _call(self, given):
        if isinstance(given, dict):
            return self.model(**given)
        if isinstance(given, (tuple, list)):
            return self.model(*given)
        return self.model(given)

    def _weighted(self, output):
        """A fixed random weighting of the whole output, so that no gradient vanishes by accident; its mean,
        so that outputs of any size make steps of one size."""
        floating = [each for each in tensors(self.torch, output) if each.is_floating_point()]
        if not floating:
            raise Refused(
                "the model puts out no floating tensor to make a loss of", "return a loss beside it"
            )
        total: Any = 0
        for number, each in enumerate(floating):
            weights = self.torch.as_tensor(loss_weights(tuple(each.shape), number)).to(each.device)
            wide = each if each.dtype == self.torch.float64 else each.float()
            total = total + (wide * weights.to(wide.dtype)).mean()
        return total

    def infer(self, given):
        """One forward in inference mode."""
        self.phase = "inference"
        self.model.eval()
        with self.torch.no_grad():
            self._call(given)

    # --- what there is

    def snapshot(self):
        """{path: {name: a copy}} of what each layer holds."""
        copies = Copies()
        return {
            path: {name: copies.of(self.numpy(tensor)) for name, tensor in own(module)}
            for path, module in self.modules.items()
        }

    def current(self, path, name):
        found = dict(own(self.modules[path])).get(name)
        return None if found is None else self.numpy(found)

    def numpy(self, tensor):
        plain = tensor.detach().cpu()
        if plain.dtype == getattr(self.torch, "bfloat16", None):
            plain = plain.float()
        return np.array(plain.numpy())

    def flags(self):
        """{path: what the flags say of the layer}, as they were before the steps."""
        return {
            path: {"trainable": None, "parents": {}, "unread": unread_flag(self.modules, path),
                   "handed_mode": self.handed[path], "pinned": None}
            for path in self.modules
        }  # fmt: skip

    def parameters(self, path):
        return {name for name, _ in self.modules[path]._parameters.items()}  # of scripted ones no more works

    def tensor_facts(self, path, name):
        """What is known of one tensor beside its values."""
        module = self.modules[path]
        tensor = dict(own(module)).get(name)
        groups = [
            group for group in (self.optimizer.param_groups if self.optimizer is not None else ())
            if any(held is tensor for held in group["params"])
        ]  # fmt: skip
        is_parameter = name in self.parameters(path)
        flag = bool(tensor.requires_grad) if is_parameter and tensor is not None else None
        stepped = flag if self.optimizer is None else bool(groups)
        if self.subject.step is not None and self.optimizer is None:
            stepped = None
        return {
            "dtype": str(getattr(tensor, "dtype", "")).replace("torch.", ""),
            "flag": flag,
            "stepped": stepped if is_parameter else None,
            "gradient": self.gradients.get(id(tensor)),
            "looked": bool(self.looked.get(id(tensor))),
            "stale": bool(self.stale.get(id(tensor))),
            "in_forward": self.watches[path].in_forward.get(name, False) if self.watches[path].seen else None,
            "moved_by": {
                option: float(group[option])
                for group in groups for option in MOVES_ALONE if group.get(option)
            },
        }  # fmt: skip

    def kind(self, path):
        """(class, where it is from)."""
        cls = type(self.modules[path])
        return cls.__name__, cls.__module__

    def chance(self, path):
        module = self.modules[path]
        return taps.chance_of(module) if taps.chance_of(module) is not None else rate_inside(module)

    def keeps_statistics(self, path):
        return hasattr(self.modules[path], "running_mean")


def rate_inside(module):
    """The rate of the dropout within a layer of torch's that does it by itself; None where there is none."""
    if not any(base.__name__ in ("RNNBase", "MultiheadAttention") for base in type(module).__mro__):
        return None
    return float(getattr(module, "dropout", 0.0)) or None


def version_of(tensor):
    """A number that is another one after a write; None where that is not counted."""
    try:
        return None if tensor is None else tensor._version
    except (AttributeError, RuntimeError):  # of inference mode, or traced
        return None


def listed(names):
    """Some names, and how many further ones."""
    more = " and %d more" % (len(names) - 5) if len(names) > 5 else ""
    return ", ".join(names[:5]) + more

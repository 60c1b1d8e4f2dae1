"""A Keras model on which training steps are made, of either generation and any backend, eager or in `fit`.

Nothing is put back: the process is thrown away after the audit.
"""

import functools
import inspect
import sys
from typing import Any, Dict, Optional

import numpy as np

from . import taps
from .copies import Copies
from .keras_gradients import gradients
from .keras_parts import (
    BATCH,
    asks_for_shapes,
    backend_of,
    flat,
    input_of,
    keras_of,
    mapped,
    own,
    parameters_of,
    parents,
    parts,
    raw,
    target_of,
    walk,
    word,
)
from .keras_taps import tap_for
from .refusals import Refused
from .steps import RATE
from .torch_live import listed

EXECUTIONS = ("fit", "train_on_batch", "by_hand")


class KerasLive(object):
    """A model of `keras`, `tf_keras` or `tf.keras`."""

    framework = "keras"

    def __init__(self, subject):
        self.subject, self.model = subject, subject.model
        self.keras, self.backend = keras_of(self.model), backend_of(self.model)
        self.execution: Optional[str] = None
        self.gradient: Dict[int, Optional[float]] = {}
        self.layers: Dict[str, Any] = {}
        self.modes: Dict[str, Dict[str, list]] = {}
        self.taps: Dict[str, Any] = {}
        self.phase = "training"

    def versions(self):
        found = {self.keras.__name__.split(".")[-1]: str(self.keras.__version__), "numpy": np.__version__}
        for name in (self.backend, "tensorflow"):
            module = sys.modules.get(name)
            if module is not None:
                found[name] = str(module.__version__)
        return found

    def check(self):
        """Raise `Refused` for a model of which no step can be made."""
        if not self.layers:
            self.look()
        lost = [
            "%s.%s" % (path, name)
            for path, layer in self.layers.items() for name, variable in own(layer).items()
            if not self._is_finite(self.numpy(variable))
        ]  # fmt: skip
        if lost:
            told = "the weights of the model are no numbers: %s" % listed(lost)
            raise Refused(told, "look at how they are made or loaded")

    def _is_finite(self, value):
        return value.dtype.kind not in "fc" or bool(np.isfinite(value).all())

    def look(self):
        """Find the layers; a model that is not built has none of its weights yet."""
        first: Dict[int, str] = {}
        found = dict(walk(self.model))
        self.layers = {
            path: layer for path, layer in found.items() if first.setdefault(id(layer), path) == path
        }

    # --- the input

    def made_input(self, shapes):
        """(an input of these shapes, or of those that the model names; in words where it comes from)."""
        if shapes:
            chance = np.random.RandomState(0)
            made = [
                chance.randint(0, 2, shape) if kind.startswith("int")
                else chance.normal(1.0, 2.0, shape).astype("float32")
                for shape, kind in shapes
            ]  # fmt: skip
            return (made[0] if len(made) == 1 else made), "--input-shape"
        named = input_of(self.model, BATCH)
        if named is None:
            hint = "give --input-shape 8,32,32,3, or --input module:function"
            raise Refused("the model does not say what it takes", hint)
        return named, "the model's own signature"

    def build(self, given):
        """Give an unbuilt model its weights, by a call."""
        if not getattr(self.model, "built", True) or not self.model.weights:
            self.model(mapped(self._tensor, given), training=False)
        self.look()

    def made_target(self, given):
        """A target for the compiled loss."""
        shapes = self._output_shapes(len(flat(given)[0]))
        if shapes is None:
            outputs = self.model(mapped(self._tensor, given), training=False)
            shapes = [tuple(int(size) for size in each.shape) for each in flat(outputs)]
        return target_of(getattr(self.model, "loss", None), shapes)

    def _output_shapes(self, count):
        """Of what the model puts out for so many samples, where it names them."""
        named = [tuple(each.shape)[1:] for each in flat(getattr(self.model, "outputs", None) or [])]
        if not named or any(size is None for shape in named for size in shape):
            return None
        return [(count, *shape) for shape in named]

    def _tensor(self, array):
        if self.backend == "tensorflow" and isinstance(array, np.ndarray):
            return sys.modules["tensorflow"].convert_to_tensor(array)
        return array

    # --- the steps

    def prepare(self, execution, optimizer):
        """Take the way that steps are made: raises `Refused` for one that this model has not."""
        compiled = getattr(self.model, "optimizer", None) is not None
        if execution not in (None, *EXECUTIONS):
            told = "audit makes no steps by %s" % execution
            raise Refused(told, "choose --execution %s" % ", ".join(EXECUTIONS))
        if optimizer is not None:
            hint = "compile the model with it in the factory"
            raise Refused("--optimizer is for torch: a Keras model brings its own", hint)
        if execution in ("fit", "train_on_batch") and not compiled:
            told = "the model is not compiled, so there is no %s" % execution
            raise Refused(told, "compile it in the factory, or choose --execution by_hand")
        self.execution = execution or ("fit" if compiled else "by_hand")

    def how(self):
        if self.subject.step is not None:
            return "the given step"
        if self.execution == "by_hand":
            return "by hand with plain SGD"
        optimizer = self.model.optimizer
        return "%s with %s" % (self.execution, getattr(optimizer, "name", None) or type(optimizer).__name__)

    def attach(self):
        """Listen to the calls of every layer."""
        for path, layer in self.layers.items():
            self.modes[path] = {"training": [], "inference": []}
            tap = tap_for(layer, self.backend)
            if tap is not None:
                self.taps[path] = tap
            self._listen(layer, self.modes[path], tap)

    def _listen(self, layer, heard, tap):
        usual = layer.call
        try:
            signature = inspect.signature(usual)
        except (TypeError, ValueError):
            return

        @functools.wraps(usual)
        def call(*arguments, **keywords):
            if asks_for_shapes():
                return usual(*arguments, **keywords)
            heard[self.phase].append(mode_of(signature, arguments, keywords))
            if tap is None:
                return usual(*arguments, **keywords)
            state = tap.before()
            output = usual(*arguments, **keywords)
            return tap.after(state, arguments[0], output) if arguments else output

        autograph = getattr(getattr(sys.modules.get("tensorflow"), "autograph", None), "experimental", None)
        if autograph is not None and self.backend == "tensorflow":
            call = autograph.do_not_convert(call)
        object.__setattr__(layer, "call", call)

    def train(self, given, target, steps):
        """Make the steps; yields the loss of each (None where it is not known)."""
        for loss in self._losses(given, target, steps):
            yield loss
        self._end_phase()

    def _losses(self, given, target, steps):
        if self.subject.step is not None:
            for _ in range(steps):
                self.subject.call_step()
                yield None
        elif self.execution == "by_hand":
            for _ in range(steps):
                yield self._by_hand(given, target)
        else:
            if target is None and not self._is_dataset(given):
                target = self.made_target(given)
                self._end_phase(forget=True)
            yield from self._compiled(given, target, steps)

    def _is_dataset(self, given):
        return not isinstance(given, (np.ndarray, list, tuple, dict)) and not hasattr(given, "shape")

    def _compiled(self, given, target, steps):
        model = self.model
        if self.execution == "train_on_batch":
            for _ in range(steps):
                told = model.train_on_batch(given, target)
                yield float(np.asarray(flat(told)[0]).ravel()[0])
            return
        if self._is_dataset(given):
            told = model.fit(given, steps_per_epoch=1, epochs=steps, verbose=0)
        else:
            count = len(flat(given)[0])
            told = model.fit(given, target, batch_size=count, epochs=steps, shuffle=False, verbose=0)
        history = getattr(told, "history", None)
        for loss in history.get("loss", ()) if isinstance(history, dict) else ():
            yield float(loss)

    def _by_hand(self, given, target):
        """A step of plain SGD over the trainable list."""
        variables = list(self.model.trainable_variables)
        loss = self.subject.loss
        of_output = None if loss is None else lambda output: loss(target, output)
        total, found = gradients(self.model, self.backend, given, variables, of_output)
        for variable, gradient in zip(variables, found):
            self._note(variable, gradient)
            if gradient is not None:
                value = self.numpy(variable)
                variable.assign((value - RATE * gradient.reshape(value.shape)).astype(value.dtype))
        return float(self.numpy(total))

    def _note(self, variable, gradient):
        size = None if gradient is None else float(np.abs(gradient).max()) if gradient.size else 0.0
        known = self.gradient.get(id(variable))
        self.gradient[id(variable)] = size if known is None else max(known, size or 0.0)

    def look_for_gradients(self, given):
        """Which gradients come, of a step by hand: `fit` shows none."""
        if self.execution == "by_hand" or self.subject.step is not None:
            return
        if self._is_dataset(given):
            return
        variables = list(self.model.trainable_variables)
        _, found = gradients(self.model, self.backend, given, variables)
        for variable, gradient in zip(variables, found):
            self._note(variable, gradient)

    def compiled_anew(self, given, target, steps):
        """The same steps as if the model had just been compiled: {path: names of what then moved}; None where
        nothing is compiled."""
        if self.execution == "by_hand" or self.subject.step is not None or self._is_dataset(given):
            return None
        model = self.model
        before = self.snapshot()
        model.optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        model.train_function = None
        if hasattr(model, "_get_trainable_state"):
            # In `fit` Keras 2 gives every layer the flag that it had when the model was compiled.
            vars(model)["_compiled_trainable_state"] = model._get_trainable_state()
        if target is None:
            target = self.made_target(given)
        for _ in self._compiled(given, target, steps):
            pass
        return self.what_moved(before)

    def what_moved(self, before):
        """{path: names of what is not as it was `before`}."""
        return {
            path: [name for name, copy in held.items() if not same(self.current(path, name), copy())]
            for path, held in before.items()
        }

    def infer(self, given):
        """One call in inference mode."""
        self._to_inference()
        if self._is_dataset(given):
            self.model.predict(given, steps=1, verbose=0)
        else:
            self.model(mapped(self._tensor, given), training=False)
        self._end_phase()

    def _to_inference(self):
        self.phase = "inference"
        for tap in self.taps.values():
            tap.begin("inference")

    def _end_phase(self, forget=False):
        for tap in self.taps.values():
            tap.end()
        if forget:
            for path in self.modes:
                self.modes[path][self.phase] = []
            for tap in self.taps.values():
                tap.phases[tap.phase] = taps.Tap()

    # --- what there is

    def numpy(self, value):
        value = raw(value)
        if self.backend == "torch" and hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if value.dtype == sys.modules["torch"].bfloat16 else value
            return np.array(value.numpy())
        array = np.array(value.numpy() if hasattr(value, "numpy") else value)
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array

    def snapshot(self):
        """{path: {name: a copy}} of what each layer holds."""
        copies = Copies()
        return {
            path: {name: copies.of(self.numpy(variable)) for name, variable in own(layer).items()}
            for path, layer in self.layers.items()
        }

    def current(self, path, name):
        found = own(self.layers[path]).get(name)
        return None if found is None else self.numpy(found)

    def flags(self):
        """{path: what the flags say of the layer}, as they are before the steps."""
        self.stepped = {id(each) for each in self.model.trainable_variables}
        self.own_flags = {
            id(variable): getattr(variable, "trainable", None)
            for layer in self.layers.values() for variable in own(layer).values()
        }  # fmt: skip
        pinned = self._pinned()
        return {
            path: {"trainable": bool(layer.trainable), "parents": parents(self.layers, path), "unread": None,
                   "handed_mode": None, "pinned": pinned.get(path)}
            for path, layer in self.layers.items()
        }  # fmt: skip

    def _pinned(self):
        """{path: the mode that a functional model fixes at the call of the layer, or of what holds it}."""
        found: Dict[str, bool] = {}
        for path, layer in self.layers.items():
            above = path.rpartition(".")[0]
            if path and above in found:
                found[path] = found[above]
            for part in parts(layer):
                usual = usual_mode(part)
                modes = {given_mode(node) for node in nodes_of(part, layer)} - {None, usual}
                if len(modes) == 1:
                    below = "%s.%s" % (path, part.name) if path else part.name
                    found[below] = modes.pop()
        return found

    def parameters(self, path):
        layer = self.layers[path]
        known = parameters_of(layer)
        return {name for name, variable in own(layer).items() if id(variable) in known}

    def tensor_facts(self, path, name):
        """What is known of one tensor beside its values."""
        variable = own(self.layers[path])[name]
        key = id(variable)
        return {
            "dtype": getattr(variable.dtype, "name", None) or str(variable.dtype),
            "flag": self.own_flags.get(key),
            "stepped": key in self.stepped,
            "gradient": self.gradient.get(key),
            "looked": key in self.gradient,
            "stale": False,
            "in_forward": None,
            "moved_by": {},
        }

    def kind(self, path):
        """(class, where it is from)."""
        cls = type(self.layers[path])
        return cls.__name__, cls.__module__

    def chance(self, path):
        return taps.chance_of(self.layers[path])

    def keeps_statistics(self, path):
        return hasattr(self.layers[path], "moving_mean")


def mode_of(signature, arguments, keywords):
    """The mode that a call is given: True, False, None, or a word where a graph decides."""
    try:
        given = signature.bind(*arguments, **keywords)
        given.apply_defaults()
        mode = given.arguments.get("training", given.arguments.get("kwargs", {}).get("training"))
    except TypeError:  # as the call itself will say
        return None
    return None if mode is None else word(mode)


def nodes_of(part, model):
    """The calls of `part` that the functional `model` consists of."""
    by_depth = getattr(model, "_nodes_by_depth", None)
    if not isinstance(by_depth, dict):
        return []
    kept = {id(node) for nodes in by_depth.values() for node in nodes}
    return [node for node in getattr(part, "_inbound_nodes", ()) if id(node) in kept]


def usual_mode(layer):
    """The mode that the layer's call has where none is given: a functional model keeps it as if it were."""
    try:
        mode = inspect.signature(layer.call).parameters["training"].default
    except (KeyError, TypeError, ValueError):
        return None
    return mode if isinstance(mode, bool) else None


def given_mode(node):
    """The mode that a call in a functional model fixes, or None."""
    held = getattr(getattr(node, "arguments", None), "kwargs", None)
    if held is None:
        held = getattr(node, "call_kwargs", None) or getattr(node, "arguments", None)
    mode = held.get("training") if isinstance(held, dict) else None
    return None if mode is None or word(mode) == "decided in the graph" else bool(mode)


def same(now, before):
    """Whether an array holds just these numbers."""
    if now is None or now.shape != before.shape:
        return False
    if before.dtype.kind not in "fc":
        return bool((now == before).all())
    return bool(((now == before) | (np.isnan(now) & np.isnan(before))).all())

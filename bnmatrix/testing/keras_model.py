"""A live Keras model, of either generation and any backend: its layers, some training steps, and everything
back as it was.

No framework is imported: who holds a model of it has done so.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnmatrix.testing.errors import CannotTell
from bnmatrix.testing.keeping import attributes_kept, chance_kept
from bnmatrix.testing.seen import Layer, Tensor, Training, Trial, same
from bnmatrix.testing.selection import joined
from bnmatrix.testing.steps import (
    BATCH,
    RATE,
    Numbers,
    called,
    differentiated,
    loss_weights,
    nothing_tried,
    raised,
)


class KerasModel:
    """A Keras model: of `keras`, `tf_keras` or `tf.keras`."""

    framework = "keras"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.backend = backend_of(model)
        if not getattr(model, "built", True):
            raise CannotTell("the model is not built yet, so it has no weights", "build it, or call it once")
        self.layers: dict[str, Any] = dict(_walk(model, "", ()))

    def named(self) -> dict[str, list[str]]:
        """{path of a layer: the names of its own weights}."""
        return {path: list(self._own(layer)) for path, layer in self.layers.items()}

    def _own(self, layer: Any) -> dict[str, Any]:
        """{name: variable} of the weights that belong to no layer within it."""
        inner = {id(each) for part in _parts(layer) for each in part.weights}
        found: dict[str, Any] = {}
        for variable in layer.weights:
            if id(variable) in inner:
                continue
            name = plain = variable.name.split(":")[0].split("/")[-1]
            number = 2
            while name in found:
                name, number = f"{plain}_{number}", number + 1
            found[name] = variable
        return found

    def trial(self, chosen: Mapping[str, list[str]], training: Training, anew: bool = False) -> Trial:
        """The layers `chosen` after the steps that `training` describes, everything else as before.

        `anew`: as if the model had just been compiled.
        """
        model = self.model
        if training.optimizer is not None or training.mode != "train":
            raise CannotTell("optimizer= and mode= are for torch", "compile the model with its optimizer")
        execution = training.execution or ("fit" if getattr(model, "optimizer", None) else "by_hand")
        fitted = training.step is None and execution == "fit"
        compiled_before = fitted and not anew and _is_used(model)
        inputs = self._input(training) if training.step is None else None
        variables = {path: self._own(self.layers[path]) for path in chosen}
        stepped = {id(each) for each in model.trainable_variables}
        flags = {
            path: (bool(self.layers[path].trainable), self._parents(path),
                   {name: getattr(own[name], "trainable", None) for name in chosen[path]})
            for path, own in variables.items()
        }  # fmt: skip
        before = self._values(variables, chosen)
        gradients: dict[int, float | None] | None = None
        numbers = Numbers(training, self._finite)
        listened = [*chosen] if training.step is None else [*dict.fromkeys(("", *chosen))]
        with self._kept(anew) as moved, self._called(listened) as modes:
            if fitted:
                with raised(1), differentiated():
                    losses = self._fit(inputs, training)
                for number, loss in enumerate(losses, 1):
                    numbers.loss(number, loss)
                numbers.after(training.steps)
            else:
                for number in range(1, training.steps + 1):
                    with raised(number):
                        if training.step is not None:
                            called(training.step, model)
                        else:
                            with differentiated():
                                gradients = self._by_hand(inputs, training, gradients, number, numbers)
                    numbers.after(number)
            if training.step is not None and not any(modes.values()) and not moved():
                raise nothing_tried()
            after = self._values(variables, chosen)
        layers = []
        for path, names in chosen.items():
            trainable, parents, own_flags = flags[path]
            parameters = _parameters_of(self.layers[path])
            tensors = [
                Tensor(
                    name=name,
                    is_parameter=id(variables[path][name]) in parameters,
                    before=before[path][name],
                    after=after[path][name],
                    flag=own_flags[name],
                    stepped=id(variables[path][name]) in stepped,
                    gradient=(gradients or {}).get(id(variables[path][name])),
                    looked=gradients is not None and id(variables[path][name]) in gradients,
                )
                for name in names
            ]
            layers.append(Layer(
                path=path, kind=type(self.layers[path]).__name__, tensors=tensors,
                modes=None if compiled_before and not modes[path] else modes[path],
                trainable=trainable, parents=parents,
            ))  # fmt: skip
        return Trial("keras", self._how(training, execution), training.steps, layers, fitted=fitted)

    def gradients(self, training: Training) -> dict[tuple[str, str], float | None]:
        """{(layer, weight): the largest entry of its gradient, None where none comes} of one step by hand."""
        with self._kept(), raised(1), differentiated():
            found = self._by_hand(self._input(training), training, None, 1, Numbers(training, dict))
        return {
            (path, name): found[id(variable)]
            for path, layer in self.layers.items()
            for name, variable in self._own(layer).items()
            if id(variable) in found
        }

    # --- the steps

    def _fit(self, inputs: Any, training: Training) -> Iterable[float]:
        """Fit, a batch an epoch; the loss of each, where the model's own fit tells any."""
        model = self.model
        target = training.target
        if target is None:
            target = self._target(inputs)
        count = len(next(iter(_flat(inputs))))
        told = model.fit(inputs, target, batch_size=count, epochs=training.steps, shuffle=False, verbose=0)
        history = getattr(told, "history", None)
        return history.get("loss", ()) if isinstance(history, dict) else ()

    def _by_hand(
        self,
        inputs: Any,
        training: Training,
        before: dict[int, float | None] | None,
        number: int,
        numbers: Numbers,
    ) -> dict[int, float | None]:
        """A step of plain SGD over the trainable list; the largest gradient of each, now and `before`."""
        variables = list(self.model.trainable_variables)
        step = {"torch": self._torch, "jax": self._jax}.get(self.backend, self._tensorflow)
        loss, gradients = step(inputs, variables, training)
        numbers.loss(number, self._numpy(loss))
        largest = dict(before or {})
        for variable, gradient in zip(variables, gradients, strict=True):
            size = None if gradient is None else float(np.abs(gradient).max(initial=0.0))
            known = largest.get(id(variable))
            largest[id(variable)] = size if known is None else max(known, size or 0.0)
            if gradient is not None:
                value = self._numpy(variable)
                variable.assign((value - RATE * gradient.reshape(value.shape)).astype(value.dtype))
        return largest

    def _tensorflow(self, inputs: Any, variables: Sequence[Any], training: Training) -> tuple[Any, list[Any]]:
        tf: Any = sys.modules["tensorflow"]
        raw = [_raw(each) for each in variables]
        with tf.GradientTape() as tape:
            output = self.model(_mapped(tf.convert_to_tensor, inputs), training=True)
            loss = self._loss(output, training, lambda each, weights: tf.reduce_sum(
                tf.cast(each, tf.float32) * weights
            ))  # fmt: skip
        found = tape.gradient(loss, raw)
        return loss, [None if each is None else np.asarray(tf.convert_to_tensor(each)) for each in found]

    def _torch(self, inputs: Any, variables: Sequence[Any], training: Training) -> tuple[Any, list[Any]]:
        torch: Any = sys.modules["torch"]
        output = self.model(inputs, training=True)
        loss = self._loss(output, training, lambda each, weights: (
            each.float() * torch.as_tensor(weights).to(each.device)
        ).sum())  # fmt: skip
        values = [each.value for each in variables]
        wanted = [each for each in values if each.requires_grad]
        gradients: Sequence[Any] = ()
        if wanted and loss.requires_grad:
            gradients = torch.autograd.grad(loss, wanted, allow_unused=True)
        found = {id(each): gradient for each, gradient in zip(wanted, gradients, strict=False)}
        got = [found.get(id(each)) for each in values]
        return loss, [None if each is None else each.detach().float().cpu().numpy() for each in got]

    def _jax(self, inputs: Any, variables: Sequence[Any], training: Training) -> tuple[Any, list[Any]]:
        jax: Any = sys.modules["jax"]
        model, kept = self.model, list(self.model.non_trainable_variables)

        def forward(trained: Any, others: Any) -> Any:
            output, after = model.stateless_call(trained, others, inputs, training=True)
            loss = self._loss(output, training, lambda each, weights: (
                each.astype("float32") * weights
            ).sum())  # fmt: skip
            return loss, after

        values = [each.value for each in variables], [each.value for each in kept]
        (loss, after), gradients = jax.value_and_grad(forward, has_aux=True)(*values)
        for variable, value in zip(kept, after, strict=True):
            variable.assign(value)
        return loss, [np.asarray(each, dtype=np.float32) for each in gradients]

    def _loss(self, output: Any, training: Training, weighted: Any) -> Any:
        """The given loss, or a fixed random weighting of all that the model puts out."""
        if training.loss is not None:
            return training.loss(output, training.target)
        total = 0
        for number, each in enumerate(_flat(output)):
            total = total + weighted(each, loss_weights(tuple(int(size) for size in each.shape), number))
        return total

    def _input(self, training: Training) -> Any:
        """What is given, or numbers in the shapes that the model names."""
        if training.input is not None:
            return training.input
        named = getattr(self.model, "inputs", None)
        if not named:
            raise CannotTell("the model does not say what it takes", "give input=")
        chance = np.random.RandomState(0)
        made = []
        for each in named:
            shape = (BATCH, *(BATCH if size is None else int(size) for size in tuple(each.shape)[1:]))
            name = getattr(each.dtype, "name", None) or str(each.dtype)
            if "int" in name:
                made.append(chance.randint(0, 2, shape).astype(name))
            else:  # far from the moving statistics of a fresh layer
                made.append(chance.normal(1.0, 2.0, shape).astype("float32"))
        return made[0] if len(made) == 1 else made

    def _target(self, inputs: Any) -> Any:
        """A target for the model's own loss, in the shapes of its outputs."""
        model = self.model
        with raised(1):
            outputs = [
                self._numpy(each) for each in _flat(model(_mapped(self._tensor, inputs), training=False))
            ]
        chance = np.random.RandomState(1)
        loss = getattr(model, "loss", None)
        losses = list(loss.values()) if isinstance(loss, dict) else loss
        losses = losses if isinstance(losses, (list, tuple)) else [losses] * len(outputs)
        made: list[Any] = []
        for output, name in zip(outputs, losses, strict=False):
            told = (
                name
                if isinstance(name, str)
                else getattr(name, "name", None) or getattr(name, "__name__", "")
            )
            if "sparse" in str(told):
                made.append(chance.randint(0, output.shape[-1], output.shape[:-1]))
            elif "crossentropy" in str(told) and output.shape[-1] > 1:
                made.append(np.eye(output.shape[-1])[chance.randint(0, output.shape[-1], output.shape[:-1])])
            else:
                made.append(chance.uniform(0.0, 1.0, output.shape))
        made = [each.astype("int32" if each.dtype.kind == "i" else "float32") for each in made]
        return made[0] if len(made) == 1 else made

    def _tensor(self, array: Any) -> Any:
        if self.backend == "tensorflow" and isinstance(array, np.ndarray):
            return sys.modules["tensorflow"].convert_to_tensor(array)
        return array

    def _how(self, training: Training, execution: str) -> str:
        if training.step is not None:
            return "the given step"
        if execution == "fit":
            return (
                f"fit, {getattr(self.model.optimizer, 'name', None) or type(self.model.optimizer).__name__}"
            )
        return "by hand, SGD"

    # --- what is watched, and what is put back

    def _numpy(self, value: Any) -> NDArray[Any]:
        value = _raw(value)
        if self.backend == "torch" and hasattr(value, "detach"):
            torch: Any = sys.modules["torch"]
            value = value.detach().cpu()
            value = value.float() if value.dtype == torch.bfloat16 else value
            return np.array(value.numpy())
        array = np.array(value.numpy() if hasattr(value, "numpy") else value)
        return array.astype(np.float32) if array.dtype.name == "bfloat16" else array

    def _finite(self) -> dict[str, bool]:
        """{path of a weight: whether all that it holds are numbers}."""
        found: dict[int, tuple[str, bool]] = {}
        for path, layer in self.layers.items():
            for name, variable in self._own(layer).items():
                if id(variable) not in found:
                    value = self._numpy(variable)
                    fine = value.dtype.kind not in "fc" or bool(np.isfinite(value).all())
                    found[id(variable)] = joined(path, name), fine
        return dict(found.values())

    def _holds(self, variable: Any, value: NDArray[Any]) -> bool:
        try:
            now = self._numpy(variable)
            return now.shape == value.shape and bool(same(now, value).all())
        except Exception:  # a fit on jax that raised has taken the values away
            return False

    def _values(
        self, variables: Mapping[str, Mapping[str, Any]], chosen: Mapping[str, list[str]]
    ) -> dict[str, dict[str, NDArray[Any]]]:
        return {
            path: {name: self._numpy(variables[path][name]) for name in names}
            for path, names in chosen.items()
        }

    def _parents(self, path: str) -> dict[str, bool]:
        parts = path.split(".")
        places = [".".join(parts[:length]) for length in range(len(parts))]
        return {
            place or "the model": bool(self.layers[place].trainable)
            for place in places if place in self.layers and place != path
        }  # fmt: skip

    @contextmanager
    def _called(self, chosen: Iterable[str]) -> Iterator[dict[str, list[bool | str | None]]]:
        """The modes in which the layers `chosen` are called, by path."""
        modes: dict[str, list[bool | str | None]] = {path: [] for path in chosen}
        wrapped = [self.layers[path] for path in chosen]
        with attributes_kept(wrapped):
            for path in chosen:
                self._listen(self.layers[path], modes[path])
            yield modes

    def _listen(self, layer: Any, heard: list[bool | str | None]) -> None:
        usual = layer.call
        try:
            signature = inspect.signature(usual)
        except (TypeError, ValueError):
            return

        @functools.wraps(usual)
        def call(*arguments: Any, **keywords: Any) -> Any:
            try:
                given = signature.bind(*arguments, **keywords)
                given.apply_defaults()
                mode = given.arguments.get("training", given.arguments.get("kwargs", {}).get("training"))
            except TypeError:  # as the call itself will say
                mode = None
            heard.append(None if mode is None else _word(mode))
            return usual(*arguments, **keywords)

        autograph = getattr(getattr(sys.modules.get("tensorflow"), "autograph", None), "experimental", None)
        if autograph is not None and self.backend == "tensorflow":
            call = autograph.do_not_convert(call)
        object.__setattr__(layer, "call", call)

    @contextmanager
    def _kept(self, anew: bool = False) -> Iterator[Callable[[], bool]]:
        """Everything as before, on the way out. Yields what tells whether anything has moved."""
        model = self.model
        objects = [*{id(each): each for each in self.layers.values()}.values()]
        for name in ("_compile_loss", "_compile_metrics", "compiled_loss", "compiled_metrics"):
            part = vars(model).get(name)
            if hasattr(part, "__dict__"):
                objects.append(part)
        used = _is_used(model) and not anew
        variables = self._all_variables(used)
        values = [self._numpy(each) for each in variables]
        flags = [(each, getattr(each, "trainable", None)) for each in model.weights]
        optimizer = getattr(model, "optimizer", None)

        def moved() -> bool:
            return not all(map(self._holds, variables, values))

        try:
            with chance_kept(), attributes_kept(objects):
                if optimizer is not None and not used:
                    # Building the user's own could not be undone.
                    model.optimizer = type(optimizer).from_config(optimizer.get_config())
                    model.train_function = None
                if anew and hasattr(model, "_get_trainable_state"):
                    # In `fit` Keras 2 gives every layer the flag that it had when the model was compiled.
                    vars(model)["_compiled_trainable_state"] = model._get_trainable_state()
                yield moved
        finally:
            if optimizer is not None and model.optimizer is not optimizer:
                model.optimizer = optimizer
            for variable, value in zip(variables, values, strict=True):
                if not self._holds(variable, value):
                    variable.assign(value)
            for variable, flag in flags:
                if flag is not None and variable.trainable != flag:
                    variable.trainable = flag

    def _all_variables(self, used: bool) -> list[Any]:
        model = self.model
        found = [*model.weights, *getattr(model, "variables", ()), *getattr(model, "metrics_variables", ())]
        found += [
            each for metric in getattr(model, "metrics", ()) for each in getattr(metric, "variables", ())
        ]
        found += [each for each in vars(model).values() if hasattr(each, "assign") and hasattr(each, "shape")]
        if used:
            held = getattr(model.optimizer, "variables", ())
            found += list(held() if callable(held) else held)
        for layer in self.layers.values():  # Keras 2 keeps the state of its generators out of `weights`
            generator = getattr(getattr(layer, "_random_generator", None), "_generator", None)
            if generator is not None:
                found.append(generator.state)
        return [*{id(each): each for each in found}.values()]


def backend_of(layer: Any) -> str:
    """What the Keras of `layer` computes with: Keras 2 knows TensorFlow only."""
    keras = keras_of(layer)
    return str(keras.backend.backend()) if hasattr(keras, "ops") else "tensorflow"


def keras_of(layer: Any) -> Any:
    """The module of the Keras that `layer` belongs to, or None."""
    for base in type(layer).__mro__:
        root = base.__module__.split(".")[0]
        if root in ("keras", "tf_keras") and base.__name__ == "Layer":
            return sys.modules[root]
        if base.__module__.startswith("tensorflow.python.keras") and base.__name__ == "Layer":
            return sys.modules["tensorflow"].keras
    return None


def _walk(layer: Any, path: str, above: tuple[int, ...]) -> Iterator[tuple[str, Any]]:
    """Every path to a layer, outermost (the empty path) first; a layer that is shared has several."""
    yield path, layer
    for part in _parts(layer):
        if id(part) not in above:
            yield from _walk(part, f"{path}.{part.name}" if path else part.name, (*above, id(part)))


def _parts(layer: Any) -> Iterable[Any]:
    flatten = getattr(layer, "_flatten_layers", None)
    if flatten is not None:
        return [each for each in flatten(include_self=False, recursive=False) if hasattr(each, "weights")]
    return list(getattr(layer, "layers", ()))


def _parameters_of(layer: Any) -> set[int]:
    """The weights that a gradient may train, were the layer not frozen."""
    for name in ("_trainable_variables", "_trainable_weights"):
        held = getattr(layer, name, None)
        if held is not None:
            return {id(each) for each in held}
    return {id(each) for each in layer.weights if not each.name.split("/")[-1].startswith("moving_")}


def _is_used(model: Any) -> bool:
    """Whether the model was trained since it was compiled: its function and its optimizer are there."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return False
    built = getattr(optimizer, "built", getattr(optimizer, "_built", None))
    if built is None:
        built = int(np.asarray(optimizer.iterations)) > 0
    return bool(built) or getattr(model, "train_function", None) is not None


def _raw(variable: Any) -> Any:
    """The backend's own of a variable of Keras 3; TensorFlow's has a method of that name."""
    value = getattr(variable, "value", variable)
    return variable if callable(value) else value


def _word(mode: Any) -> bool | str:
    """A mode that was given: a bool or an integer, or a tensor of a graph that has no value yet."""
    if isinstance(mode, (int, np.bool_, np.integer)):
        return bool(mode)
    return "decided in the graph"


def _flat(values: Any) -> list[Any]:
    if isinstance(values, Mapping):
        return [leaf for each in values.values() for leaf in _flat(each)]
    if isinstance(values, (list, tuple)):
        return [leaf for each in values for leaf in _flat(each)]
    return [values]


def _mapped(function: Any, values: Any) -> Any:
    if isinstance(values, Mapping):
        return {name: _mapped(function, each) for name, each in values.items()}
    if isinstance(values, (list, tuple)):
        return [_mapped(function, each) for each in values]
    return function(values)

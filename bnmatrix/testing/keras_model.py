"""A live Keras model, of either generation and any backend: its layers, some training steps, and everything
back as it was.

No framework is imported: who holds a model of it has done so.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bnmatrix.patterns import joined
from bnmatrix.probe.live.keras_gradients import gradients
from bnmatrix.probe.live.keras_parts import (
    backend_of,
    flat,
    input_of,
    mapped,
    own,
    parameters_of,
    parents,
    raw,
    target_of,
    walk,
    word,
)
from bnmatrix.probe.live.steps import RATE
from bnmatrix.testing.errors import CannotTell
from bnmatrix.testing.keeping import attributes_kept, chance_kept
from bnmatrix.testing.seen import Layer, Tensor, Training, Trial, same
from bnmatrix.testing.steps import Numbers, called, differentiated, nothing_tried, raised


class KerasModel:
    """A Keras model: of `keras`, `tf_keras` or `tf.keras`."""

    framework = "keras"

    def __init__(self, model: Any) -> None:
        self.model = model
        self.backend = backend_of(model)
        if not getattr(model, "built", True):
            raise CannotTell("the model is not built yet, so it has no weights", "build it, or call it once")
        self.layers: dict[str, Any] = dict(walk(model))

    def named(self) -> dict[str, list[str]]:
        """{path of a layer: the names of its own weights}."""
        return {path: list(own(layer)) for path, layer in self.layers.items()}

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
        variables = {path: own(self.layers[path]) for path in chosen}
        stepped = {id(each) for each in model.trainable_variables}
        flags = {
            path: (bool(self.layers[path].trainable), parents(self.layers, path),
                   {name: getattr(own[name], "trainable", None) for name in chosen[path]})
            for path, own in variables.items()
        }  # fmt: skip
        before = self._values(variables, chosen)
        largest: dict[int, float | None] | None = None
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
                                largest = self._by_hand(inputs, training, largest, number, numbers)
                    numbers.after(number)
            if training.step is not None and not any(modes.values()) and not moved():
                raise nothing_tried()
            after = self._values(variables, chosen)
        layers = []
        for path, names in chosen.items():
            trainable, above, own_flags = flags[path]
            parameters = parameters_of(self.layers[path])
            tensors = [
                Tensor(
                    name=name,
                    is_parameter=id(variables[path][name]) in parameters,
                    before=before[path][name],
                    after=after[path][name],
                    flag=own_flags[name],
                    stepped=id(variables[path][name]) in stepped,
                    gradient=(largest or {}).get(id(variables[path][name])),
                    looked=largest is not None and id(variables[path][name]) in largest,
                )
                for name in names
            ]
            layers.append(Layer(
                path=path, kind=type(self.layers[path]).__name__, tensors=tensors,
                modes=None if compiled_before and not modes[path] else modes[path],
                trainable=trainable, parents=above,
            ))  # fmt: skip
        return Trial("keras", self._how(training, execution), training.steps, layers, fitted=fitted)

    def gradients(self, training: Training) -> dict[tuple[str, str], float | None]:
        """{(layer, weight): the largest entry of its gradient, None where none comes} of one step by hand."""
        with self._kept(), raised(1), differentiated():
            found = self._by_hand(self._input(training), training, None, 1, Numbers(training, dict))
        return {
            (path, name): found[id(variable)]
            for path, layer in self.layers.items()
            for name, variable in own(layer).items()
            if id(variable) in found
        }

    # --- the steps

    def _fit(self, inputs: Any, training: Training) -> Iterable[float]:
        """Fit, a batch an epoch; the loss of each, where the model's own fit tells any."""
        model = self.model
        target = training.target
        if target is None:
            target = self._target(inputs)
        count = len(next(iter(flat(inputs))))
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
        given = training.loss
        loss_of = None if given is None else lambda output: given(output, training.target)
        loss, found = gradients(self.model, self.backend, inputs, variables, loss_of)
        numbers.loss(number, self._numpy(loss))
        largest = dict(before or {})
        for variable, gradient in zip(variables, found, strict=True):
            size = None if gradient is None else float(np.abs(gradient).max(initial=0.0))
            known = largest.get(id(variable))
            largest[id(variable)] = size if known is None else max(known, size or 0.0)
            if gradient is not None:
                value = self._numpy(variable)
                variable.assign((value - RATE * gradient.reshape(value.shape)).astype(value.dtype))
        return largest

    def _input(self, training: Training) -> Any:
        """What is given, or numbers in the shapes that the model names."""
        if training.input is not None:
            return training.input
        made = input_of(self.model)
        if made is None:
            raise CannotTell("the model does not say what it takes", "give input=")
        return made

    def _target(self, inputs: Any) -> Any:
        """A target for the model's own loss, in the shapes of its outputs."""
        model = self.model
        with raised(1):
            outputs = flat(model(mapped(self._tensor, inputs), training=False))
        return target_of(getattr(model, "loss", None), [self._numpy(each).shape for each in outputs])

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
        value = raw(value)
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
            for name, variable in own(layer).items():
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
            heard.append(None if mode is None else word(mode))
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


def _is_used(model: Any) -> bool:
    """Whether the model was trained since it was compiled: its function and its optimizer are there."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer is None:
        return False
    built = getattr(optimizer, "built", getattr(optimizer, "_built", None))
    if built is None:
        built = int(np.asarray(optimizer.iterations)) > 0
    return bool(built) or getattr(model, "train_function", None) is not None

"""Keras 3 on its three backends: `tf2` (`tf.keras` as installed) and `keras[tensorflow|torch|jax]`.

The backend is in KERAS_BACKEND before Keras is imported (set by the runner). With torch and jax
TensorFlow is never imported.
"""

import os
import random
from typing import Tuple

import numpy as np

from ..experiment import RATE
from . import GUEST, Adapter, Unavailable
from .keras2 import LegacyTfKeras, TensorFlowAdapter
from .keras_common import Devices, Engine, KerasBench, helpers, new_numpy
from .keras_export import Onnx


class Keras3Bench(KerasBench):
    """A layer of Keras 3."""

    executions = ("call", "graph", "compiled", "exported")

    def forward(self, tensor):
        if self.cell["context"] != "stateless":
            return super().forward(tensor)
        trained, kept = self.outer.trainable_variables, self.outer.non_trainable_variables
        output, values = self.outer.stateless_call(
            [each.value for each in trained], [each.value for each in kept], tensor, **self.asked
        )
        for variable, value in zip(kept, values):
            variable.assign(value)
        return output

    def variables(self):
        # `variables`, unlike `weights`, has the state of the random-number generators.
        return [(variable.path, variable) for variable in self.layer.variables]


class TensorFlow3(TensorFlowAdapter):
    """`tf.keras` where it is Keras 3."""

    bench_class = Keras3Bench

    def find_keras(self):
        return self.tf.keras


class KerasOnTensorFlow(TensorFlow3):
    """`keras` with the TensorFlow backend."""

    def find_keras(self):
        import keras

        return keras


class TensorFlow2(object):
    """`tf.keras` as installed: Keras 3 from TensorFlow 2.16 on, Keras 2 before."""

    def __new__(cls, framework, backend, device):
        os.environ["KERAS_BACKEND"] = "tensorflow"
        import tensorflow as tf

        return (TensorFlow3 if hasattr(tf.keras, "ops") else LegacyTfKeras)(framework, backend, device)


class Keras(object):
    """`keras`, of either generation, with the backend that is asked for (TensorFlow where none is)."""

    def __new__(cls, framework, backend, device):
        backend = backend or "tensorflow"
        os.environ["KERAS_BACKEND"] = backend
        found = {"tensorflow": on_tensorflow, "torch": KerasOnTorch, "jax": KerasOnJax}.get(backend)
        if found is None:
            raise ValueError("no Keras backend %s here: there is tensorflow, torch, jax" % backend)
        return found(framework, backend, device)


def on_tensorflow(framework, backend, device):
    """The adapter of the `keras` that is installed, on TensorFlow."""
    import keras

    if hasattr(keras, "ops"):
        return KerasOnTensorFlow(framework, backend, device)
    from .keras2_standalone import adapter_for

    return adapter_for(keras)(framework, backend, device)


class OtherBackend(Adapter):
    """Keras 3 without TensorFlow. Subclasses import the backend and say which devices it has."""

    def __init__(self, framework, backend, device):
        self._devices = self.find_devices(device)
        import keras

        if not hasattr(keras, "ops"):
            raise ImportError(
                "Keras %s has no backends: that needs Keras 3" % keras.__version__, name="keras"
            )
        self.keras = keras
        self.label = "Keras %s" % keras.__version__
        self.engine = self.make_engine()
        self.shift_class, self.recorder_class = helpers(keras)

    def find_devices(self, asked):
        """`Devices`, and whatever makes Keras use the chosen one."""
        raise NotImplementedError

    def make_engine(self):
        """The backend's `Engine`."""
        raise NotImplementedError

    def devices(self):
        return self._devices.names

    def device(self):
        return self._devices.chosen()

    def seed(self, seed):
        # Layers draw their seeds from Python's generator. Keras's `set_random_seed` would import TensorFlow.
        random.seed(seed)
        np.random.seed(seed)


class KerasOnTorch(OtherBackend):
    """`keras[torch]`."""

    def find_devices(self, asked):
        import torch

        self.torch = torch
        if asked == GUEST:
            return Devices(asked, 0)
        torch.set_num_threads(1)
        devices = Devices(asked, torch.cuda.device_count() if torch.cuda.is_available() else 0)
        os.environ["KERAS_TORCH_DEVICE"] = devices.asked
        return devices

    def make_engine(self):
        return TorchEngine(self.keras, self.torch)

    def seed(self, seed):
        super().seed(seed)
        self.torch.manual_seed(seed)

    def versions(self):
        return {"keras": self.keras.__version__, "torch": self.torch.__version__, "numpy": np.__version__}

    def bench(self, cell, shape, options):
        if cell["execution"] in ("graph", "compiled"):
            raise Unavailable("Keras on torch compiles no call of a layer: that is torch's (target torch)")
        return Keras3Bench(self, cell, shape, options)


class KerasOnJax(OtherBackend):
    """`keras[jax]`."""

    def find_devices(self, asked):
        import jax

        self.jax = jax
        if asked == GUEST:
            return Devices(asked, 0)
        try:
            gpus = jax.devices("gpu")
        except RuntimeError:  # the way jax says there is none
            gpus = []
        devices = Devices(asked, len(gpus))
        kept = [gpus[each] for each in devices.visible] or jax.devices("cpu")
        jax.config.update("jax_default_device", kept[0])
        return devices

    def make_engine(self):
        return JaxEngine(self.keras, self.jax)

    def versions(self):
        return {"keras": self.keras.__version__, "jax": self.jax.__version__, "numpy": np.__version__}

    def bench(self, cell, shape, options):
        if cell["dtype"] == "float64":
            raise Unavailable("jax has no float64 as it is installed (jax_enable_x64 is off)")
        if cell["execution"] == "compiled":
            raise Unavailable("jax.jit, which is execution=graph, compiles already")
        return Keras3Bench(self, cell, shape, options)


class Keras3Engine(Engine):
    """What torch and jax do alike, through Keras's own operations.

    for_onnx: the packages that an export to ONNX takes
    """

    for_onnx: Tuple[str, ...] = ("tensorflow", "tf2onnx")

    def __init__(self, keras, backend):
        self.ops, self.backend = keras.ops, backend

    def tensor(self, array, dtype):
        return self.ops.convert_to_tensor(array, dtype=dtype)

    def numpy(self, value):
        # The value of a variable: numpy 2 warns when it is given the variable itself.
        value = value.value if hasattr(value, "assign") else value
        return new_numpy(self.ops.convert_to_numpy(value))

    def assign(self, variable, array):
        variable.assign(self.tensor(np.reshape(array, tuple(variable.shape)), variable.dtype))

    def exported(self, bench):
        if bench.cell["exported_as"] == "onnx":
            return Onnx(bench, self.for_onnx)
        raise Unavailable("saving for serving takes TensorFlow, on whatever backend")

    def loss(self, y_true, y_pred):
        ops = self.ops
        wide = "float64" if str(y_pred.dtype).endswith("float64") else "float32"
        return ops.sum(ops.cast(y_true, wide) * ops.cast(y_pred, wide))


class TorchEngine(Keras3Engine):
    """A step by hand with autograd."""

    for_onnx = ("onnxscript",)

    def numpy(self, value):
        if isinstance(value, np.ndarray):
            return new_numpy(value)
        value = (value.value if hasattr(value, "assign") else value).detach().cpu()
        return (value.float() if value.dtype == self.backend.bfloat16 else value).numpy().copy()

    def stepper(self, bench, compiled):
        torch = self.backend

        def step(inputs, weights):
            state = bench.state()
            bench.stepped = bench.trained()
            trained = [variable.value for variable in bench.stepped]
            differentiable = inputs.is_floating_point()
            if differentiable:
                inputs = inputs.detach().clone().requires_grad_(True)
            output = bench.forward(inputs)
            forward = {slot: variable.value.detach().clone() for slot, variable in state.items()}
            loss = (weights * output.to(weights.dtype)).sum()
            sources = [each for each in trained + ([inputs] if differentiable else []) if each.requires_grad]
            found = {}
            if loss.requires_grad and sources:
                gradients = torch.autograd.grad(loss, sources, allow_unused=True)
                found = {id(source): gradient for source, gradient in zip(sources, gradients)}
            gradients = [found.get(id(each)) for each in trained]
            with torch.no_grad():
                if bench.optimizer is None:
                    for each, gradient in zip(trained, gradients):
                        if gradient is not None:
                            each.sub_(RATE * gradient)
                elif any(gradient is not None for gradient in gradients):
                    bench.optimizer.apply(gradients, bench.stepped)
            return output, forward, gradients, found.get(id(inputs))

        return step


class JaxEngine(Keras3Engine):
    """A step by hand with `jax.grad`, the state going in and coming out; compiled, it is one `jax.jit`."""

    def __init__(self, keras, backend):
        super().__init__(keras, backend)
        self.scope = keras.StatelessScope

    def optimizer_made(self, bench):
        bench.optimizer.build(bench.trained())  # in jax no step may make variables

    def stepper(self, bench, compiled):
        if compiled:
            return self._step(bench, self.backend.jit)
        # Without compilation each step goes over the lists as they are by then.
        return lambda inputs, weights: self._step(bench, lambda step: step)(inputs, weights)

    def _step(self, bench, compiled):
        jax, optimizer = self.backend, bench.optimizer
        trained, kept = bench.trained(), list(bench.outer.non_trainable_variables)
        slots = bench.state()
        bench.stepped = trained

        def forward(trained_values, inputs, kept_values, weights):
            # What `stateless_call` does, trained variables that a forward assigns being lost as there;
            # but that calls `layer.call`, which skips what a call of the layer does (mixed precision,
            # leaving out `training` where the layer has no such argument).
            mapping = list(zip(trained, trained_values)) + list(zip(kept, kept_values))
            with self.scope(state_mapping=mapping) as scope:
                output = bench.forward(inputs)
                after = [scope.get_current_value(variable) for variable in kept]
            return (weights * output.astype(weights.dtype)).sum(), (output, after)

        def step(trained_values, kept_values, optimizer_values, inputs, weights):
            floating = self.ops.is_tensor(inputs) and "float" in str(inputs.dtype)
            differentiate = jax.value_and_grad(forward, argnums=(0, 1) if floating else (0,), has_aux=True)
            (_, (output, after)), gradients = differentiate(trained_values, inputs, kept_values, weights)
            if optimizer is None or not trained:
                moved = [value - RATE * gradient for value, gradient in zip(trained_values, gradients[0])]
            else:
                moved, optimizer_values = optimizer.stateless_apply(
                    optimizer_values, gradients[0], trained_values
                )
            return output, after, moved, optimizer_values, gradients

        made = compiled(step)

        def run(inputs, weights):
            variables = [trained, kept, optimizer.variables if optimizer else []]
            before = [variable.value for variable in trained]
            output, after, moved, kept_by_optimizer, gradients = made(
                *[[variable.value for variable in each] for each in variables], inputs, weights
            )
            values = {id(variable): value for variable, value in zip(trained + kept, before + after)}
            for each, new in zip(variables, (moved, after, kept_by_optimizer)):
                for variable, value in zip(each, new):
                    variable.assign(value)
            return (
                output,
                {slot: values[id(variable)] for slot, variable in slots.items()},
                list(gradients[0]),
                gradients[1] if len(gradients) > 1 else None,
            )

        return run

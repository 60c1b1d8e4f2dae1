"""What Keras 2 and Keras 3 share: constructing a cell's layer, naming its state, and the bench.

No framework is imported here. `keras` is the module of the adapter (`keras`, `tf_keras`,
`tf.keras`); an `Engine` does by hand what depends on the backend: tensors and the gradient step.

How a compiled step is seen into. fit, train_on_batch, evaluate and predict run a model

    Input -> Shift -> the layer -> Recorder

The Shift subtracts a weight of zeros, of the shape of the whole batch, that is always trained: SGD
moves it by RATE times the gradient of the loss to the input. It is also the head that keeps
training when all else is frozen. The Recorder keeps the layer's output in a weight of its own. An embedding
takes integers, so its Shift comes after it and there is no input gradient.
"""

import numpy as np

from .. import inputs as given_inputs
from ..experiment import RATE
from . import Bench, Pass, Unavailable

COMPILED = ("fit", "train_on_batch", "evaluate", "predict")
TRAINING = {"true": {"training": True}, "false": {"training": False}, "default": {}}
BY_RANK = {"conv": "Conv%dD", "spatial_dropout": "SpatialDropout%dD"}
CLASSES = {
    "batch_norm": "BatchNormalization",
    "layer_norm": "LayerNormalization",
    "group_norm": "GroupNormalization",
    "rms_norm": "RMSNormalization",
    "unit_norm": "UnitNormalization",
    "spectral_norm": "SpectralNormalization",
    "dropout": "Dropout",
    "alpha_dropout": "AlphaDropout",
    "gaussian_dropout": "GaussianDropout",
    "gaussian_noise": "GaussianNoise",
    "dense": "Dense",
    "embedding": "Embedding",
    "lstm": "LSTM",
    "gru": "GRU",
    "multi_head_attention": "MultiHeadAttention",
}
# Only what must be given is given: everything else is the framework's own default.
REQUIRED = {
    "group_norm": {"groups": 2},
    "dropout": {"rate": 0.5},
    "spatial_dropout": {"rate": 0.5},
    "alpha_dropout": {"rate": 0.5},
    "gaussian_dropout": {"rate": 0.5},
    "gaussian_noise": {"stddev": 0.5},
    "dense": {"units": given_inputs.UNITS},
    "conv": {"filters": given_inputs.UNITS, "kernel_size": 1},
    "embedding": {"input_dim": given_inputs.VOCABULARY, "output_dim": given_inputs.CHANNELS},
    "lstm": {"units": given_inputs.UNITS, "dropout": 0.5, "recurrent_dropout": 0.5},
    "gru": {"units": given_inputs.UNITS, "dropout": 0.5, "recurrent_dropout": 0.5},
    "multi_head_attention": {"num_heads": 2, "key_dim": 2, "dropout": 0.5},
}
# The framework's name of an option, where it is not the neutral one.
OPTION_NAMES = {
    "conv": {"units": "filters"},
    "gaussian_noise": {"rate": "stddev"},
    "lstm": {"rate": "dropout"},
    "gru": {"rate": "dropout"},
    "multi_head_attention": {"rate": "dropout"},
    "embedding": {"units": "output_dim"},
}
AFFINE = {
    "no_affine": {"center": False, "scale": False},
    "no_center": {"center": False},
    "no_scale": {"scale": False},
}
RECURRENT = {
    "no_dropout": {"dropout": 0.0, "recurrent_dropout": 0.0},
    "dropout_only": {"recurrent_dropout": 0.0},
    "recurrent_dropout_only": {"dropout": 0.0},
}
VARIANTS = {
    "batch_norm": dict(
        AFFINE,
        renorm={"renorm": True},
        fused={"fused": True},
        not_fused={"fused": False},
        synchronized={"synchronized": True},
        regularised=("gamma_regularizer", "beta_regularizer"),
    ),
    "layer_norm": dict(AFFINE, regularised=("gamma_regularizer", "beta_regularizer")),
    "group_norm": AFFINE,
    "dropout": {"noise_shape": "noise_shape", "rate_zero": {"rate": 0.0}},
    "dense": {"no_bias": {"use_bias": False}, "regularised": ("kernel_regularizer",)},
    "conv": {"no_bias": {"use_bias": False}, "regularised": ("kernel_regularizer",)},
    "embedding": {"regularised": ("embeddings_regularizer",), "mask_zero": {"mask_zero": True}},
    "lstm": RECURRENT,
    "gru": RECURRENT,
    "multi_head_attention": {"no_dropout": {"dropout": 0.0}},
}
NO_SUCH_VARIANT = {
    "no_tracking": "Keras has no track_running_stats",
    "tracking_switched_off_later": "Keras has no track_running_stats",
    "cumulative_momentum": "Keras has no cumulative average (momentum=None)",
    "max_norm": "Keras rescales no row on look-up (embeddings_constraint acts after an optimizer's step)",
    "in_place": "Keras has no dropout in place",
    "legacy": "Keras has no older form of it",
}
SLOT_NAMES = {"embeddings": "kernel", "scale": "gamma", "vector_u": "power_iteration_vector"}
ATTENTION = {"query": "", "attention_output": "output_", "key": "key_", "value": "value_"}


def refuse(cell):
    """Raise `Unavailable` for the values of axes that no Keras has."""
    execution, context, layer = cell["execution"], cell["context"], cell["layer"]
    if cell.get("api", "default") != "default":
        raise Unavailable("this target has no api %s" % cell["api"])
    if execution not in ("call", "graph", *COMPILED):
        raise Unavailable("this target has no execution %s" % execution)
    if context not in ("direct", "model"):
        raise Unavailable("this target has no context %s" % context)
    if execution in COMPILED and cell["training"] != "default":
        raise Unavailable("only training=default exists under %s" % execution)
    if execution in COMPILED and context == "direct":
        raise Unavailable("%s needs a model" % execution)
    ranks = given_inputs.LAYERS[layer]["ranks"]
    if int(cell["rank"]) not in ranks:
        taken = str(ranks[0]) if len(ranks) == 1 else "%d to %d" % (ranks[0], ranks[-1])
        raise Unavailable("%s takes input of rank %s" % (layer, taken))


def find_class(keras, label, layer, rank):
    """The class of `layer` in `keras.layers`; `Unavailable` with the name that was looked for."""
    name = BY_RANK[layer] % (rank - 2) if layer in BY_RANK else CLASSES.get(layer)
    found = getattr(keras.layers, name, None) if name else None
    if found is None:
        # Keras 2.6 to 2.8 kept some layers here before they were public.
        found = getattr(getattr(keras.layers, "experimental", None), name, None) if name else None
    if found is None:
        raise Unavailable("%s has no %s layer" % (label, name or layer))
    return found


def variant_options(keras, label, cell, shape, lacking):
    """The constructor options of the cell's variant. `lacking`: {variant: why this Keras has it not}."""
    layer, variant = cell["layer"], cell["variant"]
    if variant == "default":
        return {}
    if variant in lacking:
        raise Unavailable(lacking[variant])
    options = VARIANTS.get(layer, {}).get(variant)
    if options is None:
        raise Unavailable(
            NO_SUCH_VARIANT.get(variant, "%s has no %s of variant %s" % (label, layer, variant))
        )
    if options == "noise_shape":
        return {"noise_shape": shape[:1] + (1,) * (len(shape) - 2) + shape[-1:]}
    if isinstance(options, tuple):
        return {name: keras.regularizers.l2(0.01) for name in options}
    return options


def make_layer(keras, label, cell, shape, options, lacking):
    """The layer of `cell`, not built yet, not frozen yet."""
    layer = cell["layer"]
    cls = find_class(keras, label, layer, len(shape))
    names = OPTION_NAMES.get(layer, {})
    arguments = dict(REQUIRED.get(layer, {}), **variant_options(keras, label, cell, shape, lacking))
    arguments.update({names.get(name, name): value for name, value in options.items()})
    dtype = policy(keras, cell["dtype"])
    if layer == "spectral_norm":
        inner = {"units": arguments.pop("units", given_inputs.UNITS)}
        return cls(
            keras.layers.Dense(dtype=dtype, name="wrapped", **inner), dtype=dtype, name="layer", **arguments
        )
    return cls(dtype=dtype, name="layer", **arguments)


def policy(keras, dtype):
    """What `dtype=` of a layer takes: a mixed policy has to be an object in Keras 2."""
    if not dtype.startswith("mixed_"):
        return dtype
    module = getattr(keras, "mixed_precision", None)
    module = getattr(module, "experimental", module) if not hasattr(module, "Policy") else module
    found = getattr(module, "Policy", None) or getattr(keras, "DTypePolicy", None)
    if found is None:
        raise Unavailable("this Keras has no dtype policies")
    return found(dtype)


def slot_of(layer, path, taken):
    """The neutral name of the variable at `path` (the framework's, scopes and all) of `layer`."""
    parts = path.split(":")[0].split("/")
    slot = SLOT_NAMES.get(parts[-1], parts[-1])
    if layer == "multi_head_attention":
        for part in parts[:-1]:
            slot = ATTENTION.get(part, "") + slot
    if "seed" in slot:
        slot = "seed_state"
    name, number = slot, 2
    while name in taken:
        name, number = "%s_%d" % (slot, number), number + 1
    return name


def helpers(keras):
    """The Shift and Recorder classes of the module docstring, for this `keras`. Both let masks end."""

    class Helper(keras.layers.Layer):
        def __init__(self, full_shape, dtype, name):
            super().__init__(dtype=dtype, name=name, autocast=False)
            self.supports_masking = True
            self.full_shape = tuple(full_shape)

        def build(self, input_shape):
            self.kept = self.add_weight(
                shape=self.full_shape, initializer="zeros", trainable=self.trains, name="kept"
            )
            self.built = True

        def compute_mask(self, inputs, mask=None):
            return None

        def compute_output_shape(self, input_shape):
            return input_shape

    class Shift(Helper):
        trains = True

        def call(self, inputs):
            return inputs - self.kept  # a sum would be a bias_add to Keras 3: it fails on empty batches

    class Recorder(Helper):
        trains = False

        def call(self, inputs):
            self.saw = inputs.dtype  # at tracing: what comes in, not what was foreseen
            self.kept.assign(inputs)
            return inputs

    return Shift, Recorder


def new_numpy(array):
    """A copy; bfloat16, which numpy has not, as float32."""
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else np.array(array)


class Devices(object):
    """The devices there are, the one asked for (cpu, gpu, cuda:0, auto), and the GPUs left visible."""

    def __init__(self, asked, gpus):
        self.names = ["cpu"] + ["cuda:%d" % each for each in range(gpus)]
        best = "cuda:0" if gpus else "cpu"
        self.asked = {"auto": best, "gpu": "cuda:0", "cuda": "cuda:0"}.get(asked, asked)
        self.visible = [int(self.asked.split(":")[1])] if self.asked in self.names[1:] else []

    def chosen(self):
        """The one that is used; `Unavailable` where it is absent."""
        if self.asked not in self.names:
            raise Unavailable("no device %s here: there is %s" % (self.asked, ", ".join(self.names)))
        return self.asked


class Engine(object):
    """What depends on the backend."""

    def tensor(self, array, dtype):
        """`array` as the backend's tensor of `dtype` (by name), on the device of the target."""
        raise NotImplementedError

    def numpy(self, value):
        """A copy of a tensor or variable as numpy; bfloat16 as float32."""
        raise NotImplementedError

    def assign(self, variable, array):
        """Put `array`, of as many values as it has, into a variable of Keras in place."""
        raise NotImplementedError

    def stepper(self, bench, compiled):
        """A function of (inputs, weights) that makes a step by hand over `bench.trained()` and returns
        (output, {slot: value after the forward}, [gradient of each of `bench.trained()`], input gradient).

        `compiled`: as one compiled function, fresh for the bench and reused for its further steps.
        """
        raise NotImplementedError

    def batch(self, inputs, targets=None):
        """What fit, evaluate and predict take for one step over the whole batch: (arguments, keywords)."""
        count = max(1, len(inputs))
        return ((inputs,) if targets is None else (inputs, targets)), {"batch_size": count}

    def loss(self, y_true, y_pred):
        """sum(y_true * y_pred) in at least float32."""
        raise NotImplementedError


class KerasBench(Bench):
    """One layer of either Keras; `Keras2Bench` and `Keras3Bench` know where its variables are."""

    def __init__(self, adapter, cell, shape, options):
        refuse(cell)
        self.keras, self.engine = adapter.keras, adapter.engine
        self.cell, self.name = cell, cell["layer"]
        self.integers = self.name == "embedding"
        self.layer = make_layer(self.keras, adapter.label, cell, shape, options, adapter.lacking)
        if cell["trainable"] == "false":
            self.layer.trainable = False
        self.fed = "int32" if self.integers else self.name_of(self.layer.compute_dtype)
        self.wide = "float64" if self.name_of(self.layer.compute_dtype) == "float64" else "float32"
        self.asked = TRAINING[cell["training"]]
        self.execution = cell["execution"]
        self.outer = self.layer
        if self.execution in COMPILED:
            self._compiled_model(shape, adapter)
        elif cell["context"] == "model":
            entry = self.keras.Input(shape=shape[1:], dtype=self.fed)
            self.outer = self.keras.Model(entry, self._attached(entry))
        elif self.name == "multi_head_attention":
            # Its build takes other arguments in other versions; a symbolic call knows them.
            self._attached(self.keras.Input(shape=shape[1:], dtype=self.fed))
        else:
            self.build(shape)
        self._name_variables()
        self._stepper = None

    # What the two generations do differently.

    def build(self, shape):
        """Build the layer for inputs of `shape` without calling it: much quicker than a symbolic call."""
        self.layer.build(shape)

    def variables(self):
        """[(path, variable)] of all state of the layer, random-number state included."""
        raise NotImplementedError

    def mode(self, training):
        """The keywords that put a direct call in `training` mode, in calls that are not examined."""
        return {"training": training}

    @staticmethod
    def name_of(dtype):
        """The name of a dtype of the framework."""
        return getattr(dtype, "name", None) or str(dtype).split(".")[-1]

    # Construction.

    def _attached(self, tensor):
        """The layer called on `tensor` as a model's author would: no mode given."""
        return self.layer(*self._arguments(tensor))

    def _arguments(self, tensor):
        return (tensor, tensor) if self.name == "multi_head_attention" else (tensor,)

    def _compiled_model(self, shape, adapter):
        entry = self.keras.Input(shape=shape[1:], dtype=self.fed)
        kept = given_inputs.output_shape(self.name, shape)
        shift, recorder = adapter.shift_class, adapter.recorder_class
        if self.integers:
            output = self._attached(entry)
            self.shift = shift(kept, self.name_of(output.dtype), "shift")
            output = self.shift(output)
        else:
            self.shift = shift(shape, self.fed, "shift")
            output = self._attached(self.shift(entry))
        self.recorder = recorder(kept, self.name_of(output.dtype), "recorder")
        self.outer = self.keras.Model(entry, self.recorder(output))
        self.outer.compile(optimizer=self.keras.optimizers.SGD(RATE), loss=self.engine.loss)

    def _name_variables(self):
        self._slots, self._own_names = {}, {}
        for path, variable in self.variables():
            slot = slot_of(self.name, path, self._slots)
            self._slots[slot] = variable
            scopes = path.split(":")[0].split("/")
            keep = 2 if self.name == "multi_head_attention" and "seed" not in slot else 1
            self._own_names[slot] = "/".join(scopes[-keep:])
        self._slot_of = {id(variable): slot for slot, variable in self._slots.items()}

    # State.

    def slots(self):
        return {
            slot: {
                "name": self._own_names[slot],
                "dtype": self.name_of(variable.dtype),
                "trainable": bool(variable.trainable),
            }
            for slot, variable in self._slots.items()
        }

    def state(self):
        """{slot: variable}."""
        return self._slots

    def read(self):
        return {
            slot: self._neutral(slot, self.engine.numpy(variable)) for slot, variable in self._slots.items()
        }

    def _neutral(self, slot, array):
        # Kernels of size 1: (1, ..., in, out) -> (in, out).
        return array.reshape(array.shape[-2:]) if self.name == "conv" and slot == "kernel" else array

    def write(self, values):
        for slot, array in values.items():
            self.engine.assign(self._slots[slot], array)

    # Running.

    def trained(self):
        """The trainable list of the outermost object."""
        return list(self.outer.trainable_variables)

    def forward(self, tensor):
        """The output of the outermost object, as the cell asks for it."""
        if self.outer is self.layer:
            return self.layer(*self._arguments(tensor), **self.asked)
        return self.outer(tensor, **self.asked)

    def step(self, inputs, weights):
        if self.execution in COMPILED:
            return self._compiled_step(inputs, weights)
        if self._stepper is None:
            self._stepper = self.engine.stepper(self, self.execution == "graph")
        output, forward, gradients, input_gradient = self._stepper(
            self.engine.tensor(inputs, self.fed), self.engine.tensor(weights, self.wide)
        )
        numpy = self.engine.numpy
        named = {
            self._slot_of.get(id(variable)): gradient for variable, gradient in zip(self.trained(), gradients)
        }
        return Pass(
            numpy(output),
            self.name_of(output.dtype),
            forward={slot: self._neutral(slot, numpy(value)) for slot, value in forward.items()},
            input_gradient=None if input_gradient is None else numpy(input_gradient),
            gradients={
                slot: self._neutral(slot, numpy(value))
                for slot, value in named.items()
                if slot and value is not None
            },
        )

    def _compiled_step(self, inputs, weights):
        engine, model = self.engine, self.outer
        fed = np.asarray(inputs, dtype="int32" if self.integers else self.wide)
        targets = np.asarray(weights, dtype=self.wide)
        self._clear()
        if self.execution == "predict":
            arguments, keywords = engine.batch(fed)
            made = model.predict(*arguments, verbose=0, **keywords)
            return Pass(engine.numpy(made), self.name_of(self.recorder.saw), has_gradient=False)
        if self.execution == "train_on_batch":
            model.reset_metrics()
            model.train_on_batch(fed, targets)
        else:
            arguments, keywords = engine.batch(fed, targets)
            if self.execution == "fit":
                keywords = dict(keywords, epochs=1, shuffle=False)
            getattr(model, self.execution)(*arguments, verbose=0, **keywords)
        trains = self.execution != "evaluate"
        input_gradient = None
        if trains and not self.integers:
            input_gradient = engine.numpy(self.shift.kept) / RATE
        output = engine.numpy(self.recorder.kept)
        self._clear()
        return Pass(
            output,
            self.name_of(self.recorder.saw),
            input_gradient=input_gradient,
            has_gradient=trains,
        )

    def _clear(self):
        for variable in (self.shift.kept, self.recorder.kept):
            self.engine.assign(variable, np.zeros(tuple(variable.shape)))

    def infer(self, inputs):
        return self.engine.numpy(self._direct(inputs, False))

    def train_once(self, inputs):
        self._direct(inputs, True)

    def _direct(self, inputs, training):
        return self.layer(*self._arguments(self.engine.tensor(inputs, self.fed)), **self.mode(training))

    # What there is to tell.

    def counts(self):
        return {
            "trainable_weights": len(self.layer.trainable_weights),
            "non_trainable_weights": len(self.layer.non_trainable_weights),
            "regularisation_losses": len(self.layer.losses),
        }

    def weight_order(self):
        return [
            "layer/" + self._slot_of[id(each)] for each in self.outer.weights if id(each) in self._slot_of
        ]

    def flags(self):
        trainable = {"layer": bool(self.layer.trainable)}
        if self.outer is not self.layer:
            trainable["model"] = bool(self.outer.trainable)
        return {"mode": {}, "trainable": trainable}

    def close(self):
        # No clear_session: it frees nothing here (a compiled model leaves some 0.7 MB behind in Keras 3,
        # 1.8 in Keras 2, with it as without; a direct call none), and in Keras 3 it doubles a cell's time.
        self._stepper = self.outer = self.layer = None

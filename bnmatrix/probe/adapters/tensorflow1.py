"""TensorFlow 1: graph and session, `tf.layers` (api `default`) and the v1 Keras classes (api `keras`).

Serves `tf.compat.v1` of a TensorFlow 2 with `tf_keras`, with v2 behaviour switched off for the
whole process. What moved between releases is looked for, never asked of a version number.

The layer is applied up to three times in one graph, always with the same variables: as the cell
says, in inference mode, and in training mode. The updates of each application are told apart by
collecting them right after it.
"""
import contextlib
import importlib
import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
import tensorflow  # noqa: E402

from . import Adapter, Bench, Pass, Unavailable  # noqa: E402
from .. import inputs as sizes  # noqa: E402
from ..experiment import RATE  # noqa: E402

tf = getattr(getattr(tensorflow, "compat", None), "v1", tensorflow)

CALLS = ("call", "call_without_updates", "call_over_collection")
COMPILED = {"fit": True, "train_on_batch": True, "evaluate": False, "predict": False}  # does it train
DIMENSIONS = {3: "1D", 4: "2D", 5: "3D"}  # of the layers that have a class for each rank
PENALTY = 0.01

# layer: (class, its arguments, {neutral option: its name here}); %s is the dimension.
SPECS = {
    "batch_norm": ("BatchNormalization", {}, {"momentum": "momentum", "epsilon": "epsilon"}),
    "layer_norm": ("LayerNormalization", {}, {"epsilon": "epsilon"}),
    "group_norm": ("GroupNormalization", {"groups": 2}, {"epsilon": "epsilon"}),
    "rms_norm": ("RMSNormalization", {}, {"epsilon": "epsilon"}),
    "unit_norm": ("UnitNormalization", {}, {}),
    "instance_norm": ("InstanceNormalization", {}, {}),
    "spectral_norm": ("SpectralNormalization", {}, {}),
    "weight_norm": ("WeightNormalization", {}, {}),
    "dropout": ("Dropout", {"rate": 0.5}, {"rate": "rate"}),
    "spatial_dropout": ("SpatialDropout%s", {"rate": 0.5}, {"rate": "rate"}),
    "alpha_dropout": ("AlphaDropout", {"rate": 0.5}, {"rate": "rate"}),
    "gaussian_dropout": ("GaussianDropout", {"rate": 0.5}, {"rate": "rate"}),
    "gaussian_noise": ("GaussianNoise", {"stddev": 0.5}, {"rate": "stddev"}),
    "dense": ("Dense", {"units": sizes.UNITS}, {"units": "units"}),
    "conv": ("Conv%s", {"filters": sizes.UNITS, "kernel_size": 1}, {"units": "filters"}),
    "embedding": ("Embedding", {"input_dim": sizes.VOCABULARY, "output_dim": sizes.CHANNELS}, {}),
    "lstm": ("LSTM", {"units": sizes.UNITS, "dropout": 0.5, "recurrent_dropout": 0.5}, {"units": "units"}),
    "gru": ("GRU", {"units": sizes.UNITS, "dropout": 0.5, "recurrent_dropout": 0.5}, {"units": "units"}),
    "multi_head_attention": ("MultiHeadAttention", {"num_heads": 2, "key_dim": 2, "dropout": 0.5}, {"rate": "dropout"}),
}
IN_TF_LAYERS = ("batch_norm", "dropout", "dense", "conv")

AFFINE = {"no_affine": {"center": False, "scale": False}, "no_center": {"center": False}, "no_scale": {"scale": False}}
LINEAR = {"no_bias": {"use_bias": False}}
RECURRENT = {
    "no_dropout": {"dropout": 0.0, "recurrent_dropout": 0.0},
    "dropout_only": {"recurrent_dropout": 0.0},
    "recurrent_dropout_only": {"dropout": 0.0},
}
VARIANTS = {
    "batch_norm": dict(AFFINE, renorm={"renorm": True}, fused={"fused": True}, not_fused={"fused": False}),
    "layer_norm": AFFINE,
    "dropout": {"rate_zero": {"rate": 0.0}},
    "dense": LINEAR, "conv": LINEAR,
    "embedding": {"mask_zero": {"mask_zero": True}},
    "lstm": RECURRENT, "gru": RECURRENT,
    "multi_head_attention": {"no_dropout": {"dropout": 0.0}},
}
REGULARISED = {  # the arguments that take the penalty of the variant `regularised`
    "batch_norm": ("gamma_regularizer", "beta_regularizer"), "layer_norm": ("gamma_regularizer", "beta_regularizer"),
    "dense": ("kernel_regularizer",), "conv": ("kernel_regularizer",), "embedding": ("embeddings_regularizer",),
}
SLOTS = {"embeddings": "kernel"}  # of framework names; the others agree with the neutral ones


class TensorFlow1(Adapter):
    """The TensorFlow of this process, in graph mode."""

    def __init__(self, framework, backend, device):
        self._asked = device
        self._seed = None
        tf.logging.set_verbosity(tf.logging.ERROR)
        getattr(tf, "disable_v2_behavior", lambda: None)()
        try:
            tf.layers.BatchNormalization
        except (AttributeError, ImportError):
            importlib.import_module("tf_keras")  # where it is missing, say so by name
            raise
        self._gpus = gpus()

    def versions(self):
        found = {"tensorflow": tf.VERSION if hasattr(tf, "VERSION") else tensorflow.__version__, "numpy": np.__version__}
        source = tf.keras.layers.Dense.__module__.split(".")[0]
        if source != "tensorflow":  # else Keras is part of TensorFlow
            found[source] = importlib.import_module(source).__version__
        elif getattr(tf.keras, "__version__", None):
            found["keras"] = tf.keras.__version__
        return found

    def devices(self):
        return ["cpu"] + self._gpus

    def device(self):
        name = self._asked.replace("cuda", "gpu")
        if name == "auto":
            return self.devices()[-1] if len(self._gpus) == 1 else (self._gpus or ["cpu"])[0]
        name = "gpu:0" if name == "gpu" else name
        if name not in self.devices():
            raise Unavailable("no device %s here: TensorFlow sees %s" % (self._asked, ", ".join(self.devices())))
        return name

    def seed(self, seed):
        self._seed = seed  # a seed belongs to a graph, and each bench has its own

    def bench(self, cell, shape, options):
        execution, context, api = cell["execution"], cell["context"], cell["api"]
        if execution not in CALLS and execution not in COMPILED:
            raise Unavailable("tf1 has no execution %s: each call is a graph run in a session" % execution)
        if context not in ("direct", "model"):
            raise Unavailable("context %s is not examined for tf1 yet" % context)
        if api == "default" and execution in COMPILED:
            raise Unavailable("tf.layers has no %s" % execution)
        if api == "default" and context == "model":
            raise Unavailable("tf.layers has no model")
        if execution in COMPILED and context == "direct":
            raise Unavailable("%s needs a model" % execution)
        if execution in COMPILED and cell["training"] != "default":
            raise Unavailable("%s sets the mode itself: training is not an argument" % execution)
        maker = Maker(cell, shape, options)
        kind = CompiledBench if execution in COMPILED else CallBench
        return kind(cell, shape, maker, self._seed, self.device())


def gpus():
    """Names of the GPUs, without claiming one where that can be helped."""
    config = getattr(tensorflow, "config", None)
    for place in (config, getattr(config, "experimental", None)):
        if hasattr(place, "list_physical_devices"):
            return ["gpu:%d" % index for index in range(len(place.list_physical_devices("GPU")))]
    from tensorflow.python.client import device_lib
    return ["gpu:" + each.name.split(":")[-1] for each in device_lib.list_local_devices() if each.device_type == "GPU"]


class Maker(object):
    """What the cell asks of the layer: the class and its arguments. Says `Unavailable` before any graph is made."""

    def __init__(self, cell, shape, options):
        layer, api, rank = cell["layer"], cell["api"], int(cell["rank"])
        if api not in ("default", "keras"):
            raise Unavailable("tf.contrib is not part of this TensorFlow" if api == "contrib" else "tf1 has no api %s" % api)
        if rank not in sizes.LAYERS[layer]["ranks"]:
            raise Unavailable("%s has no rank %d" % (layer, rank))
        name, fixed, names = SPECS[layer]
        name = name % DIMENSIONS[rank] if "%s" in name else name
        home, path = (tf.layers, "tf.layers") if api == "default" else (tf.keras.layers, "tf.compat.v1.keras.layers")
        self.made = getattr(home, name, None)
        if self.made is None or (api == "default" and layer not in IN_TF_LAYERS):
            raise Unavailable("%s has no %s" % (path, name))
        self.arguments = dict(fixed)
        self.arguments.update(self._variant(layer, cell["variant"], shape, name))
        for option, value in options.items():
            if option not in names:
                raise Unavailable("%s has no option %s" % (name, option))
            self.arguments[names[option]] = value
        self.dtype = self._dtype(cell["dtype"], api)
        self.frozen = cell["trainable"] == "false"
        self.freeze = "constructor" if api == "default" else cell.get("freeze", "before_build")
        self.twice = layer == "multi_head_attention"  # query and value

    @staticmethod
    def _variant(layer, variant, shape, name):
        if variant == "default":
            return {}
        if variant == "regularised" and layer in REGULARISED:
            return {each: tf.keras.regularizers.l2(PENALTY) for each in REGULARISED[layer]}
        if variant == "noise_shape" and layer == "dropout":
            return {"noise_shape": (shape[0],) + (1,) * (len(shape) - 2) + shape[-1:]}
        try:
            return VARIANTS[layer][variant]
        except KeyError:
            raise Unavailable("%s has no option for the variant %s" % (name, variant))

    def _dtype(self, dtype, api):
        """The input's dtype, and the layer's: its arguments."""
        if not dtype.startswith("mixed_"):
            self.arguments["dtype"] = dtype
            return dtype
        if api == "default":
            raise Unavailable("tf.layers has no mixed precision")
        keras = getattr(tensorflow, "keras", None)
        place = getattr(keras, "mixed_precision", None)
        policy = getattr(place, "Policy", None) or getattr(getattr(place, "experimental", None), "Policy", None)
        if policy is None:
            raise Unavailable("this TensorFlow has no mixed precision policy")
        # A v1 layer casts its inputs only when told to; without, a policy would change nothing but the weights.
        self.arguments.update(dtype=policy(dtype), autocast=True)
        return "float32"

    def layer(self):
        """The layer, frozen or not, unbuilt."""
        if self.freeze == "constructor":
            return self.made(trainable=not self.frozen, **self.arguments)
        layer = self.made(**self.arguments)
        layer.trainable = not self.frozen
        return layer


class GraphBench(Bench):
    """A graph and a session with one layer; what all executions share."""

    def __init__(self, cell, shape, maker, seed, device):
        self.cell, self.shape, self.maker = cell, shape, maker
        self.graph = tf.Graph()
        gpu = device != "cpu"
        self.placement = "/" + (device if ":" in device else device + ":0").upper()
        config = tf.ConfigProto(
            intra_op_parallelism_threads=1, inter_op_parallelism_threads=1,
            allow_soft_placement=True, device_count={} if gpu else {"GPU": 0},
        )
        config.gpu_options.allow_growth = True
        self.session = tf.Session(graph=self.graph, config=config)
        self.applied = {}  # mode: (output, updates) of the applications beside the cell's own
        try:
            with self.inside():
                if seed is not None:
                    tf.set_random_seed(seed)
                self.input_dtype = tf.as_dtype("int32" if cell["layer"] == "embedding" else maker.dtype)
                self.layer = maker.layer()
                self.outermost = self.layer
                self.x = tf.placeholder(self.input_dtype, shape)
                self.build()
                self.variables = self.named()
                self.losses = self.regularisation()
                self.initialise()
        except BaseException:
            self.close()
            raise

    def build(self):
        """Apply the layer as the cell says, and make all that its step needs."""
        raise NotImplementedError

    @contextlib.contextmanager
    def inside(self):
        """Work in this bench's graph, session and device."""
        with self.graph.as_default(), self.session.as_default(), tf.device(self.placement):
            yield

    def apply(self, outer, x, training):
        """`outer` applied to `x`; `training` as the cell has it. Returns the output and this application's updates."""
        before = set(map(id, self.updates(outer)))
        arguments = {} if training == "default" else {"training": training == "true"}
        if not takes_training(outer):
            arguments = {}
        output = outer(x, x, **arguments) if self.maker.twice and outer is self.layer else outer(x, **arguments)
        return output, [each for each in self.updates(outer) if id(each) not in before]

    def updates(self, outer):
        """tf.layers puts its updates into the graph's collection, Keras leaves them with the layer."""
        if self.cell["api"] == "default":
            return self.graph.get_collection(tf.GraphKeys.UPDATE_OPS)
        return outer.updates

    def named(self):
        """{slot: variable}, in the order of the layer's weights."""
        paths = [variable.name.split(":")[0].split("/") for variable in self.layer.weights]
        last = [path[-1] for path in paths]
        found = {}
        for path, variable in zip(paths, self.layer.weights):
            name = path[-1] if last.count(path[-1]) == 1 else "/".join(path[-2:])
            found[SLOTS.get(name, name)] = variable
        return found

    def regularisation(self):
        """How many losses the layer adds, where a user of the api looks for them."""
        if self.cell["api"] == "default":
            return len(self.graph.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))
        return len(self.layer.losses)

    def initialise(self):
        """Give every variable a value; Keras must not do so again later."""
        self.session.run(tf.global_variables_initializer())
        for variable in tf.global_variables():
            variable._keras_initialized = True

    def slots(self):
        return {
            slot: {
                "name": variable.name.split(":")[0],
                "dtype": variable.dtype.base_dtype.name,
                "trainable": getattr(variable, "trainable", None),
            }
            for slot, variable in self.variables.items()
        }

    def read(self):
        if not self.variables:
            return {}
        values = self.session.run({slot: stored(variable) for slot, variable in self.variables.items()})
        return {slot: self.neutral(slot, values[slot]) for slot in self.variables}

    def write(self, values):
        operations, feeds = [], {}
        for slot, value in values.items():
            initializer = self.variables[slot].initializer
            operations.append(initializer)
            # Feeding an initializer adds nothing to the graph; this is what `Variable.load` does.
            feeds[initializer.inputs[1]] = np.reshape(value, self.variables[slot].shape.as_list())
        if operations:
            self.session.run(operations, feeds)

    def neutral(self, slot, value):
        """`value` of a slot or of its gradient as a copy in the neutral layout."""
        value = plain(value)
        if slot == "kernel" and self.cell["layer"] == "conv":
            return value.reshape(value.shape[-2:])
        return value

    def infer(self, inputs):
        return self.directly("false", inputs)

    def train_once(self, inputs):
        self.directly("true", inputs)

    def directly(self, training, inputs):
        """The layer alone, applied once more in this mode, with its updates and without a gradient step."""
        if training not in self.applied:
            with self.inside():
                output, updates = self.apply(self.layer, self.x, training)
                run_after(updates, output.op)
                self.applied[training] = output, tf.group(*updates)
        output, updates = self.applied[training]
        return plain(self.session.run([output, updates], {self.x: inputs})[0])

    def counts(self):
        return {
            "trainable_weights": len(self.layer.trainable_weights),
            "non_trainable_weights": len(self.layer.non_trainable_weights),
            "regularisation_losses": self.losses,
        }

    def weight_order(self):
        slots = {id(variable): "layer/" + slot for slot, variable in self.variables.items()}
        return [slots[id(variable)] for variable in self.outermost.weights if id(variable) in slots]

    def flags(self):
        trainable = {"layer": self.layer.trainable}
        if self.outermost is not self.layer:
            trainable["model"] = self.outermost.trainable
        return {"mode": {}, "trainable": trainable}

    def close(self):
        self.session.close()


class CallBench(GraphBench):
    """One session run of output, updates and a gradient step by hand."""

    def build(self):
        cell = self.cell
        if cell["context"] == "model":
            source = tf.keras.layers.Input(batch_shape=self.shape, dtype=self.input_dtype.name)
            made = self.layer(source, source) if self.maker.twice else self.layer(source)
            self.outermost = tf.keras.models.Model(source, made)
        output, updates = self.apply(self.outermost, self.x, cell["training"])
        if cell["execution"] == "call_without_updates":
            updates = []
        if cell["execution"] == "call_over_collection":
            parameters = self.graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
        else:
            parameters = self.outermost.trainable_weights
        wide = tf.float64 if output.dtype == tf.float64 else tf.float32
        self.weights = tf.placeholder(wide, output.shape)
        loss = tf.reduce_sum(self.weights * tf.cast(output, wide))
        sources = [self.x] if self.input_dtype.is_floating else []
        found = tf.gradients(loss, sources + list(parameters))
        found = [each if each is None else tf.convert_to_tensor(each) for each in found]
        self.output = output
        self.input_gradient = found.pop(0) if sources else None
        self.stepped = [(variable, each) for variable, each in zip(parameters, found) if each is not None]

        # One run races unless told otherwise: nothing else makes an update or a step wait for those
        # who still read. So: output and all gradients; then what the updates write; then the step.
        read = tf.group(output, *[each for each in [self.input_gradient] + found if each is not None])
        run_after(updates, read)
        with tf.control_dependencies([read] + [getattr(each, "op", each) for each in updates]):
            steps = [
                variable.assign_sub(RATE * tf.cast(each, variable.dtype.base_dtype)) for variable, each in self.stepped
            ]
        self.done = tf.group(*(updates + steps))

    def step(self, inputs, weights):
        fetches = {"output": self.output, "done": self.done, "gradients": [each for _, each in self.stepped]}
        if self.input_gradient is not None:
            fetches["input_gradient"] = self.input_gradient
        made = self.session.run(fetches, {self.x: inputs, self.weights: weights})
        slots = {id(variable): slot for slot, variable in self.variables.items()}
        return Pass(
            plain(made["output"]), self.output.dtype.name,
            input_gradient=plain(made["input_gradient"]) if "input_gradient" in made else None,
            gradients={
                slots[id(variable)]: self.neutral(slots[id(variable)], each)
                for (variable, _), each in zip(self.stepped, made["gradients"])
            },
        )


class CompiledBench(GraphBench):
    """A compiled Keras model: Input, Shift, the layer, Recorder. The helpers show what went on inside a step."""

    def build(self):
        helpers = helper_classes()
        source = tf.keras.layers.Input(batch_shape=(None,) + self.shape[1:], dtype=self.input_dtype.name)
        self.shift = None
        inner = source
        if self.input_dtype.is_floating:
            self.shift = helpers["Shift"](self.shape, dtype=self.input_dtype.name)
            inner = self.shift(source)
        made = self.layer(inner, inner) if self.maker.twice else self.layer(inner)
        self.recorder = helpers["Recorder"](sizes.output_shape(self.cell["layer"], self.shape), dtype=made.dtype.base_dtype.name)
        self.outermost = tf.keras.models.Model(source, self.recorder(made))
        optimizers = tf.keras.optimizers
        # Beside a new SGD that a v1 graph cannot compile, the one that it can is called legacy.
        sgd = getattr(getattr(optimizers, "legacy", optimizers), "SGD", optimizers.SGD)
        self.outermost.compile(sgd(RATE), loss=weighted_sum)

    def step(self, inputs, weights):
        execution, count = self.cell["execution"], len(inputs)
        with self.inside():
            if execution == "fit":
                self.outermost.fit(inputs, weights, batch_size=count, epochs=1, shuffle=False, verbose=0)
            elif execution == "train_on_batch":
                self.outermost.train_on_batch(inputs, weights)
            elif execution == "evaluate":
                self.outermost.evaluate(inputs, weights, batch_size=count, verbose=0)
            else:
                self.outermost.predict(inputs, batch_size=count)
        trains = COMPILED[execution]
        fetches = {"output": stored(self.recorder.record)}
        if trains and self.shift is not None:
            fetches["shift"] = stored(self.shift.shift)
        made = self.session.run(fetches)
        gradient = None
        if "shift" in made:
            gradient = plain(made["shift"]) / -RATE
            self.session.run(self.shift.shift.initializer)  # back to zero
        return Pass(plain(made["output"]), self.recorder.record.dtype.base_dtype.name, input_gradient=gradient, has_gradient=trains)


def helper_classes():
    """The helper layers; made late, for Keras must know by then that it works in graphs."""

    class Shift(tf.keras.layers.Layer):
        """Adds a trainable zero to every element of the batch: plain SGD leaves -RATE times the input's gradient in it."""

        def __init__(self, shape, **arguments):
            super(Shift, self).__init__(**arguments)
            self._of = shape

        def build(self, _):
            self.shift = self.add_weight(name="shift", shape=self._of, initializer="zeros", trainable=True)
            self.built = True

        def call(self, inputs):
            return inputs + self.shift

    class Recorder(tf.keras.layers.Layer):
        """Keeps what passes. The write belongs to the forward itself, not to the updates, which evaluate and predict do not run."""

        def __init__(self, shape, **arguments):
            super(Recorder, self).__init__(**arguments)
            self._of = shape

        def build(self, _):
            self.record = self.add_weight(name="record", shape=self._of, initializer="zeros", trainable=False)
            self.built = True

        def call(self, inputs):
            with tf.control_dependencies([tf.assign(self.record, inputs)]):
                return tf.identity(inputs)

    return {"Shift": Shift, "Recorder": Recorder}


def weighted_sum(y_true, y_pred):
    """The experiment's loss, as one scalar: some releases scale what a loss leaves unreduced.

    Its gradient waits for the output, as that of any loss which is not linear does. Keras puts no
    order between its optimizer and the forward, so that otherwise the step races with the reads of
    the forward, and half of the outputs come from variables already updated.
    """
    with tf.control_dependencies([y_pred]):
        y_true = tf.identity(y_true)
    wide = tf.float64 if y_pred.dtype == tf.float64 else tf.float32
    return tf.reduce_sum(tf.cast(y_true, wide) * tf.cast(y_pred, wide))


def takes_training(outer):
    """Has the layer a mode at all? Passing `training` to one without is the cell's error, not the layer's answer."""
    call = getattr(outer, "call", outer)
    code = getattr(call, "__wrapped__", call)
    code = getattr(code, "__func__", code).__code__
    return "training" in code.co_varnames[:code.co_argcount + code.co_kwonlyargcount] or bool(code.co_flags & 8)


def run_after(updates, barrier):
    """Make all that `updates` write wait for `barrier`, wherever that makes no cycle.

    An update often hangs behind another (renorm): each write that only the updates need is held
    back. What the barrier itself needs is part of the forward, and the framework's own business.
    """
    needed = ancestors([barrier])
    for operation in ancestors([getattr(each, "op", each) for each in updates]) - needed:
        if "Assign" in operation.type or "Scatter" in operation.type:
            operation._add_control_inputs([barrier])  # there is no public way once an operation exists


def ancestors(operations):
    """`operations` and all they depend on."""
    found, left = set(), list(operations)
    while left:
        operation = left.pop()
        if operation not in found:
            found.add(operation)
            left.extend(each.op for each in operation.inputs)
            left.extend(operation.control_inputs)
    return found


def stored(variable):
    """The tensor of a variable as it is stored, without the cast of mixed precision."""
    return getattr(variable, "_variable", variable)


def plain(array):
    """A copy as numpy knows it: bfloat16 as float32."""
    array = np.array(array)
    return array if array.dtype.kind in "fiub" and array.dtype.name != "bfloat16" else array.astype(np.float32)

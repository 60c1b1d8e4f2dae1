"""The bench of `tf.layers` and of `tf.contrib.layers`: a graph and a session with one layer.

The layer is applied up to three times in one graph, always with the same variables: as the cell
says, in inference mode, and in training mode. The updates of each application are told apart by
collecting them right after it. The step is made once and then run, as in any program of TensorFlow 1:
what is frozen only afterwards is trained all the same.
"""

import collections
import contextlib
import inspect
from typing import Any, Dict

import numpy as np

from ..experiment import RATE
from . import Bench, Pass
from . import keras_common as common
from . import keras_layers as table
from .keras2 import dense
from .tensorflow1_graphs import mode_tensor, new_session, run_after, tf
from .tensorflow1_optimizers import make_optimizer


class LayersBench(Bench):
    """One session run of output, updates and a gradient step."""

    parent = None  # nothing holds these layers

    def __init__(self, cell, shape, maker, seed, visible):
        self.cell, self.maker, self.freezing = cell, maker, maker.freezing
        self.channels_first = cell["data_format"] == "channels_first"
        self.graph = tf.Graph()
        self.session = new_session(visible, self.graph)
        self.applied = {}  # mode: (output, updates) of the applications beside the cell's own
        self.initialised = set()
        try:
            with self.inside():
                if seed is not None:
                    tf.set_random_seed(seed)
                self.layer = maker.layer()
                self.x = tf.placeholder(maker.fed, np.moveaxis(np.empty(shape), *self.moved(out=False)).shape)
                self.build()
        except BaseException:
            self.close()
            raise

    def build(self):
        """Apply the layer as the cell says, and make its step; the layer is frozen at its moment."""
        self.freezing.layer_made(self)
        self.output, self.updates = self.apply(
            self.x, self.mode(self.cell["training"]), times=2 if self.cell["context"] == "shared" else 1
        )
        self.variables = self.named()
        self.freezing.built(self)
        self.losses = len(self.graph.get_collection(tf.GraphKeys.REGULARIZATION_LOSSES))

        wide = tf.float64 if self.output.dtype == tf.float64 else tf.float32
        self.weights = tf.placeholder(wide, self.output.shape)
        self.loss = tf.reduce_sum(self.weights * tf.cast(self.output, wide))
        self.make_step()
        self.freezing.compiled(self)

    def make_step(self):
        """The operation that runs updates and step, over the variables that are trainable now."""
        cell = self.cell
        updates = [] if cell["execution"] == "call_without_updates" else self.updates
        if cell["execution"] == "call_over_collection":
            parameters = self.graph.get_collection(tf.GraphKeys.TRAINABLE_VARIABLES)
        else:
            parameters = list(self.layer.trainable_weights)
        sources = [self.x] if self.maker.fed.is_floating else []
        raw = tf.gradients(self.loss, sources + list(parameters))
        found = [dense(tf, each, source) for each, source in zip(raw, sources + list(parameters))]
        self.input_gradient = found[0] if sources else None
        found, raw = found[len(sources) :], raw[len(sources) :]
        self.stepped = [(variable, each) for variable, each in zip(parameters, found) if each is not None]

        # One run races unless told otherwise: nothing else makes an update or a step wait for those
        # who still read. So: output and all gradients; then what the updates write; then the step.
        gradients = [self.input_gradient, *found]
        read = tf.group(self.output, *[each for each in gradients if each is not None])
        run_after(updates, read)
        with tf.control_dependencies([read] + [getattr(each, "op", each) for each in updates]):
            if cell["optimizer"] != "none":
                # It refuses to have nothing to train, which no user's whole model is.
                steps = self.stepped and [
                    make_optimizer(cell["optimizer"]).apply_gradients(list(zip(raw, parameters)))
                ]
            else:
                steps = [
                    variable.assign_sub(RATE * tf.cast(each, variable.dtype.base_dtype))
                    for variable, each in self.stepped
                ]
        self.done = tf.group(*updates, *steps)
        self.initialise()

    def turn(self):
        with self.inside():
            self.freezing.turned(self)
            if self.cell["freeze"] == "recompiled":
                self.make_step()

    @contextlib.contextmanager
    def inside(self):
        """Work in this bench's graph and session."""
        with self.graph.as_default(), self.session.as_default():
            yield

    def apply(self, x, mode, times=1):
        """The mean output of that many calls on `x` with the keywords `mode`, and the updates they made."""
        collected = tf.GraphKeys.UPDATE_OPS
        before = set(map(id, self.graph.get_collection(collected)))
        output = self.layer(x, **mode)
        for _ in range(times - 1):
            output += self.layer(x, **mode)
        return output / times if times > 1 else output, [
            each for each in self.graph.get_collection(collected) if id(each) not in before
        ]

    def mode(self, training):
        """`training`, as in a cell, as the keywords of a call that is examined."""
        value, given = training == "true", self.cell["training_as"]
        if training == "default":
            return {}
        if given == "tensor":
            return {"training": mode_tensor(value)}
        return {"training": {"bool": bool, "int": int, "numpy_bool": np.bool_}[given](value)}

    def moved(self, out):
        """Where numpy is to take the channels from and put them: out of the graph or into it."""
        if not self.channels_first:
            return -1, -1
        return (1, -1) if out else (-1, 1)

    def fed(self, array):
        """An array of the experiment, laid out as the layer has it."""
        return np.moveaxis(array, *self.moved(out=False))

    def shown(self, array):
        """A copy of an array that was fetched, channels last."""
        return common.new_numpy(np.moveaxis(array, *self.moved(out=True)))

    def named(self):
        """{slot: variable}, in the order of the layer's weights."""
        found: Dict[str, Any] = collections.OrderedDict()
        for variable in self.layer.weights:
            found[table.slot_of(self.cell["layer"], variable.name, found)] = variable
        return found

    def slots_by_name(self):
        """{name of the variable: slot}."""
        return {variable.name: slot for slot, variable in self.variables.items()}

    def initialise(self):
        """Give every new variable a value."""
        new = [each for each in tf.global_variables() if each.name not in self.initialised]
        self.session.run(tf.variables_initializer(new))
        self.initialised.update(each.name for each in new)

    def slots(self):
        return {
            slot: {
                "name": own_name(variable.name),
                "dtype": variable.dtype.base_dtype.name,
                "trainable": getattr(variable, "trainable", None),
            }
            for slot, variable in self.variables.items()
        }

    def read(self):
        return {slot: self.neutral(slot, array) for slot, array in self._fetched().items()}

    def stored(self):
        return {slot: common.new_numpy(array) for slot, array in self._fetched().items()}

    def _fetched(self):
        if not self.variables:
            return {}
        values = self.session.run(dict(self.variables))
        return {slot: values[slot] for slot in self.variables}

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
        value = common.new_numpy(value)
        if slot == "kernel" and self.cell["layer"] == "conv":
            return value.reshape(value.shape[-2:])
        return value

    def step(self, inputs, weights):
        fetches = {"output": self.output, "done": self.done, "gradients": [each for _, each in self.stepped]}
        if self.input_gradient is not None:
            fetches["input_gradient"] = self.input_gradient
        made = self.session.run(fetches, {self.x: self.fed(inputs), self.weights: self.fed(weights)})
        slots = self.slots_by_name()
        return Pass(
            self.shown(made["output"]),
            self.output.dtype.name,
            input_gradient=self.shown(made["input_gradient"]) if "input_gradient" in made else None,
            gradients={
                slots[variable.name]: self.neutral(slots[variable.name], each)
                for (variable, _), each in zip(self.stepped, made["gradients"])
                if variable.name in slots
            },
        )

    def infer(self, inputs):
        return self.directly("false", inputs)

    def train_once(self, inputs):
        self.directly("true", inputs)

    def directly(self, training, inputs):
        """The layer alone, applied once more in this mode, with its updates and without a gradient step."""
        if training not in self.applied:
            with self.inside():
                # Layers without a mode refuse the argument; here it is not the cell that passes it.
                has_mode = {"training", "is_training"} & set(inspect.signature(self.layer.call).parameters)
                output, updates = self.apply(self.x, {"training": training == "true"} if has_mode else {})
                run_after(updates, output.op)
                self.applied[training] = output, tf.group(*updates)
        output, updates = self.applied[training]
        return self.shown(self.session.run([output, updates], {self.x: self.fed(inputs)})[0])

    def counts(self):
        with self.inside():
            return {
                "trainable_weights": len(self.layer.trainable_weights),
                "non_trainable_weights": len(self.layer.non_trainable_weights),
                "regularisation_losses": self.losses,
            }

    def weight_order(self):
        slots = self.slots_by_name()
        return ["layer/" + slots[variable.name] for variable in self.layer.weights]

    def flags(self):
        # A function of tf.contrib keeps no flag.
        has_flag = hasattr(self.layer, "trainable")
        return {"mode": {}, "trainable": {"layer": self.layer.trainable} if has_flag else {}}

    def close(self):
        self.session.close()


def own_name(name):
    """The framework's own name of a variable, without the scopes that depend on the program around it."""
    parts = name.split(":")[0].split("/")
    return "/".join(parts[1:]) if len(parts) > 1 else parts[0]

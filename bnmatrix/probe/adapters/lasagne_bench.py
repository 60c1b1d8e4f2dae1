"""A layer of Lasagne on the bench: its graph, the tags of its parameters, and one step as a Theano function.

Mode and trainability are told in two places here: `training` is what `get_output` is given as
`deterministic` (false for training; `default`: nothing), `trainable` is the tag of that name on each
parameter of a layer. The step goes over `get_all_params(outermost, trainable=True)`, as in every example of
Lasagne. It is compiled once, with the tags as they are then: a tag that is taken away later counts at the
next compilation only.
"""

from typing import Any, Dict

import lasagne
import numpy as np
import theano
from theano import tensor

from ..experiment import RATE
from . import Bench, Pass, Unavailable
from .lasagne_layers import LAYERS, layer_of

TAG = "trainable"
OPTIMIZER_RATE = 0.125  # shows in the coarsest dtype, and leaves Adam's steps small beside the values
OPTIMIZERS = {"sgd": "sgd", "momentum": "momentum", "adam": "adam", "rmsprop": "rmsprop"}
MODE_AS = {"bool": bool, "int": int, "numpy_bool": np.bool_, "tensor": tensor.constant}
INVERSE_DEVIATION = "inv_std"  # what BatchNormLayer keeps in place of a moving variance


class LasagneBench(Bench):
    """A layer, alone or in a network."""

    def __init__(self, cell, shape, options, own):
        if cell["optimizer"] not in ("none", *OPTIMIZERS):
            raise Unavailable("lasagne.updates has no %s" % cell["optimizer"])
        self.cell = cell
        self.dtype = cell["dtype"]
        theano.config.floatX = self.dtype  # parameters are made of it
        entry = LAYERS.get(cell["layer"])
        self.names = entry.names if entry and own is None else {}
        self.channels_first = entry is not None and entry.channels_first and len(shape) > 2
        self.epsilon = 0.0
        inner = tuple(self.inwards(np.empty(shape)).shape)
        self.fed = "int32" if cell["layer"] == "embedding" else self.dtype
        self.x = tensor.TensorType(self.fed, [False] * len(inner))("x")
        self.place(inner, shape, options, own)
        self.epsilon = float(getattr(self.layer, "epsilon", 0.0))
        self.parameters = {self.slot_of(each): each for each in self.layer.get_params()}
        self.thawed = [each for each in self.layer.get_params() if self.tagged(each)]  # of a fresh layer
        self.stepping: Any = None  # from the first step on
        self.directly: Dict[bool, Any] = {}  # function by mode
        if cell["freeze"] == "before_build":
            self.take()
        else:  # the opposite until its moment comes
            self.set_tags(cell["trainable"] == "false")

    def place(self, inner, shape, options, own):
        """Make the layer, and the network around it."""
        if self.cell["context"] == "direct":
            self.layer = self.outermost = layer_of(self.cell, shape, options, inner, own)
            return
        source = lasagne.layers.InputLayer(inner, self.x)
        self.layer = layer_of(self.cell, shape, options, source, own)
        self.outermost = lasagne.layers.NonlinearityLayer(self.layer, nonlinearity=None)

    def called(self, **mode):
        """The output of the outermost in this mode, as an expression."""
        if self.outermost is self.layer:  # behind no input layer, which is what get_output looks for
            return self.layer.get_output_for(self.x, **mode)
        return lasagne.layers.get_output(self.outermost, **mode)

    # --- tags

    def tagged(self, parameter):
        return TAG in self.layer.params[parameter]

    def set_tags(self, trainable):
        """Give or take the tag of what the cell speaks of."""
        chosen = self.thawed
        if self.cell["freeze_on"] == "first_variable":
            if not chosen:
                raise Unavailable("the layer has no variables")
            chosen = chosen[:1]
        for parameter in chosen:
            tags = self.layer.params[parameter]
            (tags.add if trainable else tags.discard)(TAG)

    def take(self):
        """The cell's own `trainable`."""
        self.set_tags(self.cell["trainable"] == "true")

    def turn(self):
        self.take()
        if self.cell["freeze"] == "recompiled":
            self.stepping = self.compiled()

    # --- state

    def slot_of(self, parameter):
        own = parameter.name.rpartition(".")[2]
        return "moving_variance" if self.is_inverse(parameter) else self.names.get(own, own)

    def is_inverse(self, parameter):
        """Is it 1 / sqrt(moving variance + epsilon)?"""
        return self.cell["layer"] == "batch_norm" and parameter.name.endswith(INVERSE_DEVIATION)

    def slots(self):
        return {
            slot: {"name": each.name, "dtype": each.dtype, "trainable": self.tagged(each)}
            for slot, each in self.parameters.items()
        }

    def read(self):
        return {slot: self.neutral(slot, each.get_value()) for slot, each in self.parameters.items()}

    def neutral(self, slot, array):
        """A copy of a slot or of its gradient, in the layout of `Bench`."""
        array = np.array(array)
        if slot == "kernel" and self.cell["layer"] == "conv":
            return array.reshape(array.shape[:2]).T.copy()
        if slot in self.parameters and self.is_inverse(self.parameters[slot]):
            return 1.0 / array.astype(np.float64) ** 2 - self.epsilon
        return array

    def write(self, values):
        for slot, value in values.items():
            parameter = self.parameters[slot]
            array = np.asarray(value)
            if slot == "kernel" and self.cell["layer"] == "conv":
                array = array.T
            elif self.is_inverse(parameter):
                array = 1.0 / np.sqrt(array + self.epsilon)
            shape = parameter.get_value(borrow=True).shape
            parameter.set_value(np.reshape(array, shape).astype(parameter.dtype))

    # --- the step

    def mode(self):
        """The cell's `training` as keywords."""
        if self.cell["training"] == "default":
            return {}
        return {"deterministic": MODE_AS[self.cell["training_as"]](self.cell["training"] == "false")}

    def compiled(self):
        """The function (x, weights) -> output, gradients of x and of the parameters, with the step as its
        updates; and the slots that these are of."""
        output = self.called(**self.mode())
        wide = "float64" if output.dtype == "float64" else "float32"
        weights = tensor.TensorType(wide, [False] * output.ndim)("weights")
        loss = (weights * tensor.cast(output, wide)).sum()
        parameters = lasagne.layers.get_all_params(self.outermost, trainable=True)
        sources = [self.x] if self.fed == self.dtype else []
        gradients = theano.grad(loss, [*sources, *parameters])
        own = gradients[len(sources) :]
        if self.cell["optimizer"] == "none":
            updates = [
                (parameter, tensor.cast(parameter - RATE * each, parameter.dtype))
                for parameter, each in zip(parameters, own)
            ]
        else:
            make = getattr(lasagne.updates, OPTIMIZERS[self.cell["optimizer"]])
            updates = make(own, parameters, learning_rate=OPTIMIZER_RATE)
        function = theano.function(
            [self.x, weights],
            [output, *gradients],
            updates=updates,
            on_unused_input="ignore",  # without any gradient there is no loss in it
        )
        slots = {each: slot for slot, each in self.parameters.items()}
        return function, wide, [slots[each] for each in parameters if each in slots], len(sources)

    def step(self, inputs, weights):
        if self.stepping is None:
            self.stepping = self.compiled()
            if self.cell["freeze"] == "after_compile":
                self.take()
        function, wide, slots, sources = self.stepping
        output, *gradients = function(self.source(inputs), self.inwards(weights).astype(wide))
        return Pass(
            self.outwards(output),
            str(output.dtype),
            input_gradient=self.outwards(gradients[0]) if sources else None,
            gradients={slot: self.neutral(slot, each) for slot, each in zip(slots, gradients[sources:])},
        )

    def infer(self, inputs):
        return self.direct(True, inputs)

    def train_once(self, inputs):
        self.direct(False, inputs)

    def direct(self, deterministic, inputs):
        """The layer alone in this mode, with what a call of it updates by itself."""
        if deterministic not in self.directly:
            output = self.layer.get_output_for(self.x, deterministic=deterministic)
            self.directly[deterministic] = theano.function([self.x], output)
        return self.outwards(self.directly[deterministic](self.source(inputs)))

    def source(self, array):
        return self.inwards(array).astype(self.fed)

    def inwards(self, array):
        """An array of the experiment as Lasagne has it; weights of the output the same way."""
        return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if self.channels_first else array

    def outwards(self, array):
        """A copy, channels last."""
        return np.array(np.moveaxis(array, 1, -1) if self.channels_first else array)

    # --- what Lasagne says of them

    def counts(self):
        tagged = len(self.layer.get_params(trainable=True))
        return {
            "trainable_weights": tagged,
            "non_trainable_weights": len(self.layer.get_params()) - tagged,
            "regularisation_losses": 0,
        }

    def weight_order(self):
        """Without asking for the tag, as `count_params` does."""
        slots = {each: "layer/" + slot for slot, each in self.parameters.items()}
        return [slots[each] for each in lasagne.layers.get_all_params(self.outermost)]

    def flags(self):
        """Lasagne keeps no mode. Trainable is what has the tag on all of its parameters."""
        found = {}
        if self.thawed:
            held = all(self.tagged(each) for each in self.thawed)
            found = {"layer": held} if self.outermost is self.layer else {"layer": held, "model": held}
        return {"mode": {}, "trainable": found}

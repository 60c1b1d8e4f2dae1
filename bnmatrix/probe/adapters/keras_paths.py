"""The path to a layer of any Keras: what is built around it, as the axes `context`, `outer`, `depth` and
`saved_as` say. No framework is imported here; neither eager mode nor an argument `training` is assumed.

How a bench uses it (`keras_freezing` tells when `trainable` is set in between):

    path = Path(keras, cell, make, shape, fed, ...)     path.layer is made, neither built nor called
    path.enclose(made)                                  what lies around it; path.layer may be another now
    model = path.outermost(before, after)               the model of the kind `outer`, built: Input, the
                                                        layers `before`, the path, the layers `after`

A direct call (context `direct`) needs the first of these only. The outermost model is called as any model;
where `path.forwards` is False its call has no `training` (hand it over, and see what the framework says).

After `enclose` and `outermost` `path.holders` is {name: object} of all that holds the layer, the nearest
first ("inner", "inner_2", "wrapper", "wrapper_2", "model"), and `path.parent` is the nearest of them.
"""

import inspect
import os
import shutil
import tempfile
from typing import Any

from . import Unavailable

PINS = {"pinned_false": False, "pinned_true": True, "pinned_default": None}
WRAPPED = ("forwarding", "not_forwarding", "no_argument", "checkpointed")
INNER = ("frozen_parent", "thawed_parent", "reloaded", "cloned")
CONTEXTS = ("direct", "model", *PINS, *WRAPPED, *INNER, "after_sibling", "shared", "stateless")
"""All that there are with any Keras."""


def takes(layer, argument):
    """Whether a call of the layer has the argument of that name."""
    parameters = inspect.signature(layer.call).parameters
    return argument in parameters or any(each.kind == each.VAR_KEYWORD for each in parameters.values())


class Path(object):
    """What lies between the outermost object and the layer.

    make:      a function of nothing: a new layer as the cell asks for it, named "layer"
    shape:     of a whole batch, as the layer is fed; models are built for any number of samples
    fed:       the name of the dtype that is fed
    settings:  keywords for the helper layers and models made here: they are not to cast what passes
    recompute: what makes of a function one that is computed again in the backward pass (`keras.remat`)
    of_parent: keywords for the constructor of what holds the layer
    begin:     what makes a subclassed model make its weights, where a call of it does not
    base:      the class of wrappers, where `keras.layers.Layer` does not care for the layers it holds; it
               takes the layer as its first argument and keeps it in an attribute `layer`
    """

    def __init__(
        self,
        keras,
        cell,
        make,
        shape,
        fed,
        settings=None,
        recompute=None,
        of_parent=None,
        base=None,
        begin=None,
        is_own=False,
    ):
        self.keras, self.cell, self.make, self.shape, self.fed = keras, cell, make, tuple(shape), fed
        self.context, self.depth = cell["context"], int(cell["depth"])
        self.settings, self._of_parent = dict(settings or {}), dict(of_parent or {})
        self.recompute, self.is_own = recompute, is_own
        self.forwards = not (cell["outer"] == "subclassed" and self.context == "no_argument")
        self.base, self.begin = base or holding_layer(keras), begin or self._begin
        self.holders = {}
        if cell["outer"] == "sequential":
            self._refuse_in_a_list()
        if self.context == "checkpointed" and recompute is None:
            raise Unavailable("this Keras has nothing that computes a layer again in the backward pass")
        self.layer = self.top = make()
        if self.context == "stateless" and not hasattr(self.layer, "stateless_call"):
            raise Unavailable("this Keras has no stateless_call")

    def _refuse_in_a_list(self):
        if self.context in PINS:
            raise Unavailable("a list of layers pins no call")
        if self.context == "shared":
            raise Unavailable("a list of layers uses none of them twice")
        bare = ("model", "after_sibling", "stateless")
        if self.cell["layer"] == "multi_head_attention" and self.context in bare:
            raise Unavailable("a list of layers has one input for each of them, attention takes two")

    @property
    def parent(self):
        """What holds the layer directly; None where nothing does (yet)."""
        return next(iter(self.holders.values()), None)

    # Between the layer and the outermost model.

    def enclose(self, made=lambda: None):
        """Put the layer into what encloses it, the outermost model excepted.

        `made()` is called once, when the layer lies in its parent as a user's code makes it: before that is
        saved or cloned.
        """
        if self.context in WRAPPED:
            cls = wrapper_class(self.base, self.context, self)
            for name in ("wrapper", "wrapper_2")[: self.depth]:
                self._hold(name, cls(self.top, name=name, **self.settings, **self._parents()))
        elif self.context in INNER or self.context in PINS:
            for name in ("inner", "inner_2")[: self.depth]:
                self._hold(name, self._inner(self.top, name, **self._parents()))
        made()
        if self.context in ("reloaded", "cloned"):
            self.top = self._reloaded() if self.context == "reloaded" else self._cloned()
            self.layer = self.top.get_layer(self.layer.name)
            self.holders = {"inner": self.top}

    def _hold(self, name, holder):
        self.top = self.holders[name] = holder

    def _parents(self):
        """The keywords of the constructor of the parent, for the first that asks."""
        found, self._of_parent = self._of_parent, {}
        return found

    def _inner(self, held, name, **arguments):
        entry = self.entry()
        return self.keras.models.Model(entry, held(*self.inputs_of(held, entry)), name=name, **arguments)

    def _cloned(self):
        return self.keras.models.clone_model(self.top)

    def _reloaded(self):
        saved_as, folder = self.cell["saved_as"], tempfile.mkdtemp(prefix="bnmatrix-")
        try:
            if saved_as == "weights":
                file = os.path.join(folder, "model.weights.h5")
                self.top.save_weights(file)
                twin = self._inner(self.make(), "inner")
                twin.load_weights(file)
                return twin
            file, keywords = os.path.join(folder, "model" + ENDINGS.get(saved_as, "")), {}
            if saved_as == "saved_model":
                keywords = {"save_format": "tf"} if takes_save_format(self.top) else {}
            self.top.save(file, **keywords)
            # A class of the user's is at hand where the user loads it.
            custom = {type(self.layer).__name__: type(self.layer)} if self.is_own else None
            loaded = self.keras.models.load_model(file, custom_objects=custom, compile=False)
            loaded.get_weights()  # in a graph they are read from the file when they are first asked for
            return loaded
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    # The outermost model.

    def outermost(self, before=(), after=()):
        """The outermost model, built, with the layers `before` and `after` the path."""
        make = {
            "functional": self._functional,
            "sequential": self._sequential,
            "subclassed": self._subclassed,
        }[self.cell["outer"]]
        model = make(list(before), list(after), dict(self._parents(), name="model"))
        self.holders["model"] = model
        return model

    def entry(self):
        """The symbolic input of a model."""
        return self.keras.layers.Input(shape=self.shape[1:], dtype=self.fed)

    def _functional(self, before, after, arguments):
        entry = self.entry()
        return self.keras.models.Model(entry, self.run(entry, before, after, {}), **arguments)

    def _sequential(self, before, after, arguments):
        model = self.keras.models.Sequential([input_layer(self.keras, self.shape[1:], self.fed)], **arguments)
        for each in before + self._siblings() + [self.top] + after:
            model.add(each)
        return model

    def _subclassed(self, before, after, arguments):
        cls = model_class(self.keras.models.Model, self.forwards)
        model = cls(self, before + self._siblings(), after, **dict(self.settings, **arguments))
        self.begin(model)  # for its weights to be there
        return model

    def _begin(self, model):
        # Helpers are of the batch's size: on torch a symbolic call computes.
        model(self.keras.layers.Input(batch_shape=self.shape, dtype=self.fed))

    def run(self, tensor, before, after, asked):
        """`tensor` through the layers `before`, the path and the layers `after`."""
        for each in before:
            tensor = each(tensor)
        tensor = self.call(tensor, asked)
        for each in after:
            tensor = each(tensor)
        return tensor

    # Calls.

    def call(self, tensor, asked):
        """The path called on `tensor` by what is outermost.

        That is in the mode `asked`, {"training": ...} or {}, and passes it on where the path takes it and
        does not pin it.
        """
        for each in self._siblings():
            tensor = each(tensor)
        top = self.top
        if self.context in PINS:
            asked = {"training": PINS[self.context]}
        elif asked and not takes(top, "training"):
            asked = {}
        output = top(*self.inputs_of(top, tensor), **asked)
        if isinstance(output, list):  # a model that was loaded or cloned gives one in Keras 3.0
            output = output[0]
        if self.context == "shared":
            output = self._mean([output, top(*self.inputs_of(top, tensor), **asked)])
        return output

    def inputs_of(self, called, tensor):
        """What `called` takes for the input `tensor`: attention takes query and value."""
        attention = called is self.layer and self.cell["layer"] == "multi_head_attention"
        return (tensor, tensor) if attention else (tensor,)

    def _siblings(self):
        if self.context != "after_sibling":
            return []
        if not hasattr(self, "_sibling"):
            self._sibling = sibling_class(self.keras)(name="sibling", **self.settings)
        return [self._sibling]

    def _mean(self, tensors):
        if not hasattr(self, "_average"):
            self._average = mean_class(self.keras)(name="mean", **self.settings)
        return self._average(tensors)


ENDINGS = {"default": ".keras", "h5": ".h5"}  # a Keras without a format of its own writes HDF5 as *.keras


def takes_save_format(model):
    """Whether `save` can be told the format; else the name of the file tells it."""
    return "save_format" in inspect.signature(model.save).parameters


def input_layer(keras, shape, dtype):
    """The layer that is the entry of a Sequential."""
    cls = keras.layers.InputLayer
    name = "shape" if "shape" in inspect.signature(cls.__init__).parameters else "input_shape"
    return cls(dtype=dtype, **{name: shape})


# The classes a user would write. They need a Keras to derive from.


def holding_layer(keras):
    """The base of wrappers: a Layer that holds another."""
    Layer: Any = keras.layers.Layer

    class Holding(Layer):
        def __init__(self, layer, **arguments):
            super(Holding, self).__init__(**arguments)
            self.supports_masking = True
            self.layer = layer

    return Holding


def wrapper_class(base, context, path):
    """The wrapper of `context`."""
    Base: Any = base

    def inner(wrapper, inputs, training):
        held = wrapper.layer
        asked = {"training": training} if takes(held, "training") else {}
        return held(*path.inputs_of(held, inputs), **asked)

    class Forwarding(Base):
        def call(self, inputs, training=None):
            return inner(self, inputs, training)

    class NotForwarding(Base):
        def call(self, inputs, training=None):
            return self.layer(*path.inputs_of(self.layer, inputs))

    class NoArgument(Base):
        def call(self, inputs):
            return self.layer(*path.inputs_of(self.layer, inputs))

    class Checkpointed(Base):
        def call(self, inputs, training=None):
            return path.recompute(lambda tensor: inner(self, tensor, training))(inputs)

    return {
        "forwarding": Forwarding,
        "not_forwarding": NotForwarding,
        "no_argument": NoArgument,
        "checkpointed": Checkpointed,
    }[context]


def identity_layer(keras):
    """A base for layers that change nothing of the shape and let masks pass."""

    Layer: Any = keras.layers.Layer

    class Identity(Layer):
        def __init__(self, **arguments):
            super(Identity, self).__init__(**arguments)
            self.supports_masking = True

        def compute_output_shape(self, input_shape):
            return input_shape

    return Identity


def sibling_class(keras):
    """The layer of context `after_sibling`: its own default is training."""
    Identity: Any = identity_layer(keras)

    class Sibling(Identity):
        def call(self, inputs, training=True):
            return inputs * 1  # another tensor: a mask hangs at the old one

    return Sibling


def mean_class(keras):
    """The mean of two tensors: the output of context `shared`."""
    Identity: Any = identity_layer(keras)

    class Mean(Identity):
        def compute_mask(self, inputs, mask=None):
            return None

        def compute_output_shape(self, input_shape):
            return input_shape[0]

        def call(self, inputs):
            return (inputs[0] + inputs[1]) / 2

    return Mean


def mask_class(keras):
    """A layer that gives what passes a mask: `mask` is a function of nothing, a tensor of booleans."""
    Identity: Any = identity_layer(keras)

    class Masked(Identity):
        def __init__(self, mask, **arguments):
            super(Masked, self).__init__(**arguments)
            self.made_mask = mask

        def compute_mask(self, inputs, mask=None):
            return self.made_mask()

        def call(self, inputs):
            return inputs * 1  # another tensor: a mask hangs at the old one

    return Masked


def model_class(base, forwards):
    """A subclassed outermost model; one that forwards takes `training` and passes it on."""
    Model: Any = base

    class Held(Model):
        def __init__(self, path, before, after, **arguments):
            super(Held, self).__init__(**arguments)
            for each in [*before, path.top, *after]:
                setattr(self, each.name + "_held", each)  # not every Keras looks into lists
            self.through = lambda inputs, asked: path.run(inputs, before, after, asked)

    class Forwarding(Held):
        def call(self, inputs, training=None):
            return self.through(inputs, {"training": training})

    class NoArgument(Held):
        def call(self, inputs):
            return self.through(inputs, {})

    return Forwarding if forwards else NoArgument

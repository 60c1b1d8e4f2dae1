"""How a step is made with any Keras: what the axes `execution` and `optimizer` mean for its API.

No framework is imported here.
"""

import inspect

from ..experiment import RATE
from . import Unavailable

FITTED = ("fit", "run_eagerly", "jit_compile")
TRAINS = (*FITTED, "train_on_batch")

LEARNING_RATE = 0.125  # large, so that it shows in the coarsest dtype
MOMENTUM = 0.9
DECAY = 0.5

_CLASSES = {
    "sgd": "SGD",
    "momentum": "SGD",
    "weight_decay": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "rmsprop": "RMSprop",
}


def make_optimizer(keras, name, label):
    """The optimizer of the axis value `name`; of `none` the plainest SGD, of `RATE`."""
    if name not in _CLASSES and name != "none":
        raise Unavailable(
            "%s has no optimizer %s: it keeps no gradients that could be cleared" % (label, name)
        )
    cls = _optimizer_class(keras, _CLASSES.get(name, "SGD"))
    if name == "none" and cls is None:  # the package Keras 2.6 gives it to those only who ask by name
        return keras.optimizers.get({"class_name": "SGD", "config": {"learning_rate": RATE}})
    if cls is None:
        raise Unavailable("%s has no optimizer %s" % (label, _CLASSES[name]))
    options = {"momentum": {"momentum": MOMENTUM}, "weight_decay": {"weight_decay": DECAY}}.get(name, {})
    for option in options:
        if option not in inspect.signature(cls.__init__).parameters:
            raise Unavailable("%s of %s has no argument %s" % (cls.__name__, label, option))
    if name == "adamw":
        options = {"weight_decay": DECAY}
    # By place: the first was called `lr` once.
    return cls(RATE if name == "none" else LEARNING_RATE, **options)


def _optimizer_class(keras, name):
    """Where it is public: Keras 2.9 and 2.10 had some that were experimental still."""
    experimental = getattr(keras.optimizers, "experimental", None)
    return getattr(keras.optimizers, name, None) or getattr(experimental, name, None)


def compile_options(model, execution, label):
    """Keywords for `model.compile`."""
    if execution not in ("run_eagerly", "jit_compile"):
        return {}
    # Some releases take it among their **kwargs; the model then has a property of that name.
    if execution not in inspect.signature(model.compile).parameters and not hasattr(type(model), execution):
        raise Unavailable("compile of %s has no argument %s" % (label, execution))
    return {execution: True}


def shown_rate(execution, optimizer):
    """The learning rate of a compiled model whose step shows the gradient, or None: none or another step."""
    rates = {"none": RATE, "sgd": LEARNING_RATE}
    return rates.get(optimizer) if execution in TRAINS else None


def run_compiled(model, execution, engine, fed, targets):
    """One step of a compiled model over the whole batch; returns what `predict` gives, else None."""
    if execution == "predict":
        arguments, keywords = engine.batch(fed)
        return model.predict(*arguments, verbose=0, **keywords)
    if execution in ("train_on_batch", "test_on_batch"):
        if hasattr(model, "reset_metrics"):  # else they are not kept from one batch to the next
            model.reset_metrics()
        getattr(model, execution)(fed, targets)
        return None
    arguments, keywords = engine.batch(fed, targets)
    if execution in FITTED:
        model.fit(*arguments, verbose=0, epochs=1, shuffle=False, **keywords)
    else:
        model.evaluate(*arguments, verbose=0, **keywords)
    return None

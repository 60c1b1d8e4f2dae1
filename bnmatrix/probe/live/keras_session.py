"""A Keras model of TensorFlow 1: a graph and a session.

The graph is made when the model is, so taps are put into the classes' calls, before that (`watch_classes`).
In which mode a call is made cannot be seen: the session decides it.
"""

import functools
import sys
from typing import Any, Dict, List, Optional

import numpy as np

from .keras_live import KerasLive
from .keras_parts import flat, keras_of, own, target_of
from .keras_taps import tap_for
from .refusals import Refused
from .taps import Tap

_heard: Dict[
    int, Any
] = {}  # {id of a layer: its tap}; which holds the layer, so that no other one gets its id
_inside: List[Any] = []  # layers whose calls are under way: a class calls its base

WATCHED = (
    "BatchNormalization",
    "Dropout",
    "SpatialDropout2D",
    "GaussianNoise",
    "GaussianDropout",
    "AlphaDropout",
)


def watch_classes():
    """Listen to the calls of Keras's own classes that have a mode, and of what is derived from them."""
    tf = sys.modules["tensorflow"]
    seen = set()
    for name in WATCHED:
        cls = getattr(tf.keras.layers, name, None)
        for base in cls.__mro__ if cls is not None else ():
            if "call" in vars(base) and base not in seen and taps_for(base):
                seen.add(base)
                base.call = _listened(base.call)


def taps_for(cls):
    """Whether calls of a class are worth listening to: not those of the base of all layers."""
    return cls.__name__ not in ("Layer", "Module") and "Layer" not in cls.__name__


def _listened(usual):
    @functools.wraps(usual)
    def call(layer, *arguments, **keywords):
        if any(each is layer for each in _inside) or not arguments:
            return usual(layer, *arguments, **keywords)
        tap = _heard.get(id(layer))
        if tap is None:
            tap = tap_for(layer, "tensorflow", graph=True)
        if tap is None:
            return usual(layer, *arguments, **keywords)
        _heard[id(layer)] = tap
        _inside.append(layer)
        try:
            state = tap.before()
            output = usual(layer, *arguments, **keywords)
        finally:
            _inside.pop()
        return tap.after(state, arguments[0], output)

    autograph = getattr(getattr(sys.modules["tensorflow"], "autograph", None), "experimental", None)
    return autograph.do_not_convert(call) if autograph is not None else call


class KerasSession(KerasLive):
    """A compiled Keras model in a graph.

    held: the value of every variable, as it was last read; None once something may have moved it
    """

    held: Optional[Dict[int, Any]] = None

    def prepare(self, execution, optimizer):
        super(KerasSession, self).prepare(execution, optimizer)
        if self.execution == "by_hand" and self.subject.step is None:
            told = "in TensorFlow 1 the audit makes no step by hand"
            raise Refused(
                told, "compile the model in the factory, or return a step: {'model': ..., 'step': ...}"
            )

    def build(self, given):
        if not self.model.weights:
            raise Refused("the model is not built yet, so it has no weights", "call it once in the factory")
        self.look()

    def session(self):
        """The session of the Keras that the model is of."""
        backend = keras_of(self.model).backend
        get = getattr(backend, "get_session", None)
        if get is None:
            get = sys.modules["tensorflow"].compat.v1.keras.backend.get_session
        return get()

    def attach(self):
        heard = {path: _heard.get(id(layer)) for path, layer in self.layers.items()}
        self.taps = {path: tap for path, tap in heard.items() if tap is not None}
        self.session().run([each for tap in self.taps.values() for each in tap.initial])

    def train(self, given, target, steps):
        self.held = None
        for loss in super(KerasSession, self).train(given, target, steps):
            yield loss
            self.held = None

    def made_target(self, given):
        outputs = [np.asarray(each) for each in flat(self.model.predict(given))]
        return target_of(getattr(self.model, "loss", None), [each.shape for each in outputs])

    def look_for_gradients(self, given):
        """None here: a session shows gradients to those only who ask for them when the graph is made."""

    def compiled_anew(self, given, target, steps):
        if self.subject.step is not None:
            return None
        model, before = self.model, self.snapshot()
        if target is None:
            target = self.made_target(given)
        optimizer = type(model.optimizer).from_config(model.optimizer.get_config())
        model.compile(optimizer=optimizer, loss=model.loss)
        for _ in self._compiled(given, target, steps):
            pass
        self.held = None
        return self.what_moved(before)

    def infer(self, given):
        self._to_inference()
        self.model.predict(given)
        self._end_phase()
        self.held = None

    def _end_phase(self, forget=False):
        session = self.session()
        held = session.run({path: tap.held for path, tap in self.taps.items()})
        session.run([tap.zero for tap in self.taps.values()])
        for path, tap in self.taps.items():
            tap.keep(held[path])
            if forget:
                tap.phases[tap.phase] = Tap()

    def numpy(self, value):
        return value if isinstance(value, np.ndarray) else np.array(self._now()[id(value)])

    def _now(self):
        """{id of a variable: its value}, of all of them read at once, and again after whatever moves them."""
        if self.held is None:
            variables = {id(each): each for layer in self.layers.values() for each in own(layer).values()}
            self.held = self.session().run(variables)
        return self.held

"""When and where a layer of any Keras takes its `trainable`: the axes `freeze` and `freeze_on`.

No framework is imported here. A bench tells a `Freezing` what has come to pass:

    freezing = Freezing(cell)                           make() gives **freezing.of_layer() to the constructor
    path = Path(..., make, ..., of_parent=freezing.of_parent())
    freezing.layer_made(path)
    path.enclose(lambda: freezing.enclosed(path))
    model = path.outermost(...)                         where there is a model
    freezing.built(path)                                all is built, nothing compiled
    freezing.compiled(path)                             compiled, or the optimizer made
    freezing.turned(path)                               from `Bench.turn`, after a step
"""

from . import Unavailable

LATE = ("before_compile", "after_compile", "after_first_step", "recompiled")
"""Moments until which the layer has the opposite."""


class Freezing(object):
    """Sets `trainable` where the cell says, at the moment it says."""

    def __init__(self, cell):
        self.moment, self.where, self.context = cell["freeze"], cell["freeze_on"], cell["context"]
        self.value = cell["trainable"] == "true"
        self._begun = self._taken = False
        self._names = None  # of the variables that the axis is about
        if self.moment == "constructor" and self.where == "variables":
            raise Unavailable("a constructor makes no variables to be frozen")
        if self.moment == "constructor" and self.context == "frozen_parent":
            raise Unavailable("a layer is made before what holds it can be frozen")

    def of_layer(self):
        """Keywords for the layer's constructor."""
        return self._arguments("layer")

    def of_parent(self):
        """Keywords for the constructor of the layer's parent."""
        return self._arguments("parent")

    def _arguments(self, where):
        return {"trainable": self.value} if self.moment == "constructor" and self.where == where else {}

    # Moments.

    def layer_made(self, path):
        """The layer is made, not built."""
        if self.context not in ("frozen_parent", "thawed_parent"):
            self._begin(path)

    def enclosed(self, path):
        """The layer lies in its parent; it is not saved or cloned yet, which is before any compilation."""
        self._begin(path)
        if self.moment == "before_compile" and self.context in ("reloaded", "cloned"):
            self._take(path)

    def built(self, path):
        """The outermost object is built, and not compiled."""
        self._begin(path)
        if self.moment == "before_compile":
            self._take(path)

    def compiled(self, path):
        """The model is compiled, or the optimizer made."""
        if self.moment == "after_compile":
            self._take(path)

    def turned(self, path):
        """A step was made."""
        if self.moment in ("after_first_step", "recompiled"):
            self._take(path)

    def _begin(self, path):
        """As early as there is what is to be set: the value itself, or the opposite of a late one."""
        there = {
            "layer": True,
            "parent": path.parent is not None,
            "variables": getattr(path.layer, "built", False),
        }[self.where]
        if self._begun or not there:
            return
        self._begun = True
        if self.moment not in LATE:
            self._take(path)
        elif self.value:
            self._set(path, False)

    def _take(self, path):
        """The value of the cell, together with what its context does to the parent."""
        if self._taken:
            return
        self._taken = True
        if self.context == "frozen_parent":
            path.top.trainable = False
        late, frozen = self.moment in LATE, self.context == "frozen_parent"
        if self.moment != "constructor" and (late or frozen or not self.value):  # else it is the default
            self._set(path, self.value)
        if self.context == "thawed_parent":
            path.top.trainable = True

    def _set(self, path, value):
        if self.where == "layer":
            path.layer.trainable = value
        elif self.where == "parent":
            path.parent.trainable = value
        else:
            if self._names is None:
                self._names = [variable.name for variable in path.layer.trainable_weights]
            for variable in path.layer.weights:
                if variable.name in self._names:
                    if not hasattr(variable, "trainable"):
                        raise Unavailable("the variables of this framework have no flag trainable")
                    variable.trainable = value

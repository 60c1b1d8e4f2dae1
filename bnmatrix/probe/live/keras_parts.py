"""What a Keras model consists of, of either generation and any backend; and inputs and targets for it.

No framework is imported: who holds a model of it has done so.
"""

import sys
from collections.abc import Mapping
from typing import Any, Callable, Dict, Iterable, Iterator, List, Optional, Set, Tuple

import numpy as np

BATCH = 8
"""Samples of an input that is made up."""


def keras_of(layer: Any) -> Any:
    """The module of the Keras that `layer` belongs to, or None."""
    for base in type(layer).__mro__:
        root = base.__module__.split(".")[0]
        if root in ("keras", "tf_keras") and base.__name__ == "Layer":
            return sys.modules[root]
        inside = base.__module__.startswith(("tensorflow.python.keras", "tensorflow_core.python.keras"))
        if inside and base.__name__ == "Layer":
            return sys.modules["tensorflow"].keras
    return None


def backend_of(layer: Any) -> str:
    """What the Keras of `layer` computes with: Keras 2 knows TensorFlow only."""
    keras = keras_of(layer)
    return str(keras.backend.backend()) if hasattr(keras, "ops") else "tensorflow"


def asks_for_shapes() -> bool:
    """Whether Keras calls a layer only to learn what it would put out: on torch it may compute for that."""
    scope = sys.modules.get("keras.src.backend.common.symbolic_scope")
    return scope is not None and bool(scope.in_symbolic_scope())


def walk(layer: Any, path: str = "", above: Tuple[int, ...] = ()) -> Iterator[Tuple[str, Any]]:
    """Every path to a layer, outermost (the empty path) first; a layer that is shared has several."""
    yield path, layer
    for part in parts(layer):
        if id(part) not in above:
            below = "%s.%s" % (path, part.name) if path else part.name
            yield from walk(part, below, (*above, id(part)))


def parts(layer: Any) -> Iterable[Any]:
    """The layers right within a layer."""
    flatten = getattr(layer, "_flatten_layers", None)
    if flatten is not None:
        return [each for each in flatten(include_self=False, recursive=False) if hasattr(each, "weights")]
    found: List[Any] = []
    for each in getattr(layer, "layers", None) or getattr(layer, "_layers", None) or ():
        # A list that is an attribute of a layer is wrapped in TensorFlow 1.
        found += [each] if hasattr(each, "name") else list(getattr(each, "layers", ()))
    return [each for each in found if hasattr(each, "weights")]


def own(layer: Any) -> Dict[str, Any]:
    """{name: variable} of the weights that belong to no layer within it."""
    inner = {id(each) for part in parts(layer) for each in part.weights}
    found: Dict[str, Any] = {}
    for variable in layer.weights:
        if id(variable) in inner:
            continue
        name = plain = variable.name.split(":")[0].split("/")[-1]
        number = 2
        while name in found:
            name, number = "%s_%s" % (plain, number), number + 1
        found[name] = variable
    return found


def parameters_of(layer: Any) -> Set[int]:
    """The weights that a gradient may train, were the layer not frozen."""
    for name in ("_trainable_variables", "_trainable_weights"):
        held = getattr(layer, name, None)
        if held is not None:
            return {id(each) for each in held}
    return {id(each) for each in layer.weights if not each.name.split("/")[-1].startswith("moving_")}


def parents(layers: Dict[str, Any], path: str) -> Dict[str, bool]:
    """{path: trainable} of what holds the layer at `path`."""
    names = path.split(".")
    places = [".".join(names[:length]) for length in range(len(names))]
    return {
        place or "the model": bool(layers[place].trainable)
        for place in places if place in layers and place != path
    }  # fmt: skip


def raw(variable: Any) -> Any:
    """The backend's own of a variable of Keras 3; TensorFlow's has a method of that name."""
    value = getattr(variable, "value", variable)
    return variable if callable(value) else value


def word(mode: Any) -> Any:
    """A mode that was given: a bool or an integer, or a tensor of a graph that has no value yet."""
    if isinstance(mode, (int, np.bool_, np.integer)):
        return bool(mode)
    return "decided in the graph"


def flat(values: Any) -> List[Any]:
    """The leaves of nested lists and dicts."""
    if isinstance(values, Mapping):
        return [leaf for each in values.values() for leaf in flat(each)]
    if isinstance(values, (list, tuple)):
        return [leaf for each in values for leaf in flat(each)]
    return [values]


def mapped(function: Callable[[Any], Any], values: Any) -> Any:
    """`function` of each leaf of nested lists and dicts."""
    if isinstance(values, Mapping):
        return {name: mapped(function, each) for name, each in values.items()}
    if isinstance(values, (list, tuple)):
        return [mapped(function, each) for each in values]
    return function(values)


def input_of(model: Any, batch: int = BATCH) -> Optional[Any]:
    """Numbers in the shapes that the model names, far from the moving statistics of a fresh layer; None where
    it names none."""
    named = getattr(model, "inputs", None)
    if not named:
        return None
    chance = np.random.RandomState(0)
    made = []
    for each in named:
        sizes = [None if size is None else int(getattr(size, "value", size) or 0) or None
                 for size in tuple(each.shape)[1:]]  # fmt: skip
        shape = (batch, *(BATCH if size is None else size for size in sizes))
        name = getattr(each.dtype, "name", None) or str(each.dtype)
        if "int" in name:
            made.append(chance.randint(0, 2, shape).astype(name))
        else:
            made.append(chance.normal(1.0, 2.0, shape).astype("float32"))
    return made[0] if len(made) == 1 else made


def target_of(loss: Any, shapes: List[Tuple[int, ...]]) -> Any:
    """A target for a compiled `loss`, where the model puts out arrays of these shapes."""
    chance = np.random.RandomState(1)
    losses = list(loss.values()) if isinstance(loss, dict) else loss
    losses = losses if isinstance(losses, (list, tuple)) else [losses] * len(shapes)
    made: List[Any] = []
    for shape, each in zip(shapes, losses):
        told = each if isinstance(each, str) else getattr(each, "name", None) or getattr(each, "__name__", "")
        if "sparse" in str(told):
            made.append(chance.randint(0, shape[-1], shape[:-1]))
        elif "crossentropy" in str(told) and shape[-1] > 1:
            made.append(np.eye(shape[-1])[chance.randint(0, shape[-1], shape[:-1])])
        else:
            made.append(chance.uniform(0.0, 1.0, shape))
    made = [each.astype("int32" if each.dtype.kind == "i" else "float32") for each in made]
    return made[0] if len(made) == 1 else made

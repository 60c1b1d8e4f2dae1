"""What a torch model consists of. torch is not imported: who holds a model of it has done so."""

from collections.abc import Mapping
from typing import Any, Dict, Iterator, List, Optional, Tuple

NO_FLAGS = ("trainable", "requires_grad")
"""Attributes that people set on a module, and that torch reads on parameters only."""

MOVES_ALONE = ("momentum", "weight_decay")
"""Options of an optimizer that move a parameter whose gradient is zero."""


def joined(layer: str, tensor: str) -> str:
    """The path of a tensor; the outermost model's own path is empty."""
    return "%s.%s" % (layer, tensor) if layer else tensor


def walk(module: Any, path: str = "", above: Tuple[int, ...] = ()) -> Iterator[Tuple[str, Any]]:
    """Every path to a module, outermost (the empty path) first; one that is shared has several."""
    yield path, module
    within = (*above, id(module))
    for name, part in module._modules.items():
        if part is not None and id(part) not in within:
            yield from walk(part, joined(path, name), within)


def own(module: Any) -> List[Tuple[str, Any]]:
    """(name, tensor) of the parameters and buffers that belong to no module within."""
    held = list(module._parameters.items()) + list(module._buffers.items())
    return [(name, tensor) for name, tensor in held if tensor is not None]


def tensors(torch: Any, output: Any) -> Iterator[Any]:
    """The tensors in what a model puts out."""
    if isinstance(output, torch.Tensor):
        yield output
        return
    values: Any = ()
    if isinstance(output, Mapping):
        values = output.values()
    elif isinstance(output, (tuple, list)):
        values = output
    elif hasattr(output, "__dict__"):  # dataclasses, as of transformers
        values = vars(output).values()
    for value in values:
        yield from tensors(torch, value)


def equal(torch: Any, tensor: Any, value: Any) -> bool:
    """Whether a tensor holds the values of another, or no number where that holds none."""
    now = tensor.detach()
    if now.shape != value.shape or torch.equal(now, value):
        return bool(now.shape == value.shape)
    return bool(((now == value) | ((now != now) & (value != value))).all())


def unread_flag(modules: Dict[str, Any], path: str) -> Optional[str]:
    """A flag set on the module at `path`, or on what holds it, as an attribute that torch never reads."""
    parts = path.split(".") if path else []
    for length in range(len(parts), -1, -1):
        place = ".".join(parts[:length])
        module = modules.get(place)
        for name in NO_FLAGS:
            if module is not None and vars(module).get(name) is False:
                return "%s.%s" % (place or "model", name)
    return None

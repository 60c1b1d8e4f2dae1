"""Tensors of PyTorch: how they are found in modules, and how they cross the boundary to numpy.

State is looked up anew at each reading, in the dictionaries of the modules that hold it: some
releases replace a buffer where others write into it, and reading an attribute of a parametrised
module computes it, which in spectral norm changes state.
"""

from typing import Any, Dict, List, NamedTuple

import torch

BFLOAT16 = getattr(torch, "bfloat16", None)


class State(NamedTuple):
    """One tensor of a layer: its slot, its own name, the dictionary that holds it and the key there, and
    whether it is a parameter."""

    slot: str
    own: str
    holder: Any
    key: str
    is_parameter: bool

    @property
    def tensor(self) -> Any:
        """The tensor that is held there now."""
        return self.holder[self.key]


def states_of(layer: Any, names: Dict[str, str]) -> List[State]:
    """The states of `layer` in order of its state_dict; `names` are {own name: slot}.

    What a part of a layer that is not torch's holds goes by its name there, unless two have the same.
    """
    found = []
    for path, module in layer.named_modules():
        for holder, is_parameter in ((module._parameters, True), (module._buffers, False)):
            for key, tensor in holder.items():
                if tensor is not None:
                    own = path + "." + key if path else key
                    found.append(State(names.get(own, own), own, holder, key, is_parameter))
    if type(layer).__module__.startswith("torch."):
        return found
    keys = [state.key for state in found]
    return [
        state._replace(slot=names.get(state.key, state.key))
        if state.slot == state.own and keys.count(state.key) == 1
        else state
        for state in found
    ]


def layout(entry, layer, rank):
    """The axes of channels-last data in torch's order, and the way back; None for each where they agree."""
    if entry is not None and entry.channels_first and rank > 2:
        return (0, rank - 1, *range(1, rank - 1)), (0, *range(2, rank), 1)
    if entry is not None and entry.result == "attention" and not getattr(layer, "batch_first", False):
        return (1, 0, 2), (1, 0, 2)  # releases without batch_first take the positions first
    return None, None


def is_inference(tensor):
    """Was it made under inference_mode? The first releases that have the mode offer no function to ask."""
    try:
        return tensor._version is None
    except RuntimeError:  # only those keep no count of what was written into them
        return True


def dtype_name(tensor):
    return str(tensor.dtype).split(".")[-1]


def to_numpy(tensor):
    """A copy as an array; bfloat16, which numpy lacks, as float32."""
    tensor = tensor.detach()
    if tensor.dtype is BFLOAT16:
        tensor = tensor.float()
    return tensor.cpu().numpy().copy()

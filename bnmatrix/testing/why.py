"""Why something moved that is frozen, or stood still that should train: from what was seen at this run.

Each reason names the flag or event that was observed, and what a user can do. Nothing here knows a version.
"""

from __future__ import annotations

from bnmatrix.testing.seen import Layer, Tensor, Trial

MODE = {"torch": "module.training", "keras": "training"}


def why_moved(layer: Layer, trial: Trial) -> list[str]:
    """Reasons for what moved in a layer that was to be frozen; each a sentence or two."""
    moved = [tensor for tensor in layer.tensors if tensor.moved]
    reasons = []
    anew = trial.compiled_anew.get(layer.path)
    if anew is not None:
        stays = {tensor.name for tensor in anew.tensors if not tensor.moved}
        outdated = [tensor for tensor in moved if tensor.name in stays]
        if outdated:
            reasons.append(_outdated(layer, outdated))
        layer, moved = anew, [tensor for tensor in anew.tensors if tensor.moved]
    state = [tensor for tensor in moved if not tensor.is_parameter]
    parameters = [tensor for tensor in moved if tensor.is_parameter]
    if parameters:
        reasons += _parameters(layer, parameters, trial)
    if state:
        reasons.append(_state(layer, state, trial))
    return list(dict.fromkeys(reasons))


def _outdated(layer: Layer, tensors: list[Tensor]) -> str:
    """What `fit` moved, and does not move once the model is compiled anew."""
    names = _listed([tensor.name for tensor in tensors])
    return (
        f"although {_flag_says(layer)}: fit goes by what was compiled before the freeze. Compiled anew, "
        f"{names} stood still here: compile the model again after freezing"
    )


def _flag_says(layer: Layer) -> str:
    """What the flags of the layer say, as observed."""
    if layer.trainable is not None:
        frozen = [path for path, flag in layer.parents.items() if not flag]
        above = f" ({frozen[-1]} has trainable=False)" if frozen and layer.trainable else ""
        return f"trainable={layer.trainable}{above}"
    flags = {tensor.flag for tensor in layer.tensors if tensor.is_parameter}
    if flags == {False}:
        return "requires_grad=False"
    if flags == {True}:
        return "requires_grad=True"
    return "requires_grad=False on some of its parameters" if flags else "no parameters to freeze"


def _name(layer: Layer) -> str:
    return layer.path or "model"


def _state(layer: Layer, state: list[Tensor], trial: Trial) -> str:
    mode = layer.mode()
    word = MODE[trial.framework]
    says = _flag_says(layer)
    names = _listed([tensor.name for tensor in state])
    if trial.framework == "torch":
        if layer.modes == []:
            return f"its module was not called in the step: something else wrote to {names}"
        if layer.modes is not None and not any(tensor.in_forward for tensor in state):
            return f"{names} moved outside the module's own calls: the step itself wrote there"
        if mode is True:
            although = f"although {says}: " if "False" in says else ""
            return (
                f"{although}it was called with module.training=True, and its forward wrote {names}. "
                "requires_grad holds back gradients, not what a forward writes. "
                f"Call {_name(layer)}.eval() after each model.train()"
            )
        return f"although {says} and {word}={mode} at its calls: its forward wrote {names} all the same"
    if layer.trainable:
        flags = {tensor.flag for tensor in layer.tensors if tensor.is_parameter}
        if flags == {False}:
            return (
                f"although trainable=False on each of its variables: the layer's own trainable is True, and "
                f"that decides whether it updates {names}. Set {_name(layer)}.trainable = False"
            )
        return f"nothing freezes it: {says}. Set {_name(layer)}.trainable = False"
    if mode is True:
        return (
            f"although {says}: it was called with training=True, and freezing does not keep the call of this "
            f"layer ({layer.kind}) from writing {names}. Call it with training=False"
        )
    told = (
        "its calls could not be seen" if mode is None and not layer.modes else f"called with training={mode}"
    )
    return f"although {says}: its call wrote {names} ({told})"


def _parameters(layer: Layer, moved: list[Tensor], trial: Trial) -> list[str]:
    reasons = []
    by_forward = [tensor for tensor in moved if tensor.in_forward]
    if by_forward:
        names = _listed([tensor.name for tensor in by_forward])
        reasons.append(f"although {_flag_says(layer)}: its own forward wrote {names}, no optimizer did")
    rest = [tensor for tensor in moved if not tensor.in_forward]
    loose = [tensor for tensor in rest if tensor.flag]
    if trial.framework == "torch":
        if loose and layer.unread:
            reasons.append(
                f"although {layer.unread} is False: that is an attribute torch never reads. requires_grad of "
                f"{_listed([tensor.name for tensor in loose])} is True. "
                f"Call {layer.unread.rpartition('.')[0]}.requires_grad_(False)"
            )
        elif loose:
            names = _listed([tensor.name for tensor in loose])
            reasons.append(
                f"nothing freezes it: requires_grad of {names} is True. "
                f"Call {_name(layer)}.requires_grad_(False)"
            )
        held = [tensor for tensor in rest if not tensor.flag]
        if held:
            reasons.append(_without_gradient(held))
        return reasons
    if rest and layer.trainable and all(tensor.flag is not False for tensor in rest):
        frozen = [path for path, flag in layer.parents.items() if not flag]
        if frozen:
            reasons.append(
                f"although {frozen[-1]} has trainable=False: the layer's own trainable is True, so that did "
                f"not reach it. Set {_name(layer)}.trainable = False"
            )
        else:
            reasons.append(f"nothing freezes it: trainable=True. Set {_name(layer)}.trainable = False")
    elif rest:
        names = _listed([tensor.name for tensor in rest])
        among = "among" if any(tensor.stepped for tensor in rest) else "not among"
        reasons.append(
            f"although {_flag_says(layer)}: the step or the layer's call wrote {names}, "
            f"{among} the model's trainable variables"
        )
    return reasons


def _without_gradient(held: list[Tensor]) -> str:
    names = _listed([tensor.name for tensor in held])
    options = {option: value for tensor in held for option, value in tensor.moved_by.items()}
    told = " and ".join(f"{option}={value:g}" for option, value in options.items())
    if any(tensor.stale for tensor in held) and any(tensor.stepped for tensor in held):
        by = f", which moves by {told}" if told else ""
        return (
            f"although requires_grad=False: a gradient from before the freeze still lay in {names}, and the "
            f"optimizer holds it{by}. Clear it with zero_grad(set_to_none=True), or make the optimizer after "
            "freezing, of what is to be trained"
        )
    if any(tensor.stepped for tensor in held):
        return f"although requires_grad=False: the optimizer holds {names} and wrote there" + (
            f" ({told})" if told else ""
        )
    return f"although requires_grad=False, and no optimizer holds {names}: the step itself wrote there"


def why_still(layer: Layer, tensor: Tensor, trial: Trial) -> str | None:
    """Why a tensor stood still that should train; None where standing still is right."""
    word = MODE[trial.framework]
    anew = trial.compiled_anew.get(layer.path)
    if anew is not None and any(each.name == tensor.name and each.moved for each in anew.tensors):
        return "fit goes by what was compiled before it was thawed: compiled anew, it moved here"
    if not tensor.is_parameter:
        return _still_statistic(layer, trial, word)
    flag = "requires_grad" if trial.framework == "torch" else "trainable"
    if trial.framework == "keras":
        frozen = [path for path, on in layer.parents.items() if not on]
        if layer.trainable is False:
            above = f", as is {frozen[-1]}" if frozen else ""
            return f"its layer is frozen (trainable=False{above})"
        if frozen:
            return f"{frozen[-1]} is frozen (trainable=False), which holds it"
    if tensor.flag is False:
        return f"{flag} is False"
    if tensor.stepped is False:
        if trial.framework == "torch":
            return "it is in no parameter group of the optimizer"
        return "it is not among the model's trainable variables"
    if tensor.looked and tensor.gradient is None:
        return "no gradient reached it" + (", the layer was not called" if layer.modes == [] else "")
    if tensor.looked and tensor.gradient == 0:
        if any(other.moved for other in layer.tensors if other.is_parameter):
            return None  # a bias before a normalisation by the batch has none
        return "its gradient was zero throughout"
    if tensor.looked:
        if any(other.moved for other in layer.tensors if other.is_parameter):
            return None
        return (
            f"a gradient came (up to {tensor.gradient:.1g}), and the step did not use it, "
            "or was too small to show"
        )
    return "the step did not reach it"


def _still_statistic(layer: Layer, trial: Trial, word: str) -> str:
    if layer.modes == []:
        return "the layer was not called"
    if layer.mode() is False:
        what = "is in eval()" if trial.framework == "torch" else "is pinned to inference"
        return f"the layer {what} ({word}=False at its calls)"
    if layer.trainable is False:
        return "its layer is frozen (trainable=False)"
    if layer.modes is None:
        return "the layer did not update it (its calls could not be seen)"
    return f"the layer did not update it (called with {word}={layer.mode()})"


def _listed(names: list[str]) -> str:
    unique = list(dict.fromkeys(names))
    return unique[0] if len(unique) == 1 else f"{', '.join(unique[:-1])} and {unique[-1]}"

"""From what the probe recorded of a layer to facts: words that findings and expectations are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from bnmatrix.audit.normalising import normalised_by

if TYPE_CHECKING:
    from bnmatrix.runner.messages import LayerRecord, Seen, TensorRecord

STATISTICS = ("running_mean", "running_var", "num_batches_tracked", "moving_mean", "moving_variance")
"""State that a layer which tracks statistics moves in training: torch's names and Keras's."""

COUNTER = "num_batches_tracked"

RANDOM_STATE = ("seed_generator_state", "seed_state")

HALF = ("float16", "bfloat16")

LEAST_CHANGE = 1e-6
"""Of the size of what went in: what has no hand in the output leaves it as it was, whatever the rate."""

STUCK = 0.5
"""Statistics in half precision of which no more than this share moves are stuck."""

FACTS: dict[str, str] = {
    "frozen": "what the flags say of its parameters, or of those around it where it has none",
    "mode": "in which it was called in the steps",
    "container_mode": "in which what holds it was called",
    "model_mode": "in which the whole model was called",
    "handed_mode": "its own flag as the model was handed over (torch)",
    "pinned": "the mode that a functional model fixes at its call, or at that of what holds it",
    "parameters": "what the steps did to them",
    "frozen_parameters": "what the optimizer did to those that are flagged as frozen",
    "statistics": "what the steps did to its moving statistics",
    "state": "the same of all its state: statistics, power iterations, counters; no random numbers",
    "gradient": "whether one came to its parameters",
    "stepped": "whether the step goes over any of its parameters",
    "normalised_by": "in the steps",
    "inference_normalised_by": "in the inference after them",
    "updates_per_step": "how often its statistics were updated in a step",
    "batch": "whether a statistic is made of one value, or of one sample",
    "precision": "in which its statistics are stored",
    "stuck": "whether statistics in half precision stand still that should move",
    "dropout": "whether chance had a hand in the steps",
    "inference_dropout": "and in the inference",
    "moved_in_inference": "whether inference changed its state",
    "anew": "whether the same steps do something else to it once the model is compiled anew",
    "unread": "whether a flag is set on it that its framework never reads",
}
"""{fact: its meaning}"""


class Moved(msgspec.Struct, frozen=True):
    """How far a tensor moved: at the most, of what size it is, and which share of its numbers."""

    by: float | None
    of: float | None
    share: float
    parameter: bool


class AuditedLayer(msgspec.Struct, frozen=True):
    """A row of the audit: a layer with parameters, state or a mode, by its path in the model."""

    path: str
    kind: str
    facts: dict[str, str]
    moved: dict[str, Moved] = {}
    still: list[str] = []
    findings: list[str] = []


OF_WHOLE_STEPS = ("parameters", "frozen_parameters", "statistics", "state", "gradient", "updates_per_step")
"""Facts that cannot be told where a step raised."""


def audited(records: Sequence[LayerRecord], steps: int, whole: bool = True) -> list[AuditedLayer]:
    """The rows; layers that hold nothing and have no mode of their own are left out.

    whole: all steps were made
    """
    frozen = _frozen(records)
    modes = {record.path: _mode(record.training) for record in records}
    rows = []
    for record in records:
        if not record.tensors and record.chance is None and not record.keeps_statistics:
            continue
        above = record.path.rpartition(".")[0] if record.path else ""
        facts = {
            "frozen": frozen[record.path],
            "container_mode": modes.get(above, "not_given") if record.path else "not_given",
            "model_mode": modes.get("", "not_given"),
            **_facts(record, steps),
        }
        tensors = [tensor for tensor in record.tensors if not _is_random(tensor.name)]
        rows.append(
            AuditedLayer(
                record.path,
                record.kind,
                {
                    name: facts[name]
                    for name in FACTS if name in facts and (whole or name not in OF_WHOLE_STEPS)
                },
                {each.name: Moved(each.by, each.of, each.share, each.is_parameter)
                 for each in tensors if each.moved},
                [each.name for each in tensors if not each.moved],
            )
        )  # fmt: skip
    return rows


def _frozen(records: Sequence[LayerRecord]) -> dict[str, str]:
    """{path: yes, no or partly}: of what a layer's flags say, or of what is around it."""
    flags: dict[str, set[bool]] = {}
    for record in records:
        own = {bool(each.flag) for each in record.tensors if each.is_parameter and each.flag is not None}
        parts = record.path.split(".") if record.path else []
        for length in range(len(parts) + 1):
            flags.setdefault(".".join(parts[:length]), set()).update(own)
    found = {}
    for record in records:
        if record.trainable is not None and (not record.trainable or False in record.parents.values()):
            found[record.path] = "yes"
            continue
        own = {bool(each.flag) for each in record.tensors if each.is_parameter and each.flag is not None}
        if record.trainable is not None:
            found[record.path] = {frozenset({False}): "yes", frozenset({True, False}): "partly"}.get(
                frozenset(own), "no"
            )
            continue
        parts = record.path.split(".") if record.path else []
        around = own or next(
            (held for length in range(len(parts), -1, -1) if (held := flags[".".join(parts[:length])])), set()
        )
        found[record.path] = "yes" if around == {False} else "partly" if False in own else "no"
    return found


def _facts(record: LayerRecord, steps: int) -> dict[str, str]:
    parameters = [each for each in record.tensors if each.is_parameter]
    held = [each for each in record.tensors if not each.is_parameter and not _is_random(each.name)]
    state = [each for each in held if each.name != COUNTER]  # nothing is computed from a count
    statistics = [each for each in state if each.name in STATISTICS]
    facts = {
        "mode": _mode(record.training),
        "handed_mode": _word(record.handed_mode),
        "pinned": _word(record.pinned),
        "parameters": _moved(parameters),
        "frozen_parameters": _moved([each for each in parameters if _is_held(each, record)], "none"),
        "statistics": _moved(statistics),
        "state": _moved(state),
        "gradient": _gradient(parameters),
        "stepped": _stepped(parameters),
        "unread": "yes" if record.unread else "no",
    }
    if record.keeps_statistics:
        facts["normalised_by"] = normalised_by(record.training)
        facts["updates_per_step"] = _updates(record, held, steps)
        facts["batch"] = _batch(record.training)
        facts["precision"] = _precision(statistics)
        facts["stuck"] = _stuck(statistics, facts["normalised_by"])
    if record.chance is not None:
        facts["dropout"] = _chance(record.chance, record.training)
    if record.inference is not None:
        if record.keeps_statistics:
            facts["inference_normalised_by"] = normalised_by(record.inference)
        if record.chance is not None:
            facts["inference_dropout"] = _chance(record.chance, record.inference)
        facts["moved_in_inference"] = (
            "yes" if record.moved_in_inference and _mode(record.inference) != "training" else "no"
        )
    if record.moved_anew is not None:
        now = {each.name for each in record.tensors if each.moved}
        facts["anew"] = "differs" if any(
            (each.name in now) != (each.name in record.moved_anew)
            for each in record.tensors if not _is_random(each.name)
        ) else "same"  # fmt: skip
    return facts


def _is_random(name: str) -> bool:
    return any(word in name for word in RANDOM_STATE)


def _is_held(tensor: TensorRecord, record: LayerRecord) -> bool:
    """Whether a parameter is flagged as frozen, and not moved by the layer's own forward."""
    off = record.trainable is False or False in record.parents.values()
    return (tensor.flag is False or off) and not tensor.in_forward


def _word(mode: bool | None) -> str:
    return "none" if mode is None else "training" if mode else "inference"


def _mode(seen: Seen) -> str:
    if seen.hidden:
        return "hidden"
    words = {_word(mode) if not isinstance(mode, str) else "graph" for mode in seen.modes}
    if not words:
        return "called" if seen.calls else "not_called"
    if len(words) > 1:
        return "training" if "training" in words else "graph"
    return {"none": "not_given"}.get(word := words.pop(), word)


def _moved(tensors: Sequence[TensorRecord], absent: str = "absent") -> str:
    if not tensors:
        return absent
    return "updated" if any(each.moved for each in tensors) else "unchanged"


def _gradient(parameters: Sequence[TensorRecord]) -> str:
    looked = [each for each in parameters if each.looked]
    if not looked:
        return "unknown" if parameters else "absent"
    if any(each.gradient for each in looked):
        return "yes"
    return "zero" if any(each.gradient is not None for each in looked) else "none"


def _stepped(parameters: Sequence[TensorRecord]) -> str:
    told = {each.stepped for each in parameters}
    return "absent" if not told else "yes" if True in told else "no" if told == {False} else "unknown"


def _updates(record: LayerRecord, held: Sequence[TensorRecord], steps: int) -> str:
    """From a counter, or from the calls in which statistics moved."""
    if _moved([each for each in held if each.name in STATISTICS and each.name != COUNTER]) != "updated":
        return "0"
    counter = next((each for each in held if each.name == COUNTER and each.by), None)
    if counter is not None and counter.by is not None:
        return f"{counter.by / steps:g}"
    if record.training.moving_calls:
        return f"{record.training.moving_calls / steps:g}"
    # A layer of Keras updates once a call, where it does.
    return f"{record.training.calls / steps:g}" if record.training.calls else "undecided"


def _batch(seen: Seen) -> str:
    if seen.values == 1:
        return "one_value"
    return "one_sample" if seen.samples == 1 else "normal" if seen.samples else "unknown"


def _precision(statistics: Sequence[TensorRecord]) -> str:
    dtypes = {each.dtype for each in statistics if each.name != COUNTER}
    return dtypes.pop() if len(dtypes) == 1 else "mixed" if dtypes else "absent"


def _stuck(statistics: Sequence[TensorRecord], normalised: str) -> str:
    half = [each for each in statistics if each.dtype in HALF]
    return "yes" if normalised == "batch" and half and min(each.share for each in half) <= STUCK else "no"


def _chance(rate: float, seen: Seen) -> str:
    if seen.seen is None or rate == 0:
        return "unknown"
    changed, size = np.asarray(seen.seen, np.float64).ravel()[:2]
    return "unknown" if size == 0 else "active" if changed > LEAST_CHANGE * size else "inactive"


def named(layers: Sequence[AuditedLayer]) -> Mapping[str, Sequence[str]]:
    """{layer: its tensors}, for patterns."""
    return {layer.path: [*layer.moved, *layer.still] for layer in layers}

"""The audit of a model: some training steps as its user makes them, one inference, and what became of every
layer. It records and judges nothing.

1. Make the model, find its layers, and an input for it.
2. Copy what every layer holds; make the steps; compare.
3. One call in inference mode; compare again: state that moves even there.
4. Where a compiled model contradicts its flags, the same steps as if it had just been compiled.
"""

import re
import sys
import time
import warnings as warnings_module
from typing import Any, Callable, Dict, List

import numpy as np

from ..experiment import first_line
from .keras_live import KerasLive, same
from .keras_parts import flat, keras_of
from .refusals import Refused
from .subject import Subject, found_in, guarded, load, refusal
from .torch_live import TorchLive, listed
from .torch_parts import joined

Record = Dict[str, Any]

ABOUT_INPUT = re.compile("shape|size|dim|expect|argument|channel|rank", re.IGNORECASE)
"""Messages of exceptions that another input may mend."""

RANDOM_STATE = ("seed_generator_state", "seed_state")
"""What a random-number generator keeps: it moves whatever is frozen."""


def audit(asked: Dict[str, Any]) -> Record:
    """The record of what a request asks for: {"subject", "family", "input": None or a subject, "shapes",
    "execution", "optimizer", "steps", "seed"}."""
    sys.dont_write_bytecode = True  # nothing of the user's files is changed
    record: Record = {"outcome": "ok", "stage": "the factory", "layers": [], "losses": [], "seconds": {}}
    path = asked["subject"]["path"]
    with warnings_module.catch_warnings(record=True) as caught:
        warnings_module.simplefilter("always")
        try:
            _audit(asked, record)
        except Refused as error:
            record.update(outcome="refused", reason=error.message, hint=error.hint, place=error.place)
        except (Exception, SystemExit) as error:
            told = refusal(error, "%s raised" % record["stage"], path)
            hint = told.hint
            if hint is None and record.get("input", {}).get("shapes") and ABOUT_INPUT.search(str(error)):
                sizes, source = ", ".join(record["input"]["shapes"]), record["input"]["source"]
                hint = "the input was %s (%s): --input-shape or --input gives another" % (sizes, source)
            record.update(outcome="raised", reason=told.message, hint=hint, place=told.place)
    record["warnings"] = [
        {"category": each.category.__name__, "message": first_line(each.message)} for each in caught
    ]
    plain: Record = finite(record)
    return plain


def finite(value: Any) -> Any:
    """The same with None in place of every number that JSON cannot tell."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {key: finite(each) for key, each in value.items()}
    return [finite(each) for each in value] if isinstance(value, (list, tuple)) else value


def prepared(family: str) -> None:
    """Put the framework into the mode of the target's family, before any model is made."""
    if family == "tf1":
        import tensorflow as tf

        v1 = getattr(getattr(tf, "compat", tf), "v1", tf)
        getattr(v1, "disable_v2_behavior", lambda: None)()


def live_of(subject: Subject) -> Any:
    """The model as its framework has it."""
    if keras_of(subject.model) is not None:  # before torch: a Keras layer on torch is a module of torch, too
        tf: Any = sys.modules.get("tensorflow")
        if tf is not None and hasattr(tf, "executing_eagerly") and not tf.executing_eagerly():
            from .keras_session import KerasSession

            return KerasSession(subject)
        return KerasLive(subject)
    return TorchLive(subject, sys.modules["torch"])


def _audit(asked: Dict[str, Any], record: Record) -> None:
    started = time.perf_counter()
    prepared(asked["family"])
    if asked["family"] == "tf1":
        from .keras_session import watch_classes

        watch_classes()
    path = asked["subject"]["path"]
    subject = load(dict(asked["subject"], seed=asked["seed"]))
    live = live_of(subject)
    record["framework"], record["versions"] = live.framework, live.versions()
    record["seconds"]["made"] = time.perf_counter() - started
    record["stage"] = "the input"
    given, target, source = inputs_of(asked, subject, live)
    if hasattr(live, "build"):
        record["stage"] = "the first call"
        guarded(lambda: live.build(given), "the first call raised", path)
    live.check()
    record["stage"] = "the first step"
    live.prepare(asked["execution"], asked["optimizer"])
    record["how"], record["input"] = live.how(), {"shapes": shapes_of(given), "source": source}
    before, flags = live.snapshot(), live.flags()
    live.attach()
    started = time.perf_counter()
    try:
        for number, loss in enumerate(live.train(given, target, asked["steps"]), 1):
            record["losses"].append(loss)
            record["stage"] = "step %d" % (number + 1)
    finally:  # what was seen until it raised may say why
        record["seconds"]["steps"] = time.perf_counter() - started
        layers = {path: layer_of(live, path, before[path], flags[path]) for path in before}
        record["layers"] = list(layers.values())
    record["stage"] = "after the steps"
    finish(live, record, asked, given, target, layers)


def finish(
    live: Any, record: Record, asked: Dict[str, Any], given: Any, target: Any, layers: Dict[str, Record]
) -> None:
    """What follows the steps: the inference, and what explains the steps."""
    lost = [number for number, loss in enumerate(record["losses"], 1)
            if loss is not None and not np.isfinite(loss)]  # fmt: skip
    if lost:
        broken = [joined(path, each["name"]) for path, layer in layers.items()
                  for each in layer["tensors"] if each["lost"]]  # fmt: skip
        told = "the loss of step %d is no number" % lost[0]
        told += ", and after it neither is %s" % listed(broken) if broken else ""
        raise Refused(told, "give another input or a smaller step: what moves cannot be told from it")
    if asked.get("look_closer", True):
        closer(live, given, target, layers, asked["steps"])
    if live.subject.step is not None and given is None:
        return
    record["stage"] = "the inference after the steps"
    resting = {path: {each["name"]: live.current(path, each["name"]) for each in layer["tensors"]
                      if not each["is_parameter"]} for path, layer in layers.items()}  # fmt: skip
    live.infer(given)
    for path, layer in layers.items():
        layer["moved_in_inference"] = [
            name for name, value in resting[path].items()
            if value is not None and not is_random(name) and not same(live.current(path, name), value)
        ]  # fmt: skip
        layer["inference"] = phase_of(live, path, "inference")
    record["stage"] = "done"


def closer(live: Any, given: Any, target: Any, layers: Dict[str, Record], steps: int) -> None:
    """Why flags and movements contradict each other, where a framework can be asked."""
    against, still = [], []
    for path, layer in layers.items():
        off = layer["trainable"] is False or False in layer["parents"].values()
        for each in layer["tensors"]:
            if each["moved"] and off and not is_random(each["name"]):
                against.append((path, each["name"]))
            elif not each["moved"] and each["is_parameter"] and each["flag"] is not False and not off:
                still.append((path, each["name"]))
    if still:
        live.look_for_gradients(given)
        await_gradients(live, given, target, still)
        for path, name in still:
            told = live.tensor_facts(path, name)
            for each in layers[path]["tensors"]:
                if each["name"] == name:
                    each.update(gradient=told["gradient"], looked=told["looked"])
    if (against or still) and hasattr(live, "compiled_anew"):
        anew = live.compiled_anew(given, target, steps)
        if anew is not None:
            for path, layer in layers.items():
                layer["moved_anew"] = anew[path]


def await_gradients(live: Any, given: Any, target: Any, still: List[Any]) -> None:
    """Make further steps for as long as each brings a first gradient to something: of layers that start at
    zero (a gate, and what follows it) each holds back for a step what lies before it."""
    waiting: List[Any] = []
    while True:
        before, waiting = (
            len(waiting),
            [(path, name) for path, name in still if live.tensor_facts(path, name)["gradient"] == 0],
        )
        if not waiting or len(waiting) == before:
            return
        try:
            for _ in live.train(given, target, 1):
                pass
        except Exception:  # a step of the user's own may have come to the end of its data
            return
        live.look_for_gradients(given)


def layer_of(live: Any, path: str, before: Dict[str, Callable[[], np.ndarray]], flags: Record) -> Record:
    """What became of one layer in the steps."""
    kind, module = live.kind(path)
    parameters = live.parameters(path)
    found = [
        dict(moved(name, copy(), live.current(path, name)), is_parameter=name in parameters,
             **live.tensor_facts(path, name))
        for name, copy in before.items()
    ]  # fmt: skip
    return dict(
        flags, path=path, kind=kind, module=module, tensors=found, training=phase_of(live, path, "training"),
        chance=live.chance(path), keeps_statistics=bool(live.keeps_statistics(path)),
    )  # fmt: skip


def moved(name: str, before: np.ndarray, now: Any) -> Record:
    """How far a tensor moved; `share` is that of its numbers which did."""
    found: Record = {
        "name": name, "shape": list(before.shape), "moved": not same(now, before), "by": 0.0, "of": 0.0,
        "share": 0.0, "lost": False,
    }  # fmt: skip
    if not before.size:
        return found
    wide = np.complex128 if np.iscomplexobj(before) else np.float64
    found["of"] = float(np.abs(before).max())
    if not found["moved"]:
        return found
    if now is None or now.shape != before.shape:
        return dict(found, by=None, share=1.0)
    with np.errstate(invalid="ignore", over="ignore"):
        distance = np.abs(now.astype(wide) - before.astype(wide))
    found["lost"] = bool(now.dtype.kind in "fc" and not np.isfinite(now).all())
    found["by"], found["share"] = float(distance.max()), float((distance > 0).mean())
    return found


def phase_of(live: Any, path: str, phase: str) -> Record:
    """How the layer was called in a phase, and what its calls showed."""
    if live.framework == "torch":
        watch = live.watches[path]
        modes, tap = watch.modes[phase], watch.taps[phase]
        return dict(tap.record(), modes=modes, hidden=not watch.seen,
                    moving_calls=watch.moving_calls if phase == "training" else 0)  # fmt: skip
    tap = live.taps.get(path)
    seen: Record = tap.phases[phase].record() if tap is not None else {
        "calls": 0, "seen": None, "state": None, "values": 0, "samples": 0
    }  # fmt: skip
    return dict(
        seen, modes=live.modes.get(path, {}).get(phase, []), hidden=path not in live.modes, moving_calls=0
    )


def inputs_of(asked: Dict[str, Any], subject: Subject, live: Any) -> Any:
    """(input, target, in words where it comes from)."""
    if asked["input"] is not None:
        said = asked["input"]
        name = "%s:%s" % (said["shown"], said["name"])
        found = found_in(said)
        if callable(found):
            found = guarded(found, "%s raised" % name, said["path"])
        if isinstance(found, tuple) and len(found) == 2:
            return found[0], found[1], name
        return found, subject.target, name
    if asked["shapes"]:
        made, source = live.made_input(asked["shapes"])
        return made, subject.target, source
    if subject.input is not None:
        return subject.input, subject.target, "the factory"
    if subject.step is not None:
        return None, None, "the given step"
    made, source = live.made_input(None)
    return made, subject.target, source


def shapes_of(given: Any) -> List[str]:
    """What went in, as 8x32x32x3 float32."""
    found = []
    for each in flat(given):
        if hasattr(each, "shape"):
            kind = str(getattr(each.dtype, "name", None) or each.dtype).replace("torch.", "")
            found.append("%s %s" % ("x".join(str(int(size)) for size in each.shape), kind))
        elif each is not None:
            found.append(type(each).__name__)
    return found


def is_random(name: str) -> bool:
    """Whether a tensor is the state of a random-number generator."""
    return any(word in name for word in RANDOM_STATE)

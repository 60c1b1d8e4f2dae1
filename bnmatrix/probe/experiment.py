"""The experiment, written once for every framework: one layer, two steps, everything recorded.

1. Build the layer; put known, distinct, non-trivial values into every slot. Where the layer is to be frozen
   or thawed after a step, make that step, and put the same values in again.
2. One step on a first batch: state before, after the forward, after the gradient step.
3. The output in inference mode before and after that step.
4. A second step, on another batch: does the second update take in as much as the first did.
5. From the same start: the first step again where chance may play a part, and one direct call in
   training mode as the measure of a single update.

It records and judges nothing. What was measured before an exception is kept.
"""

import functools
import re
import warnings as warnings_module
from typing import Any, Callable, Dict, Optional

import numpy as np

from . import construction, course, inputs, own, tracing
from .adapters import Adapter, Arrays, Bench, Cell, Pass, Unavailable

Record = Dict[str, Any]
Given = Dict[str, Any]

RATE = 1.0  # of the gradient step by hand: large, so that it shows in the coarsest dtype
AFTER_A_STEP = ("after_first_step", "recompiled")  # values of the axis `freeze`
UNWRITTEN = ("seed_state",)  # writing a random state back would repeat the draw


def observe(adapter: Adapter, cell: Cell, seed: int, given: Optional[Given] = None) -> Record:
    """Run the experiment for `cell` and return the observation, a dict of plain values and arrays.

    The outcome is that of building the layer and of the first step. What serves only to measure (inference
    outputs, second step, repeat, reference) may fail by itself: it is then named in `not_measured`.
    """
    given = given or {}
    record: Record = {
        "outcome": "ok",
        "stage": "build",
        "states": {},
        "passes": {},
        "inference": {},
        "not_measured": {},
    }
    bench: Optional[Bench] = None
    with warnings_module.catch_warnings(record=True) as caught:
        warnings_module.simplefilter("always")
        try:
            record["sample"] = sample_of(cell, seed, given)
            if "own" in given:
                adapter.own = own.load(given["own"])
            adapter.seed(seed)
            bench = adapter.bench(cell, record["sample"]["first"].shape, given.get("options", {}))
            (_course if "course" in given else _experiment)(bench, cell, seed, given, record)
            if "trace" in given:
                stepped = functools.partial(_stepped, adapter, cell, seed, given, record["sample"])
                _try(record, "trace", lambda: record.update(trace=tracing.trace(stepped)))
        except Unavailable as reason:
            record["outcome"] = "unavailable"
            record["reason"] = str(reason)
        except Exception as error:  # whatever a framework raises is the finding
            record["outcome"] = "raised"
            record["exception"] = {"type": type(error).__name__, "message": _message(error, adapter, given)}
            if bench is not None and record["stage"] == "first step":
                # Even a forward that raises may have changed state.
                _try(record, "state after the exception", lambda: record["states"].update(first=bench.read()))
            if bench is not None and "slots" in record and "flags" not in record:
                describe(bench, record)
        finally:
            if bench is not None:
                bench.close()
            if "own" in given:
                adapter.own = None
    record["warnings"] = [
        {"category": each.category.__name__, "message": first_line(each.message)} for each in caught
    ]
    return record


def _experiment(bench: Bench, cell: Cell, seed: int, given: Given, record: Record) -> None:
    sample, states, passes, inference = (record[part] for part in ("sample", "states", "passes", "inference"))
    record["slots"] = bench.slots()
    bench.write(known_values(bench.read(), seed, given.get("state", {})))
    states["start"] = bench.read()

    if cell["freeze"] in AFTER_A_STEP:
        record["stage"] = "step before the freeze"
        bench.step(sample["second"], sample["second_weights"])
        record["stage"] = "freeze after the step"
        bench.turn()
        record["slots"] = bench.slots()  # with the flags that are now theirs
        restore(bench, states["start"])

    _try(record, "inference before", lambda: inference.update(before=bench.infer(sample["inference"])))
    restore(bench, states["start"])  # some layers change state even there
    if "before" in inference and inference["before"].shape != sample["first_weights"].shape:
        raise Unavailable(  # of the user's own, or with options that change it
            "it puts out %s, where %s puts out %s"
            % (inference["before"].shape, cell["layer"], sample["first_weights"].shape)
        )

    record["stage"] = "first step"
    passes["first"] = recorded(bench.step(sample["first"], sample["first_weights"]))
    states["first"] = bench.read()
    record["stage"] = "after the step"
    describe(bench, record)

    _try(record, "inference after", lambda: inference.update(after=bench.infer(sample["inference"])))
    restore(bench, states["first"])

    def second_step() -> None:
        passes["second"] = outcome_of(bench.step(sample["second"], sample["second_weights"]))
        states["second"] = bench.read()

    _try(record, "second step", second_step)

    if inputs.LAYERS[cell["layer"]]["chance"] or cell["execution"] == "call":
        restore(bench, states["start"])
        _try(
            record,
            "repeat",
            lambda: passes.update(repeat=outcome_of(bench.step(sample["first"], sample["first_weights"]))),
        )

    def reference() -> None:
        bench.train_once(sample["first"])
        states["reference"] = bench.read()

    restore(bench, states["start"])
    _try(record, "reference", reference)
    record["stage"] = "done"


def _course(bench: Bench, cell: Cell, seed: int, given: Given, record: Record) -> None:
    """In place of the experiment: as many steps in a row as are asked for, on batches of the same kind."""
    record["slots"] = bench.slots()
    bench.write(known_values(bench.read(), seed, given.get("state", {})))
    record["stage"] = "first step"
    batches = []
    for turn in range(given["course"]["steps"]):
        which = ("first", "second")[turn % 2]
        sample = sample_of(cell, seed + turn, given)
        batches.append((sample[which], sample[which + "_weights"]))
    record["course"] = course.follow(bench, batches, record["sample"]["inference"], given["course"])
    record["course"]["code"] = construction.last()
    record["stage"] = "done"


def _stepped(adapter: Adapter, cell: Cell, seed: int, given: Given, sample: Arrays) -> Bench:
    """A new bench, on which the first step was made, and what comes before it."""
    adapter.seed(seed)
    bench = adapter.bench(cell, sample["first"].shape, given.get("options", {}))
    bench.write(known_values(bench.read(), seed, given.get("state", {})))
    if cell["freeze"] in AFTER_A_STEP:
        bench.step(sample["second"], sample["second_weights"])
        bench.turn()
    bench.step(sample["first"], sample["first_weights"])
    return bench


def _message(error: Exception, adapter: Adapter, given: Given) -> str:
    """What an exception says; of a user's layer with its line, and whether its constructor raised it."""
    text = first_line(error)
    if "own" not in given:
        return text
    more = [own.place_of(error, given["own"]["path"])]
    if adapter.own is not None and adapter.own.refused is error:
        more.append("it could not be made")
    told = "; ".join(each for each in more if each)
    return "%s (%s)" % (text, told) if told else text


def describe(bench: Bench, record: Record) -> None:
    """Record what the framework states of the layer and of what encloses it."""
    _try(record, "counts", lambda: record.update(counts=bench.counts()))
    _try(record, "weight_order", lambda: record.update(weight_order=bench.weight_order()))
    _try(record, "flags", lambda: record.update(flags=bench.flags()))


def _try(record: Record, what: str, measure: Callable[[], object]) -> None:
    """Make an auxiliary measurement; note it where it fails."""
    try:
        measure()
    except Exception as error:
        record["not_measured"][what] = "%s: %s" % (type(error).__name__, first_line(error))


def known_values(state: Arrays, seed: int, given: Dict[str, Any]) -> Arrays:
    """Known values for every slot of `state`, those of `given` ({slot: numbers}) before generated ones."""
    known = {
        slot: inputs.parameter(slot, array.shape, seed)
        for slot, array in state.items()
        if slot not in UNWRITTEN
    }
    known.update({slot: np.asarray(values, dtype=np.float64) for slot, values in given.items()})
    return known


def sample_of(cell: Cell, seed: int, given: Given) -> Arrays:
    """The batches and loss weights of one observation, by name."""
    layer, rank = cell["layer"], int(cell["rank"])
    shape = inputs.input_shape(layer, rank, cell["batch"])
    sample: Arrays = {}
    for which in ("first", "second", "inference"):
        if "input" in given:
            sample[which] = np.asarray(given["input"], dtype=np.float64)
        else:
            sample[which] = inputs.batch(layer, shape, seed, which)
    for which in ("first", "second"):
        output = inputs.output_shape(
            layer, sample[which].shape, given.get("options", {}).get("units", inputs.UNITS)
        )
        sample[which + "_weights"] = inputs.loss_weights(output, seed, which)
    if cell["mask"] != "none":
        sample["mask"] = inputs.mask(sample["first"].shape, cell["mask"])
    return sample


def restore(bench: Bench, state: Arrays) -> None:
    """Put a snapshot back, random-number state excepted."""
    bench.write({slot: array for slot, array in state.items() if slot not in UNWRITTEN})


def recorded(made: Pass) -> Record:
    """A `Pass` as plain data."""
    return dict(vars(made))


def outcome_of(made: Pass) -> Record:
    """The same without the states and gradients of slots: of a later step its end is enough."""
    made.forward, made.gradients = None, {}
    return recorded(made)


def first_line(message: object) -> str:
    """The first line of a message that says what is wrong, without what changes from run to run (addresses).

    TensorFlow's message of an error inside a tf.function starts with a traceback, Keras's with the layer.
    """
    plain = re.sub("\x1b\\[[0-9]*m", "", str(message))  # Keras 3 prints in bold
    lines = [line.strip() for line in plain.splitlines() if line.strip()] or [""]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling "):
        lines.pop(0)
    if lines[0] in ("in user code:", "in converted code:"):  # TensorFlow 2.0 and 2.1 say converted
        named = type(message).__name__ + ": "
        while len(lines) > 1 and not lines[0].startswith(named):
            lines.pop(0)
        lines[0] = lines[0].replace(named, "", 1)
        if len(lines) > 1 and lines[0].startswith("Exception encountered when calling "):
            lines.pop(0)
    return lines[0][:300]

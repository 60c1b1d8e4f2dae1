"""Where the next probe goes: a small policy over what each guest has outstanding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnmatrix.axes import COMPILING

_EXECUTIONS = {
    **dict.fromkeys(("fit", "train_on_batch", "test_on_batch", "evaluate", "predict"), 0.3),
    **dict.fromkeys(("run_eagerly", "graph", "traced"), 0.15),
    **dict.fromkeys(("jit_compile", "compiled", "exported"), 0.6),
}
"""Seconds of what is compiled or traced, of Keras."""

_TORCH = {"call": 0.004, "graph": 0.03, "traced": 0.02, "compiled": 0.15, "exported": 0.5}
"""The same of torch, which builds nothing; machine code apart."""

_INDUCTOR = 5.0

_THEANO = 0.15
"""Seconds of a cell of Lasagne, all of which make functions."""

_CALL = 0.015
"""Seconds of a direct call and a step by hand."""

_BUILT = 0.06
"""Seconds that Keras takes to build a model around the layer."""

_WRITTEN = {"reloaded": 0.1, "cloned": 0.05}
"""Further seconds of paths that write or build a model a second time."""

START = 2.0
"""Seconds that a framework takes to import."""
_GAIN = 0.5


@dataclass(frozen=True)
class Load:
    """What one guest has to do: estimated seconds outstanding, and how many probes it has.

    start: seconds its first probe took to greet, where that is known
    alone: it must not have more than one probe (one of its probes died)
    """

    seconds: float
    probes: int
    start: float | None = None
    alone: bool = False


def estimate(cell: Mapping[str, str], framework: str = "") -> float:
    """Seconds that a cell may take once: compiling costs most, then tracing, then building a model."""
    execution, context = cell.get("execution", "call"), cell.get("context", "direct")
    if framework == "torch":
        written = _INDUCTOR if cell.get("compiler") == "inductor" else 0.0
        return _TORCH.get(execution, _TORCH["call"]) + written
    if framework == "lasagne":
        return _THEANO
    seconds = _EXECUTIONS.get(execution, _CALL) + _WRITTEN.get(context, 0.0)
    return seconds + (_BUILT if context != "direct" and execution not in COMPILING else 0.0)


def next_place(loads: Sequence[Load]) -> int | None:
    """Which guest (index into `loads`, those with work) the next free place goes to, or None for nobody.

    Every guest gets one probe first, the one with the most work before the others: what starts
    last ends last. Then a further probe goes where it saves most. With n probes and w seconds of
    work, a guest is done in w / n; one more, which takes s to start, makes it (w + s) / (n + 1).
    The estimates are rough and a core shared is no core gained, so half a second is the least
    saving that counts. The second probe of a guest thus pays from about 3 s of work on.
    """
    waiting = [index for index, load in enumerate(loads) if load.probes == 0]
    if waiting:
        return max(waiting, key=lambda index: loads[index].seconds)

    def saving(index: int) -> float:
        load = loads[index]
        start = START if load.start is None else load.start
        return 0.0 if load.alone else load.seconds / load.probes - (load.seconds + start) / (load.probes + 1)

    best = max(range(len(loads)), key=saving, default=None)
    return best if best is not None and saving(best) >= _GAIN else None


def may_send_ahead(in_flight: Sequence[float]) -> bool:
    """Whether a probe is sent one more cell, on top of those of the estimated seconds `in_flight`.

    Enough that it never waits for us, no more: what is sent cannot be given to another probe.
    """
    return not in_flight or (len(in_flight) < 32 and sum(in_flight) < 0.25)

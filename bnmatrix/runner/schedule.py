"""Where the next probe goes: a small policy over what each guest has outstanding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_SECONDS = {
    **dict.fromkeys(("fit", "train_on_batch", "test_on_batch", "evaluate", "predict", "compiled"), 0.25),
    **dict.fromkeys(("graph", "traced", "exported"), 0.06),
}
_CALL = 0.02
_START = 2.0
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


def estimate(cell: Mapping[str, str]) -> float:
    """Seconds that a cell may take: compiling a model costs most, then tracing, then nothing does."""
    return _SECONDS.get(cell.get("execution", "call"), _CALL)


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
        start = _START if load.start is None else load.start
        return 0.0 if load.alone else load.seconds / load.probes - (load.seconds + start) / (load.probes + 1)

    best = max(range(len(loads)), key=saving, default=None)
    return best if best is not None and saving(best) >= _GAIN else None


def may_send_ahead(in_flight: Sequence[float]) -> bool:
    """Whether a probe is sent one more cell, on top of those of the estimated seconds `in_flight`.

    Enough that it never waits for us, no more: what is sent cannot be given to another probe.
    """
    return not in_flight or (len(in_flight) < 32 and sum(in_flight) < 0.25)

"""What a trial must leave as it was, beside tensors: attributes of objects, and random numbers.

No framework is imported: one that is not there has no state.
"""

from __future__ import annotations

import random
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np


@contextmanager
def attributes_kept(objects: Iterable[Any]) -> Iterator[None]:
    """Put back, on the way out, every attribute of `objects` that was replaced, added or deleted.

    Past `__setattr__`, where frameworks keep track of what is assigned.
    """
    kept = [(vars(each), dict(vars(each))) for each in objects]
    try:
        yield
    finally:
        for present, before in kept:
            for name in present.keys() - before.keys():
                del present[name]
            present.update(
                {
                    name: value
                    for name, value in before.items()
                    if name not in present or present[name] is not value
                }
            )


@contextmanager
def contents_kept(objects: Iterable[Any]) -> Iterator[None]:
    """Put back, on the way out, what the lists, sets and dicts hold that are attributes of `objects`."""
    kept = [
        (held, list(held.items()) if isinstance(held, dict) else list(held), _held(held))
        for each in objects for held in vars(each).values()
        if type(held) in (dict, OrderedDict, defaultdict, list, set)
    ]  # fmt: skip
    try:
        yield
    finally:
        for held, contents, identities in kept:
            if _held(held) != identities:
                held.clear()
                (held.extend if isinstance(held, list) else held.update)(contents)


def _held(held: Any) -> list[int]:
    """The identities of what it holds: to compare tensors would compare their numbers."""
    return [id(each) for each in (*held, *(held.values() if isinstance(held, dict) else ()))]


@contextmanager
def chance_kept() -> Iterator[None]:
    """Put the state of every random-number generator of the process back, on the way out."""
    restore = [_python(), _numpy(), *_torch(), *_tensorflow()]
    try:
        yield
    finally:
        for each in restore:
            each()


Restore = Callable[[], object]


def _python() -> Restore:
    state = random.getstate()
    return lambda: random.setstate(state)


def _numpy() -> Restore:
    state = np.random.get_state()
    return lambda: np.random.set_state(state)


def _torch() -> list[Restore]:
    torch: Any = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "get_rng_state"):
        return []
    state = torch.get_rng_state()
    found: list[Restore] = [lambda: torch.set_rng_state(state)]
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        states = torch.cuda.get_rng_state_all()
        found.append(lambda: torch.cuda.set_rng_state_all(states))
    return found


def _tensorflow() -> list[Restore]:
    """The generator that eager operations draw their seeds from, and the global seed."""
    module: Any = sys.modules.get("tensorflow.python.eager.context")
    context = module.context() if module is not None else None
    found: list[Restore] = []
    for name in ("_rng", "_seed"):
        value = getattr(context, name, None)
        if value is not None:
            found.append(_of_context(context, name, value))
    tensorflow: Any = sys.modules.get("tensorflow")
    ops: Any = sys.modules.get("tensorflow.python.ops.stateful_random_ops")
    if tensorflow is not None and getattr(ops, "global_generator", None) is not None:
        generator = ops.global_generator
        before = generator.state.numpy()
        found.append(lambda: generator.state.assign(before))
    return found


def _of_context(context: Any, name: str, value: Any) -> Restore:
    if not hasattr(value, "getstate"):
        return lambda: setattr(context, name, value)
    state = value.getstate()

    def restore() -> None:
        value.setstate(state)
        setattr(context, name, value)

    return restore

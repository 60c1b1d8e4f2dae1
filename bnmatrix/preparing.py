"""Environments that may be wanted soon, made in the background while something else is measured."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from types import TracebackType
from typing import TYPE_CHECKING

from bnmatrix.errors import BnmatrixError
from bnmatrix.placement import Wishes, place, ready
from bnmatrix.target import Target

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

LOOKING = 1.0
"""Seconds between two looks whether the present environment is there."""


class Preparing:
    """A context. Who needs an environment that is being made here waits for it, as for another process's.

    They are made one by one, and not before the present one is there: that one must not wait for them.
    What goes wrong is left to whoever needs the environment. At the end, be it by Ctrl-C, what is not yet
    made is given up.
    """

    def __init__(self, wishes: Wishes) -> None:
        self.wishes = replace(wishes, tell=lambda text: None)
        self.pool: ThreadPoolExecutor | None = None
        self.asked: list[Future[None]] = []
        self.over = threading.Event()
        """Set when what is measured at present no longer is."""

    def __enter__(self) -> Preparing:
        return self

    def ask(self, present: Target, targets: Sequence[Target]) -> None:
        """Make the environments of `targets`, while `present` is measured; what is not begun is forgotten."""
        from concurrent.futures import ThreadPoolExecutor

        if self.pool is None:
            self.pool = ThreadPoolExecutor(1)
        self.over.set()
        self.over = threading.Event()
        self.asked = [future for future in self.asked if not future.cancel()]
        self.asked += [self.pool.submit(self._make, target, present, self.over) for target in targets]

    def _make(self, target: Target, present: Target, over: threading.Event) -> None:
        try:
            while not self._is_there(present):
                if over.wait(LOOKING):
                    return
            placement = place(target, self.wishes)
            if placement is not None and not over.is_set():
                ready(placement, self.wishes)
        except BnmatrixError:
            pass

    def _is_there(self, present: Target) -> bool:
        from bnmatrix import environment

        placement = place(present, self.wishes, from_index=False)
        if placement is None or placement.lock is None:
            return placement is not None
        return environment.is_made(placement.lock, self.wishes.settings())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.pool is None:
            return
        self.over.set()
        self.pool.shutdown(wait=False, cancel_futures=True)
        if not all(future.done() for future in self.asked):
            from bnmatrix import environment

            environment.stop()
        self.pool.shutdown()

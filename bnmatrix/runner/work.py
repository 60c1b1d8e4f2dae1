"""What goes into the runner and what comes out of it, as data."""

from __future__ import annotations

import sys
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # numpy comes with it: not before the probes are on their way
    from bnmatrix.runner.messages import AuditRecord, Observation

Outcome = Literal["ok", "raised", "unavailable", "crashed", "timed_out", "skipped"]


@dataclass(frozen=True)
class Guest:
    """What a probe needs to know of its target.

    target:    as the user wrote it, for messages
    framework: tf1, tf2, tf_keras, keras, torch
    backend:   of Keras, or None
    device:    cpu, gpu, cuda:0, auto
    python:    path of the interpreter
    variables: environment variables on top of the cleaned environment: (("KERAS_BACKEND", "jax"),)
    program:   another command in place of the probe, given the same arguments (for tests)
    users:     the module of the user's whose code it runs: that may change anything in its process, so the
               framework's own layers are measured in another
    as_user:   in the user's own surroundings: working directory, home, environment variables and threads
    """

    target: str
    framework: str
    backend: str | None = None
    device: str = "cpu"
    python: str = sys.executable
    variables: tuple[tuple[str, str], ...] = ()
    program: tuple[str, ...] = ()
    users: str = ""
    as_user: bool = False


@dataclass(frozen=True)
class Request:
    """One measurement: a cell ({axis: value}), a seed, a scenario's [given], and the caller's own key.

    fresh: in a probe that has measured nothing before, so that nothing can have been left behind for it
    audit: in place of a cell: what to audit, as `probe/live/audit.py` is told it
    """

    cell: Mapping[str, str]
    seed: int
    given: Mapping[str, object] | None = None
    key: Hashable = None
    fresh: bool = False
    audit: Mapping[str, object] | None = None


@dataclass(frozen=True)
class Greeting:
    """A target's probe is up. Once for each guest, before its answers."""

    guest: Guest
    versions: Mapping[str, str]
    python: str
    devices: tuple[str, ...]
    device: str


@dataclass(frozen=True)
class Answer:
    """What became of one request.

    observation: what the probe recorded; None unless the outcome is ok, raised or unavailable
    reason:      why the outcome is not ok
    seconds:     in the probe, or until the runner gave up
    output:      the last of what the probe printed, where it crashed or timed out
    audit:       what an audit recorded
    """

    guest: Guest
    request: Request
    outcome: Outcome
    observation: Observation | None
    reason: str | None
    seconds: float
    output: str = ""
    audit: AuditRecord | None = None


@dataclass(frozen=True)
class ProbeFailed:
    """A target's probe could not be started. Once for the guest, instead of its greeting.

    kind:    `missing` package, `absent_device`, or `failed` in another way
    what:    the module that is missing or the device that is absent
    message: what happened, in a line; hint: what to do next
    output:  the last of what the probe printed
    """

    guest: Guest
    kind: Literal["missing", "absent_device", "failed"]
    message: str
    hint: str | None = None
    what: str | None = None
    output: str = ""


Event = Greeting | Answer | ProbeFailed

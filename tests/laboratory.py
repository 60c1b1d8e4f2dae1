"""For tests that look at real layers: the probe's code, and its adapters, in this process.

Only tests do this (the program starts the probe by path). One process can hold TensorFlow in eager
mode and torch side by side; graph mode (`tf1`) needs a process of its own, as everywhere.
"""

from __future__ import annotations

import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from bnmatrix import measurement
from bnmatrix.axes import parse_id
from bnmatrix.judge import judge, settle
from bnmatrix.laws import laws
from bnmatrix.layers import layers
from bnmatrix.matrix import CellResult, TargetMatrix
from bnmatrix.runner import messages

PACKAGE = "_bnmatrix_probe"
FOLDER = Path(measurement.__file__).parent / "probe"


def probe(module: str) -> ModuleType:
    """A module of the probe, under the name it has there."""
    if PACKAGE not in sys.modules:
        spec = importlib.util.spec_from_file_location(
            PACKAGE, FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)]
        )
        assert spec is not None
        assert spec.loader is not None
        sys.modules[PACKAGE] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[PACKAGE])
    return importlib.import_module(f"{PACKAGE}.{module}")


@cache
def adapter(framework: str) -> Any:
    """The adapter of a framework, made once."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    module, name = probe("adapters").REGISTRY[framework].split(":")
    return getattr(probe(f"adapters.{module}"), name)(framework, None, "cpu")


def observe(used: Any, identity: str, seed: int, given: dict[str, Any] | None = None) -> messages.Observation:
    """One observation of a cell, sent through the protocol as a probe would."""
    record = probe("experiment").observe(used, parse_id(identity).axes, seed, given)
    stream = io.BytesIO()
    probe("protocol").send(stream, {"type": "observation", "id": 0, "seconds": 0.0, "observation": record})
    said = messages.later(stream.getvalue())
    assert isinstance(said, messages.Observed)
    return said.observation


def facts(used: Any, identity: str, seeds: Sequence[int] = (0, 1)) -> CellResult:
    """The settled facts of a cell."""
    axes = parse_id(identity).axes
    observations = [observe(used, identity, seed) for seed in seeds]
    settled = settle([judge(each, layers()[axes["layer"]], axes) for each in observations])
    measured: dict[str, Any] = {"intervals": {fact: list(each) for fact, each in settled.intervals.items()}}
    if settled.unstable:
        measured["unstable"] = settled.unstable
    return CellResult(
        id=parse_id(identity).id,
        axes=axes,
        outcome=observations[0].outcome,
        facts=settled.facts,
        measured=measured,
        seconds=0.0,
        reason=observations[0].reason,
    )


def matrix(
    used: Any, identities: Sequence[str], seeds: Sequence[int] = (0, 1), name: str = "here"
) -> TargetMatrix:
    """The truth table of these cells."""
    cells = [facts(used, identity, seeds) for identity in identities]
    return TargetMatrix(
        target=name, framework="torch", versions={}, python="", device="cpu", cells=cells, laws=laws(cells)
    )

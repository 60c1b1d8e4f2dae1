"""A layer of the user's, measured in this process: the only place beside the probe that runs its code.

Elsewhere a probe is a process of its own. A class of a test suite lives in this one, with its framework
imported and in use, so the adapter is a guest here: it sets nothing that holds for the whole process.
"""

from __future__ import annotations

import importlib
import io
import platform
import sys
from collections.abc import Sequence
from copy import deepcopy
from typing import Any

from msgspec.structs import replace

from bnmatrix.axes import Cell, make_cell
from bnmatrix.layers import layers
from bnmatrix.matrix import CellResult, TargetMatrix
from bnmatrix.probe import adapters, experiment, inputs, own, protocol
from bnmatrix.probe.live.keras_parts import backend_of, keras_of
from bnmatrix.runner.messages import Observed, later
from bnmatrix.runner.work import Answer, Guest, Request
from bnmatrix.settling import Subject
from bnmatrix.testing.errors import CannotTell
from bnmatrix.testing.keeping import chance_kept

Make = own.Own
"""Makes fresh layers, for inputs of a shape (the channels last)."""

FACTORY = "give a factory: lambda: MyLayer(...), or lambda channels: MyLayer(channels, ...)"

CHANNELS: int = inputs.CHANNELS

KERAS_3 = {"tensorflow": "KerasOnTensorFlow", "torch": "KerasOnTorch", "jax": "KerasOnJax"}


def fresh(layer: Any) -> Make:
    """How to make more of `layer`: a class or factory is called (with the number of channels, if it wants
    an argument), an instance is copied as its framework does."""
    name = getattr(layer, "__name__", type(layer).__name__)
    if keras_of(layer) is not None:
        return own.Own(lambda: type(layer).from_config(layer.get_config()), name)
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(layer, torch.nn.Module):
        return own.Own(lambda: deepcopy(layer), name)
    if not callable(layer):
        raise CannotTell(f"{str(layer)[:60]!r} is no layer", "give its class, a factory, or a layer")
    return own.Own(layer, name)


def measured(make: Make, name: str, cells: Sequence[CellResult]) -> TargetMatrix:
    """The facts of what `make` makes, in the cells of `cells`."""
    with chance_kept():
        framework, adapter = _adapter(_first(make, name))
        adapter.own = make
        guest = Guest(name, framework, device=adapters.GUEST)
        found = [_measured(adapter, guest, make_cell(cell.axes)) for cell in cells]
        return TargetMatrix(
            target=name, framework=framework, versions=adapter.versions(),
            python=platform.python_version(), device=adapter.device(), cells=found,
        )  # fmt: skip


def ranks_taken(make: Make, name: str, cell: CellResult) -> list[int]:
    """The ranks of inputs with which a cell of what `make` makes does not raise."""
    ranks = [str(rank) for rank in layers()[cell.axes["layer"]].ranks]
    cells = [replace(cell, axes={**cell.axes, "rank": rank}) for rank in ranks]
    found = measured(make, name, cells).cells
    return [int(rank) for rank, each in zip(ranks, found, strict=True) if each.outcome != "raised"]


def _first(make: Make, name: str) -> Any:
    try:
        return make((1, CHANNELS))
    except adapters.Unavailable as error:
        raise CannotTell(str(error), FACTORY) from error
    except Exception as error:
        raise CannotTell(
            f"{name} raised {type(error).__name__}: {error}",
            FACTORY,
        ) from error


def _adapter(layer: Any) -> tuple[str, Any]:
    """The name and the adapter of the framework that `layer` belongs to."""
    keras = keras_of(layer)
    torch: Any = sys.modules.get("torch")
    backend: str | None = None
    if keras is not None and hasattr(keras, "ops"):
        backend = backend_of(layer)
        place, framework = f"keras3:{KERAS_3[backend]}", "keras"
    elif keras is not None and keras.__name__ == "tf_keras":
        place, framework = "keras2:TfKeras", "tf_keras"
    elif keras is not None:
        place, framework = "keras2:LegacyTfKeras", "tf2"
    elif torch is not None and isinstance(layer, torch.nn.Module):
        place, framework = "torch:Torch", "torch"
    else:
        raise CannotTell(f"a {type(layer).__name__} is no layer of Keras or torch")
    module, name = place.split(":")
    made = getattr(importlib.import_module(f"{adapters.__name__}.{module}"), name)
    return framework, made(framework, backend, adapters.GUEST)


def _measured(adapter: Any, guest: Guest, cell: Cell) -> CellResult:
    """One cell, observed until it is settled."""
    subject = Subject(cell)
    seed = 0
    while subject.result is None:
        request = Request(cell.axes, seed)
        record = experiment.observe(adapter, cell.axes, seed)
        stream = io.BytesIO()  # what a probe would send, so that it is checked in the same way
        protocol.send(stream, {"type": "observation", "id": 0, "seconds": 0.0, "observation": record})
        said = later(stream.getvalue())
        assert isinstance(said, Observed)
        observation = said.observation
        subject.take(Answer(guest, request, observation.outcome, observation, observation.reason, 0.0))
        seed += 1
    return subject.result

"""The schema of what a probe may say: both ends agree, and anything else is refused with its place."""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from bnmatrix.runner import messages
from bnmatrix.runner.messages import Lie, WrongProtocol, first, later
from bnmatrix.runner.process import PROBE

OBSERVATION = {"outcome": "ok", "stage": "done", "warnings": [], "states": {}, "passes": {}, "inference": {}}
PASS = {
    "output": None, "output_dtype": None, "forward": None, "input_gradient": None, "has_gradient": True,
    "gradients": {},
}  # fmt: skip


@pytest.fixture(scope="module")
def protocol() -> ModuleType:
    """The probe's end, loaded by path as the probe does."""
    spec = importlib.util.spec_from_file_location("protocol_of_probe", Path(PROBE).parent / "protocol.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def sent(protocol: ModuleType, **observation: Any) -> bytes:
    stream = io.BytesIO()
    whole = {"type": "observation", "id": 1, "seconds": 0.5, "observation": {**OBSERVATION, **observation}}
    protocol.send(stream, whole)
    return stream.getvalue().rstrip(b"\n")


def test_both_ends_speak_the_same_version(protocol: ModuleType) -> None:
    assert protocol.VERSION == messages.PROTOCOL


@pytest.mark.parametrize(
    "array",
    [
        np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324]),
        np.array([np.nan, np.inf, -np.inf, -0.0, 6e-8], dtype=np.float16),
        np.arange(24.0).reshape(2, 3, 4).transpose(2, 0, 1),
        np.arange(10.0)[::-2],
        np.asfortranarray(np.arange(6.0).reshape(2, 3)),
        np.array(1.5, dtype=np.float32),
        np.empty((0, 3), dtype=np.int64),
        np.array([True, False]),
        np.array([2**64 - 1], dtype=np.uint64),
        np.array([-(2**63)]),
    ],
    ids=lambda array: f"{array.dtype}{list(array.shape)}",
)
def test_arrays_arrive_bit_by_bit(protocol: ModuleType, array: np.ndarray[Any, Any]) -> None:
    message = later(sent(protocol, inference={"before": array}))
    assert isinstance(message, messages.Observed)
    arrived = message.observation.inference["before"]
    assert arrived.dtype == array.dtype
    assert arrived.shape == array.shape
    assert arrived.tobytes() == array.tobytes()
    assert arrived.flags.writeable


def test_numbers_of_numpy_arrive_as_plain_ones(protocol: ModuleType) -> None:
    flags = {"mode": {"layer": np.bool_(True)}, "trainable": {}}
    message = later(sent(protocol, counts={"trainable_weights": np.int64(2)}, flags=flags))
    assert isinstance(message, messages.Observed)
    assert message.observation.counts == {"trainable_weights": 2}
    assert message.observation.flags is not None
    assert message.observation.flags.mode == {"layer": True}


def wire(**changes: Any) -> dict[str, Any]:
    return {"before": {"dtype": "float32", "shape": [2], "data": "AAAAAAAAAAA=", **changes}}


@pytest.mark.parametrize(
    ("observation", "words"),
    [
        ({"outcome": "fine"}, ["'fine'", "$.observation.outcome"]),
        ({"surprise": 1}, ["surprise", "$.observation"]),
        ({"states": None}, ["$.observation.states"]),
        ({"passes": {"first": {**PASS, "output": 1.0}}}, ["$.observation.passes[...].output"]),
        ({"passes": {"first": {"output": None}}}, ["$.observation.passes[...]"]),
        ({"inference": wire(shape=[3])}, ["8 bytes", "[3]", "$.observation.inference[...]"]),
        ({"inference": wire(shape=[-2, -1])}, ["[-2, -1]"]),
        ({"inference": wire(shape=[2.5])}, ["shape"]),
        ({"inference": wire(dtype="object")}, ["unknown dtype 'object'"]),
        ({"inference": wire(dtype=">f4")}, ["unknown dtype '>f4'"]),
        ({"inference": wire(data="A")}, ["base64"]),
        ({"inference": wire(data=None)}, ["data"]),
        ({"inference": wire(order="F")}, ["order"]),
    ],
    ids=lambda value: json.dumps(value)[:40] if isinstance(value, dict) else None,
)
def test_observation_of_another_shape_is_a_lie_that_names_the_place(
    protocol: ModuleType, observation: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(Lie) as caught:
        later(sent(protocol, **observation))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b'{"type": "song"}',
        b"\xff\xfe",
        b'{"type": "hello", "protocol": "1"}',
        b"NaN",
    ],
)
def test_anything_else_is_a_lie(line: bytes) -> None:
    with pytest.raises(Lie):
        first(line)
    with pytest.raises(Lie):
        later(line)


def test_version_is_looked_at_before_the_shape() -> None:
    with pytest.raises(WrongProtocol, match="protocol 2"):
        first(b'{"type": "greeting", "protocol": 2}')


def test_what_cannot_travel_is_an_error_in_the_probe(protocol: ModuleType) -> None:
    stream = io.BytesIO()
    with pytest.raises(TypeError, match="object cannot travel"):
        protocol.send(stream, {"observation": object()})
    assert stream.getvalue() == b"", "half a message"

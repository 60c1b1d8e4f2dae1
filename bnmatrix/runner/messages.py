"""What a probe may say, as a schema: a message of any other shape is a lie.

The other end is `probe/protocol.py` and `probe/experiment.py`, which tell what the fields mean.
Arrays arrive as numpy arrays.
"""

from __future__ import annotations

import binascii
import math
from typing import Any, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

PROTOCOL = 1

Array = NDArray[Any]

# Names that every numpy knows by the same meaning. bfloat16 travels as float32.
_DTYPES = {
    name: np.dtype(name)
    for name in (
        "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
        "float16", "float32", "float64", "complex64", "complex128",
    )
}  # fmt: skip


class Lie(Exception):
    """What the probe wrote is not what the protocol allows; says what it wrote, to follow "answered"."""


class WrongProtocol(Exception):
    """The probe speaks another version of the protocol."""

    def __init__(self, version: object) -> None:
        super().__init__(f"the probe speaks protocol {version}, this bnmatrix protocol {PROTOCOL}")


class _Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all that a probe says."""


class Exception_(_Said, frozen=True):
    """An exception of the framework: its type's name and the first line of its message."""

    type: str
    message: str


class Warning_(_Said, frozen=True):
    """A warning: its category's name and the first line of its message."""

    category: str
    message: str


class Slot(_Said, frozen=True):
    """A slot of the layer: the framework's own name, dtype as stored, its own flag where it has one."""

    name: str
    dtype: str
    trainable: bool | None


class Pass(_Said, frozen=True):
    """What one step showed; see `probe/adapters/__init__.py`."""

    output: Array | None
    output_dtype: str | None
    forward: dict[str, Array] | None
    input_gradient: Array | None
    has_gradient: bool
    gradients: dict[str, Array]


class Flags(_Said, frozen=True):
    """What the flags said after the first step, of the layer and each enclosing object."""

    mode: dict[str, bool]
    trainable: dict[str, bool]


class Call(_Said, frozen=True):
    """A call of a function in one of a trace's files: the lines that were run."""

    file: int
    function: str
    first: int
    lines: list[int]


class Trace(_Said, frozen=True):
    """What a step ran through, twice; see `probe/tracing.py`."""

    files: list[str]
    calls: list[Call]
    again: list[Call]
    doc: str


class CourseStep(_Said, frozen=True):
    """One of many steps in a row: its batch and weights of the loss, what it showed, and where it led."""

    inputs: Array
    weights: Array
    output: Array | None
    input_gradient: Array | None
    gradients: dict[str, Array]
    state: dict[str, Array]


class Course(_Said, frozen=True):
    """Many steps in a row; see `probe/course.py`. `code`: how the layer was constructed."""

    start: dict[str, Array]
    stored: dict[str, Array]
    steps: list[CourseStep]
    inference: Array
    code: str


class Observation(_Said, frozen=True, kw_only=True):
    """What the probe recorded for a cell. After an exception, what was measured until then."""

    outcome: Literal["ok", "raised", "unavailable"]
    stage: str
    states: dict[str, dict[str, Array]]
    passes: dict[str, Pass]
    inference: dict[str, Array]
    warnings: list[Warning_]
    reason: str | None = None
    exception: Exception_ | None = None
    sample: dict[str, Array] = {}
    slots: dict[str, Slot] = {}
    counts: dict[str, int] = {}
    weight_order: list[str] = []
    flags: Flags | None = None
    not_measured: dict[str, str] = {}
    trace: Trace | None = None
    course: Course | None = None


class Seen(_Said, frozen=True):
    """How a layer was called in the steps or in the inference; see `probe/live/taps.py`.

    hidden: its calls could not be seen;  moving_calls: those in which something of it moved, if known
    """

    calls: int
    seen: Array | None
    state: Array | None
    values: int
    samples: int
    modes: list[bool | str | None]
    hidden: bool
    moving_calls: int


class TensorRecord(_Said, frozen=True):
    """What became of a parameter or of state; see `probe/live/audit.py` (`moved`) and `tensor_facts`."""

    name: str
    shape: list[int]
    moved: bool
    by: float | None
    of: float | None
    share: float
    lost: bool
    is_parameter: bool
    dtype: str
    flag: bool | None
    stepped: bool | None
    gradient: float | None
    looked: bool
    stale: bool
    in_forward: bool | None
    moved_by: dict[str, float]


class LayerRecord(_Said, frozen=True, kw_only=True):
    """What became of a layer.

    trainable:   its own flag and parents: {path: flag}, in Keras
    unread:      a flag that its framework never reads
    handed_mode: torch: its mode as the factory left it
    pinned:      the mode that a functional model fixes for it
    chance:      the rate of a dropout and of its kin
    moved_anew:  what moves where the model is compiled anew; None where that was not tried
    """

    path: str
    kind: str
    module: str
    tensors: list[TensorRecord]
    trainable: bool | None
    parents: dict[str, bool]
    unread: str | None
    handed_mode: bool | None
    pinned: bool | None
    training: Seen
    chance: float | None
    keeps_statistics: bool
    inference: Seen | None = None
    moved_in_inference: list[str] = []
    moved_anew: list[str] | None = None


class InputRecord(_Said, frozen=True):
    """What went in, and where it comes from."""

    shapes: list[str]
    source: str


class AuditRecord(_Said, frozen=True, kw_only=True):
    """What an audit recorded; `place` is the user's own line that an exception came from."""

    outcome: Literal["ok", "refused", "raised"]
    stage: str
    layers: list[LayerRecord]
    losses: list[float | None]
    seconds: dict[str, float]
    warnings: list[Warning_]
    framework: str = ""
    versions: dict[str, str] = {}
    how: str = ""
    input: InputRecord | None = None
    reason: str | None = None
    hint: str | None = None
    place: str | None = None


class Hello(_Said, frozen=True, tag_field="type", tag="hello"):
    """The handshake."""

    protocol: int
    framework: str
    versions: dict[str, str]
    python: str
    devices: list[str]
    device: str


class Failed(_Said, frozen=True, tag_field="type", tag="failed"):
    """The probe cannot go on: at its start instead of `hello`, or later."""

    protocol: int
    reason: str
    missing: str | None = None
    absent_device: str | None = None


class Observed(_Said, frozen=True, tag_field="type", tag="observation"):
    """The answer to one request."""

    id: int
    seconds: float
    observation: Observation


class Audited(_Said, frozen=True, tag_field="type", tag="audited"):
    """The answer to a request for an audit."""

    id: int
    seconds: float
    record: AuditRecord


class _Version(msgspec.Struct, frozen=True):
    protocol: int | None = None


class _WireArray(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    dtype: str
    shape: tuple[int, ...]
    data: str


def first(line: bytes) -> Hello | Failed:
    """What a probe said first. Raises WrongProtocol and Lie."""
    # The version before anything else: another version may well have other fields.
    version = _decode(_VERSION, line).protocol
    if version is not None and version != PROTOCOL:
        raise WrongProtocol(version)
    said = _decode(_MESSAGE, line)
    if isinstance(said, (Observed, Audited)):
        raise Lie("an observation before anything was asked")
    return said


def later(line: bytes) -> Observed | Audited | Failed:
    """What a probe said after its greeting. Raises Lie."""
    said = _decode(_MESSAGE, line)
    if isinstance(said, Hello):
        raise Lie("a second greeting")
    return said


def _array(_type: object, value: object) -> Array:
    """A numpy array from its form on the wire; msgspec adds to an error the place where it was found."""
    try:
        wire = msgspec.convert(value, _WireArray)
    except msgspec.ValidationError as error:  # msgspec names the place for a ValueError only
        raise ValueError(f"Array: {error}") from error
    dtype = _DTYPES.get(wire.dtype)
    if dtype is None:
        raise ValueError(f"Array of unknown dtype {wire.dtype!r}"[:100])
    try:
        data = binascii.a2b_base64(wire.data)
    except binascii.Error as error:
        raise ValueError(f"Array data is not base64 ({error})") from error
    if min(wire.shape, default=0) < 0 or len(data) != math.prod(wire.shape) * dtype.itemsize:
        raise ValueError(f"Array of {len(data)} bytes cannot be {wire.dtype} of shape {list(wire.shape)}")
    # A bytearray, for numpy makes arrays over bytes read-only.
    return np.frombuffer(bytearray(data), dtype=dtype).reshape(wire.shape)


T = TypeVar("T")

_VERSION = msgspec.json.Decoder(_Version)
_MESSAGE: msgspec.json.Decoder[Hello | Failed | Observed | Audited] = msgspec.json.Decoder(
    Hello | Failed | Observed | Audited, dec_hook=_array
)


def _decode(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    try:
        return decoder.decode(line)
    except msgspec.ValidationError as error:
        raise Lie(f"a message of another shape: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        start = line[:60].decode("ascii", "backslashreplace")
        raise Lie(f"what is no message ({error}): {start}{'…' if len(line) > 60 else ''}") from error

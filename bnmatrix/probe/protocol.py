"""Messages between bnmatrix and a probe: one JSON object a line, on a pair of pipes of their own.

To the probe:

    {"type": "observe", "id": 7, "cell": {axis: value, ...}, "seed": 0, "given": null}
    {"type": "audit", "id": 8, "audit": {...}}                     of a whole model: see `live/audit.py`

From the probe, once, when the framework is imported; then one answer a request, in order:

    {"type": "hello", "protocol": 1, "framework": "torch", "versions": {...}, "python": "3.11.7",
     "devices": ["cpu"], "device": "cpu"}
    {"type": "observation", "id": 7, "seconds": 0.01, "observation": {...}}
    {"type": "audited", "id": 8, "seconds": 2.5, "record": {...}}

Instead of hello, or at any later time, where it cannot go on:

    {"type": "failed", "protocol": 1, "reason": "...", "missing": "torch", "absent_device": null}

Arrays travel as {"dtype", "shape", "data": base64 of the C-ordered bytes}, so that NaN, infinities
and float16 survive. A probe ends when its channel closes.
"""

import binascii
import json
from typing import Any, BinaryIO, Dict, Optional

import numpy as np

VERSION = 1

# Of dtypes: numpy takes longer to spell one than all the rest of an array takes.
_names: Dict[np.dtype, str] = {}


def encode(value: object) -> Any:
    """The JSON form of what json itself does not know: arrays and numpy's scalars."""
    if isinstance(value, np.ndarray):
        dtype = value.dtype
        name = _names.get(dtype)
        if name is None:
            name = _names[dtype] = str(dtype)
        data = binascii.b2a_base64(value.tobytes(), newline=False)
        return {"dtype": name, "shape": value.shape, "data": data.decode("ascii")}
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError("a %s cannot travel" % type(value).__name__)


def send(stream: BinaryIO, message: Dict[str, Any]) -> None:
    """Write one message to the binary `stream`."""
    stream.write(json.dumps(message, default=encode).encode("ascii") + b"\n")
    stream.flush()


def receive(stream: BinaryIO) -> Optional[Dict[str, Any]]:
    """The next message of the binary `stream`, or None when it is closed."""
    line = stream.readline()
    return json.loads(line.decode("ascii")) if line else None

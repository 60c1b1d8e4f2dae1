"""What is known already: results of cells in the store, each under a key of all that could change it.

The key covers the code that measures and judges, what is known of the layer, the environment (its lock, or
all that is installed; interpreter and platform), the processor and device, the variables of the probe, seed,
given numbers and the cell itself; for a layer of the user's own the code of the user's project. Kept are
answers of the framework (`ok`, `raised`, `unavailable`), never a fault.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from bnmatrix.axes import Cell, examined_as
from bnmatrix.layers import layers as known_layers
from bnmatrix.matrix import CellResult, encode
from bnmatrix.own_layers import is_own
from bnmatrix.store import Store

KEPT = ("ok", "raised", "unavailable")

SOURCES = ("probe", "judge", "facts.py", "settling.py", "runner/messages.py", "runner/surroundings.py")
"""What makes an observation and draws facts from it, below the package."""

_ENTRY = re.compile(r'    "(\w+)": ')
"""The first line of an entry of a table."""

_INHERITED = ("CUDA_", "NVIDIA_", "LD_LIBRARY_PATH", "GLIBC_TUNABLES")
"""Variables that a probe inherits and that find libraries and devices."""


class Header(msgspec.Struct, frozen=True):
    """What a probe said of its environment."""

    versions: dict[str, str]
    python: str
    device: str


class Place(msgspec.Struct, frozen=True):
    """What all results of one target share in their keys."""

    framework: str
    backend: str | None
    device: str
    identity: str
    variables: tuple[tuple[str, str], ...]


class Records:
    """The store, in terms of cells. `refresh`: nothing is looked up, and what is measured is put anew.

    found: how many results were known
    lost:  why results could not be kept, once that is known
    """

    def __init__(self, store: Store, refresh: bool = False) -> None:
        self._store = store
        self._refresh = refresh
        self._headers: set[bytes] = set()
        self.found = 0
        self.lost: str | None = None

    def known(
        self,
        place: Place,
        cells: Sequence[Cell],
        seed: int,
        given: Mapping[str, Any] | None,
        users_code: str | None = None,
    ) -> tuple[Header | None, dict[Cell, CellResult]]:
        """The results that are known, and what the probe said that measured them.

        users_code: a digest of the user's code, without which no result of a layer of the user's own is known
        """
        if self._refresh:
            return None, {}
        keys = {
            cell_key(place, cell, seed, given, users_code): cell
            for cell in cells
            if users_code is not None or not is_own(cell.axes["layer"])
        }
        top = header_key(place)
        found = self._store.get([top, *keys])
        header = _decoded(found.get(top), Header)
        results = {cell: _decoded(found.get(key), CellResult) for key, cell in keys.items()}
        whole = {cell: result for cell, result in results.items() if result is not None}
        self.found += len(whole)
        return header, whole

    def keep(
        self,
        place: Place,
        header: Header,
        cell: Cell,
        seed: int,
        given: Mapping[str, Any] | None,
        result: CellResult,
        users_code: str | None = None,
    ) -> None:
        """Put a result into the store, if it is one to be kept."""
        if result.outcome not in KEPT or (users_code is None and is_own(cell.axes["layer"])):
            return
        top = header_key(place)
        if top not in self._headers:
            self._headers.add(top)
            self._store.put(top, encode(header))
        self._store.put(cell_key(place, cell, seed, given, users_code), encode(result))

    def answer(self, key: bytes, kind: type[Any]) -> Any:
        """What `keep_answer` has put there; None where it is not known, or is to be found anew."""
        return None if self._refresh else _decoded(self._store.get([key]).get(key), kind)

    def keep_answer(self, key: bytes, answer: msgspec.Struct) -> None:
        """Keep what follows from results, under a key of its own that covers them."""
        self._store.put(key, encode(answer))


@contextmanager
def opened(refresh: bool, tell: Callable[[str], None]) -> Iterator[Records]:
    """What is known, from the user's store. `tell` gets what befalls the store, some of it at the end."""
    from bnmatrix.environment import places

    store = Store.open(places.root() / "store")
    if store.note:
        tell(store.note)
    told = len(store.notes)
    records = Records(store, refresh)
    try:
        yield records
    finally:
        store.close()
        records.lost = store.failed
        for text in store.notes[told:]:  # damage shows only when it is read
            tell(text)
        if store.damaged:
            what = "1 damaged record" if store.damaged == 1 else f"{store.damaged} damaged records"
            tell(f"{what} of the store {'was' if store.damaged == 1 else 'were'} measured anew")


def cell_key(
    place: Place, cell: Cell, seed: int, given: Mapping[str, Any] | None, users_code: str | None = None
) -> bytes:
    """The key of a result. `users_code` is part of those of layers of the user's own."""
    layer = [code()["layers"].get(examined_as(cell.axes), "")]
    if is_own(cell.axes["layer"]):
        layer.append(users_code or "")
    return _digest([place_key(place).hex(), layer, seed, given, cell.values])


def header_key(place: Place) -> bytes:
    """The key of what a probe said of its environment."""
    return _digest([place_key(place).hex(), "header"])


@cache
def place_key(place: Place) -> bytes:
    """What the keys of all results of a place begin with: code, environment, processor, device, variables."""
    inherited = {name: value for name, value in sorted(os.environ.items()) if name.startswith(_INHERITED)}
    return _digest([code()["common"], msgspec.to_builtins(place), machine(place.device), inherited])


@cache
def code(root: Path = Path(__file__).parent) -> dict[str, Any]:
    """Digests of the code below `root`: `common`, and what is said of each of the `layers` alone."""
    common: list[str] = []
    layers: dict[str, list[str]] = {}
    for source in SOURCES:
        place = root / source
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.suffix in (".py", ".json"):
                text = path.read_text(encoding="utf-8")
                rest, entries = _by_layer(path.name, text)
                common += [str(path.relative_to(root)), rest]
                for layer, entry in entries:
                    layers.setdefault(layer, []).append(entry)
    return {
        "common": _of_texts(common),
        "layers": {layer: _of_texts(entries) for layer, entries in layers.items()},
    }


def _by_layer(name: str, text: str) -> tuple[str, list[tuple[str, str]]]:
    """The text of a source file, and apart from it what its tables say of single layers.

    Tables are `layers.json`, and in files `..._layers.py` every dict at the top whose keys name layers.
    """
    if name == "layers.json":
        return "", [(layer, json.dumps(entry)) for layer, entry in json.loads(text).items()]
    if not name.endswith("_layers.py"):
        return text, []
    known, common, entries = known_layers(), [], []
    layer = None
    for line in text.splitlines(keepends=True):
        # An entry begins where the formatter puts it, and ends with the next line that is no further in.
        begins = _ENTRY.match(line)
        if begins:
            layer = begins[1] if begins[1] in known else None
        elif not line.startswith((" " * 5, "    }", "    )", "    ]")) and line.strip():
            layer = None
        if layer is None:
            common.append(line)
        else:
            entries.append((layer, line))
    return "".join(common), entries


@cache
def machine(device: str) -> list[str]:
    """Processor and, unless the device is cpu, the graphics processors with their driver."""
    uname = os.uname()
    found = [sys.platform, uname.machine, _instructions()]
    if device != "cpu":
        cards = sorted(Path("/proc/driver/nvidia").glob("gpus/*/information"))
        found += [path.read_text(errors="replace").split("IRQ")[0] for path in cards]
        version = Path("/proc/driver/nvidia/version")
        found += [version.read_text(errors="replace")] if version.exists() else [uname.release]
    return found


def _instructions() -> str:
    """The instruction sets of the processor: kernels are chosen by them."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:  # not Linux
        return ""


def _of_texts(texts: Iterable[str]) -> str:
    """One digest of several texts."""
    digest = hashlib.blake2b(digest_size=16)
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


_encode = json.JSONEncoder(sort_keys=True).encode


def _digest(value: object) -> bytes:
    return hashlib.blake2b(_encode(value).encode(), digest_size=16).digest()


def _decoded(data: bytes | None, kind: type[Any]) -> Any:
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError):  # of another make: measured again
        return None

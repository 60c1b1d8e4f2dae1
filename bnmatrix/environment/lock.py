"""A lock: what an environment holds, to the byte, and what it was made for.

The file is uv's own pylock.toml (PEP 751) with a table [tool.bnmatrix] at its end, whose one value is ours as
JSON: read alone, it costs a fraction of reading the whole.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from bnmatrix.environment.places import write_atomically

_TABLE = "\n[tool.bnmatrix]\nlock = '"
_END = "'\n"
_PACKAGE = "[[packages]]\n"


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an environment holds.

    label:        the target's text
    requirements: what was asked for
    named:        distributions that were given a version
    python:       version of the interpreter, 3.7.16
    interpreter:  its path
    as_of:        the day it was resolved as of, or None for today's
    packages:     {name: version}
    sizes:        bytes of the file to fetch, {name: size}, where known
    key:          digest of the packages, their hashes, the interpreter and the platform
    path:         of the lock file
    modules:      those that were missing at import and have been added
    digest:       of uv's part of the file
    """

    label: str
    requirements: tuple[str, ...]
    named: tuple[str, ...]
    python: str
    interpreter: str
    as_of: str | None
    packages: dict[str, str]
    sizes: dict[str, int]
    key: str
    path: str = ""
    modules: tuple[str, ...] = ()
    digest: str = ""

    @property
    def size(self) -> int:
        """Bytes of what is known."""
        return sum(self.sizes.values())

    @property
    def slug(self) -> str:
        """A name for folders."""
        pins = "-".join(f"{name}-{self.packages[name]}" for name in self.named if name in self.packages)
        return slug(pins or self.label)


def slug(text: str) -> str:
    """`text` as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "-", text).strip("-.")[:60] or "environment"


def dump(lock: Lock, pylock: str, path: Path) -> Lock:
    """Write the lock to `path`, whole or not at all."""
    pylock = pylock.rstrip("\n") + "\n"
    lock = msgspec.structs.replace(lock, digest=_digest(pylock.encode()))
    record = msgspec.json.encode(msgspec.structs.replace(lock, path="")).decode()
    record = record.replace("'", "\\u0027")  # it stands between two of these
    write_atomically(path, (pylock + _TABLE + record + _END).encode())
    return msgspec.structs.replace(lock, path=str(path))


def _digest(pylock: bytes) -> str:
    return hashlib.sha256(pylock).hexdigest()


def load(path: Path) -> Lock | None:
    """The lock at `path`; None where there is none, or none that is as it was written."""
    try:
        text = path.read_bytes()
    except OSError:
        return None
    start = text.rfind(_TABLE.encode())
    if start < 0 or not text.endswith(_END.encode()):
        return None
    try:
        found = msgspec.json.decode(text[start + len(_TABLE) : -len(_END)], type=Lock)
    except ValueError:
        return None
    if found.digest not in ("", _digest(text[:start])):  # "": from before there was one
        return None
    return msgspec.structs.replace(found, path=str(path))


def text_of(path: Path) -> str:
    """uv's part of the file."""
    return path.read_text(encoding="utf-8").rpartition(_TABLE)[0]


def with_index(pylock: str, url: str) -> str:
    """The lock with `url` as the index of what comes from a server.

    uv leaves that out of its own locks, and then has no use for wheels that it has in its cache: they would
    be fetched again wherever the server allows no caching.
    """
    head, *blocks = pylock.split(_PACKAGE)
    with_it = [
        re.sub(
            r"(?m)^(version = .*)$", lambda found: f"{found[1]}\nindex = {json.dumps(url)}", block, count=1
        )
        if re.search(r'url = "http', block) and not re.search(r"(?m)^index = ", block)
        else block
        for block in blocks
    ]
    return _PACKAGE.join([head, *with_it])


def merged(pylock: str, addition: str) -> str:
    """The lock with the packages of another one, which replace those of the same name."""

    def name(block: str) -> str:
        return re.search(r'(?m)^name = "(.*)"$', block)[1]  # type: ignore[index]

    head, *blocks = pylock.rstrip("\n").split(_PACKAGE)
    added = addition.rstrip("\n").split(_PACKAGE)[1:]
    replaced = {name(block) for block in added}
    kept = [block.rstrip("\n") + "\n" for block in blocks if name(block) not in replaced]
    return _PACKAGE.join([head.rstrip("\n") + "\n\n", *kept, *added]) + "\n"


def parse(pylock: str) -> list[dict[str, Any]]:
    """The packages of a pylock.toml."""
    import sys

    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    return list(tomllib.loads(pylock).get("packages", []))


def file_name(entry: Mapping[str, Any]) -> str:
    """The name of a wheel or source distribution in a pylock.toml."""
    if "name" in entry:
        return str(entry["name"])
    from urllib.parse import unquote, urlsplit

    place = entry.get("path") or urlsplit(str(entry.get("url", ""))).path
    return PurePosixPath(unquote(place)).name


def key_of(packages: list[dict[str, Any]], interpreter: tuple[str, ...]) -> str:
    """Digest of what determines an environment; where files came from does not count."""
    digest = hashlib.sha256(repr(interpreter).encode())
    for package in sorted(packages, key=lambda each: str(each["name"])):
        files = [*package.get("wheels", []), *filter(None, [package.get("sdist"), package.get("archive")])]
        hashes = sorted(str(value) for each in files for value in each.get("hashes", {}).values())
        digest.update(repr((package["name"], package.get("version"), hashes)).encode())
    return digest.hexdigest()

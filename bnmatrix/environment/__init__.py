"""Isolated environments by time travel: any release, without a table of pins.

    Wanted --resolve--> Lock --make--> path of an interpreter

**Resolving** (`resolution`). The index is asked which files the named release has and when they were
uploaded (`index`); the newest interpreter found here (`interpreters`) that one of its wheels fits is taken,
and uv resolves the rest as of the upload plus a grace. What the user named overrides what others demand.
Where a package would have to be built although it has wheels for other Pythons, the next older interpreter is
tried. torch is the build for the CPU where one is within reach. Every question goes to uv (`uv`), with the
settings of pip: where the index is, how it speaks, and what lies in find-links, is known there.

**The lock** (`lock`) is kept; where versions are fixed nothing is asked again. A range is looked up anew
while online. A module that proves missing at import is added as of the same time.

**Making** (`isolated`). uv installs the lock, hashes verified, beside its place; when all of it is there a
stamp is written and it is moved to its place. So an environment is whole or not there; its files are compared
with the stamp before every use, and where they differ it is made again. One process makes it, others wait.

What lies in the folder ($BNMATRIX_HOME, or the user's cache folder; `places`):

    interpreters.json                          what the interpreters said of themselves
    locks/pylock.tensorflow-1_15_5-….toml      a lock, PEP 751, with a table of ours
    environments/tensorflow-1.15.5-6dec66a1…/  an environment; bnmatrix.json in it is the stamp
    environments/.tensorflow-1.15.5-….lock     held while it is made or removed; stays
    environments/.tensorflow-1.15.5-….4711.unfinished/   being made by process 4711, or left of it

All of it can be removed at any time. Two environments share their files with uv's cache by hard links.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bnmatrix.environment.index import Release, releases
    from bnmatrix.environment.isolated import Kept, Removed, environments, is_made, make, prune, remove
    from bnmatrix.environment.kept import Wanted, kept_releases, known
    from bnmatrix.environment.lock import Lock
    from bnmatrix.environment.places import Settings
    from bnmatrix.environment.resolution import repair, resolve
    from bnmatrix.environment.uv import stop

# Imported when asked for: a run of which everything is known asks for `known` alone.
_MODULES = {
    "index": ("Release", "releases"),
    "isolated": ("Kept", "Removed", "environments", "is_made", "make", "prune", "remove"),
    "kept": ("Wanted", "kept_releases", "known"),
    "lock": ("Lock",),
    "places": ("Settings",),
    "resolution": ("repair", "resolve"),
    "uv": ("stop",),
}

__all__ = [
    "Kept",
    "Lock",
    "Release",
    "Removed",
    "Settings",
    "Wanted",
    "environments",
    "is_made",
    "kept_releases",
    "known",
    "make",
    "prune",
    "releases",
    "remove",
    "repair",
    "resolve",
    "stop",
]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

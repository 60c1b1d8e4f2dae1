"""What is wanted of an environment, and the locks that are kept from before.

Read by every run: nothing here asks anybody.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bnmatrix.environment import lock
from bnmatrix.environment.lock import Lock
from bnmatrix.environment.places import Settings
from bnmatrix.errors import UsageError

if TYPE_CHECKING:
    from packaging.requirements import Requirement


@dataclass(frozen=True)
class Wanted:
    """What an environment is to hold.

    label:        the target's text, for messages
    requirements: PEP 508, the framework's own first
    named:        distributions that the user gave a version: they override what others demand of them
    python:       path of an interpreter or a version, where the user chose one
    cpu:          torch: prefer a build for the CPU
    """

    label: str
    requirements: tuple[str, ...]
    named: tuple[str, ...]
    python: str | None = None
    cpu: bool = True

    @property
    def exact(self) -> bool:
        """Is a version fixed for all that was named, so that asking again would tell nothing new?"""
        pins = {name_of(each): each[len(name_of(each)) :].strip() for each in self.requirements}
        return bool(self.named) and all(is_exact(pins.get(name, "")) for name in self.named)

    def parsed(self) -> list[Requirement]:
        """The requirements. Raises UsageError where one names no version that a release can have."""
        from packaging.requirements import Requirement

        found = [Requirement(each) for each in self.requirements]
        for each in found:
            for specifier in each.specifier:
                version = specifier.version.removesuffix(".*")
                try:
                    if re.search(r"\d{20}", version):  # uv reads no such number; nor, in the end, does Python
                        raise ValueError(version)
                    _version(version)
                except ValueError as error:  # after === anything goes
                    raise UsageError(
                        f"{self.label[:80]}: {version[:40]!r} is not a version", f"write {each.name}==2.10.0"
                    ) from error
        return found


def is_exact(specifiers: str) -> bool:
    """Do they leave one version only?"""
    return re.fullmatch(r"===?[^*,]+", specifiers) is not None


def path_of(wanted: Wanted, settings: Settings) -> Path:
    """Where its lock lies."""
    what = repr((wanted.requirements, wanted.named, wanted.python, wanted.cpu))
    # uv wants names without a further dot.
    name = lock.slug("-".join(wanted.requirements)).replace(".", "_").lower()
    return settings.locks / f"pylock.{name}-{hashlib.sha256(what.encode()).hexdigest()[:8]}.toml"


def known(wanted: Wanted, settings: Settings) -> Lock | None:
    """The lock kept for it, if its interpreter is still there. Of a range the newest offline, online none."""
    if wanted.exact:
        found = lock.load(path_of(wanted, settings))
    elif settings.offline:
        found = _newest_kept(wanted, settings)
    else:
        return None
    if found is None or not os.path.exists(found.interpreter):
        return None
    return msgspec.structs.replace(found, label=wanted.label)


def _newest_kept(wanted: Wanted, settings: Settings) -> Lock | None:
    first = name_of(wanted.requirements[0])
    kept = _kept(wanted, settings)
    return max(kept, key=lambda each: _version(each.packages[first]), default=None)


def _kept(wanted: Wanted, settings: Settings) -> list[Lock]:
    """The locks for the same packages, in versions that are wanted, whose interpreter is still there."""
    pins = {each.name: each.specifier for each in wanted.parsed()}

    def suits(kept: Lock) -> bool:
        return (
            {name_of(each) for each in kept.requirements} == set(pins)
            and os.path.exists(kept.interpreter)
            and all(pins[name].contains(kept.packages.get(name, "0"), prereleases=True) for name in pins)
            and (wanted.python in (None, kept.interpreter) or is_python(kept.python, str(wanted.python)))
        )

    found = map(lock.load, settings.locks.glob("pylock.*.toml"))
    return [kept for kept in found if kept is not None and suits(kept)]


def is_python(version: str, asked: str) -> bool:
    """Is 3.7.16 what was asked for with 3.7?"""
    return f"{version}.".startswith(f"{asked}.")


def name_of(requirement: str) -> str:
    """The distribution that a requirement is about."""
    return re.match(r"[A-Za-z0-9._-]+", requirement)[0]  # type: ignore[index]


def _version(text: str) -> Any:
    from packaging.version import Version

    return Version(text)


def kept_releases(wanted: Wanted, settings: Settings) -> list[str]:
    """The versions of the framework's own package in the locks that are kept for this target."""
    first = name_of(wanted.requirements[0])
    return sorted({each.packages[first] for each in _kept(wanted, settings)}, key=_version)

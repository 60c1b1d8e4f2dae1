"""Where a target runs: in the current environment where that has what is asked for, else in one of its own.

Placing a target says where, and what the place is (`identity`: a digest of all in it that could change a
result); only when something has to be measured there is an environment made.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bnmatrix.environment.current import Current, current
from bnmatrix.target import Target, candidates, canonical, version_of

if TYPE_CHECKING:
    from bnmatrix.environment import Lock, Settings, Wanted


@dataclass(frozen=True)
class Placement:
    """A target, and its place: `python` of the current environment, or the `lock` of an isolated one."""

    target: Target
    identity: str
    python: str | None = None
    lock: Lock | None = None


@dataclass(frozen=True)
class Wishes:
    """The user's wishes of places: an interpreter, no network, large downloads. `tell` gets progress.

    seen: the environments that were looked at already; wishes are those of one command, so nothing is stale
    """

    python: str | None = None
    offline: bool = False
    yes: bool = False
    tell: Callable[[str], None] = lambda text: None
    seen: dict[str | None, Current] = field(default_factory=dict, compare=False, repr=False)

    def current(self, python: str | None) -> Current:
        """The environment of `python`, or the current one."""
        if python not in self.seen:
            self.seen[python] = current(python)
        return self.seen[python]

    def settings(self) -> Settings:
        """The same for the package `environment`."""
        from bnmatrix.environment import Settings, places

        return Settings(root=places.root(), offline=self.offline, yes=self.yes, tell=self.tell)


def place(target: Target, wishes: Wishes, from_index: bool = True) -> Placement | None:
    """The place of `target`. Without `from_index` None where the package index would have to be asked.

    Raises BnmatrixError where no environment can have what is asked for.
    """
    here = current_for(target, wishes)
    if here is not None and has(here, target):
        modules = (*target.modules, *_ALSO.get(target.backend or target.framework, ()), "numpy")
        return Placement(target, f"current {here.fingerprint(modules)}", python=here.python)
    from bnmatrix import environment

    wanted, settings = wanted_of(target, wishes), wishes.settings()
    lock = environment.known(wanted, settings)
    if lock is None:
        if not from_index:
            return None
        lock = environment.resolve(wanted, settings)
    return Placement(target, f"isolated {lock.key}", lock=lock)


def code_of(placement: Placement, modules: tuple[str, ...], wishes: Wishes) -> str:
    """A digest of `modules` of the current environment. What an isolated one has, its identity tells."""
    if placement.python is None:
        return ""
    here = current_for(placement.target, wishes)
    assert here is not None
    return here.fingerprint(modules)


def ready(placement: Placement, wishes: Wishes) -> str:
    """The place's interpreter; its environment is made where it is not there. Raises BnmatrixError."""
    if placement.python is not None:
        return placement.python
    from bnmatrix import environment

    assert placement.lock is not None
    return environment.make(placement.lock, wishes.settings())


def with_module(placement: Placement, module: str, wishes: Wishes) -> Placement | None:
    """The place with a `module` that proved missing; None for the user's own, to which nothing is added."""
    if placement.lock is None:
        return None
    from bnmatrix import environment

    lock = environment.repair(placement.lock, module, wishes.settings())
    return replace(placement, lock=lock, identity=f"isolated {lock.key}")


def wanted_of(target: Target, wishes: Wishes) -> Wanted:
    """What an isolated environment for `target` must be."""
    from bnmatrix.environment import Wanted

    python = target.python or wishes.python
    if python is not None and not re.fullmatch(r"\d+(\.\d+)*", python):
        python = current(python).python  # a command, a folder, a path from here
    return Wanted(target.text, target.requirements(), target.named, python)


# The packages that the code of others runs through.
_ALSO = {
    "tf1": ("keras",),
    "tf2": ("keras",),
    "tf_keras": ("keras",),
    "jax": ("jaxlib",),
}


def current_for(target: Target, wishes: Wishes) -> Current | None:
    """The current environment, or the one whose interpreter a named target names; None for a mere version."""
    if target.python is None:
        return wishes.current(wishes.python)
    return wishes.current(target.python) if Path(target.python).exists() else None


def has(here: Current, target: Target) -> bool:
    """Whether the environment `here` has what `target` asks for."""
    for module in target.modules:
        if not here.has_module(module) and not (module == "tf_keras" and _brings_keras_2(here, target)):
            return False
    there = here.distributions()
    for name, versions in target.pins:
        version = version_of(name, there)
        if version is None:
            return False
        if versions:
            from packaging.specifiers import SpecifierSet
            from packaging.version import InvalidVersion

            try:
                if not SpecifierSet(versions).contains(version, prereleases=True):
                    return False
            except InvalidVersion:
                return False
    return canonical(target.family.package) in there or not target.pins


def _brings_keras_2(here: Current, target: Target) -> bool:
    """Whether TensorFlow itself has the Keras of `tf1`: it does where no Keras but 2 is installed."""
    return target.framework == "tf1" and here.distributions().get("keras", "2").startswith("2")


def installed_version(target: Target, wishes: Wishes) -> list[str]:
    """The version of the target's framework in the current environment, if it is there."""
    here = current_for(target, wishes)
    if here is None or not has(here, target):
        return []
    version = version_of(target.family.package, here.distributions())
    return [] if version is None else [version]


def installed(wishes: Wishes) -> list[Target]:
    """Every target that the current environment has, at its installed version."""
    here = wishes.current(wishes.python)
    return [target for target in candidates() if has(here, target)]

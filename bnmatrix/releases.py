"""The releases of a framework as targets, in order."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bnmatrix.errors import NothingSelectedError, UsageError
from bnmatrix.placement import Wishes, installed_version, wanted_of
from bnmatrix.target import CHOSEN_BACKENDS, CHOSEN_FROM, Target, parse

if TYPE_CHECKING:
    from packaging.version import Version


def releases(
    framework: str, first: str | None, last: str | None, minor: bool, kept: bool, wishes: Wishes
) -> list[Target]:
    """The targets of the releases `first` to `last` of `framework`, oldest first.

    minor: of each minor release the newest patch only;  kept: only releases that were examined before
    Raises UsageError and NothingSelectedError.
    """
    from bnmatrix import environment

    target = parse(framework)
    package = target.family.package
    if package in dict(target.pins):
        raise UsageError(f"{framework} has a version already", "say which releases with --from and --to")
    lowest, highest = _version(first, "--from"), _version(last, "--to")
    if target.framework == "tf1" and not {lowest and lowest.major, highest and highest.major} & {2}:
        highest = highest or _version("1", "")  # the embedded tf1 of later releases must be asked for
    oldest = _version(CHOSEN_FROM if target.backend in CHOSEN_BACKENDS else target.family.from_, "")
    lowest = max(filter(None, (lowest, oldest)))
    if (
        lowest is not None
        and highest is not None
        and not (lowest <= highest or _is_between(lowest, None, highest))
    ):
        raise UsageError(f"--from {first} is later than --to {last}", "exchange them")
    if kept:
        # Of any version: a target with one asks for other packages than one without.
        any_version = wanted_of(parse(_at(framework, "0").replace("==0", ">=0", 1)), wishes)
        found = environment.kept_releases(any_version, wishes.settings())
        found += installed_version(target, wishes)
    else:
        released = environment.releases(package, str(lowest), last, wishes.settings(), minor)
        found = [each.version for each in released]
    chosen = [version for version in map(_parsed, found) if _is_between(version, lowest, highest)]
    if minor:
        newest = {version.release[:2]: version for version in sorted(chosen)}
        chosen = list(newest.values())
    if not chosen:
        span = f"from {first or 'the first'} to {last or 'the newest'}"
        hint = "without --from-cache and --offline the package index is asked" if kept else None
        raise NothingSelectedError(f"no release of {package} {span} is known", hint)
    return [parse(_at(framework, str(version))) for version in sorted(chosen)]


def _at(framework: str, version: str) -> str:
    """`keras[jax],numpy<2` at 3.8.0: `keras[jax]==3.8.0,numpy<2`"""
    head = re.match(r"[A-Za-z0-9_.-]+(\[[^\]]*\])?", framework.strip())
    assert head is not None
    return f"{head[0]}=={version}{framework.strip()[head.end() :]}"


def _version(text: str | None, option: str) -> Version | None:
    from packaging.version import InvalidVersion, Version

    if text is None:
        return None
    try:
        return Version(text)
    except (InvalidVersion, ValueError) as error:  # a number of 5000 digits is the latter
        raise UsageError(f"{option} {text[:40]!r} is not a version", f"write {option} 2.10") from error


def _parsed(text: str) -> Version:
    from packaging.version import Version

    return Version(text)


def _is_between(version: Version, lowest: Version | None, highest: Version | None) -> bool:
    """Whether `version` lies in the range; `--to 2.15` takes in every patch of 2.15."""
    if lowest is not None and version < lowest:
        return False
    return highest is None or version <= highest or version.release[: len(highest.release)] == highest.release

"""What the index has: the files of a release, when they were uploaded, the releases near one that is missing.

uv is asked, for it reads every kind of index: `uv pip compile --no-deps --universal` lists the files of what
it chooses.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from bnmatrix.environment import lock, uv
from bnmatrix.environment.errors import (
    ContradictoryPins,
    EnvironmentFailure,
    NotHere,
    NoUploadTimes,
    Unreachable,
    UvFailed,
    VersionNotFound,
)
from bnmatrix.environment.places import Settings, disk_full
from bnmatrix.errors import BnmatrixError

if TYPE_CHECKING:
    from packaging.requirements import Requirement

    from bnmatrix.environment.interpreters import Interpreter

OLDEST_PYTHON = "3.6"

EVER = "2100-01-01"
"""As --exclude-newer it leaves out what has no upload time, and nothing else."""

IMPATIENT = {} if "UV_HTTP_RETRIES" in os.environ else {"UV_HTTP_RETRIES": "1"}
"""For small questions: an index out of reach is told of soon."""

EXTRA = ("UV_INDEX", "UV_EXTRA_INDEX_URL")
"""Variables that name further indexes."""

ALONE = {**dict.fromkeys(("UV_FIND_LINKS", *EXTRA), ""), "UV_INDEX_STRATEGY": "first-index"}
"""For the first index only. Of several, to take the best, uv does not tell that one refuses us."""

_BOUND = re.compile(r"only supports >=(3\.\d+(?:\.\d+)?)")
"""uv's words for a release that needs a newer Python than we asked for."""

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Wheel:
    """A wheel on the index."""

    name: str
    uploaded: datetime | None
    local: bool = False

    @property
    def tags(self) -> frozenset[str]:
        """`cp37-cp37m-manylinux2010_x86_64`, all that it fits."""
        return tags_of(self.name)


@dataclass(frozen=True)
class Candidate:
    """A release, and which Pythons it is for by its metadata."""

    name: str
    version: str
    wheels: tuple[Wheel, ...]
    has_source: bool
    uploaded: datetime | None
    lower: tuple[int, ...] = (3, 6)
    marker: str | None = None

    def fitting(self, interpreter: Interpreter) -> list[Wheel]:
        """Its wheels for this interpreter."""
        tags = frozenset(interpreter.tags)
        return [wheel for wheel in self.wheels if not tags.isdisjoint(wheel.tags)]

    def is_for(self, interpreter: Interpreter) -> bool:
        """Can it be installed there, by its metadata and its wheels? Without any wheel: from source."""
        if interpreter.release < self.lower[:2]:
            return False
        if self.marker is not None:
            from packaging.markers import Marker

            if not Marker(self.marker).evaluate({"python_full_version": interpreter.version}):
                return False
        return bool(self.fitting(interpreter)) or (self.has_source and not self.wheels)

    def pythons(self, platform: str | None = None) -> set[tuple[int, int]]:
        """The minor versions of Python 3 that its wheels name; of a pure one every minor that it is for."""
        minors: set[tuple[int, int]] = set()
        for wheel in self.wheels:
            for tag in wheel.tags:
                python, abi, system = tag.split("-")
                if platform is not None and system != "any" and not _same_platform(system, platform):
                    continue
                found = re.fullmatch(r"(?:cp|pp)3(\d+)", python)
                if found and abi != "abi3":
                    minors.add((3, int(found[1])))
                elif found or python.startswith("py3"):
                    minors.update((3, minor) for minor in range(int(found[1]) if found else 0, 40))
        return {minor for minor in minors if minor >= self.lower[:2]}


@dataclass(frozen=True)
class Release:
    """A release, and when it was uploaded."""

    version: str
    uploaded: datetime | None


def tags_of(wheel: str) -> frozenset[str]:
    """The tags in the name of a wheel; none where it is malformed."""
    if not wheel.endswith(".whl") or wheel.count("-") < 4:
        return frozenset()
    *_, pythons, abis, systems = wheel[: -len(".whl")].split("-")
    return frozenset(
        f"{python}-{abi}-{system}"
        for python in pythons.split(".")
        for abi in abis.split(".")
        for system in systems.split(".")
    )


def _same_platform(system: str, platform: str) -> bool:
    """Is `manylinux2010_x86_64` for `linux-x86_64`? Which release of it does not matter here."""
    family, _, machine = platform.partition("-")
    if family.startswith(("macos", "darwin")):
        return system.startswith("macosx") and system.endswith((machine, "universal2", "intel", "x86_64"))
    return family in system and system.endswith(machine)


def candidates(
    requirement: str,
    settings: Settings,
    *options: str,
    variables: Mapping[str, str] | None = None,
    before: str | None = EVER,
    asked: bool = False,
) -> list[Candidate]:
    """What uv would choose for it on any Python from 3.6 on, the newest first: of a range several, by Python.

    before: the time to travel to; None also counts files that have no upload time
    asked:  the index was asked for these packages a moment ago: what uv has kept of its answer will do
    """
    python = OLDEST_PYTHON

    def ask(offline: bool) -> uv.Result:
        return uv.run(
            *("pip", "compile", "-", "--no-deps", "--universal", "--format", "pylock.toml", "--quiet"),
            *("--no-header", "--python", sys.executable, "--python-version", python),
            *(*travel(before), *options),
            stdin=requirement,
            offline=offline,
            variables={**IMPATIENT, **(variables or {})},
        )

    for attempt in range(4):
        kept = settings.offline or asked or attempt > 0
        result = ask(kept)
        if result.status and kept and not settings.offline and _BOUND.search(_line(result.errors)) is None:
            result = ask(False)
        bound = _BOUND.search(_line(result.errors))
        if result.status == 0 or bound is None or bound[1] == python:
            break
        python = bound[1]
    if result.status:
        raise failure(result, requirement, settings)
    lower = tuple(map(int, python.split(".")))
    found = [_candidate(entry, lower) for entry in lock.parse(result.output)]
    return sorted(found, key=lambda each: version_of(each.version), reverse=True)


def timed(requirement: str, settings: Settings, *options: str, asked: bool = False) -> list[Candidate]:
    """`candidates` of the indexes, as far as files have an upload time.

    The first index is asked alone, too: of a release uv takes the files of one index only, and an extra one
    may have a few of them. The user's own files have local versions, and no time.
    """
    sources = [ALONE]
    if any(uv.environment().get(name) for name in EXTRA):
        sources.append({"UV_FIND_LINKS": ""})

    def ask(variables: Mapping[str, str]) -> list[Candidate] | BnmatrixError:
        try:
            return candidates(requirement, settings, *options, variables=variables, asked=asked)
        except (UvFailed, VersionNotFound, ContradictoryPins, NoUploadTimes) as error:
            return error

    found: dict[str, Candidate] = {}
    errors: list[BnmatrixError] = []
    for answer in together(ask, sources):
        if isinstance(answer, BnmatrixError):
            errors.append(answer)
            continue
        for each in answer:
            found[each.version] = _merged(found[each.version], each) if each.version in found else each
    if not found:
        raise next((each for each in errors if isinstance(each, NoUploadTimes)), errors[0])
    return sorted(found.values(), key=lambda each: version_of(each.version), reverse=True)


def first_wheel(requirement: Requirement, interpreter: Interpreter, settings: Settings) -> datetime | None:
    """When the oldest release with a wheel for this interpreter had it; None where no release has one."""
    result = uv.run(
        *("pip", "compile", "-", "--no-deps", "--format", "pylock.toml", "--quiet", "--no-header"),
        *("--resolution", "lowest", "--only-binary", requirement.name),
        *("--python", interpreter.path, *travel(EVER)),
        stdin=str(requirement),
        offline=settings.offline,
        variables={**IMPATIENT, **ALONE},
    )
    if result.status:
        return None
    (found,) = (_candidate(entry, interpreter.release) for entry in lock.parse(result.output))
    return min((wheel.uploaded for wheel in found.fitting(interpreter) if wheel.uploaded), default=None)


def _merged(one: Candidate, other: Candidate) -> Candidate:
    """The same release in two indexes."""
    files = {wheel.name: wheel for wheel in (*other.wheels, *one.wheels)}
    times = [each.uploaded for each in (one, other) if each.uploaded is not None]
    return replace(
        one,
        wheels=tuple(files.values()),
        has_source=one.has_source or other.has_source,
        uploaded=min(times, default=None),
        lower=min(one.lower, other.lower),
        marker=one.marker if one.marker == other.marker else None,
    )


def travel(before: str | None) -> tuple[str, ...]:
    return () if before is None else ("--exclude-newer", before)


def version_of(text: str) -> Any:
    from packaging.version import Version

    return Version(text)


def _candidate(entry: Mapping[str, Any], lower: tuple[int, ...]) -> Candidate:
    wheels = tuple(
        Wheel(lock.file_name(each), _aware(each.get("upload-time")), _is_local(each))
        for each in entry.get("wheels", [])
    )
    source = entry.get("sdist")
    times = [each.uploaded for each in wheels] or [_aware(source.get("upload-time")) if source else None]
    known = [time for time in times if time is not None]
    return Candidate(
        name=entry["name"],
        version=entry["version"],
        wheels=wheels,
        has_source=source is not None,
        uploaded=min(known) if known else None,
        lower=lower,
        marker=entry.get("marker"),
    )


def _is_local(file: Mapping[str, Any]) -> bool:
    return "path" in file or str(file.get("url", "")).startswith("file:")


def _aware(time: datetime | None) -> datetime | None:
    return time.replace(tzinfo=timezone.utc) if time is not None and time.tzinfo is None else time


def together(work: Callable[[A], B], items: Iterable[A]) -> list[B]:
    """`work` on all items at once; the first error is raised. Ctrl-C ends the calls of uv under way."""
    items = list(items)
    if len(items) < 2:
        return [work(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor  # a known lock needs none of it

    pool = ThreadPoolExecutor(max_workers=min(8, len(items)))
    try:
        return list(pool.map(work, items))
    except KeyboardInterrupt:
        pool.shutdown(wait=False, cancel_futures=True)
        uv.stop()
        raise
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def failure(result: uv.Result, wanted: str, settings: Settings) -> BnmatrixError:
    """What a failed call of uv means for the user."""
    said = _line(result.errors)
    if result.status < 0:
        return UvFailed(f"{wanted}: uv was ended by signal {-result.status}", "run it again")
    if re.search(r"No space left|os error 28|Disk quota", said):
        return disk_full(settings.root)
    if re.search(r"network was disabled|not found in the cache|wasn't found in the cache|[Oo]ffline", said):
        return NotHere(
            f"{wanted}: not all of its packages are here, and --offline fetches nothing",
            "try without --offline",
        )
    where = _address(said)
    missing = re.search(
        r"[Tt]here (is|are) no versions? of|was not found in|Because only \S+ is available", said
    )
    refused = re.search(r"\b([45]\d\d [A-Z][A-Za-z ]*?)(?:\)| error)", said)
    if refused and (missing or "Failed to fetch" in said):
        return _unreadable(wanted, where, refused[1])
    if re.search(r"unexpected (JSON|HTML)|Unsupported `Content-Type`", said):
        return _unreadable(wanted, where, "what it answers is not that of a package index")
    unreached = re.search(r"Failed to fetch|error sending request for url", said)
    if unreached or re.search(r"dns error|client error \(Connect\)|operation timed out", said):
        return Unreachable(
            f"{wanted}: {where} cannot be reached ({_reason(said)})",
            "--offline uses what is here; which index is asked is pip's and uv's own setting",
        )
    apart = re.search(r"you require (\S+) and (\S+), which are incompatible", said)
    if apart:
        return ContradictoryPins(f"{wanted}: nothing is {apart[1]} and {apart[2]} at once", "leave one out")
    filtered = re.search(r"`(\S+)` was filtered by `exclude-newer`.*? before ([\d-]+)", said)
    if filtered and filtered[2] < EVER:
        return VersionNotFound(
            f"{wanted}: as of {filtered[2]} there was no such {filtered[1]}",
            f"choose a later release, or give {filtered[1]} a version, which then does not count as too new",
        )
    if filtered or re.search("missing an upload date|has no publish time", said):
        return without_times(wanted)
    if missing:
        return _absent(wanted, said)
    return UvFailed(f"{wanted}: uv found no way: {condensed(said)}", None)


def _absent(wanted: str, said: str) -> BnmatrixError:
    """uv found no such thing: it says so, too, where there is no index."""
    named = re.search(r"Because (\S+) was not found in|no versions? of (\S+)", said)
    what = (named[1] or named[2]) if named else wanted  # it may be what another package needs
    where = "" if wanted.startswith(what) else f"{wanted}: "
    what = what if where else wanted
    if uv.no_index():
        return VersionNotFound(
            f"{where}{what} is not in the folders of find-links, and no index is asked",
            "pip's setting no-index says so: see `pip config list`",
        )
    address = uv.default_index() or "the index"
    place = urlsplit(address)
    is_folder = place.scheme in ("", "file")  # uv takes what is no address for a folder
    if is_folder and not Path("/", unquote(place.path)).exists():
        return _unreadable(wanted, address, "there is no such folder")
    if re.search(r"no versions of (\S+) and you require \1, we", said):
        return _unreadable(wanted, address, "its page of the package names no file")
    return VersionNotFound(f"{where}the index has no {what}", f"{address} was asked; see `pip config list`")


def without_times(wanted: str) -> NoUploadTimes:
    """The error for what is there, but not since when."""
    return NoUploadTimes(
        f"{wanted}: the index does not say when its files were uploaded, so its time cannot be told",
        "name an index that does (PEP 700) to pip or uv, for instance by UV_DEFAULT_INDEX",
    )


def _unreadable(wanted: str, where: str, why: str) -> Unreachable:
    return Unreachable(
        f"{wanted}: {where} cannot be read ({why})", "which index is asked is pip's and uv's own setting"
    )


def _address(said: str) -> str:
    """The address that uv speaks of, without the user's password."""
    found = re.search(r"\w+://[^\s`)?]+", said)
    return re.sub(r"//[^/@]*@", "//", found[0]) if found else "the index"


def _line(text: str) -> str:
    return " ".join(text.split())


def _reason(said: str) -> str:
    for words in ("dns error", "Connection refused", "timed out", "certificate", "tunnel", "status code"):
        if words in said:
            return words
    return "connection failed"


def condensed(said: str) -> str:
    """uv's own words, shortened to what matters of them."""
    said = re.sub(r"^.*?\b(cause|error): (?=Because|Failed)", "", _line(said))
    said = re.sub(r"\s*hint:.*", "", said)
    said = re.sub(r",? we can conclude that your requirements are unsatisfiable\.?", "", said)
    return said if len(said) <= 300 else said[:297].rsplit(" ", 1)[0] + " ..."


def not_found(name: str, specifiers: str, settings: Settings) -> BnmatrixError:
    """The error for a release that is not there, naming the nearest that are; or why nothing is."""
    exact = re.fullmatch(r"==+\s*([^*,+]+)(\+[^*,]+)?", specifiers)
    try:
        candidates(name, settings, variables=ALONE, before=None)
    except Unreachable as error:
        return error
    except BnmatrixError:
        pass  # another index, or a folder, may have it
    if exact is None:
        near = _versions(name, [""], settings)
    else:
        near = _versions(name, [f"<={exact[1]}" if exact[2] else f"<{exact[1]}", f">{exact[1]}"], settings)
    if not near:
        try:
            near = [candidates(name, settings, before=None)[0].version]
        except BnmatrixError as error:
            return error
    if exact is None:
        return VersionNotFound(f"{name} has no release that is {specifiers}", f"the newest is {near[0]}")
    return VersionNotFound(
        f"{name} has no release {exact[1]}{exact[2] or ''}", f"nearest: {', '.join(dict.fromkeys(near))}"
    )


def _versions(name: str, ranges: Sequence[str], settings: Settings) -> list[str]:
    def one(specifier: str) -> str | None:
        lowest = ("--resolution", "lowest-direct") if specifier.startswith(">") else ()
        try:
            found = timed(name + specifier, settings, *lowest)
        except (EnvironmentFailure, VersionNotFound, ContradictoryPins):
            return None
        return found[-1 if lowest else 0].version

    return [version for version in together(one, ranges) if version is not None]


def releases(
    distribution: str, lower: str | None, upper: str | None, settings: Settings, minor: bool = True
) -> list[Release]:
    """The final releases from `lower` to `upper`, the oldest first.

    minor: of each minor release only the newest patch. `upper` 2.15 takes in every patch of 2.15.
    """
    from packaging.version import Version

    bounds = [f">={lower}"] if lower else []
    below = None
    if upper:
        *head, last = Version(upper).release
        below = ".".join(map(str, [*head, last + 1]))
    found: list[Release] = []
    while True:
        specifiers = ",".join([*bounds, f"<{below}"] if below else bounds)
        try:
            newest = timed(distribution + specifiers, settings, asked=bool(found))[0]
        except (VersionNotFound, ContradictoryPins):
            break
        except (UvFailed, NoUploadTimes):
            if not found:
                raise
            break
        version = Version(newest.version)
        if not version.is_prerelease:
            found.append(Release(newest.version, newest.uploaded))
        below = ".".join(map(str, version.release[:2])) if minor else version.public
        if minor and Version(below) == Version("0"):
            break
    if not found:
        specifiers = ",".join([*bounds, f"<{below}"] if below else bounds)
        try:
            candidates(distribution + specifiers, settings, before=None)
        except BnmatrixError:
            raise not_found(distribution, specifiers, settings) from None
        raise without_times(distribution + specifiers)
    return found[::-1]

"""What isolated environments need, looked at: interpreters, uv, the index, a torch for the CPU, disk space.

Nothing is known beforehand: for which releases a missing interpreter is needed is asked of the index.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from bnmatrix.environment import index, interpreters, uv
from bnmatrix.environment.errors import EnvironmentFailure, NoUploadTimes, UvFailed, VersionNotFound
from bnmatrix.environment.interpreters import Interpreter
from bnmatrix.environment.kept import Wanted
from bnmatrix.environment.places import Settings
from bnmatrix.environment.resolution import GPU_PACKAGE, PROBING, how_to_install, resolve
from bnmatrix.errors import BnmatrixError

if TYPE_CHECKING:
    from packaging.version import Version

OK, WARNING, PROBLEM = "ok", "warning", "problem"

PACKAGES = ("tensorflow", "keras", "torch")
"""What frameworks come in."""

WITH_WHEELS_FOR_EACH = ("tensorflow", "torch")
"""Those whose releases fit some versions of Python only."""

MINORS = tuple(range(interpreters.OLDEST[1], 14))
"""The minor versions of Python 3 that are told of even where there is none."""

LITTLE_ROOM, NO_ROOM = 5e9, 1e9
"""Bytes. An environment with TensorFlow takes 1 to 2 GB, most of it shared with uv's cache."""

PATIENCE = 30.0
"""Seconds that a question to the index may take."""


class Check(msgspec.Struct, frozen=True):
    """One thing looked at.

    state: ok; warning, where something cannot be had; problem, where nothing can
    mend:  what to do about it
    """

    name: str
    state: str
    what: str
    mend: str = ""


def examine(settings: Settings) -> list[Check]:
    """Look at everything."""
    found, silent = interpreters.look(settings.root)
    needs: Needs | None = None
    sources = [_uv()]
    if settings.offline:
        sources.append(Check("index", OK, "not asked: offline"))
    elif sources[0].state == OK:
        sources.append(_index(settings))
        if sources[1].state != PROBLEM:
            # Both take their time, most of it waiting for the index.
            with ThreadPoolExecutor(max_workers=1) as pool:
                torch = pool.submit(_cpu_torch, settings)
                try:
                    needs = _needs(found)
                    sources.append(torch.result())
                except BaseException:
                    uv.stop()
                    raise
    return [
        *_pythons(found, needs),
        *_silent(silent),
        *sources,
        *_find_links(),
        _root(settings),
        _disk(settings),
    ]


# Interpreters


def _pythons(found: Sequence[Interpreter], needs: Needs | None) -> list[Check]:
    """A check for each interpreter, and for each minor version that has none.

    `needs` is None where the index is not asked.
    """
    present: dict[tuple[int, int], list[Interpreter]] = {}
    for one in found:
        present.setdefault(one.release, []).append(one)
    missing = {(3, minor) for minor in MINORS} - present.keys()
    checks = []
    for release in sorted({*present, *missing}, reverse=True):
        name = "Python {}.{}".format(*release)
        if release in present:
            checks += [Check(name, OK, f"{one.version} {one.source} {one.path}") for one in present[release]]
            continue
        needed = needs[release[1]] if needs is not None else None
        if needed:
            told = f"none found, and no other here fits {' and '.join(needed)}"
            checks.append(Check(name, WARNING, told, how_to_install("{}.{}".format(*release))))
        elif needed is None:
            checks.append(Check(name, OK, "none found; what needs it, the index would know"))
        else:
            checks.append(Check(name, OK, "none found, and none needed"))
    return checks


def _silent(silent: Sequence[interpreters.Silent]) -> list[Check]:
    mend = "mend or remove it; it is left out"
    return [Check("interpreter", WARNING, f"{one.path} {one.why}", mend) for one in silent]


Question = tuple[str, int, str]
"""(requirement, minor version of Python, "lowest" or "highest")"""

Needs = dict[int, "list[str] | None"]
"""{minor version of Python: ranges of releases that need it, or None where the index does not answer}"""


def _needs(found: Sequence[Interpreter]) -> Needs:
    """What each missing minor version is needed for: releases that no interpreter found fits, and it would.

    The newest Python of a release is 3.7 where the release is not older than the oldest with a wheel for 3.7,
    but older than the oldest with one for 3.8. An older interpreter that serves the last of these serves all.
    """
    present = [one.release[1] for one in found if one.release[0] == 3]
    missing = [minor for minor in MINORS if minor not in present]
    older = {minor: max((each for each in present if each < minor), default=None) for minor in missing}
    first = _releases(
        (package, number, "lowest")
        for package in WITH_WHEELS_FOR_EACH
        for minor in missing
        for number in (minor, minor + 1)
    )
    ranges = {
        (package, minor): package + (f"<{beyond}" if beyond else "")
        for package in WITH_WHEELS_FOR_EACH
        for minor in missing
        for beyond in [first[package, minor + 1, "lowest"]]
    }
    last = _releases(
        (below, number, "highest")
        for (_, minor), below in ranges.items()
        for number in (minor, older[minor])
        if number is not None
    )
    needs: Needs = {minor: [] for minor in missing}
    for (package, minor), below in ranges.items():
        oldest, newest = first[package, minor, "lowest"], last[below, minor, "highest"]
        beyond = first[package, minor + 1, "lowest"]
        other = older[minor]
        served = "" if other is None else last[below, other, "highest"]
        needed = needs[minor]
        if oldest is None or newest is None or beyond is None or served is None or needed is None:
            needs[minor] = None
        elif newest and _key(oldest) <= _key(newest) and newest != served:
            needed.append(f"{package}>={oldest}" + (f",<{beyond}" if beyond else ""))
    return needs


def _releases(questions: Iterable[Question]) -> dict[Question, str | None]:
    """What `_release` answers to each, all asked at the same time."""
    asked = list(dict.fromkeys(questions))
    return dict(zip(asked, index.together(lambda question: _release(*question), asked), strict=True))


def _release(requirement: str, minor: int, end: str) -> str | None:
    """The lowest or highest release with a wheel for that Python; "" if there is none, None if unknown."""
    try:
        result = uv.run(
            *("pip", "compile", "-", "--quiet", "--no-deps", "--no-header", "--no-annotate"),
            *("--only-binary", ":all:", "--prerelease", "disallow", "--resolution", end),
            # Of another version than `--python`, which without it uv would go and look for.
            *("--python", sys.executable, "--python-version", f"3.{minor}.99"),
            stdin=requirement,
            variables=PROBING,
            timeout=PATIENCE,
        )
    except uv.TooSlow:
        return None
    if result.status:
        return "" if "No solution found" in result.errors else None
    return result.output.strip().partition("==")[2] or None


def _key(version: str) -> Version:
    from packaging.version import Version

    return Version(version)


# Where packages come from


def _uv() -> Check:
    try:
        return Check("uv", OK, f"{uv.run('--version').output.split()[1]} {uv.executable()}")
    except BnmatrixError as error:
        return Check("uv", PROBLEM, error.message, error.hint or "")
    except (OSError, IndexError):
        return Check("uv", PROBLEM, f"{uv.executable()} does not run", "pip install --force-reinstall uv")


def _index(settings: Settings) -> Check:
    """Whether the index answers and tells when its files were uploaded."""

    def newest(package: str) -> index.Candidate:
        # What uv remembers of the index would hide that it is out of reach.
        fresh = ("--refresh-package", package)
        try:
            return index.candidates(package, settings, *fresh, variables=PROBING)[0]
        except (UvFailed, VersionNotFound, NoUploadTimes):  # as it is where no file has an upload time
            return index.candidates(package, settings, variables=PROBING, before=None)[0]

    try:
        found = index.together(newest, PACKAGES)
    except BnmatrixError as error:
        return Check(
            "index", PROBLEM, error.message, error.hint or "`pip config list` says which index is asked"
        )
    untimed = [each.name for each in found if each.uploaded is None]
    what = "has " + ", ".join(f"{each.name} {each.version}" for each in found)
    if not untimed:
        return Check("index", OK, f"{what}, and says when they were uploaded")
    return Check(
        "index",
        PROBLEM if len(untimed) == len(found) else WARNING,
        f"{what}; when {' and '.join(untimed)} came, it does not say",
        "a release is resolved as of its time: name an index that has upload times (PEP 700) to pip or uv, "
        "for instance by UV_DEFAULT_INDEX",
    )


def _cpu_torch(settings: Settings) -> Check:
    """Whether torch can be had without CUDA: what resolving it comes to."""
    try:
        lock = resolve(Wanted("torch", ("torch",), ()), settings)
    except BnmatrixError as error:
        return Check("CPU torch", WARNING, error.message, error.hint or "")
    torch = f"torch {lock.packages.get('torch')} for Python {lock.python}"
    gpu = [name for name in lock.packages if GPU_PACKAGE.match(name)]
    if not gpu:
        return Check("CPU torch", OK, torch)
    return Check(
        "CPU torch",
        WARNING,
        f"none within reach: {torch} brings {len(gpu)} packages for GPUs along, gigabytes of them",
        "name a folder with a wheel of a +cpu build in PIP_FIND_LINKS, or open the way to PyTorch's index",
    )


def _find_links() -> list[Check]:
    """A check for each folder or page of wheels that the settings name."""
    checks = []
    for place in filter(None, uv.environment().get("UV_FIND_LINKS", "").split(",")):
        if urlsplit(place).scheme not in ("", "file"):
            checks.append(Check("find-links", OK, place))
            continue
        folder = Path(urlsplit(place).path)
        try:
            number = sum(1 for name in os.listdir(folder) if name.endswith((".whl", ".tar.gz", ".zip")))
        except OSError as error:
            checks.append(
                Check("find-links", WARNING, f"{folder}: {error.strerror}", "see `pip config list`")
            )
        else:
            checks.append(
                Check("find-links", OK, f"{folder} with {number} {'file' if number == 1 else 'files'}")
            )
    return checks


# Room


def _root(settings: Settings) -> Check:
    """Whether there is a folder to put things in."""
    mend = "BNMATRIX_HOME names another folder"
    try:
        settings.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.root):
            pass
    except OSError as error:
        return Check("folder", PROBLEM, f"cannot write {settings.root}: {error.strerror}", mend)
    return Check("folder", OK, str(settings.root))


def _disk(settings: Settings) -> Check:
    """Whether there is room, and whether uv's cache can be shared."""
    folder = _existing(settings.root)
    free = shutil.disk_usage(folder).free
    room = f"{free / 1e9:.1f} GB free"
    if free < LITTLE_ROOM:
        state = PROBLEM if free < NO_ROOM else WARNING
        mend = "`bnmatrix env prune` and `uv cache prune` free some; BNMATRIX_HOME names another folder"
        return Check("disk", state, f"{room}; an environment takes up to 2 GB", mend)
    cache = _uv_cache()
    if cache and os.stat(folder).st_dev != os.stat(_existing(Path(cache))).st_dev:
        return Check(
            "disk",
            WARNING,
            f"{room}; uv's cache {cache} lies on another file system, so every environment is a full copy",
            "UV_CACHE_DIR or BNMATRIX_HOME may bring the two together",
        )
    return Check("disk", OK, room)


def _uv_cache() -> str:
    try:
        return uv.run("cache", "dir").output.strip()
    except (EnvironmentFailure, OSError):
        return ""


def _existing(folder: Path) -> Path:
    """`folder`, or the nearest above it that there is."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())

"""Where a project says which release it wants: the line to show beside what the release changed.

Looked for in the files in which requirements are written and in lock files, of one folder and of its folders
of requirements, and in what those take in. A line that names the release that is there now comes first: it is
the one that was bumped. These files are read as lines and not parsed, for a parser tells no lines; what
cannot be read has none.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

FRAMEWORKS = ("tensorflow", "keras", "tf-keras", "torch", "jax")
"""Whose release explains a change best; the best first."""

VARIANTS = {
    "tensorflow": (
        "tensorflow-cpu", "tensorflow-gpu", "tensorflow-macos", "tensorflow-intel", "tensorflow-rocm",
        "intel-tensorflow", "tf-nightly", "tf-nightly-cpu",
    ),
    "keras": ("keras-nightly",),
    "tf-keras": ("tf-keras-nightly",),
    "torch": ("pytorch", "pytorch-cpu", "pytorch-gpu"),
}  # fmt: skip
"""Other names under which the same package is required."""

TARGETS = {"tensorflow": ("tf1", "tf2")}
"""What bnmatrix calls them in a configuration."""

KINDS = {
    "locked": (
        "uv.lock", "poetry.lock", "pdm.lock", "pylock.toml", "pylock.*.toml", "Pipfile.lock",
        "*conda-lock.yml", "*conda-lock.yaml",
    ),
    "listed": (
        "*requirements*.txt", "*requirements*.in", "*constraints*.txt", "*constraints*.in",
        "*environment*.yml", "*environment*.yaml", "conda*.yml", "conda*.yaml",
    ),
    "configured": ("pyproject.toml", "bnmatrix.toml", "setup.cfg", "Pipfile", "pixi.toml"),
    "python": ("setup.py",),
}  # fmt: skip
"""Files by how their lines read; a file is of the first kind that it fits."""

FOLDERS = ("requirements", "requirement", "reqs", "deps", "dependencies", "constraints", "conda", "envs")
IN_FOLDERS = ("*.txt", "*.in", "*.yml", "*.yaml")

MOST_BYTES = 8_000_000
LONGEST_LINE = 2_000
"""A file or a line beyond this is none that a person looks at."""


@dataclass(frozen=True)
class Place:
    """A line of a file, which is told from the root of the repository, with `/`; `package` as asked for."""

    file: str
    line: int
    package: str
    text: str


class Match(NamedTuple):
    """A line that may require a package. `says`: what follows the name, up to the requirement's end."""

    number: int
    name: str
    says: str
    text: str


Versions = tuple[str | None, str | None]
"""The old and the new; None where the package is not there."""


def find(root: Path, packages: Mapping[str, Versions]) -> list[Place]:
    """The lines that require `packages`, the likeliest cause first.

    root: the folder of the project;  packages: {name: (old version, new version)}, of those that differ
    """
    wanted = {canonicalize_name(package): package for package in packages}
    called = {variant: package for package in wanted for variant in (package, *VARIANTS.get(package, ()))}
    called |= {name: package for package in wanted for name in TARGETS.get(package, ())}
    found = []
    for order, (path, kind) in enumerate(_files(root)):
        for match in _matches(path, kind, frozenset(called)):
            name = called[match.name]
            closeness = _closeness(match.says, packages[wanted[name]][1])
            if match.name in TARGETS.get(name, ()) and closeness > 1:
                continue  # `tf2` without a release is no requirement
            best_first = (name not in FRAMEWORKS, closeness, kind == "locked", _order(name), order)
            place = Place(in_repository(path), match.number, wanted[name], match.text.strip())
            found.append(((*best_first, match.number), place))
    return [place for _, place in sorted(found, key=lambda one: one[0])]


def in_repository(path: Path) -> str:
    """`path` as a service that shows the repository knows it: from its root, with `/`."""
    whole = Path(os.path.abspath(path))
    for base in (_repository(whole.parent), Path.cwd()):
        if base is not None and whole.is_relative_to(base):
            return whole.relative_to(base).as_posix()
    return path.as_posix()


@cache
def _repository(folder: Path) -> Path | None:
    """The root of the repository that holds `folder`."""
    try:
        return next((each for each in (folder, *folder.parents) if (each / ".git").exists()), None)
    except OSError:
        return None


def _order(package: str) -> int:
    return FRAMEWORKS.index(package) if package in FRAMEWORKS else len(FRAMEWORKS)


def _files(root: Path) -> Iterator[tuple[Path, str]]:
    """The files to look through, each once, and what kind each is; behind a file those that it names."""
    seen: set[str] = set()
    waiting = list(_named_so(root))
    while waiting:
        path, kind = waiting.pop(0)
        real = os.path.realpath(path)
        if real not in seen:
            seen.add(real)
            yield path, kind
            if kind == "listed":
                waiting[:0] = [(further, kind) for further in _included(path)]


def _included(path: Path) -> Iterator[Path]:
    """The files that a list of requirements takes in (`-r base.txt`), as far as they are there."""
    for _, line in _lines(path):
        found = _INCLUDES.match(line)
        if found and (further := path.parent / found["file"]).is_file():
            yield further


def _named_so(root: Path) -> Iterator[tuple[Path, str]]:
    """The files that are told by their names: those of the project, then of its folders of requirements."""
    own = _entries(root)
    for path in own:
        kind = next((kind for kind, patterns in KINDS.items() if _fits(path, patterns)), None)
        if kind is not None:
            yield path, kind
    for folder in own:
        if folder.name.lower() in FOLDERS:
            for path in _entries(folder):
                if _fits(path, IN_FOLDERS):
                    yield path, "listed"


def _fits(path: Path, patterns: Iterable[str]) -> bool:
    return any(fnmatch(path.name, pattern) for pattern in patterns)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _matches(path: Path, kind: str, names: frozenset[str]) -> Iterable[Match]:
    lines = _lines(path)
    if kind == "locked":
        return _in_lock(lines, names)
    if kind == "configured":
        return _in_sections(lines, names)
    return _in_requirements(lines, names, QUOTED if kind == "python" else UNQUOTED)


def _lines(path: Path) -> list[tuple[int, str]]:
    """The file's lines, numbered from 1; none where it is no text, or none that a person looks at."""
    try:
        if not path.is_file() or path.stat().st_size > MOST_BYTES:
            return []
        data = path.read_bytes()
    except OSError:
        return []
    wide = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # as PowerShell writes them
    if b"\0" in data and not wide:
        return []
    text = data.decode("utf-16" if wide else "utf-8-sig", errors="replace")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return [(number, line) for number, line in enumerate(lines, 1) if len(line) <= LONGEST_LINE]


_NAME = r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
_SAYS = r"(?:\s*\[[^\]]*\])?(?P<says>[^'\";#]*)"
UNQUOTED = re.compile(rf"^\s*(?:-\s+)?['\"]?(?:[\w./-]+::)?{_NAME}{_SAYS}")
"""`tensorflow==2.21.0 ; ...`, and as an entry of a list in YAML: `- conda-forge::pytorch=2.1`"""

QUOTED = re.compile(rf"['\"]{_NAME}{_SAYS}['\";]")
"""`"torch>=2.1"`, in code or in TOML."""

_INCLUDES = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s*=?\s*)['\"]?(?P<file>[^\s'\"#]+)")

_KEY = re.compile(r"^\s*(?P<key>[\w.-]+|\"[^\"]+\"|'[^']+')\s*=(?!=)")
_VALUE = re.compile(rf"^\s*['\"]?{_NAME}['\"]?\s*=\s*(?P<says>[^#]*)")
_HEADING = re.compile(r"^\s*\[+\s*(?P<heading>[^\]]*?)\s*\]+\s*(?:#.*)?$")
_REQUIRING = re.compile(r"depend|require|constraint|extras|packages|bnmatrix|^targets|^frameworks$")
_WHEEL = re.compile(r"(?:^|[/\s])(?P<name>[A-Za-z0-9._]+)-(?P<says>\d[^-\s/]*)-[^\s/]*\.whl")


def _in_requirements(
    lines: Iterable[tuple[int, str]], names: frozenset[str], pattern: re.Pattern[str]
) -> Iterator[Match]:
    for number, line in lines:
        if line.lstrip().startswith("#"):
            continue
        yield from _first(number, line, [*pattern.finditer(line), *_WHEEL.finditer(line)], names)


def _in_sections(lines: Iterable[tuple[int, str]], names: frozenset[str]) -> Iterator[Match]:
    """In a file of headings and keys (TOML, setup.cfg): only under those that tell of requirements."""
    section = key = ""
    for number, line in lines:
        if line.lstrip().startswith("#"):
            continue
        if heading := _HEADING.match(line):
            section, key = heading["heading"], ""
            continue
        if found := _KEY.match(line):
            key = found["key"]
        in_section = _REQUIRING.search(section)
        if not in_section and not _REQUIRING.search(key):
            continue
        value = line[found.end() :] if found else line
        listed = [*QUOTED.finditer(line), *UNQUOTED.finditer(value), *_WHEEL.finditer(line)]
        keyed = [*_VALUE.finditer(line)] if in_section else []
        yield from _first(number, line, [*listed, *keyed], names)


def _first(
    number: int, line: str, candidates: Iterable[re.Match[str]], names: frozenset[str]
) -> Iterator[Match]:
    """What the first of `candidates` that is one of `names` says of it."""
    for candidate in candidates:
        name = canonicalize_name(candidate["name"])
        if name in names:
            yield Match(number, name, candidate["says"].replace("%2B", "+"), line)
            return


_LOCKED_NAME = re.compile(r"^\s*(?:-\s+)?\"?name\"?\s*[:=]\s*[\"']?(?P<name>[\w.-]+)")
_LOCKED_ENTRY = re.compile(r"^\s*\"(?P<name>[\w.-]+)\"\s*:\s*\{")
_LOCKED_VERSION = re.compile(r"^\s*\"?version\"?\s*[:=]\s*[\"']?(?P<says>[^\"',]+)")


def _in_lock(lines: Iterable[tuple[int, str]], names: frozenset[str]) -> Iterator[Match]:
    """The line of the version, which follows that of the name."""
    current = ""
    for number, line in lines:
        if found := _LOCKED_NAME.match(line) or _LOCKED_ENTRY.match(line):
            current = canonicalize_name(found["name"])
        elif current in names and (found := _LOCKED_VERSION.match(line)):
            yield Match(number, current, found["says"], line)
            current = ""


_RELEASE = re.compile(r"(?<![\w.])v?(\d+(?:\.\d+)*(?:(?:a|b|rc|\.dev|\.post)\d+)?)")


def _closeness(says: str, new: str | None) -> int:
    """0: it names the new release; 1: the beginning of it; 2: some other release; 3: none."""
    named = _RELEASE.findall(says)
    if not named:
        return 3
    try:
        release = Version(new or "").public
        if any(Version(one) == Version(release) for one in named):
            return 0
    except InvalidVersion:
        return 2
    return 1 if any("." in one and release.startswith(f"{one}.") for one in named) else 2

"""The current environment: what is installed in it, told from the names and stamps of its files.

Nothing is imported, and no other process is started for the program's own interpreter: that a result is known
must be seen in milliseconds. What counts is what a probe would see: one is started with `-I`, so neither
PYTHONPATH nor the user's own site-packages are part of the environment.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from bnmatrix.environment import interpreters, places
from bnmatrix.errors import UsageError

_CODE = (".py", ".so", ".pyd", ".dylib")
_LIBRARY = ".so."
"""As in `libtensorflow_framework.so.2`."""

_BYTE_CODE = "__pycache__"
_HEADERS = "include"
"""Unless it is a package: tensorflow has 2,900 folders of headers and 560 others."""

_VERSION = re.compile(r"\d+(\.\d+)*")
_FOLDERS_OF_SOURCE = ("", "src", "python", "lib")

_File = tuple[str, int, int, int]
"""(path below the folder that its package lies in, size, times of its content and of its inode in ns)"""


@dataclass(frozen=True)
class Current:
    """An environment as its files tell it. `site_packages`: the folders that it keeps packages in."""

    python: str
    version: str
    implementation: str
    platform: str
    site_packages: tuple[Path, ...]

    def distributions(self) -> dict[str, str]:
        """{normalised name: version} of what is installed."""
        return self._distributions

    def has_module(self, name: str) -> bool:
        """Whether the top-level module or package `name` is installed. A folder without code is none."""
        return self._locate(name) is not None

    def fingerprint(self, modules: tuple[str, ...]) -> str:
        """A digest of all that could change a result: interpreter, distributions, and the files of `modules`.

        Of files, size and times are taken, so a framework that was patched in place is another environment.
        So is a copy, for which the time of the inode is a new one.
        The code of a module `x` includes that of `x_y`.
        """
        found: list[object] = [self.version, self.implementation, self.platform]
        found.append(sorted(self._distributions.items()))
        found.append([self._at_start(folder) for folder in self._path])
        # TensorFlow 1.15 has its code in `tensorflow_core`.
        kin = tuple(f"{name}_" for name in modules)
        beside = {
            name
            for names in self._path.values()
            for name in names
            if "." not in name and name.startswith(kin)
        }
        for name in sorted({*modules, *beside}):
            place = self._locate(name)
            if place is not None and place not in self._scanned:
                self._scanned[place] = _digest(sorted(_files(place)))
            found.append((name, self._scanned[place] if place is not None else None))
        return _digest(found)

    @cached_property
    def _scanned(self) -> dict[str, str]:
        """Digests of the code of modules, as far as it was asked for: targets have modules in common."""
        return {}

    @cached_property
    def _path(self) -> dict[str, list[str]]:
        """{folder: names in it}, in the order in which modules are looked for."""
        found: dict[str, list[str]] = {}
        for folder in map(str, self.site_packages):
            found.setdefault(folder, _names(folder))
            for _, line in _lines_at_start(folder, found[folder]):
                if not line.startswith(("import ", "import\t")):
                    further = os.path.normpath(os.path.join(folder, line))
                    if further not in found and os.path.isdir(further):
                        found[further] = _names(further)
        return found

    @cached_property
    def _distributions(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for folder, names in self._path.items():
            for name in [*names, *([os.path.basename(folder)] if folder.endswith(".egg") else [])]:
                stem, kind = os.path.splitext(name)
                if kind in (".dist-info", ".egg-info", ".egg"):
                    project, version = _project(folder, stem, name)
                    if project:
                        found.setdefault(re.sub(r"[-_.]+", "-", project).lower(), version)
        return found

    def _at_start(self, folder: str) -> list[object]:
        """What a folder has run whenever the interpreter starts."""
        names = self._path[folder]
        found: list[object] = list(_lines_at_start(folder, names))
        for name in ("sitecustomize.py", "sitecustomize"):
            if name in names:
                found += _files(os.path.join(folder, name))
        return found

    def _locate(self, name: str) -> str | None:
        """The folder or file of the module `name`."""
        for folder, names in self._path.items():
            if place := _module_in(folder, names, name):
                return place
        return self._locate_editable(name)

    def _locate_editable(self, name: str) -> str | None:
        """The same, of an editable install that puts an import hook in place of a folder on the path."""
        for place in self._mapped(name):
            for path in (place, f"{place}.py"):
                if _is_package(path) or os.path.isfile(path):
                    return path
        for root in self._editable_roots:
            for below in _FOLDERS_OF_SOURCE:
                folder = os.path.normpath(os.path.join(root, below))
                if found := _module_in(folder, _names(folder), name):
                    return found
        return None

    def _mapped(self, name: str) -> Iterator[str]:
        """Where the import hooks of setuptools say that `name` lies."""
        for folder, names in self._path.items():
            for hook in names:
                if hook.startswith("__editable__") and hook.endswith("_finder.py"):
                    import ast

                    text = _text(os.path.join(folder, hook))
                    written = re.search(r"^MAPPING\b[^=]*=\s*(\{.*\})\s*$", text, re.MULTILINE)
                    with contextlib.suppress(ValueError, SyntaxError, TypeError):
                        mapping = ast.literal_eval(written[1]) if written else {}
                        if isinstance(mapping.get(name), str):
                            yield mapping[name]

    @cached_property
    def _editable_roots(self) -> list[str]:
        """The source trees that editable installs tell of in their metadata."""
        import json
        from urllib.parse import unquote, urlsplit

        found = []
        for folder, names in self._path.items():
            for name in names:
                told = os.path.join(folder, name, "direct_url.json")
                if name.endswith(".dist-info") and os.path.isfile(told):
                    with contextlib.suppress(ValueError, AttributeError, TypeError):
                        data = json.loads(_text(told))
                        if data.get("dir_info", {}).get("editable"):
                            found.append(unquote(urlsplit(data["url"]).path))
        return found


def current(python: str | None = None, root: Path | None = None) -> Current:
    """The environment of `python` (a path, command or version), else the active one, else the program's own.

    Raises UsageError if `python`, or the environment that is active, has no Python. What another interpreter
    answers is remembered below `root`, bnmatrix's own folder if none is given.
    """
    path = _active() or sys.executable if python is None else _chosen(python, root)
    own = _is_own(path)
    answer = interpreters.own() if own else interpreters.answer_of(path, root or places.root())
    return Current(
        python=answer.executable,
        version=answer.version,
        implementation=answer.implementation,
        platform=answer.platform,
        site_packages=tuple(map(Path, answer.site_packages)),
    )


def _chosen(python: str, root: Path | None) -> str:
    """The interpreter that the user named."""
    import shutil

    if _VERSION.fullmatch(python) and not os.path.exists(python):
        found = interpreters.choose(python, root or places.root())
        if found is None:
            raise UsageError(
                f"no Python {python} was found",
                "`bnmatrix env doctor` lists those that were, and how to get others",
            )
        return found.path
    path = os.path.abspath(os.path.expanduser(python))
    if os.path.isdir(path):
        path = _of_environment(path)
    elif os.sep not in python and not os.path.exists(path):
        path = shutil.which(python) or path
    if not os.path.isfile(path):
        raise UsageError(
            f"there is no Python at {python}",
            "name an interpreter (.venv/bin/python), an environment (.venv) or a version (3.11)",
        )
    return path


def _active() -> str | None:
    """The interpreter of the environment that is active in the user's shell.

    Conda's base is active in every shell of many users, who did not choose it: it does not count.
    """
    for variable in ("VIRTUAL_ENV", "CONDA_PREFIX"):
        folder = os.environ.get(variable)
        if not folder or (variable[0] == "C" and os.environ.get("CONDA_DEFAULT_ENV") in ("base", "root")):
            continue
        path = _of_environment(folder)
        if not os.path.isfile(path):
            raise UsageError(
                f"the active environment {folder} has no Python",
                f"unset {variable}, or say which: --python PATH",
            )
        return path
    return None


def _of_environment(folder: str) -> str:
    return os.path.join(os.path.abspath(folder), "bin", "python")


def _is_own(path: str) -> bool:
    """Whether `path` is the program's own interpreter, in the program's own environment."""
    try:
        return os.path.samefile(path, sys.executable) and os.path.samefile(
            os.path.dirname(path), os.path.dirname(sys.executable)
        )
    except OSError:
        return False


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _lines_at_start(folder: str, names: list[str]) -> Iterator[tuple[str, str]]:
    """(file, line) of the .pth files, which name further folders or have something run."""
    for name in names:
        if name.endswith(".pth") and not name.startswith("."):
            for line in _text(os.path.join(folder, name)).splitlines():
                if line.strip() and not line.startswith("#"):
                    yield name, line.rstrip()


def _project(folder: str, stem: str, name: str) -> tuple[str, str]:
    """(name, version) of a distribution, from the name of its metadata or, failing that, from their text."""
    stem = re.sub(r"-py\d+(\.\d+)*(-.*)?$", "", stem)
    project, _, version = stem.rpartition("-")
    if project:
        return project, version
    for file in (name, f"{name}/PKG-INFO", f"{name}/METADATA"):
        found = re.search(r"^Version:\s*(\S+)", _text(os.path.join(folder, file)), re.MULTILINE)
        if found:
            return stem, found[1]
    return stem, ""


def _module_in(folder: str, names: list[str], name: str) -> str | None:
    if name in names and _is_package(os.path.join(folder, name)):
        return os.path.join(folder, name)
    for file in names:
        if file == f"{name}.py" or (file.startswith(f"{name}.") and file.endswith((".so", ".pyd"))):
            return os.path.join(folder, file)
    return None


def _is_package(path: str) -> bool:
    return any(os.path.isfile(os.path.join(path, f"__init__{kind}")) for kind in (".py", ".pyc"))


def _digest(found: object) -> str:
    import hashlib

    return hashlib.sha256(repr(found).encode("utf-8", "surrogateescape")).hexdigest()


def _state(status: os.stat_result) -> tuple[int, int, int]:
    """What tells a file from what it was. The time of its content can be put back, that of its inode cannot.

    The latter is of no use where the file has several links: uv makes one for every environment, and each
    changes it.
    """
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns if status.st_nlink == 1 else 0


def _files(place: str) -> Iterator[_File]:
    """The code below `place`, or `place` itself. Microseconds a file: nothing but strings in here."""
    name = os.path.basename(place)
    try:
        if not os.path.isdir(place):
            status = os.stat(place)
            yield name, *_state(status)
            return
        folders = [(place, name)]
        links: set[str] = set()
        while folders:
            path, below = folders.pop()
            with os.scandir(path) as entries:
                for entry in entries:
                    name = entry.name
                    if name.endswith(_CODE) or _LIBRARY in name:
                        try:
                            status = entry.stat()
                        except FileNotFoundError:  # a link that leads nowhere
                            continue
                        yield f"{below}/{name}", *_state(status)
                    # A package's folders have no dot; .dylibs holds the libraries of a wheel for the Mac.
                    elif ("." not in name or name == ".dylibs") and entry.is_dir():
                        if name == _BYTE_CODE or (name == _HEADERS and not _is_package(entry.path)):
                            continue
                        if entry.is_symlink():
                            real = os.path.realpath(entry.path)
                            if real in links or f"{path}/".startswith(f"{real}/"):
                                continue  # a loop
                            links.add(real)
                        folders.append((entry.path, f"{below}/{name}"))
    except OSError as error:
        raise UsageError(f"cannot read {error.filename}: {error.strerror}") from error

"""Layers of the user's own: `package.module:Class`, with constructor arguments if need be.

The class is imported in the target's environment, by a probe. Here it is a name; what is known of it is the
code of the project, all of which is part of the key of its results.

The examples that come with bnmatrix (`bnmatrix.examples.yolov4:BatchNormalization`) are such layers too. They
lie in a folder that is put on the probe's path in place of the project's: there need be no bnmatrix in the
target's environment.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from bnmatrix.errors import UsageError

EXAMPLE = "write it package.module:Class, or package.module:Class(momentum=0.9)"

MOST_FILES = 20_000
"""Files of code whose state is looked at; results of a larger project are not kept."""

_FORM = re.compile(r"([^\W\d][\w.]*):([^\W\d][\w.]*)(\(.*\))?", re.DOTALL)

_CODE = (".py", ".so", ".pyd", ".dylib")

_PROJECT_FILES = ("pyproject.toml", "bnmatrix.toml", "setup.py", "setup.cfg")

EXAMPLES = Path(__file__).parent / "examples"

SHIPPED = "bnmatrix.examples."
"""How the names of their modules begin."""

_NOT_CODE = ("__pycache__", "node_modules", "site-packages")


def is_own(layer: str) -> bool:
    """Whether a value of the axis `layer` names a layer of the user's own."""
    return ":" in layer


def is_shipped(layer: str) -> bool:
    """Whether it is one of the examples that come with bnmatrix."""
    return layer.startswith(SHIPPED)


def written(text: str, where: str = "") -> str:
    """The name as cells have it: arguments without a space. Raises UsageError."""
    module, name, arguments, keywords = _parts(text, where)
    told = [*arguments, *(f"{key}={value}" for key, value in keywords.items())]
    return f"{module}:{name}({','.join(told)})" if told else f"{module}:{name}"


def as_sent(layer: str, path: tuple[str, ...]) -> dict[str, Any]:
    """A layer as the probe is told of it; `path` are the folders that it is looked for in."""
    module, name, arguments, keywords = _parts(layer, "")
    if is_shipped(layer):
        module, path = module[len(SHIPPED) :], (str(EXAMPLES),)
    return {
        "module": module, "name": name, "arguments": arguments, "keywords": keywords, "path": list(path),
    }  # fmt: skip


@cache
def _parts(text: str, where: str) -> tuple[str, str, list[str], dict[str, str]]:
    """(module, class, arguments, keywords), the last two as the text of literals."""
    found = _FORM.fullmatch(text.strip())
    if not found:
        raise UsageError(f"{where}{text!r} names no layer", EXAMPLE)
    module, name, called = found.groups()
    if not called:
        return module, name, [], {}
    import ast

    try:
        call = ast.parse(f"f{called}", mode="eval").body
        assert isinstance(call, ast.Call)
        assert isinstance(call.func, ast.Name)
        arguments = [_literal(ast.literal_eval(each)) for each in call.args]
        keywords = {
            str(each.arg): _literal(ast.literal_eval(each.value)) for each in call.keywords if each.arg
        }
        if len(keywords) < len(call.keywords):
            raise ValueError
    except (SyntaxError, ValueError, AssertionError, RecursionError, MemoryError) as error:
        raise UsageError(f"{where}the arguments of {text!r} are no literals", EXAMPLE) from error
    return module, name, arguments, keywords


def _literal(value: object) -> str:
    """A literal without a space: what names a cell is one word."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{_literal(key)}:{_literal(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, set)):
        text = ",".join(map(_literal, value))
        return f"[{text}]" if isinstance(value, list) else f"{{{text}}}"
    if isinstance(value, tuple):
        text = ",".join(map(_literal, value))
        return f"({text},)" if len(value) == 1 else f"({text})"
    text = repr(value)
    if re.search(r"\s", text):
        raise UsageError(
            f"the argument {text} has white space in it", "make a class that has it as its default"
        )
    return text


NOT_MADE = "could not be made)"
"""How the reason of a cell ends whose layer's constructor raised (`probe/experiment.py` says so)."""


def hint(reason: str, layer: str) -> str | None:
    """What to do about a layer of which nothing could be measured."""
    missing = re.search(r"No module named '(\w+)", reason)
    if missing and missing[1] != layer.partition(":")[0].partition(".")[0]:
        return f'if it is a package, it goes with the target: --framework "TARGET,{missing[1]}"'
    for words, advice in _ADVICE.items():
        if words in reason:
            return advice
    if " cannot be imported: " in reason or re.search(r"\) has no |, no class$", reason):
        return f"it is looked for in {', '.join(project().path)}, and then among what is installed"
    return None


_ADVICE = {
    "it puts out": "say which layer it is like: --like dense, lstm, ...",
    "takes input of rank": "choose such inputs: --axis rank=3",
    "is no layer of": "name a target of its framework: --framework",
    "wants the arguments": "write them as literals",
    "with the options that it has": "a scenario with numbers of its own is about the framework's layers",
}


@dataclass(frozen=True)
class Project:
    """Where layers of the user's own are looked for: folders, the first one first.

    digest: of all code in them; None where that is too much to be looked at
    """

    path: tuple[str, ...]
    digest: str | None


def project(here: Path | None = None) -> Project:
    """The project around the folder `here` (the working directory): the nearest one with a project's file.

    Its `src` is searched too. Without such a file `here` is all of it.
    """
    here = here or Path.cwd()
    roots = [
        each for each in (here, *here.parents) if any((each / name).is_file() for name in _PROJECT_FILES)
    ]
    folders = [here, *roots[:1], *(root / "src" for root in roots[:1] if (root / "src").is_dir())]
    path = tuple(dict.fromkeys(map(str, folders)))
    outermost = [one for one in path if not any(one != other and _is_below(one, other) for other in path)]
    return Project(path, _digest(outermost))


def examples() -> Project:
    """The folder of the shipped examples, as a project."""
    return Project((str(EXAMPLES),), _digest([str(EXAMPLES)]))


def _is_below(folder: str, other: str) -> bool:
    return folder.startswith(os.path.join(other, ""))


def _digest(folders: list[str]) -> str | None:
    """Of names, sizes and times, as of the frameworks' own code."""
    import hashlib
    from itertools import islice

    found = list(islice((file for folder in folders for file in _files(folder)), MOST_FILES + 1))
    if len(found) > MOST_FILES:
        return None
    return hashlib.sha256(repr(sorted(found)).encode("utf-8", "surrogateescape")).hexdigest()


def _files(folder: str) -> Iterator[tuple[str, int, int]]:
    """(path, size, time in ns) of the code below a folder; environments and what is hidden left out."""
    left, seen = [folder], {os.path.realpath(folder)}
    while left:
        # What cannot be read cannot be imported either.
        with suppress(OSError), os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(_CODE) and entry.is_file():
                    status = entry.stat()
                    yield entry.path, status.st_size, status.st_mtime_ns
                elif (
                    not entry.name.startswith(".")
                    and entry.name not in _NOT_CODE
                    and entry.is_dir()
                    and not os.path.exists(os.path.join(entry.path, "pyvenv.cfg"))
                ):
                    real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                    if real not in seen:  # a loop ends where it began
                        seen.add(real)
                        left.append(entry.path)

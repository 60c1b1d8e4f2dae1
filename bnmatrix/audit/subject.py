"""What is audited, from the words of the command line: a factory in a module or a file, or a saved model."""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from bnmatrix.errors import UsageError
from bnmatrix.own_layers import examples, is_shipped, project

EXAMPLE = "write package.module:factory, path/to/file.py:factory, or the path of a .keras, .h5 or SavedModel"


class Subject(msgspec.Struct, frozen=True):
    """What the probe is told.

    kind:  module, file, or saved; place: the module's name, or the path
    shown: as the user wrote it, for messages
    """

    kind: str
    place: str
    shown: str
    name: str = ""
    arguments: dict[str, str] = {}
    path: tuple[str, ...] = ()
    trust: bool = False


def subject_of(what: str, arguments: Sequence[str] = (), trust: bool = False) -> Subject:
    """The subject that `what` names; arguments are NAME=LITERAL. Raises UsageError."""
    place, colon, name = what.rpartition(":")
    if not colon or Path(what).exists():
        return _saved(what, arguments, trust)
    if not name.isidentifier() and not all(part.isidentifier() for part in name.split(".")):
        raise UsageError(f"{what!r} names no factory", EXAMPLE)
    given = dict(_argument(each) for each in arguments)
    if is_shipped(what):
        folder = examples().path[0]
        file = Path(folder, f"{place.rpartition('.')[2]}.py")
        return Subject("file", str(file), place, name, given, (folder,))
    folders = project().path
    if place.endswith(".py") or "/" in place:
        file = Path(place)
        if not file.is_file():
            raise UsageError(f"there is no file {place}", f"it is looked for in {Path.cwd()}")
        folder = str(file.resolve().parent)
        path = tuple(dict.fromkeys((folder, *folders)))
        return Subject("file", str(file.resolve()), place, name, given, path)
    if not all(part.isidentifier() for part in place.split(".")):
        raise UsageError(f"{what!r} names no factory", EXAMPLE)
    return Subject("module", place, place, name, given, folders)


def _saved(what: str, arguments: Sequence[str], trust: bool) -> Subject:
    path = Path(what)
    if not path.exists():
        raise UsageError(f"there is no {what}", EXAMPLE)
    if path.suffix == ".py":
        raise UsageError(f"{what} is a file of code", f"name the function in it: {what}:build_model")
    if arguments:
        raise UsageError("--arg is for factories", "a saved model takes no arguments")
    return Subject("saved", str(path.resolve()), what, path=project().path, trust=trust)


def _argument(text: str) -> tuple[str, str]:
    """NAME=LITERAL; what is no literal is taken as text."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise UsageError(f"--arg {text!r} is not NAME=VALUE", "write --arg classes=10")
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = repr(value)
    return name, value


def shapes_of(texts: Sequence[str]) -> list[tuple[list[int], str]]:
    """[(sizes, kind of number)] of --input-shape 8,3,64,64 or 8,16:int. Raises UsageError."""
    found = []
    for text in texts:
        sizes, _, kind = text.partition(":")
        parts = re.split(r"[,x]", sizes.strip("() "))
        if not all(part.strip().isdigit() for part in parts) or kind not in ("", "int", "float"):
            raise UsageError(f"--input-shape {text!r} is no shape", "write 8,3,64,64, or 8,16:int")
        shape = [int(part) for part in parts]
        if 0 in shape:
            raise UsageError(f"--input-shape {text!r} holds nothing", "every size is 1 or more")
        found.append((shape, kind or "float"))
    return found


def as_sent(subject: Subject) -> dict[str, Any]:
    """The subject as plain data."""
    return {**msgspec.structs.asdict(subject), "path": list(subject.path)}

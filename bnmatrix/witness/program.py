"""A stand-alone program that shows one fact of a cell: composed of its framework's parts and a reading."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module

from bnmatrix.axes import Cell
from bnmatrix.matrix import Value
from bnmatrix.witness.parts import Axes, Lines, NoProgram, Parts, indented
from bnmatrix.witness.readings import Question, ending, is_number, only_there, reading_of

LONGEST = 59
"""Lines of a program: nobody reads more in a bug report."""

STANDARD = ("copy", "inspect", "io", "os", "subprocess", "sys", "tempfile", "warnings")
"""Modules of the standard library that programs use."""

WRITERS: dict[str, tuple[str, ...]] = {
    "torch": ("of_torch",),
    "tf2": ("of_keras",),
    "tf_keras": ("of_keras",),
    "keras": ("of_keras", "of_graphs"),
    "tf1": ("of_graphs",),
}
"""The modules beside this one that write for a framework, in the order in which they are tried."""


def programs(
    framework: str,
    backend: str | None,
    cell: Cell,
    fact: str,
    old: Value,
    new: Value,
    names: tuple[str, str],
) -> list[str]:
    """The programs that may tell the side where `fact` of `cell` is `old` from the one where it is `new`.

    framework, backend: as in a target;  names: of the two sides, for the reader
    They exit with 0 where they find the old behaviour, 1 where the new, 2 where neither. More than one, where
    a framework was written for in several ways over time. Raises NoProgram where there is none.
    """
    found, reason = [], None
    for module in WRITERS.get(framework, ()):
        parts_of = import_module(f"bnmatrix.witness.{module}").parts
        try:
            found.append(_program(parts_of, framework, backend, cell, fact, old, new, names))
        except NoProgram as why:
            reason = reason or why
    if not found:
        raise reason or NoProgram(f"none is written for {framework}")
    return found


def _program(
    parts_of: Callable[..., Parts],
    framework: str,
    backend: str | None,
    cell: Cell,
    fact: str,
    old: Value,
    new: Value,
    names: tuple[str, str],
) -> str:
    question = Question(fact, old, new, Axes(cell))
    reading = reading_of(fact)
    parts = parts_of(question, reading, framework, backend)
    crashes = "crashed" in (old, new)
    read = reading.lines(question, parts)
    question.axes.check()
    if crashes and "infer" in parts.values:
        read.insert(0, f"{parts.values['infer']}  # inference mode, as bnmatrix calls it too")
    compares = any("before[" in line for line in read)
    lines = [
        *parts.build,
        *([f"before = {parts.state}"] if compares else []),
        *([f"at_first = {parts.value('infer')}"] if reading.infer else []),
        *parts.step,
        *([f"after = {parts.state}"] if compares and any("after[" in line for line in read) else []),
        *read,
    ]
    body = [
        *parts.data,
        *(parts.helper if compares else []),
        *parts.classes,
        "",
        "",
        "def measure():",
        *indented(lines),
        "",
        "",
        *(_in_a_child() if crashes else []),
        *_measured(question),
        *ending(question, parts),
    ]
    used = "\n".join([*parts.environ, *body])
    text = "\n".join([
        f'"""{_docstring(cell, fact, old, new, names)}"""',
        *(f"import {name}" for name in STANDARD if re.search(rf"\b{name}\.", used)),
        "",
        *(each for each in [*parts.environ, ""] if parts.environ),
        *sorted(["import numpy as np", *parts.framework], key=_place_of_import),
        "",
        *(each for each in [*parts.alias, ""] if parts.alias),
        *body,
        "",
    ])  # fmt: skip
    if text.count("\n") > LONGEST:
        text = text.replace("\n\n\n", "\n\n")  # its classes and functions move together
    if text.count("\n") > LONGEST:
        raise NoProgram(f"it would take {text.count(chr(10))} lines, more than {LONGEST}")
    return text


def _place_of_import(line: str) -> tuple[bool, str]:
    """Plain imports first, as isort has them."""
    return line.startswith("from"), line


def _docstring(cell: Cell, fact: str, old: Value, new: Value, names: tuple[str, str]) -> str:
    return (
        f"{fact} of {cell.axes['layer']}: {_short(old)} -> {_short(new)}.\n\n"
        f"Exits with 0 on {names[0]}, with 1 on {names[1]}, with 2 where it shows neither.\n"
        f"Measured by bnmatrix in the cell {cell.id}\n"
    )


def _short(value: Value) -> str:
    return str(value) if len(str(value)) <= 40 else f"{str(value)[:39]}…"


def _in_a_child() -> Lines:
    """A crash ends the process: the part at risk runs in another."""
    return [
        'if "child" in sys.argv:',
        "    measure()",
        "    sys.exit()",
        'status = subprocess.call([sys.executable, __file__, "child"])',
        'found = "crashed" if status < 0 else "raised" if status else "ok"',
    ]


def _measured(question: Question) -> Lines:
    """`found`, in the words of the fact; whatever else is raised is neither."""
    if "crashed" in question.values:
        return []
    if question.fact == "warnings":
        return _warned(question)
    otherwise = 'float("nan")' if is_number(question) else '"raised"'
    otherwise = "type(error).__name__" if question.fact == "exception" else otherwise
    return [
        "try:",
        "    found = measure()",
        "except Exception as error:",
        f"    found = {otherwise}",
        '    print("%s: %s" % (type(error).__name__, error))',
    ]


def _warned(question: Question) -> Lines:
    """Whether the warning that only one side gives was given."""
    return [
        "with warnings.catch_warnings(record=True) as caught:",
        '    warnings.simplefilter("always")',
        "    try:",
        "        measure()",
        "    except Exception as error:",
        '        print("%s: %s" % (type(error).__name__, error))',
        f"text = {only_there(question)[0]!r}",
        'found = "warned" if any(text in str(each.message) for each in caught) else "silent"',
    ]

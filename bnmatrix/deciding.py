"""Which lines of a framework decide: two steps that differ in one setting part ways there.

Each call of a function in the one trace is held against the same call in the other; the last line that both
ran before they went on differently is one that decides. No table of lines is kept anywhere.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from bnmatrix.runner.messages import Call, Trace

NOT_DECIDING = ("__init__", "build", "__setattr__", "__getattr__", "get_config", "__repr__")
"""Functions that make or describe a layer."""

MOST = 4
"""Lines that are told of one axis."""


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """A line at which steps with another value of an axis go on differently.

    file:  from the folder that packages lie in;  text: the line
    here:  the line that is run next in the cell that is explained;  there: in the other;  nothing where it
           returns
    """

    axis: str
    other: str
    file: str
    line: int
    function: str
    text: str
    here: str
    there: str


def decisions(own: Trace, other: Trace, axis: str, value: str) -> list[Decision]:
    """Where `own` and `other`, whose `axis` has another `value`, part ways: the layer's own class first.

    In the files of its bases, which keep account of much else, lines that name the axis.
    """
    found: dict[tuple[int, int], Decision] = {}
    calls, others = _by_call(own.calls), _by_call(other.calls)
    noise = _parting(calls, _by_call(own.again)) | _parting(others, _by_call(other.again))
    for key in sorted(_parting(calls, others) - noise):
        number, _, function, _ = key
        mine, theirs = calls[key].lines, others[key].lines
        if function in NOT_DECIDING:
            continue
        file = own.files[number]
        for line, here, there in _partings(mine, theirs):
            text = _text(file, line)
            after, else_ = _first_text(file, here), _first_text(file, there)
            if after == else_ or (number and axis not in text):
                continue
            found.setdefault(
                (number, line),
                Decision(
                    axis=axis,
                    other=value,
                    file=short(file),
                    line=line,
                    function=function,
                    text=text,
                    here=after,
                    there=else_,
                ),
            )
    named = sorted(found, key=lambda place: (place[0], axis not in found[place].text))
    return [found[place] for place in named][:MOST]


def is_same(own: Trace, other: Trace) -> bool:
    """Whether both run the same lines of the layer's own class; if those were run at all, as they stand."""
    calls, others = _by_call(own.calls), _by_call(other.calls)
    noise = _parting(calls, _by_call(own.again)) | _parting(others, _by_call(other.again))
    differing = (_parting(calls, others) - noise) | (calls.keys() ^ others.keys())
    ran = {(number, function) for number, _, function, _ in calls}
    return any(number == 0 and function not in NOT_DECIDING for number, function in ran) and not any(
        number == 0 and function not in NOT_DECIDING for number, _, function, _ in differing
    )


_Key = tuple[int, int, str, int]
"""(file, first line, function, which of its calls)"""


def _by_call(calls: Iterable[Call]) -> dict[_Key, Call]:
    counts: dict[tuple[int, int, str], int] = {}
    found = {}
    for call in calls:
        function = call.file, call.first, call.function
        counts[function] = counts.get(function, -1) + 1
        found[(*function, counts[function])] = call
    return found


def _parting(some: dict[_Key, Call], others: dict[_Key, Call]) -> set[_Key]:
    return {key for key in some.keys() & others.keys() if some[key].lines != others[key].lines}


def _partings(some: Sequence[int], others: Sequence[int]) -> Iterator[tuple[int, list[int], list[int]]]:
    """(the last line in common, what the one runs then, what the other), each time they part."""
    matcher = SequenceMatcher(None, some, others, autojunk=False)
    for word, start, _, begin, _ in matcher.get_opcodes():
        if word != "equal" and start:
            yield some[start - 1], list(some[start:]), list(others[begin:])


def _first_text(file: str, lines: Sequence[int]) -> str:
    """The first of the lines that does anything: a text that stands alone is run as well."""
    texts = (_text(file, line) for line in lines)
    return next((text for text in texts if not text.lstrip("rR").startswith(('"', "'"))), "")


def _text(file: str, line: int) -> str:
    return linecache.getline(file, line).strip()


def short(file: str) -> str:
    """A file's name below the folder of packages, or below the working directory."""
    for folder in ("site-packages", "dist-packages"):
        _, found, rest = file.rpartition(f"{os.sep}{folder}{os.sep}")
        if found:
            return rest
    return os.path.relpath(file) if file.startswith(os.path.join(os.getcwd(), "")) else file

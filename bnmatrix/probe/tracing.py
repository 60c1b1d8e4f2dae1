"""Through which lines of its own code a layer goes: every line that Python runs, in order."""

import inspect
import os
import sys
from typing import Any, Callable, Dict, List, Type

from .adapters import Bench

MOST_LINES = 2000
"""Of one call of a function."""

BESIDE = {"torch.nn.modules": "torch.nn.functional"}
"""{where classes lie: the module that they compute with}"""

Call = Dict[str, Any]


def trace(stepped: Callable[[], Bench]) -> Dict[str, Any]:
    """What `stepped`, which makes a layer and one step, runs through; twice: what differs then is no answer.

    {"files": those of the layer's classes, the most derived first, "calls" and "again": each call of a
    function in them, {"file": its number, "function", "first": the line where it begins, "lines"}, "doc": the
    class's documentation}
    """
    bench = stepped()  # the first time things are loaded and kept that later ones find
    layer: Any = bench.layer  # type: ignore[attr-defined]
    files, doc = files_of(type(layer)), inspect.getdoc(type(layer)) or ""
    bench.close()
    found = []
    for _ in range(2):
        tracer = Tracer(files)
        before = sys.gettrace()
        sys.settrace(tracer.called)
        try:
            bench = stepped()
        finally:
            sys.settrace(before)
        bench.close()
        found.append(tracer.calls)
    return {"files": files, "calls": found[0], "again": found[1], "doc": doc}


def files_of(cls: Type[Any]) -> List[str]:
    """The source files of a class and of its bases, and of what they compute with."""
    modules = [base.__module__ for base in cls.__mro__]
    beside = [name for place, name in BESIDE.items() if any(each.startswith(place) for each in modules)]
    modules[1:1] = beside
    files = [getattr(sys.modules.get(name), "__file__", None) for name in modules]
    return [file for number, file in enumerate(files) if file and file not in files[:number]]


class Tracer(object):
    """Notes the lines that are run in `files`, by call of a function; `called` is for `sys.settrace`."""

    def __init__(self, files: List[str]) -> None:
        self.numbers = {os.path.normpath(file): number for number, file in enumerate(files)}
        self.calls: List[Call] = []

    def called(self, frame: Any, event: str, argument: Any) -> Any:
        """A function begins."""
        number = self.numbers.get(os.path.normpath(frame.f_code.co_filename))
        if number is None:
            return None
        lines: List[int] = []
        self.calls.append(
            {
                "file": number,
                "function": frame.f_code.co_name,
                "first": frame.f_code.co_firstlineno,
                "lines": lines,
            }
        )

        def ran(frame: Any, event: str, argument: Any) -> Any:
            if event == "line" and len(lines) < MOST_LINES:
                lines.append(frame.f_lineno)
            return ran

        return ran

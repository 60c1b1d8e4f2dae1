"""Values that need no conversion, taken as they are.

From release 0.29 on typer converts with pydantic, whose import takes as long as printing a table of known
results. Text needs no conversion, nor does a default. Whatever else is given, typer converts.
"""

from __future__ import annotations

import re
from typing import Any

import typer

_TEXT = {"class", "str", "list", "None", "NoneType", "Optional", "Union", "typing"}


def take_plain_values_as_they_are() -> None:
    """Have typer do so, if it is one that we know."""
    kind: Any = getattr(typer.core, "_TyperParameter", None)
    if not hasattr(kind, "get_runtime_param"):
        return
    usual: Any = kind.get_runtime_param

    class PlainValue:
        """In the place of what converts the values of one parameter."""

        def __init__(self, parameter: Any) -> None:
            self.is_text = set(re.findall(r"\w+", str(parameter.type_descriptor.annotation))) <= _TEXT

        def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
            """As typer's own does it."""
            is_many = param.multiple or param.nargs == -1
            if value is None:
                return () if is_many else None
            if self.is_text or not isinstance(value, str | list | tuple):
                return list(value) if is_many else value
            param._runtime_param = None
            return usual(param).coerce(value, param=param, ctx=ctx)

    kind.get_runtime_param = lambda parameter: PlainValue(parameter)

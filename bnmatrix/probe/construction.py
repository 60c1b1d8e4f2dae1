"""How the layer of this process was last constructed, as a line of code: noted where it is constructed."""

from typing import Any, Callable, Dict, Optional, Sequence

_last = ""


def constructed(
    made: Callable[..., Any],
    path: str,
    arguments: Sequence[Any] = (),
    keywords: Optional[Dict[str, Any]] = None,
    names: Optional[Sequence[str]] = None,
    hidden: Sequence[str] = (),
) -> Any:
    """`made(*arguments, **keywords)`, noted.

    path:   what a user calls `made`
    names:  what stands in the line for the arguments (sizes that are the user's own)
    hidden: keywords that are of the bench, and no part of the line
    """
    keywords = keywords or {}
    found = made(*arguments, **keywords)
    note(path, names, {name: value for name, value in keywords.items() if name not in hidden})
    return found


def note(path: str, names: Optional[Sequence[str]], keywords: Dict[str, Any]) -> None:
    """Note a call of `path`; `names` are arguments as they are to stand there."""
    global _last
    told = [str(each) for each in names or ()]
    told += ["%s=%s" % (name, _written(value)) for name, value in keywords.items()]
    _last = "%s(%s)" % (path, ", ".join(told))


def _written(value: Any) -> str:
    plain = isinstance(value, (bool, int, float, str, tuple, list, type(None)))
    return repr(value) if plain else "%s(...)" % type(value).__name__


def last() -> str:
    """The line of the last construction; empty where there was none."""
    return _last

"""Which layers and tensors of a model a pattern names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Any

from bnmatrix.errors import UsageError

MOST_NEAR = 5


def select(named: Mapping[str, Sequence[str]], patterns: Sequence[Any]) -> dict[str, list[str]]:
    """{layer: [tensor, ...]} of what any of `patterns` matches, from {layer: all of its tensors}.

    A pattern matches the dotted path of a layer, with all beneath it, or that of a tensor. `*` matches dots,
    too. Raises UsageError for a pattern that matches nothing, or only layers that have nothing to look at.
    """
    found: dict[str, list[str]] = {}
    matched: dict[str, bool] = dict.fromkeys(_texts(patterns) if patterns else ("*",), False)
    for layer, tensors in named.items():
        for tensor in tensors:
            hits = [pattern for pattern in matched if _matches(pattern, layer, tensor)]
            matched.update(dict.fromkeys(hits, True))
            if hits:
                found.setdefault(layer, []).append(tensor)
    for pattern, any_tensor in matched.items():
        if not any_tensor:
            raise _no_match(pattern, named)
    return found


def _texts(patterns: Sequence[Any]) -> list[str]:
    """The patterns, those in lists and tuples among them."""
    if not patterns:  # of a list that a test has filtered: not the whole model
        raise UsageError(
            "an empty list of patterns asks for nothing", "leave it out to ask for the whole model"
        )
    found: list[str] = []
    for pattern in patterns:
        if isinstance(pattern, (list, tuple)):
            found += _texts(pattern)
        elif isinstance(pattern, str):
            found.append(pattern)
        else:
            raise UsageError(
                f"a pattern is a text, and {str(pattern)[:60]} is a {type(pattern).__name__}",
                "the paths of layers or of their tensors, with * and ?",
            )
    return found


def _matches(pattern: str, layer: str, tensor: str) -> bool:
    parts = joined(layer, tensor).split(".")
    return any(fnmatchcase(".".join(parts[:length]), pattern) for length in range(1, len(parts) + 1))


def joined(layer: str, tensor: str) -> str:
    """The path of a tensor; the outermost model's own path is empty."""
    return f"{layer}.{tensor}" if layer else tensor


def _no_match(pattern: str, named: Mapping[str, Sequence[str]]) -> UsageError:
    stateless = [layer for layer in named if layer and fnmatchcase(layer, pattern)]
    if stateless:
        names = ", ".join(stateless[:MOST_NEAR])
        return UsageError(f"what {pattern!r} matches has no parameters and no state: {names}")
    known = [layer for layer in named if layer]
    known += [joined(layer, tensor) for layer, tensors in named.items() for tensor in tensors]
    near = get_close_matches(pattern.rstrip("*."), known, n=MOST_NEAR, cutoff=0.4)
    tops = list(dict.fromkeys(name.split(".")[0] for name in known))
    return UsageError(
        f"no layer and no parameter matches {pattern!r}",
        f"near it: {', '.join(near)}" if near else f"there is: {', '.join(tops[:20]) or 'nothing'}",
    )

"""The rows of an audit: layers alike but for a number in their path are one; a hundred fit a screen."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from bnmatrix.audit.layers import COUNTER, AuditedLayer

MOST = 40
"""Rows of a page; of a larger model layers are put together by the part that they are in."""

SHOWN = (
    "frozen", "mode", "parameters", "statistics", "state", "normalised_by", "gradient", "dropout",
    "updates_per_step",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Layers that are alike: their common path, and how many."""

    path: str
    layers: tuple[AuditedLayer, ...]

    @property
    def first(self) -> AuditedLayer:
        """One of them."""
        return self.layers[0]

    def farthest(self, parameters: bool) -> float | None:
        """How far their parameters, or their state, moved at the most; None where they did not move."""
        found = [
            each.by
            for layer in self.layers for name, each in layer.moved.items()
            if each.parameter == parameters and each.by is not None and name != COUNTER
        ]  # fmt: skip
        return max(found, default=None)


NUMBER = re.compile(r"(?<!\d)(?![123]d(?![a-z\d]))(\d+(?:[a-z](?![a-z\d]))?)")
"""What tells layers alike apart: the number in block3, with its letter in block3a; not that of conv2d."""


def rows(layers: Sequence[AuditedLayer], most: int = MOST) -> list[Row]:
    """The rows, in the order of the model: at the most `most`, if folding by parts can do it."""
    depth = max((layer.path.count(".") for layer in layers), default=0) + 1
    folded = _folded(layers, depth)
    while len(folded) > most and depth > 1:
        depth -= 1
        folded = _folded(layers, depth)
    return folded


def _folded(layers: Sequence[AuditedLayer], depth: int) -> list[Row]:
    """Layers alike in what is shown, and but for numbers in the first names of their path, are together."""
    groups: dict[tuple[object, ...], list[AuditedLayer]] = {}
    for layer in layers:
        shown = tuple(layer.facts.get(fact, "") for fact in SHOWN)
        alike = (NUMBER.sub("*", _first(layer.path, depth)), layer.kind, shown, *layer.findings)
        groups.setdefault(alike, []).append(layer)
    return [Row(_common([each.path for each in found], depth), tuple(found)) for found in groups.values()]


def _first(path: str, depth: int) -> str:
    """The first names of a path, with a sign for further ones."""
    names = path.split(".")
    return path if len(names) <= depth else ".".join([*names[:depth], "*"])


def _common(paths: Sequence[str], depth: int) -> str:
    """What paths have in common, with a sign for the numbers in which they differ."""
    if len(paths) == 1:
        return paths[0]
    parts = [NUMBER.split(_first(path, depth)) for path in paths]
    return "".join(each[0] if len(set(each)) == 1 else "*" for each in zip(*parts, strict=True))

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


def rows(layers: Sequence[AuditedLayer], most: int = MOST) -> list[Row]:
    """The rows, in the order of the model: at the most `most`, if folding by parts can do it."""
    folded = _by(layers, lambda path: re.sub(r"\d+", "*", path))
    depth = max((layer.path.count(".") for layer in layers), default=0)
    while len(folded) > most and depth:
        folded = _by(layers, lambda path, keep=depth: _part(path, keep))
        depth -= 1
    return folded


def _part(path: str, depth: int) -> str:
    """The first `depth` names of a path."""
    names = re.sub(r"\d+", "*", path).split(".")
    return ".".join(names) if len(names) <= depth else ".".join([*names[:depth], "*"])


def _by(layers: Sequence[AuditedLayer], common: object) -> list[Row]:
    assert callable(common)
    groups: dict[tuple[object, ...], list[AuditedLayer]] = {}
    for layer in layers:
        shown = tuple(layer.facts.get(fact, "") for fact in SHOWN)
        alike = (common(layer.path), layer.kind, shown, *layer.findings)
        groups.setdefault(alike, []).append(layer)
    return [
        Row(found[0].path if len(found) == 1 else str(alike[0]), tuple(found))
        for alike, found in groups.items()
    ]

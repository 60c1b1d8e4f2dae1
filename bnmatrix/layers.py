"""What is known of each layer before any framework is asked: `probe/layers.json`, read once.

The file lies with the probe, which needs it in the target's interpreter; this side only reads it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Layer:
    """A layer by its framework-neutral name.

    family:   which closed forms the judge holds it against
    ranks:    the input ranks it takes
    chance:   whether its output may depend on chance
    slots:    names of its state, in the vocabulary of all frameworks
    variants: {name: what it means}, besides `default`
    classes:  {framework: what it is called there}; a framework not named has none
    lacks:    {framework: {axis: values}} that no release of it has for this layer
    """

    name: str
    family: str
    ranks: tuple[int, ...]
    chance: bool
    slots: tuple[str, ...]
    variants: dict[str, str]
    classes: dict[str, str]
    lacks: dict[str, dict[str, list[str]]]


@cache
def layers() -> dict[str, Layer]:
    """Every layer, by name, in the order in which they are listed."""
    text = (Path(__file__).parent / "probe" / "layers.json").read_text(encoding="utf-8")
    return {
        name: Layer(
            name=name,
            family=entry["family"],
            ranks=tuple(entry["ranks"]),
            chance=entry["chance"],
            slots=tuple(entry["slots"]),
            variants=entry["variants"],
            classes=entry["classes"],
            lacks={
                framework: axes
                for names, axes in entry.get("lacks", {}).items()
                for framework in names.split()
            },
        )
        for name, entry in json.loads(text).items()
    }

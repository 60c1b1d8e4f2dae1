"""What a claim is: a citable statement about behaviour, and how it is measured.

How one is written in a file is told in `claim_file.py`.
"""

from __future__ import annotations

import msgspec

from bnmatrix.scenario import Scenario, Values
from bnmatrix.target import FAMILIES


class Shown(msgspec.Struct, frozen=True):
    """What the cells that match `where` must show for an answer: facts and sizes, or another layer's.

    same_as: a layer; every cell has the facts that this layer has in the same place
    """

    where: Values
    facts: dict[str, tuple[str, ...]] = {}
    sizes: dict[str, int] = {}
    same_as: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What there is to say on a target whose cells show all of `shown`."""

    says: str
    shown: tuple[Shown, ...]


class ModelPart(msgspec.Struct, frozen=True):
    """A whole model that a claim is about.

    factory:   "module:function" of a shipped example or of the user's own, which makes a compiled model
    execution: how its steps are made, and how many `steps`
    expect:    {pattern of layers: {fact: its values}}
    """

    says: str
    factory: str
    execution: str
    steps: int
    expect: dict[str, dict[str, tuple[str, ...]]]


class Claim(msgspec.Struct, frozen=True):
    """A claim.

    frameworks: those that it speaks of; some may be no framework of bnmatrix's
    layers:     those that it speaks of
    scenario:   the cells that decide, and what the claim says of them, to the letter
    answers:    what more can be said, where the cells show it
    models:     whole models that it is about as well
    """

    id: str
    says: str
    source: str
    frameworks: tuple[str, ...]
    layers: tuple[str, ...]
    scenario: Scenario
    answers: tuple[Answer, ...] = ()
    models: tuple[ModelPart, ...] = ()

    def speaks_of(self, framework: str) -> bool:
        """Whether it says anything of a framework."""
        return framework in self.frameworks

    def unknown_frameworks(self) -> list[str]:
        """What it speaks of and bnmatrix cannot run."""
        return [name for name in self.frameworks if name not in FAMILIES]

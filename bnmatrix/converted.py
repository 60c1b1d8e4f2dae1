"""What a conversion is, as data: what becomes what, and how the two layers compared step by step.

These structs are the JSON of `convert`, field for field.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bnmatrix.errors import Exit
from bnmatrix.matrix import Value

STATISTICS = ("moving_mean", "moving_variance")

OF_STATISTICS = (*STATISTICS, "inference_output")
"""What parts with them."""


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A quantity of two layers, step by step.

    largest:  the largest relative difference of any step; None where it is on the one side only or not finite
    allowed:  the rounding that the dtype allows after all the steps; each step adds its share
    parts_at: the first step in which it is larger than allowed until then
    """

    what: str
    largest: float | None
    allowed: float
    parts_at: int | None = None

    @property
    def is_equal(self) -> bool:
        """Whether it never parts."""
        return self.parts_at is None


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that was measured of both and is another."""

    fact: str
    source: Value
    destination: Value


class Remedy(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done at the destination, and how it then compares; `answer` as in a Proof."""

    do: list[str]
    cell: str
    answer: str
    compared: list[Compared]


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """The two side by side in one scenario.

    answer: `equal`; `equal_but_for`: only statistics, and what comes of them in inference mode, part;
            `different`; `not_compared`
    factor: what the destination's moving variance takes in, as a multiple of the source's, where that is a
            number other than 1;  values: of a batch that share one statistic
    reason: why they were not compared
    remedy: the best that was found, where they are not equal
    """

    scenario: str
    source_cell: str
    destination_cell: str
    answer: str
    compared: list[Compared] = []
    causes: list[Cause] = []
    factor: float | None = None
    values: int | None = None
    reason: str | None = None
    remedy: Remedy | None = None

    def parting(self) -> list[str]:
        """What parts."""
        return [each.what for each in self.compared if each.parts_at is not None]


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """A constructor option by its neutral name: `momentum` is the share that is kept.

    source:      as measured there; a word where it cannot be told
    asked:       what the destination was given, if anything
    destination: as measured there with it
    """

    name: str
    source: Value
    asked: float | None
    destination: Value | None


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """A weight as a framework has it."""

    name: str
    shape: list[int]
    dtype: str


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes what; None on the side that has none. `transposed`: the order of the source's axes."""

    slot: str
    source: Stored | None
    destination: Stored | None
    transposed: list[int] | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One combination of the axes that were chosen. `refused`: why its weights cannot be carried over."""

    axes: dict[str, str]
    source_code: str | None = None
    destination_code: str | None = None
    options: list[Option] = []
    weights: list[Weight] = []
    proofs: list[Proof] = []
    refused: str | None = None


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """One of the two."""

    target: str
    framework: str
    versions: dict[str, str]
    python: str
    device: str


class Conversion(msgspec.Struct, frozen=True, kw_only=True):
    """What `bnmatrix convert --format json` prints."""

    schema_version: int
    bnmatrix: str
    layer: str
    source: Party
    destination: Party
    steps: int
    seed: int
    cases: list[Case]


def exit_code(conversion: Conversion, incomplete: bool) -> Exit:
    """1 where options and weights alone do not make all equal; `incomplete`: a cell could not be run."""
    for case in conversion.cases:
        if case.refused or any(proof.answer in ("equal_but_for", "different") for proof in case.proofs):
            return Exit.CHANGED
    if incomplete:
        return Exit.INCOMPLETE
    whole = all(proof.answer == "equal" for case in conversion.cases for proof in case.proofs)
    return Exit.DONE if whole else Exit.CHANGED


def answer_of(held: Sequence[Compared]) -> str:
    """`equal`, `equal_but_for` statistics and what comes of them in inference mode, or `different`."""
    parting = [each.what for each in held if not each.is_equal]
    if not parting:
        return "equal"
    return "equal_but_for" if set(parting) <= set(OF_STATISTICS) else "different"


def badness(held: Sequence[Compared]) -> tuple[int, int]:
    """How bad it is: what parts besides statistics, and what parts at all."""
    parting = [each.what for each in held if not each.is_equal]
    return sum(what not in OF_STATISTICS for what in parting), len(parting)

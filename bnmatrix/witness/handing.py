"""A witness for a changed condition: the program of its simplest cell that tells the two sides apart.

Whatever is handed over was run on both sides just before: on the old it ended with 0, on the new with 1.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnmatrix.axes import parse_id
from bnmatrix.comparison import Condition
from bnmatrix.runner.work import Guest
from bnmatrix.target import Target, version_of
from bnmatrix.witness.parts import NoProgram
from bnmatrix.witness.program import programs
from bnmatrix.witness.trial import separates, tried

TRIES = 3
"""Cells of a condition that are tried: where three in a row show nothing, others hardly will."""


@dataclass(frozen=True)
class Witness:
    """A program that tells the sides apart, and the cell that it shows."""

    text: str
    cell: str


def same_framework(old: Target, new: Target) -> bool:
    """Whether one program can run on both sides."""
    return (old.framework, old.backend) == (new.framework, new.backend)


def name_of(target: Target, versions: Mapping[str, str]) -> str:
    """What a target was when it was measured: `torch 1.12.1`; its text, where the version is not known."""
    version = version_of(target.family.package, versions)
    return f"{target.family.package} {version}" if version else target.text


def simplest_first(ids: Sequence[str]) -> list[str]:
    """Cells by how many axes are off their default."""
    return sorted(ids, key=lambda identity: (len(identity.split()), identity))


def witness_of(
    condition: Condition,
    old: Target,
    new: Target,
    guests: Sequence[Guest],
    names: tuple[str, str],
    timeout: float,
) -> Witness:
    """A program for `condition`, tried. Raises NoProgram, saying why, where there is none.

    guests:  how the old and the new side run
    names:   of both sides, for the reader
    timeout: seconds that a program may take
    """
    if not same_framework(old, new):
        raise NoProgram("it needs one framework on both sides")
    why: list[str] = []
    tries = 0
    for identity in simplest_first(condition.ids):
        try:
            texts = programs(
                old.framework, old.backend, parse_id(identity), condition.fact, condition.old,
                condition.new, names,
            )  # fmt: skip
        except NoProgram as reason:
            why.append(str(reason))
            continue
        for text in texts:
            ends = tried(text, guests, timeout)
            if separates(ends, condition.fact):
                return Witness(text, identity)
        why.append(f"in {identity} it {ends[0]} on {names[0]} and {ends[1]} on {names[1]}")
        tries += 1
        if tries == TRIES:
            break
    raise NoProgram("; ".join(list(dict.fromkeys(why))[:TRIES]))


def file_name(condition: Condition, taken: Sequence[str]) -> str:
    """A name that says what it shows, not among those `taken`."""
    words = (re.sub(r"[^\w.]+", "_", str(each)).strip("_")[:40] for each in (condition.old, condition.new))
    stem = "-".join([condition.fact, *words])
    name, number = f"{stem}.py", 2
    while name in taken:
        name, number = f"{stem}-{number}.py", number + 1
    return name

"""Where the findings of a check belong: at the requirement that was bumped, or in the baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bnmatrix.accepted import Accepted
from bnmatrix.checked import Check
from bnmatrix.comparison import Side
from bnmatrix.requirement_lines import Place, Versions, find, in_repository

STANDING_IN = ("bnmatrix.toml", "pyproject.toml")
"""Where a finding goes that has neither a requirement nor a baseline."""


@dataclass(frozen=True)
class Places:
    """of_target: by its name;  of_expectation: by its number in the check, from 0;  otherwise: the rest."""

    of_target: Mapping[str, Place] = field(default_factory=dict)
    of_expectation: Mapping[int, Place] = field(default_factory=dict)
    otherwise: Place | None = None


NOWHERE = Places()


def places(check: Check, project: Path) -> Places:
    """Where the findings of `check` belong. `project`: the folder of its baseline or pyproject.toml."""
    of_target = {}
    for name, old, new in zip(names(check), check.old.targets, check.new.targets, strict=True):
        packages = differing(old, new)
        if packages and (found := find(project, packages)):
            of_target[name] = found[0]
    return Places(of_target, _of_expectations(check), _otherwise(check, project))


def names(check: Check) -> list[str]:
    """The targets by the names that findings call them."""
    sides = check.new if check.baseline is None else check.old
    return [side.target for side in sides.targets]


def differing(old: Side, new: Side) -> dict[str, Versions]:
    """The packages whose versions differ: {name: (old, new)}"""
    every = dict.fromkeys((*old.versions, *new.versions))
    both = {package: (old.versions.get(package), new.versions.get(package)) for package in every}
    return {package: (before, after) for package, (before, after) in both.items() if before != after}


def _of_expectations(check: Check) -> dict[int, Place]:
    """The lines of the baseline that tell of accepted changes: each has one of its own."""
    if check.baseline is None:
        return {}
    path = Path(check.baseline)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError:
        return {}
    written: dict[bytes, tuple[int, str]] = {}
    for number, line in enumerate(lines, 1):
        if not line.startswith(b"{"):
            continue
        try:
            accepted = msgspec.json.decode(line.strip().rstrip(b","), type=Accepted)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
        text = line.strip().decode(errors="replace")
        written[msgspec.json.encode(accepted)] = number, text
    file = in_repository(path)
    return {
        number: Place(file, written[key][0], "", written[key][1])
        for number, answer in enumerate(check.expectations)
        if (key := msgspec.json.encode(answer.accepted)) in written
    }


def _otherwise(check: Check, project: Path) -> Place | None:
    if check.baseline is not None:
        return Place(in_repository(Path(check.baseline)), 1, "", "")
    found = (project / name for name in STANDING_IN)
    return next((Place(in_repository(path), 1, "", "") for path in found if path.is_file()), None)

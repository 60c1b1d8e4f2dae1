"""The two sides of a difference: each measured now, side by side with the other, or read from a file."""

from __future__ import annotations

from pathlib import Path

import msgspec

from bnmatrix import __version__
from bnmatrix.axes import Cell, parse_id
from bnmatrix.baseline import is_one
from bnmatrix.baseline import load as load_baseline
from bnmatrix.comparison import Diff, compare
from bnmatrix.confirmation import confirmed
from bnmatrix.errors import NothingSelectedError, UsageError
from bnmatrix.laws import defaults, laws
from bnmatrix.likeness import check_own_layers
from bnmatrix.matrix import SCHEMA_VERSION, Matrix, TargetMatrix, load
from bnmatrix.measurement import Measure, Plan
from bnmatrix.remeasuring import Remeasuring, Side, Tell
from bnmatrix.selection import Selection, cells_of, no_given, nothing_selected
from bnmatrix.target import FAMILIES, Target, parse

Given = str | TargetMatrix
"""A target or a file by its name, or what was loaded already."""


def compared(
    old: Given, new: Given, selection: Selection, measure: Measure, tell: Tell
) -> tuple[Matrix, Diff]:
    """A matrix of two targets, old and new, and what differs between them.

    A saved side is cut down to what is asked for, if anything is. Beside a saved side and
    without selectors, a target is measured in the cells that were saved. What was measured and differs
    is measured again.
    """
    sides, plans = _planned(old, new, selection)
    matrix = measure(plans, None) if plans else None
    if matrix is not None:
        check_own_layers(matrix)
    fresh = iter(matrix.targets if matrix is not None else ())
    first, second = [next(fresh) if isinstance(side, Target) else _cut(side, selection) for side in sides]
    found = (first, second)
    if plans:
        again = Remeasuring(sides, found, measure, tell)
        is_target = isinstance(sides[0], Target), isinstance(sides[1], Target)
        found, diff = confirmed(found, is_target, again, __version__)
    else:
        diff = compare(*found, __version__)
    return Matrix(schema_version=SCHEMA_VERSION, bnmatrix=__version__, targets=list(found)), diff


def plans_of(old: Given, new: Given, selection: Selection) -> list[Plan]:
    """What would be measured of the two; nothing of a saved side."""
    return _planned(old, new, selection)[1]


def _planned(old: Given, new: Given, selection: Selection) -> tuple[list[Side], list[Plan]]:
    no_given(selection)
    sides = [_side(given) if isinstance(given, str) else given for given in (old, new)]
    saved = [side for side in sides if isinstance(side, TargetMatrix)]
    plans = []
    for side in sides:
        if isinstance(side, Target):
            cells = _cells(selection, side, saved)
            if not cells:
                raise nothing_selected([side], selection)
            plans.append(Plan(side, cells))
    return sides, plans


def _side(text: str) -> Side:
    """A target, or one saved in a file: an existing path or NAME.json, and #TARGET if it has several."""
    name, separator, wanted = text.rpartition("#")
    if not separator:
        name, wanted = text, ""
    path = Path(name)
    if not (path.is_file() or path.suffix in (".json", ".lock")):
        return parse(text)
    targets = (load_baseline(path) if is_one(path) else load(path)).targets
    found = [target for target in targets if target.target == wanted] if wanted else targets
    if len(found) == 1:
        return found[0]
    names = ", ".join(target.target for target in targets) or "none"
    if wanted:
        raise UsageError(f"{path} has no target {wanted!r}", f"it has {names}")
    example = f": {path}#{targets[0].target}" if targets else ""
    raise UsageError(f"{path} has {len(targets)} targets: {names}", f"say which{example}")


def _cells(selection: Selection, side: Target, saved: list[TargetMatrix]) -> tuple[Cell, ...]:
    if saved and not selection.explicit:
        return tuple(parse_id(cell.id) for cell in saved[0].cells)
    return cells_of(selection, side.family, selection.scenarios)


def _cut(side: TargetMatrix, selection: Selection) -> TargetMatrix:
    """A saved side, less what is not asked for; its laws are those of what remains."""
    if not selection.explicit or side.framework not in FAMILIES:
        return side
    wanted = {cell.id for cell in cells_of(selection, FAMILIES[side.framework], selection.scenarios)}
    cells = [cell for cell in side.cells if cell.id in wanted]
    if not cells:
        raise NothingSelectedError(f"none of the cells asked for is among those saved of {side.target}")
    return msgspec.structs.replace(side, cells=cells, laws=laws(cells), defaults=defaults(cells))

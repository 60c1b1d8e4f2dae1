"""Accepted changes: what a team knows to have changed, why, who says so, and until when.

They stand in the baseline, beside the cells as they were. One that matches no change any more, or is past its
date, is a reason for `check` to fail: what is accepted is as exact as what is measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from bnmatrix.comparison import Change
from bnmatrix.matrix import CellResult, Value

MET, UNMATCHED, EXPIRED, NOT_TRIED = "met", "unmatched", "expired", "not_tried"


class Accepted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """A change of `fact` from `old` to `new`, in `cells` (ids), or wherever `when` holds.

    when:    {axis: values}, as in the conditions of a diff; empty: wherever the fact changes so
    targets: as the baseline names them; empty: all
    expires: the last day on which it holds, as 2027-01-31
    """

    fact: str
    old: Value
    new: Value
    when: dict[str, list[str]] = {}
    cells: list[str] = []
    targets: list[str] = []
    reason: str
    owner: str
    expires: date | None = None

    def is_of(self, target: str) -> bool:
        """Whether it speaks of this target."""
        return not self.targets or target in self.targets

    def matches(self, change: Change, target: str, cell: CellResult) -> bool:
        """Whether it accepts `change`, of `cell` as it is now."""
        if (self.fact, self.old) != (change.fact, change.old) or not self.speaks_of(target, cell):
            return False
        return self.new == change.new or _lies_in(self.new, cell.interval(self.fact))

    def speaks_of(self, target: str, cell: CellResult) -> bool:
        """Whether it is about this cell."""
        if not self.is_of(target) or (self.cells and cell.id not in self.cells):
            return False
        return all(cell.axes[axis] in values for axis, values in self.when.items())


def _lies_in(value: Value, interval: tuple[float, float] | None) -> bool:
    """An accepted number is met where the measurement allows it: it may be of another machine."""
    return interval is not None and not isinstance(value, str) and interval[0] <= value <= interval[1]


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an accepted change.

    status: met; unmatched: nothing changes so any more; expired; not_tried: what it is about could not be
            compared

    ids: the cells that changed so, of each target
    """

    accepted: Accepted
    status: str
    ids: dict[str, list[str]]


def answers(
    accepted: Sequence[Accepted],
    matched: Sequence[Mapping[str, list[str]]],
    is_open: Sequence[bool],
    today: date,
) -> list[Answer]:
    """What became of each. matched: {target: ids};  is_open: whether it is about what was not compared."""
    found = []
    for one, ids, may_be in zip(accepted, matched, is_open, strict=True):
        if ids:
            status = EXPIRED if one.expires is not None and one.expires < today else MET
        else:
            status = NOT_TRIED if may_be else UNMATCHED
        found.append(Answer(accepted=one, status=status, ids=dict(ids)))
    return found

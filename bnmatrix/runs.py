"""What several releases say of one thing, in order of release, folded into runs that agree.

Releases are columns, by number. A column that says nothing neither breaks a run nor makes a change.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import TypeVar

from bnmatrix.comparison import Reading, disagree
from bnmatrix.matrix import Value

Said = TypeVar("Said")

Pair = tuple[int, int]
"""Two columns, the older first."""


class Members:
    """The columns of a run: their readings all agree with each other."""

    def __init__(self, column: int, read: Reading) -> None:
        self.columns = [column]
        self.last_with = {read: column}
        """Each reading, with the last column that has it."""

    def takes(self, read: Reading) -> bool:
        """Whether `read` agrees with all."""
        return read in self.last_with or not any(disagree(other, read) for other in self.last_with)

    def add(self, column: int, read: Reading) -> None:
        """Take in a further column."""
        self.columns.append(column)
        self.last_with[read] = column

    def last_against(self, read: Reading) -> int:
        """The last column that disagrees with `read`: a later one may fit both."""
        return max(column for other, column in self.last_with.items() if disagree(other, read))

    @property
    def value(self) -> Value:
        """What all say; of numbers that differ, the shortest in what their intervals have in common."""
        values = list(dict.fromkeys(value for value, _ in self.last_with))
        intervals = [interval for _, interval in self.last_with if interval is not None]
        if len(values) == 1 or len(intervals) < len(self.last_with):
            return values[0]
        from bnmatrix.judge.numbers import meet, shortest  # the judge brings numpy

        return shortest(*meet(intervals))


class History:
    """The readings of the columns that say something, in runs."""

    def __init__(self, said: Mapping[int, Reading]) -> None:
        self.said = said
        self.runs: list[Members] = []
        for column, read in said.items():
            if self.runs and self.runs[-1].takes(read):
                self.runs[-1].add(column, read)
            else:
                self.runs.append(Members(column, read))

    def breaks(self) -> list[Pair]:
        """Between which columns it changed."""
        firsts = [(old, new.columns[0]) for old, new in pairwise(self.runs)]
        return [(old.last_against(self.said[column]), column) for old, column in firsts]

    def pairs(self) -> list[Pair]:
        """The columns that could be held against each other: neighbours, and where it changed."""
        return list(dict.fromkeys([*pairwise(self.said), *self.breaks()]))


def stretches(says: Mapping[int, Said], among: Iterable[int]) -> Iterator[tuple[int, int, Said]]:
    """Columns that are neighbours `among` all and say the same: (the first, the last, what)."""
    current: tuple[int, int, Said] | None = None
    for column in among:
        if current and column in says and current[2] == says[column]:
            current = (current[0], column, current[2])
            continue
        if current:
            yield current
        current = (column, column, says[column]) if column in says else None
    if current:
        yield current

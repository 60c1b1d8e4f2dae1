"""Do the expectations of a scenario hold for what was measured?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from bnmatrix.matrix import CellResult, ExpectationResult, Matrix, TargetMatrix
from bnmatrix.scenario import Expectation, Scenario, matches
from bnmatrix.scenario_file import is_number
from bnmatrix.target import FAMILIES

if TYPE_CHECKING:
    from bnmatrix.selection import Task

RELATIVE = 1e-6
"""How closely a measured number must meet an expected one."""


def answered(tasks: Sequence[Task], matrix: Matrix) -> Matrix:
    """`matrix` with what became of the scenarios' expectations, and with whose numbers were given."""
    targets = [
        target
        if task.plan.given is None
        else msgspec.structs.replace(target, given_by=task.scenarios[0].name)
        for task, target in zip(tasks, matrix.targets, strict=True)
    ]
    found = []
    scenarios = {scenario.name: scenario for task in tasks for scenario in task.scenarios if scenario.expect}
    for scenario in scenarios.values():
        # Plans and targets correspond; a scenario is asked of the plans that measured it only.
        own = [target for task, target in zip(tasks, targets, strict=True) if scenario in task.scenarios]
        found += check(scenario, msgspec.structs.replace(matrix, targets=own))
    return msgspec.structs.replace(matrix, targets=targets, expectations=found)


def check(scenario: Scenario, matrix: Matrix) -> list[ExpectationResult]:
    """Each expectation on each target that it speaks of: holds, contradicted (by these cells) or untested."""
    return [
        _answer(scenario, expectation, target)
        for expectation in scenario.expect
        for target in matrix.targets
        if target.framework in (expectation.frameworks or scenario.frameworks or FAMILIES)
    ]


def _answer(scenario: Scenario, expectation: Expectation, target: TargetMatrix) -> ExpectationResult:
    spoken_of = [cell for cell in target.cells if matches(cell.axes, expectation.where)]
    tested = [cell for cell in spoken_of if cell.outcome != "unavailable"]
    because = {cell.id: against for cell in tested if (against := _against(cell, expectation))}
    return ExpectationResult(
        scenario=scenario.name,
        says=expectation.says,
        target=target.target,
        answer="contradicted" if because else "holds" if tested else "untested",
        contradicted_by=list(because),
        because=because,
        source=expectation.source,
    )


class Held(NamedTuple):
    """One thing that an expectation says of a cell: what it expects, what was measured, in words."""

    what: str
    expected: str
    measured: str
    agrees: bool

    @property
    def against(self) -> str:
        """`gamma is updated, not unchanged`"""
        return f"{self.what} is {self.measured}, not {self.expected}"


def held(cell: CellResult, expectation: Expectation) -> list[Held]:
    """All that the expectation says, held against the cell: facts, then numbers, then how many there are."""
    facts = [
        Held(fact, " or ".join(words), _told(cell, fact), _is(cell, fact, words))
        for fact, words in expectation.facts.items()
    ]
    slots = [
        Held(slot, str(numbers), str(_reading(cell, slot)), _reads(cell, slot, numbers))
        for slot, numbers in expectation.measured.items()
    ]
    sizes = [
        Held(f"size of {slot}", str(size), str(found), found == size)
        for slot, size in expectation.sizes.items()
        for found in [_size(cell, slot)]
    ]
    return facts + slots + sizes


def _against(cell: CellResult, expectation: Expectation) -> str:
    """What of a cell contradicts the expectation, in words; nothing where all of it holds."""
    return "; ".join(
        f"{each.what} reads {each.measured}" if each.what in expectation.measured else each.against
        for each in held(cell, expectation)
        if not each.agrees
    )


def _told(cell: CellResult, fact: str) -> str:
    return cell.outcome if fact == "outcome" else str(cell.facts.get(fact, "not told"))


def _reading(cell: CellResult, slot: str) -> list[float]:
    """The slot's values after the first step; none where it is not there or was not kept."""
    found: list[float] = cell.measured.get(slot, {}).get("first", [])
    return found


def _size(cell: CellResult, slot: str) -> int:
    """How many values the slot has; 0 where it is not there."""
    found = cell.measured.get(slot, {})
    first = found.get("first", [])
    return int(found.get("size", len(first) if isinstance(first, list) else 1))


def _is(cell: CellResult, fact: str, words: Sequence[str]) -> bool:
    """Whether a fact is one of `words`; a number is one that its interval holds."""
    if fact == "outcome":
        return cell.outcome in words
    interval = cell.interval(fact)
    if interval is not None:
        return any(is_number(word) and interval[0] <= float(word) <= interval[1] for word in words)
    return fact in cell.facts and str(cell.facts[fact]) in words


def _reads(cell: CellResult, slot: str, numbers: Sequence[float]) -> bool:
    """Whether the slot holds these numbers after the first step."""
    found = _reading(cell, slot)
    return len(found) == len(numbers) and all(
        abs(value - number) <= RELATIVE * max(abs(number), abs(value))
        for value, number in zip(found, numbers, strict=True)
    )

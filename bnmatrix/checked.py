"""The present held against a baseline: what changed, what of it was accepted, and whether that fails.

A check is one diff a target, less what was accepted. It fails on a change that nobody accepted and that is as
severe as the configuration says, and on an accepted change that is no longer met or past its date.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import msgspec

from bnmatrix.accepted import EXPIRED, UNMATCHED, Accepted, Answer, answers
from bnmatrix.comparison import (
    MEASURED,
    SEVERITIES,
    Change,
    Condition,
    Diff,
    NotComparable,
    OneSided,
    Side,
    SideLaw,
    Unstable,
    comparable_facts,
    compared_by,
    conditions,
    weight,
    why_not_comparable,
)
from bnmatrix.configuration import IGNORED
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Tabular, TargetMatrix


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What fails. fail_on: the least severity that does;  severity: {fact: severity}, set apart."""

    fail_on: str = "descriptive"
    severity: dict[str, str] = {}

    def of(self, fact: str, usual: str) -> str:
        """The severity of a change of `fact`."""
        return self.severity.get(fact, usual)

    def fails(self, severity: str) -> bool:
        """Whether a change of that severity does."""
        return severity != IGNORED and weight(severity) <= weight(self.fail_on)


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """The targets of one side."""

    targets: list[Side]


class CheckSummary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of cells. A cell with a change that was not accepted is changed, and not accepted."""

    same: int
    changed: int
    accepted: int
    not_comparable: int
    unstable: int


class CheckedChange(Change, frozen=True, kw_only=True):
    """A change; `accepted` is the number of the accepted change that it is, counted from 0, or null."""

    accepted: int | None


class CheckedCondition(Condition, frozen=True, kw_only=True):
    """Where a fact of `target` changed in a way that nobody accepted. `number`, from 1, names it."""

    number: int
    target: str
    fails: bool


class CheckedNotComparable(NotComparable, frozen=True, kw_only=True):
    """`lost`: the baseline has it measured, and the present has not."""

    target: str
    lost: bool


class CheckedOneSided(OneSided, frozen=True, kw_only=True):
    """A fact of a cell of `target` that only one side decided. `lost`: the present does not."""

    target: str
    lost: bool


class CheckedUnstable(Unstable, frozen=True, kw_only=True):
    """A fact that flickers, of a cell of `target`."""

    target: str


class CheckedLaw(SideLaw, frozen=True, kw_only=True):
    """A law of one side of `target`."""

    target: str


class Check(msgspec.Struct, Tabular, frozen=True, kw_only=True):
    """What `bnmatrix check --format json` prints. `baseline` is the file, null where both were measured.

    The targets of `old` and `new` line up. `conditions` are those of the changes that were not accepted;
    `expectations` tell what became of the accepted ones.
    """

    schema_version: int
    bnmatrix: str
    baseline: str | None
    old: Sides
    new: Sides
    summary: CheckSummary
    fails: bool
    changes: list[CheckedChange]
    conditions: list[CheckedCondition]
    expectations: list[Answer]
    not_comparable: list[CheckedNotComparable]
    unstable: list[CheckedUnstable]
    laws: list[CheckedLaw]
    one_sided: list[CheckedOneSided] = []


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One target: as it was, as it is, and what differs. `name` is what the baseline calls it."""

    name: str
    old: TargetMatrix
    new: TargetMatrix
    diff: Diff


def check(
    compared: Sequence[Compared],
    accepted: Sequence[Accepted],
    rules: Rules,
    today: date,
    version: str,
    baseline: str | None = None,
) -> Check:
    """What a check of the targets `compared` finds. `version` is that of bnmatrix, `baseline` the file."""
    matched: list[dict[str, list[str]]] = [{} for _ in accepted]
    changes: list[CheckedChange] = []
    found: list[tuple[Compared, Condition]] = []
    for target in compared:
        cells = target.new.by_id()
        own = [
            _checked(change, target.name, cells[change.id], accepted, rules, matched)
            for change in target.diff.changes
        ]
        changes += own
        found += [(target, condition) for condition in _open_conditions(target, own)]
    is_open = [_is_open(one, compared) for one in accepted]
    expectations = answers(accepted, matched, is_open, today)
    numbered = _numbered(found, rules)
    return Check(
        schema_version=SCHEMA_VERSION,
        bnmatrix=version,
        baseline=baseline,
        old=Sides(targets=[target.diff.old for target in compared]),
        new=Sides(targets=[target.diff.new for target in compared]),
        summary=_summary(compared, changes),
        fails=any(one.fails for one in numbered)
        or any(one.status in (UNMATCHED, EXPIRED) for one in expectations),
        changes=changes,
        conditions=numbered,
        expectations=expectations,
        not_comparable=[
            CheckedNotComparable(
                **msgspec.structs.asdict(each), target=target.name, lost=_is_lost(each)
            )
            for target in compared
            for each in target.diff.not_comparable
        ],
        unstable=[
            CheckedUnstable(**msgspec.structs.asdict(each), target=target.name)
            for target in compared
            for each in target.diff.unstable
        ],
        one_sided=[
            CheckedOneSided(
                **msgspec.structs.asdict(each), target=target.name, lost=each.new == "undecided"
            )
            for target in compared
            for each in target.diff.one_sided
        ],
        laws=[
            CheckedLaw(**msgspec.structs.asdict(law), target=target.name)
            for target in compared
            for law in target.diff.laws
        ],
    )  # fmt: skip


def _is_lost(each: NotComparable) -> bool:
    return each.old in MEASURED and each.new not in MEASURED


def _is_open(one: Accepted, compared: Sequence[Compared]) -> bool:
    """Whether it is about something that could not be compared: a target, a cell, or the fact of one."""
    if not any(one.is_of(target.name) for target in compared):
        return True
    for target in compared:
        new = target.new.by_id()
        for cell in target.old.cells:
            if one.speaks_of(target.name, cell) and cell.facts.get(one.fact, cell.outcome) == one.old:
                now = new.get(cell.id)
                if (
                    now is None
                    or why_not_comparable(cell, now, "", "") is not None
                    or one.fact not in comparable_facts(cell, now)
                ):
                    return True
    return False


def _checked(
    change: Change,
    target: str,
    cell: CellResult,
    accepted: Sequence[Accepted],
    rules: Rules,
    matched: Sequence[dict[str, list[str]]],
) -> CheckedChange:
    """`change`, of `cell`, with the first accepted change that it is; all of these have it in `matched`."""
    number = None
    for place, one in enumerate(accepted):
        if one.matches(change, target, cell):
            number = place if number is None else number
            matched[place].setdefault(target, []).append(change.id)
    told = msgspec.structs.asdict(change)
    told |= {"target": target, "severity": rules.of(change.fact, change.severity)}
    return CheckedChange(**told, accepted=number)


def _open_conditions(target: Compared, changes: Sequence[CheckedChange]) -> list[Condition]:
    """The conditions of the changes that nobody accepted."""
    still_open = [change for change in changes if change.accepted is None]
    if len(still_open) == len(changes):
        return target.diff.conditions
    if not still_open:
        return []
    old, new = target.old.by_id(), target.new.by_id()
    return conditions(list(still_open), compared_by(old, new), {**old, **new})


def _numbered(found: Sequence[tuple[Compared, Condition]], rules: Rules) -> list[CheckedCondition]:
    """The conditions of all targets: the weightiest and widest first, numbered."""
    told = [
        (
            target.name,
            msgspec.structs.asdict(each) | {"severity": rules.severity.get(each.fact, each.severity)},
        )
        for target, each in found
    ]
    order = (*SEVERITIES, IGNORED)
    told.sort(key=lambda one: (order.index(one[1]["severity"]), -len(one[1]["ids"])))
    return [
        CheckedCondition(**each, number=number, target=name, fails=rules.fails(each["severity"]))
        for number, (name, each) in enumerate(told, 1)
    ]


def _summary(compared: Sequence[Compared], changes: Sequence[CheckedChange]) -> CheckSummary:
    changed = {(change.target, change.id) for change in changes if change.accepted is None}
    return CheckSummary(
        same=sum(target.diff.summary.same for target in compared),
        changed=len(changed),
        accepted=len({(change.target, change.id) for change in changes} - changed),
        not_comparable=sum(target.diff.summary.not_comparable for target in compared),
        unstable=sum(target.diff.summary.unstable for target in compared),
    )

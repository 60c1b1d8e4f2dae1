"""The first release in which the behaviour changed, with few releases measured. Who measures is not here.

Both ends are known, and what differs between them. A question is a fact of a cell that does. What the
measured releases say of it makes runs; where two runs meet and releases between them are not measured, the
middle one is next. So a third value, and one that comes back, are boundaries like any other as soon as a
release shows them; what came and went between two releases that agree is not seen.

Few questions lead: one of each condition of the difference. A release that is measured is measured for all of
them. In the end the others are measured on both sides of the boundary that was found for them; one that does
not change there leads from then on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from copy import copy

import msgspec

from bnmatrix.comparison import (
    Change,
    Diff,
    NotComparable,
    Reading,
    Side,
    Summary,
    Unstable,
    comparable_facts,
    compared_by,
    conditions,
    differs,
    fact_of,
    reading,
    severity,
    unstable_facts,
    why_not_comparable,
)
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Tabular, TargetMatrix
from bnmatrix.runs import History, Pair, stretches
from bnmatrix.timeline import Changes, Gap, Release, Row, Run, Silence, reason_of

FEW = 8
"""Changed cells that all lead."""

AMONG = ("all", "minor", "here")
"""Which releases were searched: all, the newest patch of each minor one, or (offline) those that are here."""

Question = tuple[str, str]
"""The id of a cell, and a fact of it."""


class Bisection(msgspec.Struct, Tabular, frozen=True, kw_only=True):
    """What `bnmatrix bisect --format json` prints.

    among:   one of `AMONG`: which releases were searched;  total: how many there are in the range
    releases: those that were measured, or tried in vain: these have a `reason`
    changes: between the last release with the old behaviour and the first with the new, in order;
             `in_between` are those between them that do not tell
    rows:    what the measured releases say of each question; with three runs it changed more than once
    silent:  why cells say nothing in releases that lie `in_between`
    summary, not_comparable, unstable: of both ends
    """

    schema_version: int
    bnmatrix: str
    framework: str
    among: str
    total: int
    measured: int
    old: Side
    new: Side
    summary: Summary
    releases: list[Release]
    changes: list[Changes]
    rows: list[Row]
    silent: list[Silence]
    not_comparable: list[NotComparable]
    unstable: list[Unstable]

    def target_of(self, release: str) -> str:
        """The target of a release that was measured."""
        return next(each.target for each in self.releases if each.release == release)


class Search:
    """What is known of the releases, by number, and which of them is to be measured next.

    diff:  what differs between the ends, the first and the last of `count` releases
    facts: those that are asked for; none for all
    """

    def __init__(
        self, count: int, ends: tuple[TargetMatrix, TargetMatrix], diff: Diff, facts: Collection[str] = ()
    ) -> None:
        self.count = count
        self.diff = diff
        self.facts = facts
        self.old, self.new = (end.by_id() for end in ends)
        self.cells: dict[int, dict[str, CellResult]] = {0: self.old, count - 1: self.new}
        self.skipped: set[int] = set()
        self.leads: dict[Question, None] = {}
        self.followers: dict[Question, Question] = {}
        self._telling: dict[int, frozenset[str]] = {}
        self._choose_leads()

    def next(self) -> tuple[int, list[str]] | None:
        """The release to measure next, and which cells of it; None where all boundaries are found."""
        column = self._middle()
        if column is not None:
            return column, self._unknown(column, (identity for identity, _ in self.leads))
        while True:
            wanted: dict[int, dict[str, None]] = {}
            for follower, lead in self.followers.items():
                for column in self._beside(lead):
                    for identity in self._unknown(column, (follower[0],)):
                        wanted.setdefault(column, {})[identity] = None
            if wanted:
                column = max(wanted, key=lambda column: len(wanted[column]))
                return column, list(wanted[column])
            if not self._promote():
                return None
            column = self._middle()
            if column is not None:
                return column, self._unknown(column, (identity for identity, _ in self.leads))

    def ahead(self, column: int) -> list[int]:
        """Which releases may come next: if `column` proves like what is known before it, or behind it."""
        found = []
        for like in (
            max(other for other in self.cells if other < column) if column else column,
            min((other for other in self.cells if other > column), default=column),
        ):
            supposed = copy(self)
            supposed.cells = {**self.cells, column: self.cells.get(like, {})}
            supposed.leads, supposed.followers = dict(self.leads), dict(self.followers)
            wanted = supposed.next()
            if wanted is not None and wanted[0] not in self.cells and wanted[0] not in found:
                found.append(wanted[0])
        return found

    def left(self) -> int:
        """How many releases may still be the first with a new behaviour."""
        return len({column for lead in self.leads for gap in self._open(lead) for column in gap})

    def take(self, column: int, found: Iterable[CellResult]) -> None:
        """What was measured of a release. A fact that only the ends agree on becomes a question, too."""
        results = {cell.id: cell for cell in found}
        self.cells[column] = {**self.cells.get(column, {}), **results}
        leading = {identity for identity, _ in self.leads}
        for identity, cell in results.items():
            if identity in leading:
                for fact in ("outcome", *cell.facts):
                    if self._is_detour(identity, fact, cell):
                        self.leads.setdefault((identity, fact))

    def skip(self, column: int) -> None:
        """A release of which nothing can be measured."""
        self.skipped.add(column)

    def questions(self) -> list[Question]:
        """All that have been asked."""
        return [*self.leads, *self.followers]

    def said(self, question: Question) -> dict[int, Reading]:
        """What the releases say of it, in their order: those that can be held against both ends."""
        identity, fact = question
        found = {}
        for column in sorted(self.cells):
            cell = self.cells[column].get(identity)
            if cell is not None and fact in self._tells(cell):
                found[column] = reading(cell, fact)
        return found

    def breaks(self, question: Question) -> list[Pair]:
        """Between which releases it changes, as far as is known."""
        return History(self.said(question)).breaks()

    def _choose_leads(self) -> None:
        wanted = [each for each in self.diff.conditions if not self.facts or each.fact in self.facts]
        changed = {identity for each in wanted for identity in each.ids}
        if len(changed) <= FEW:
            self.leads.update({(identity, each.fact): None for each in wanted for identity in each.ids})
            return
        counts: dict[str, int] = {}
        for each in wanted:
            for identity in each.ids:
                counts[identity] = counts.get(identity, 0) + 1
        chosen: dict[str, None] = {}
        for each in wanted:
            # One that leads already, else who stands for most; of these the simplest.
            lead = min(each.ids, key=lambda one: (one not in chosen, -counts[one], len(one), one))
            chosen[lead] = None
            self.leads[lead, each.fact] = None
            self.followers |= {(one, each.fact): (lead, each.fact) for one in each.ids if one != lead}

    def _tells(self, cell: CellResult) -> frozenset[str]:
        """The facts of which a cell says something that can be held against both ends."""
        if id(cell) not in self._telling:  # each of them is kept, and asked about often
            facts = [
                set(comparable_facts(end, cell)) if why_not_comparable(end, cell, "", "") is None else set()
                for end in (self.old[cell.id], self.new[cell.id])
            ]
            self._telling[id(cell)] = frozenset(set.intersection(*facts))
        return self._telling[id(cell)]

    def _is_detour(self, identity: str, fact: str, cell: CellResult) -> bool:
        """Whether both ends agree on a fact that the cell says otherwise. Descriptions only if asked for."""
        old, new = self.old[identity], self.new[identity]
        if fact not in self.facts if self.facts else severity(fact) == "descriptive":
            return False
        if fact not in self._tells(cell) & self._tells(new):
            return False
        return differs(old, cell, fact) and not differs(old, new, fact)

    def _unknown(self, column: int, ids: Iterable[str]) -> list[str]:
        """Those of the cells that are not measured in a release."""
        if column in self.skipped:
            return []
        known = self.cells.get(column, {})
        return [identity for identity in dict.fromkeys(ids) if identity not in known]

    def _open(self, question: Question) -> Iterator[list[int]]:
        """Of each place where it changes: the releases that have not been measured there."""
        for old, new in self.breaks(question):
            unknown = [each for each in range(old + 1, new) if self._unknown(each, (question[0],))]
            if unknown:
                yield unknown

    def _middle(self) -> int | None:
        """The middle of what is open for most questions; where releases say nothing, ever further off."""
        shared: dict[Pair, list[Question]] = {}
        for lead in self.leads:
            for old, new in self.breaks(lead):
                if any(self._unknown(each, (lead[0],)) for each in range(old + 1, new)):
                    shared.setdefault((old, new), []).append(lead)
        if not shared:
            return None
        (old, new), leads = max(shared.items(), key=lambda entry: len(entry[1]))
        own = leads[0][0]
        unknown = [each for each in range(old + 1, new) if self._unknown(each, (own,))]
        silent = new - old - 1 - len(unknown)
        unknown.sort(key=lambda each: abs(2 * each - old - new))
        return unknown[min(1 << max(0, silent - 1), len(unknown)) - 1]

    def _beside(self, lead: Question) -> list[int]:
        """Both sides of the boundaries that were found for it, and what lies between."""
        return [column for old, new in self.breaks(lead) for column in range(old, new + 1)]

    def _promote(self) -> bool:
        """Have followers lead that change elsewhere: one of those that look alike, followed by the others."""
        leads: dict[tuple[str, tuple[Pair, ...]], Question] = {}
        for follower in list(self.followers):
            if any(self._open(follower)):
                lead = leads.setdefault((follower[1], tuple(self.breaks(follower))), follower)
                if lead == follower:
                    del self.followers[follower]
                    self.leads[follower] = None
                else:
                    self.followers[follower] = lead
        return bool(leads)


def bisection(
    search: Search, framework: str, releases: Mapping[int, Release], among: str, version: str
) -> Bisection:
    """What was found. `releases`: those that were measured or tried; `version` is that of bnmatrix."""
    names = {column: releases[column].release for column in sorted(releases)}
    changes: dict[Pair, list[Change]] = {}
    rows, silent = [], []
    for identity, fact in search.questions():
        said = search.said((identity, fact))
        history = History(said)
        axes = search.old[identity].axes
        for old, new in history.breaks():
            changes.setdefault((old, new), []).append(Change(
                target=names[new], id=identity, axes=axes, fact=fact, old=said[old][0], new=said[new][0],
                severity=severity(fact),
            ))  # fmt: skip
        doubts = _doubts(search, identity, fact, said, releases)
        rows.append(Row(
            id=identity, axes=axes, fact=fact, severity=severity(fact),
            runs=[
                Run(first=names[run.columns[0]], last=names[run.columns[-1]], value=run.value)
                for run in history.runs
            ],
            gaps=[
                Gap(first=names[first], last=names[last], says=says)
                for first, last, says in stretches(
                    {column: says for column, (says, _) in doubts.items()}, sorted(search.cells)
                )
            ],
        ))  # fmt: skip
        between = {column for old, new in history.breaks() for column in range(old + 1, new)}
        told = {column: why for column, why in doubts.items() if column in between}
        silent += [
            Silence(id=identity, first=names[first], last=names[last], says=why[0], reason=why[1])
            for first, last, why in stretches(told, sorted(search.cells))
        ]
    compared = compared_by(search.old, search.new)
    return Bisection(
        schema_version=SCHEMA_VERSION,
        bnmatrix=version,
        framework=framework,
        among=among,
        total=search.count,
        measured=len(search.cells),
        old=search.diff.old,
        new=search.diff.new,
        summary=search.diff.summary,
        releases=[releases[column] for column in names],
        changes=[
            Changes(
                old=names[old], new=names[new],
                in_between=[names[column] for column in range(old + 1, new)],
                cells=len({change.id for change in changes[old, new]}),
                conditions=conditions(changes[old, new], compared, search.old),
            )
            for old, new in sorted(changes, key=lambda pair: (pair[1], -pair[0]))
        ],
        rows=rows,
        silent=list(dict.fromkeys(silent)),
        not_comparable=search.diff.not_comparable,
        unstable=search.diff.unstable,
    )  # fmt: skip


def _doubts(
    search: Search,
    identity: str,
    fact: str,
    said: Mapping[int, Reading],
    releases: Mapping[int, Release],
) -> dict[int, tuple[str, str]]:
    """Of each release that was measured and does not tell: what it says instead, and why."""
    found = {}
    for column in sorted(search.cells):
        cell = search.cells[column].get(identity)
        if cell is None or column in said:
            continue
        if cell.outcome != "ok":
            found[column] = cell.outcome, reason_of(cell, releases[column].versions.values())
        elif fact in unstable_facts(cell):
            found[column] = "unstable", f"{fact} is unstable"
        else:
            word = str(fact_of(cell, fact)) if fact in cell.facts else "not_there"
            found[column] = word, f"{fact} is {word.replace('_', ' ')}"
    return found

"""Many releases of one framework: when did each cell change, and each law?

What a cell says of a fact, release after release, is folded into runs. Releases that do not say it (the
cell was unavailable, timed out, undecided ...) are gaps: they neither break a run nor make a change. So a
change lies between two releases that measured it, neighbours or not, and names those in between.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from bnmatrix.comparison import (
    MEASURED,
    SAYS_NOTHING,
    Change,
    Condition,
    Reading,
    Summary,
    conditions,
    reading,
    severity,
    unstable_facts,
)
from bnmatrix.conditions import boxes
from bnmatrix.laws import TOLD, Place, axes_of, by_place, rules, values_told
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Tabular, TargetMatrix, Value
from bnmatrix.runs import History, Pair, Said, stretches
from bnmatrix.target import FAMILIES

NOT_THERE = "not_there"
"""What a gap says where a release has no such cell, or the cell no such fact."""


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """A column. `reason` says why nothing of it could be measured; null where something could."""

    release: str
    target: str
    versions: dict[str, str]
    python: str
    device: str
    reason: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """Releases that agree: the first and the last that say `value`. A law's value is its rule."""

    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    value: Value


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """Neighbouring releases that do not tell, and what they say instead: undecided, unavailable, not_there.

    Releases of which nothing could be measured are no gaps: they have a reason of their own.
    """

    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    says: str


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A fact of a cell that changes."""

    id: str
    axes: dict[str, str]
    fact: str
    severity: str
    runs: list[Run]
    gaps: list[Gap]


class LawRow(msgspec.Struct, frozen=True, kw_only=True):
    """The rule under which `fact` has `value` in the cells of `when`. With one run it never changed."""

    layer: str
    fact: str
    value: Value
    when: dict[str, list[str]]
    runs: list[Run]
    gaps: list[Gap]


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What changed between two releases, in how many cells; those `in_between` do not tell."""

    old: str
    new: str
    in_between: list[str]
    cells: int
    conditions: list[Condition]


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of which neighbouring releases say nothing: an outcome, or not_there, and the reason.

    The reason leaves out versions, or no two releases would share one: "torch has no inference_mode".
    """

    id: str
    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")
    says: str
    reason: str


class Undecided(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that could not be decided in neighbouring releases."""

    id: str
    fact: str
    first: str = msgspec.field(name="from")
    last: str = msgspec.field(name="to")


class Flicker(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that differs between identical runs of one release."""

    release: str
    id: str
    fact: str
    rate: float


class Timeline(msgspec.Struct, Tabular, frozen=True, kw_only=True):
    """What `bnmatrix timeline --format json` prints. Runs, gaps and changes name releases by `release`.

    `framework` is as it is named on the command line, with its backend. `summary` counts cells: one is
    changed, else unstable if a fact of it flickers, else not comparable if no two releases tell of it.
    """

    schema_version: int
    bnmatrix: str
    framework: str
    releases: list[Release]
    summary: Summary
    changes: list[Changes]
    rows: list[Row]
    laws: list[LawRow]
    not_comparable: list[Silence]
    undecided: list[Undecided]
    unstable: list[Flicker]


def timeline(targets: Sequence[TargetMatrix], version: str) -> Timeline:
    """When what changed in `targets`, at least one, in order of release. `version` is that of bnmatrix."""
    releases = releases_of(targets)
    columns = _Columns(
        [each.release for each in releases],
        [number for number, each in enumerate(releases) if each.reason is None],
        [target.by_id() for target in targets],
        [target.versions.values() for target in targets],
    )
    cells = {identity: cell for column in columns.cells for identity, cell in column.items()}
    found = _Found()
    for identity in cells:
        _take_cell(identity, columns, found)
    return Timeline(
        schema_version=SCHEMA_VERSION,
        bnmatrix=version,
        framework=_named(targets[0]),
        releases=releases,
        summary=Summary(
            same=len(found.compared - found.changed - found.flickering),
            changed=len(found.changed),
            not_comparable=len(cells.keys() - found.compared - found.changed - found.flickering),
            unstable=len(found.flickering - found.changed),
        ),
        changes=[
            _between(pair, found, cells, columns)
            for pair in sorted(found.changes, key=lambda pair: (pair[1], -pair[0]))
        ],
        rows=found.rows,
        laws=list(_laws(targets, columns)),
        not_comparable=found.silent,
        undecided=found.undecided,
        unstable=found.unstable,
    )


@dataclass(frozen=True)
class _Columns:
    """The releases: their names, which of them were measured, their cells by id, and versions as measured."""

    names: Sequence[str]
    measured: Sequence[int]
    cells: Sequence[Mapping[str, CellResult]]
    versions: Sequence[Iterable[str]]

    def runs(self, history: History) -> list[Run]:
        return [
            Run(first=self.names[run.columns[0]], last=self.names[run.columns[-1]], value=run.value)
            for run in history.runs
        ]

    def gaps(self, said: Mapping[int, object], why: Mapping[int, str]) -> list[Gap]:
        """The measured columns that are not among `said`, neighbours that say the same together."""
        silent = {number: why.get(number, NOT_THERE) for number in self.measured if number not in said}
        return [Gap(first=first, last=last, says=says) for first, last, says in self.folded(silent)]

    def folded(self, silent: Mapping[int, Said]) -> Iterator[tuple[str, str, Said]]:
        """Neighbouring releases that say the same: (the first, the last, what)."""
        for first, last, says in stretches(silent, self.measured):
            yield self.names[first], self.names[last], says


@dataclass
class _Found:
    """What the cells tell. `pairs` holds for each pair and fact the cells that could be compared."""

    rows: list[Row] = field(default_factory=list)
    changes: dict[Pair, list[Change]] = field(default_factory=dict)
    pairs: dict[Pair, dict[str, list[str]]] = field(default_factory=dict)
    silent: list[Silence] = field(default_factory=list)
    undecided: list[Undecided] = field(default_factory=list)
    unstable: list[Flicker] = field(default_factory=list)
    compared: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    flickering: set[str] = field(default_factory=set)

    def compared_anywhere(self, fact: str) -> list[str]:
        """The cells in which any two releases could be compared by `fact`."""
        return list(
            dict.fromkeys(identity for facts in self.pairs.values() for identity in facts.get(fact, ()))
        )


def _take_cell(identity: str, columns: _Columns, found: _Found) -> None:
    """Put what the releases say of one cell into `found`."""
    silent: dict[int, tuple[str, str]] = {}
    telling: dict[int, CellResult] = {}
    for number in columns.measured:
        cell = columns.cells[number].get(identity)
        if cell is None:
            silent[number] = (NOT_THERE, "no such cell")
        elif cell.outcome not in MEASURED:
            silent[number] = (cell.outcome, reason_of(cell, columns.versions[number]))
        else:
            telling[number] = cell
            for fact, rate in unstable_facts(cell).items():
                found.flickering.add(identity)
                found.unstable.append(
                    Flicker(release=columns.names[number], id=identity, fact=fact, rate=rate)
                )
    for first, last, (says, reason) in columns.folded(silent):
        found.silent.append(Silence(id=identity, first=first, last=last, says=says, reason=reason))
    whys = {number: said[0] for number, said in silent.items()}
    for fact in dict.fromkeys(["outcome", *(fact for cell in telling.values() for fact in cell.facts)]):
        _take_fact(identity, fact, telling, whys, columns, found)


def _take_fact(
    identity: str,
    fact: str,
    telling: Mapping[int, CellResult],
    whys: Mapping[int, str],
    columns: _Columns,
    found: _Found,
) -> None:
    said: dict[int, Reading] = {}
    doubtful: dict[int, str] = {}
    for number, cell in telling.items():
        if fact == "outcome" or fact in cell.facts:
            read = reading(cell, fact)
            if fact in unstable_facts(cell):
                doubtful[number] = "unstable"
            elif read[0] in SAYS_NOTHING:
                doubtful[number] = str(read[0])
            else:
                said[number] = read
    undecided = {number: word for number, word in doubtful.items() if word == "undecided"}
    found.undecided += [
        Undecided(id=identity, fact=fact, first=first, last=last)
        for first, last, _ in columns.folded(undecided)
    ]
    history = History(said)
    for pair in history.pairs():
        found.pairs.setdefault(pair, {}).setdefault(fact, []).append(identity)
        # That a cell ran in both releases is not yet something that they can be compared by.
        if fact != "outcome" or "ok" not in (said[pair[0]][0], said[pair[1]][0]):
            found.compared.add(identity)
    if len(history.runs) < 2:
        return
    found.changed.add(identity)
    axes = next(iter(telling.values())).axes
    for old, new in history.breaks():
        found.changes.setdefault((old, new), []).append(
            Change(
                target=columns.names[new],
                id=identity,
                axes=axes,
                fact=fact,
                old=said[old][0],
                new=said[new][0],
                severity=severity(fact),
            )
        )
    found.rows.append(
        Row(
            id=identity,
            axes=axes,
            fact=fact,
            severity=severity(fact),
            runs=columns.runs(history),
            gaps=columns.gaps(said, {**whys, **doubtful}),
        )
    )


def _between(pair: Pair, found: _Found, cells: Mapping[str, CellResult], columns: _Columns) -> Changes:
    old, new = pair
    changes, compared = found.changes[pair], found.pairs[pair]
    if any(old < number < new for number in columns.measured):
        # Few cells skip a release that others tell of: among themselves nothing would single them out.
        compared = {fact: found.compared_anywhere(fact) for fact in compared}
    return Changes(
        old=columns.names[old],
        new=columns.names[new],
        in_between=list(columns.names[old + 1 : new]),
        cells=len({change.id for change in changes}),
        conditions=conditions(changes, compared, cells),
    )


def _laws(targets: Sequence[TargetMatrix], columns: _Columns) -> Iterator[LawRow]:
    """The rules of each column of the truth table, places that share their history together."""
    every = [cell for number in columns.measured for cell in targets[number].cells]
    for layer in dict.fromkeys(cell.axes["layer"] for cell in every):
        own = {
            number: [cell for cell in targets[number].cells if cell.axes["layer"] == layer]
            for number in columns.measured
        }
        places = {number: by_place(cells) for number, cells in own.items()}
        for fact in TOLD:
            values = [cell.facts[fact] for cells in own.values() for cell in cells if fact in cell.facts]
            for value in values_told(values):
                ruled = {number: rules(those, fact, value) for number, those in places.items()}
                yield from _laws_of(layer, fact, value, own, ruled, columns)


def _laws_of(
    layer: str,
    fact: str,
    value: Value,
    own: Mapping[int, Sequence[CellResult]],
    ruled: Mapping[int, Mapping[Place, str]],
    columns: _Columns,
) -> Iterator[LawRow]:
    told: dict[Place, dict[int, Reading]] = {}
    for number, of_release in ruled.items():
        for place, rule in of_release.items():
            told.setdefault(place, {})[number] = (rule, None)
    universe = {place: axes_of(place) for place in told}
    alike: dict[tuple[Hashable, ...], list[Place]] = {}
    for place, said in told.items():
        alike.setdefault(tuple(said.items()), []).append(place)
    for places in alike.values():
        said = told[places[0]]
        why = {number: _why_no_rule(cells, places[0]) for number, cells in own.items()}
        for when, _ in boxes(universe, places):
            yield LawRow(
                layer=layer,
                fact=fact,
                value=value,
                when=when,
                runs=columns.runs(History(said)),
                gaps=columns.gaps(said, why),
            )


def _why_no_rule(cells: Iterable[CellResult], place: Place) -> str:
    """What a release says where it does not tell a rule: what cells of the place say, or else undecided."""
    axes = axes_of(place).items()
    outcomes = {cell.outcome: None for cell in cells if axes <= cell.axes.items()}
    return next((word for word in outcomes if word not in MEASURED), "undecided" if outcomes else NOT_THERE)


def releases_of(targets: Sequence[TargetMatrix]) -> list[Release]:
    """What each of the `targets` is, and why nothing of it could be measured."""
    return [
        Release(
            release=name,
            target=target.target,
            versions=target.versions,
            python=target.python,
            device=target.device,
            reason=_why_nothing(target),
        )
        for name, target in zip(_names(targets), targets, strict=True)
    ]


def _names(targets: Sequence[TargetMatrix]) -> list[str]:
    """What the releases are called: by their version, or by the whole target where that tells too little."""
    names = [_version(target) for target in targets]
    return names if len(set(names)) == len(names) else [target.target for target in targets]


def _version(target: TargetMatrix) -> str:
    """The version that was asked for, else the one that was measured."""
    if asked := re.search(r"==([^,:\s]+)", target.target):
        return asked[1]
    family = FAMILIES.get(target.framework)
    package = family.package.replace("-", "_") if family else target.framework
    return target.versions.get(package, target.target).partition("+")[0]


def _named(target: TargetMatrix) -> str:
    """The target without versions: `keras[jax]`."""
    found = re.match(r"[\w.-]+(\[[^\]]*\])?", target.target)
    return found[0] if found else target.framework


def _why_nothing(target: TargetMatrix) -> str | None:
    """Why nothing of a target was measured. Cells `crashed` with a probe that never told its versions."""
    outcomes = MEASURED if target.versions else ()
    if any(cell.outcome in outcomes for cell in target.cells):
        return None
    versions = target.versions.values()
    return _commonest(reason_of(cell, versions) for cell in target.cells) or "no cell"


def reason_of(cell: CellResult, versions: Iterable[str]) -> str:
    """Why a cell says nothing, without the release's own versions."""
    reason = cell.reason or cell.outcome
    for version in versions:
        known = {version, version.partition("+")[0]} - {""}
        for text in sorted(known, key=len, reverse=True):
            reason = re.sub(rf" {re.escape(text)}(?![\w.+])", "", reason)
    return reason


def _commonest(words: Iterable[str]) -> str:
    counted: dict[str, int] = {}
    for word in words:
        counted[word] = counted.get(word, 0) + 1
    return max(counted, key=counted.__getitem__, default="")

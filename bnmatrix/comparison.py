"""Two matrices: what changed, and which axes explain it.

Cells line up by id. For each pair of outcomes `COMPARABLE` says whether their facts may be held
against each other at all; nothing falls through.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from bnmatrix.conditions import Table, When
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Interval, Law, Matrix, Tabular, TargetMatrix, Value

MEASURED = ("ok", "raised", "crashed")
"""Outcomes that say something about behaviour; `unavailable`, `timed_out` and `skipped` say nothing."""

NUMERIC = (
    "variance_estimator", "update_rate", "next_update_rate", "updates_per_step", "epsilon",
    "output_scale", "expected_output",
)  # fmt: skip
DESCRIPTIVE = (
    "exception", "trainable_weights", "non_trainable_weights", "regularisation_losses", "weight_order",
    "mode_after", "trainable_after", "warnings", "statistics_dtype", "output_dtype",
)  # fmt: skip
SEVERITIES = ("semantic", "numeric", "descriptive")
"""Of a change, the weightiest first: what moves and normalises, by how much, what is said of it."""

DEGREES = ("update_rate", "next_update_rate", "epsilon", "output_scale")
"""Numbers that carry an interval; the others are counts."""

CONVENTIONS = ("update_rate", "epsilon", "variance_estimator", "output_scale")
SAYS_NOTHING = ("undecided", "unstable")

Reading = tuple[Value, Interval | None]
"""What a cell says of a fact: its value and, of a number, the interval that the measurement allows."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """Who was measured."""

    target: str
    framework: str
    versions: dict[str, str]
    python: str
    device: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """Counts of cells."""

    same: int
    changed: int
    not_comparable: int
    unstable: int


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of one cell. Severity: one of `SEVERITIES`."""

    target: str
    id: str
    axes: dict[str, str]
    fact: str
    old: Value
    new: Value
    severity: str


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Where a fact changed in the same way: sufficient and necessary over the cells compared.

    Every cell compared that meets `when` has the change. Conditions of one change may overlap; each of its
    cells is in `ids` of one, and `cells` counts those that are in others' as well. `but`: where `when` allows
    most of an axis's values, those that it leaves out. `because`: of an outcome that is not ok any more the
    reason, that of the first cell.
    """

    fact: str
    old: Value
    new: Value
    when: dict[str, list[str]]
    ids: list[str]
    cells: int
    severity: str
    but: dict[str, list[str]] = {}
    because: str | None = None


class NotComparable(msgspec.Struct, frozen=True, kw_only=True):
    """A cell that cannot be compared; `old` and `new` are outcomes, or `not_there`."""

    id: str
    old: str
    new: str
    reason: str


class OneSided(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that one side decided, and the other says `undecided`, in a cell where nothing differs."""

    id: str
    fact: str
    old: Value
    new: Value


class Unstable(msgspec.Struct, frozen=True, kw_only=True):
    """A fact that flickers between identical runs."""

    id: str
    fact: str
    rate: float


class Convention(msgspec.Struct, frozen=True, kw_only=True):
    """A choice that the two sides make differently throughout."""

    layer: str
    name: str
    old: Value
    new: Value


class SideLaw(msgspec.Struct, frozen=True, kw_only=True):
    """A law, and the side that obeys it."""

    side: str
    layer: str
    fact: str
    value: Value
    rule: str
    when: dict[str, list[str]]
    but: dict[str, list[str]] = {}


class Diff(msgspec.Struct, Tabular, frozen=True, kw_only=True):
    """What `bnmatrix diff --format json` prints."""

    schema_version: int
    bnmatrix: str
    old: Side
    new: Side
    summary: Summary
    changes: list[Change]
    conditions: list[Condition]
    conventions: list[Convention]
    not_comparable: list[NotComparable]
    unstable: list[Unstable]
    laws: list[SideLaw]
    one_sided: list[OneSided] = []


class Likened(Matrix, frozen=True, kw_only=True):
    """A run, and what differs between its layers of the user's own (new) and those of the framework (old)."""

    likeness: list[Diff] = msgspec.field(default_factory=list)


def compare(old: TargetMatrix, new: TargetMatrix, version: str) -> Diff:
    """What differs between two targets. `version` is that of bnmatrix, for the record."""
    old_cells, new_cells = old.by_id(), new.by_id()
    changes: list[Change] = []
    not_comparable, unstable, one_sided = [], [], []
    same = 0
    for identity in {**old_cells, **new_cells}:
        before, after = old_cells.get(identity), new_cells.get(identity)
        reason = why_not_comparable(before, after, old.target, new.target)
        if reason is not None or before is None or after is None:
            not_comparable.append(NotComparable(
                id=identity, old=before.outcome if before else "not_there",
                new=after.outcome if after else "not_there", reason=reason or "",
            ))  # fmt: skip
            continue
        if (
            before.facts == after.facts
            and before.outcome == after.outcome
            and not (unstable_facts(before) or unstable_facts(after))
        ):
            same += 1  # the quick way, of most cells: equal numbers have intervals that meet
            continue
        flickering = unstable_facts(before) | unstable_facts(after)
        unstable += [Unstable(id=identity, fact=fact, rate=rate) for fact, rate in flickering.items()]
        differing = 0
        for fact in comparable_facts(before, after):
            if differs(before, after, fact):
                differing += 1
                changes.append(Change(
                    target=new.target, id=identity, axes=after.axes, fact=fact, old=fact_of(before, fact),
                    new=fact_of(after, fact), severity=severity(fact),
                ))  # fmt: skip
        if not differing:
            one_sided += _one_sided(before, after)
        same += not differing and not flickering
    changed = {change.id for change in changes}
    compared = compared_by(old_cells, new_cells) if changes else {}
    return Diff(
        schema_version=SCHEMA_VERSION,
        bnmatrix=version,
        old=side(old),
        new=side(new),
        summary=Summary(
            same=same,
            changed=len(changed),
            not_comparable=len(not_comparable),
            unstable=len({entry.id for entry in unstable} - changed),
        ),
        changes=changes,
        conditions=conditions(changes, compared, {**old_cells, **new_cells}) if changes else [],
        conventions=conventions(old, new),
        not_comparable=not_comparable,
        unstable=unstable,
        one_sided=one_sided,
        laws=[law_of("old", law) for law in old.laws] + [law_of("new", law) for law in new.laws],
    )


def _one_sided(old: CellResult, new: CellResult) -> list[OneSided]:
    """The facts that one of two cells does not decide, and the other does."""
    found = []
    for fact in {**old.facts, **new.facts}:
        before, after = (side.facts.get(fact, "undecided") for side in (old, new))
        if "unstable" not in (before, after) and (before == "undecided") != (after == "undecided"):
            found.append(OneSided(id=old.id, fact=fact, old=before, new=after))
    return found


def compared_by(old: Mapping[str, CellResult], new: Mapping[str, CellResult]) -> dict[str, list[str]]:
    """{fact: ids of the cells in which it can be compared}, of cells by their id"""
    found: dict[str, list[str]] = {}
    for identity, before in old.items():
        after = new.get(identity)
        if after is not None and why_not_comparable(before, after, "", "") is None:
            for fact in comparable_facts(before, after):
                found.setdefault(fact, []).append(identity)
    return found


def why_not_comparable(
    old: CellResult | None, new: CellResult | None, old_name: str, new_name: str
) -> str | None:
    """Why the facts of two cells cannot be held against each other; None where they can."""
    for cell, name in ((old, old_name), (new, new_name)):
        if cell is None:
            return f"{name} has no such cell"
        if cell.outcome not in MEASURED:
            return f"{name}: {cell.reason or cell.outcome}"
    if not old or not new or unstable_facts(old) or unstable_facts(new):
        return None
    if old.outcome == new.outcome == "ok" and comparable_facts(old, new) == ["outcome"]:
        return "no fact was decided on both sides"
    return None


def comparable_facts(old: CellResult, new: CellResult) -> list[str]:
    """The facts that both cells decided, and `outcome`, less what flickers."""
    flickering = unstable_facts(old).keys() | unstable_facts(new).keys()
    return [
        fact for fact in ("outcome", *old.facts)
        if fact not in flickering and (
            fact == "outcome"
            or (
                fact in new.facts
                and not {old.facts[fact], new.facts[fact]} & {*SAYS_NOTHING}
                and not _was_not_reached(fact, old, new)
            )
        )
    ]  # fmt: skip


def _was_not_reached(fact: str, old: CellResult, new: CellResult) -> bool:
    """Whether only one side raised, and by that left at rest what `fact` tells of: the outcome says it."""
    if (old.outcome == "ok") == (new.outcome == "ok"):
        return False
    stopped = old if new.outcome == "ok" else new
    return stopped.facts[fact] == (0 if fact == "updates_per_step" else "unchanged")


def differs(old: CellResult, new: CellResult, fact: str) -> bool:
    """Whether the two cells say different things of `fact`."""
    return disagree(reading(old, fact), reading(new, fact))


def reading(cell: CellResult, fact: str) -> Reading:
    """What the cell says of `fact`."""
    return fact_of(cell, fact), cell.interval(fact)


def disagree(old: Reading, new: Reading) -> bool:
    """Numbers differ where their intervals do not meet, everything else where it is not the same."""
    before, after = old[1], new[1]
    if before is not None and after is not None:
        return before[1] < after[0] or after[1] < before[0]
    return old[0] != new[0]


def fact_of(cell: CellResult, fact: str) -> Value:
    """The fact's value; the outcome counts as one."""
    return cell.outcome if fact == "outcome" else cell.facts[fact]


def unstable_facts(cell: CellResult) -> dict[str, float]:
    """{fact: rate} of what flickers in `cell`."""
    return {fact: entry["rate"] for fact, entry in cell.measured.get("unstable", {}).items()}


def severity(fact: str) -> str:
    """How much a change of `fact` matters."""
    return "numeric" if fact in NUMERIC else "descriptive" if fact in DESCRIPTIVE else "semantic"


def conditions(
    changes: list[Change], compared: Mapping[str, list[str]], cells: Mapping[str, CellResult]
) -> list[Condition]:
    """The changes, said once for all cells that share one: the weightiest and widest first.

    Facts that changed in the same cells share their conditions, and conditions found for one fact are
    taken for the next where they fit: what has one cause reads the same everywhere.
    """
    alike: dict[tuple[str, Value, Value], list[str]] = {}
    for change in changes:
        alike.setdefault((change.fact, change.old, change.new), []).append(change.id)
    causes: dict[tuple[str, ...], list[tuple[str, Value, Value]]] = {}
    for change_, ids in alike.items():
        causes.setdefault(tuple(ids), []).append(change_)
    table = Table({i: cells[i].axes for i in dict.fromkeys(i for ids in compared.values() for i in ids)})

    def widest_first(cause: tuple[str, ...]) -> tuple[int, int, list[str]]:
        return min(weight(severity(fact)) for fact, _, _ in causes[cause]), -len(cause), sorted(cause)

    found: list[Condition] = []
    known: dict[str, When] = {}
    for cause in sorted(causes, key=widest_first):
        among = {identity for fact, _, _ in causes[cause] for identity in compared[fact]}
        for when, ids in table.boxes(cause, among, known.values()):
            known.setdefault(str(when), when)
            found += [
                Condition(
                    fact=fact, old=old, new=new, when=when, ids=ids, cells=table.count(when, cause),
                    severity=severity(fact), but=table.left_out(when),
                    because=cells[ids[0]].reason if fact == "outcome" and new != "ok" else None,
                )
                for fact, old, new in causes[cause]
            ]  # fmt: skip
    return sorted(found, key=lambda condition: (weight(condition.severity), -len(condition.ids)))


def weight(severity: str) -> int:
    """Changes are sorted by this."""
    return SEVERITIES.index(severity)


def conventions(old: TargetMatrix, new: TargetMatrix) -> list[Convention]:
    """Choices that hold throughout each side and differ: rates, epsilon, estimator, what freezing does."""
    found = []
    for layer in dict.fromkeys(cell.axes["layer"] for cell in old.cells):
        for name in CONVENTIONS:
            before, after = throughout(old, layer, name), throughout(new, layer, name)
            if before is not None and after is not None and differs(before, after, name):
                found.append(
                    Convention(layer=layer, name=name, old=before.facts[name], new=after.facts[name])
                )
        frozen = freezing_switches(old, layer), freezing_switches(new, layer)
        if frozen[0] != frozen[1] and None not in frozen:
            name = "freezing also switches to inference"
            found.append(Convention(layer=layer, name=name, old=frozen[0] or "", new=frozen[1] or ""))
    return found


def throughout(side: TargetMatrix, layer: str, fact: str) -> CellResult | None:
    """A cell that stands for all: one that has `fact`, if every cell that has it agrees."""
    having = [
        cell for cell in side.cells
        if cell.axes["layer"] == layer and cell.facts.get(fact, "undecided") not in SAYS_NOTHING
    ]  # fmt: skip
    if not having or any(differs(having[0], cell, fact) for cell in having[1:]):
        return None
    return having[0]


def freezing_switches(side: TargetMatrix, layer: str) -> str | None:
    """Whether a frozen layer stops normalising by batch statistics, by the laws; None if they do not tell."""
    rules = {
        law.rule
        for law in side.laws
        if law.layer == layer and law.fact == "normalised_by" and law.value == "batch"
    }
    return {frozenset({"training and trainable"}): "yes", frozenset({"training"}): "no"}.get(frozenset(rules))


def side(matrix: TargetMatrix) -> Side:
    """Who was measured, without the cells."""
    return Side(
        target=matrix.target, framework=matrix.framework, versions=matrix.versions, python=matrix.python,
        device=matrix.device,
    )  # fmt: skip


def law_of(which: str, law: Law) -> SideLaw:
    """`law`, said of one side."""
    return SideLaw(side=which, **msgspec.structs.asdict(law))

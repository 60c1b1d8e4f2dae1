"""What a timeline says, in plain words: text without layout or colour, the same in every format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bnmatrix.comparison import Condition
from bnmatrix.matrix import Value
from bnmatrix.render import wording
from bnmatrix.timeline import Changes, Gap, LawRow, Row, Run, Silence, Timeline, Undecided

Piece = tuple[str, Value, bool]
"""Of a strip: the releases, what they say, and whether that is a gap."""


@dataclass(frozen=True)
class Strip:
    """A row of a timeline: what it is about, where if not everywhere, runs and gaps in order of release."""

    facts: tuple[str, ...]
    value: Value
    where: str
    pieces: list[Piece]

    @property
    def subject(self) -> str:
        """`gamma, beta updated (in call)`; of cells, whose values differ from run to run, the facts alone."""
        return " ".join(
            part for part in (", ".join(self.facts), wording.number(self.value), self.where) if part
        )


def span(first: str, last: str) -> str:
    """`2.0.4 to 2.15.1`"""
    return first if first == last else f"{first} to {last}"


def spans(names: Iterable[str], timeline: Timeline) -> str:
    """`2.0.4, 2.3.4 to 2.5.3`: releases, neighbours among what was measured folded."""
    wanted = set(names)
    found: list[list[str]] = [[]]
    for release in timeline.releases:
        if release.release in wanted:
            found[-1].append(release.release)
        elif release.reason is None:
            found.append([])
    return ", ".join(span(run[0], run[-1]) for run in found if run)


def releases(count: int) -> str:
    """`1 release`, `12 releases`"""
    return f"{count} release" if count == 1 else f"{count} releases"


def range_of(timeline: Timeline) -> str:
    """`tf2 2.0.4 to 2.21.0`"""
    first, last = timeline.releases[0].release, timeline.releases[-1].release
    named = first.startswith(timeline.framework)  # where a release goes by its whole target
    return span(first, last) if named else f"{timeline.framework} {span(first, last)}"


def size(timeline: Timeline) -> str:
    """`22 releases, 40 cells, 4 of them change`"""
    counts = timeline.summary
    total = counts.same + counts.changed + counts.not_comparable + counts.unstable
    change = f"{counts.changed} of them {'changes' if counts.changed == 1 else 'change'}"
    if sum(release.reason is None for release in timeline.releases) < 2:
        change = "nothing to compare with"
    elif not counts.changed:
        change = "no change in what could be compared"
    return f"{releases(len(timeline.releases))}, {wording.cells(total)}, {change}"


def not_measured(timeline: Timeline) -> list[tuple[str, str]]:
    """The releases of which nothing could be measured, with the reason."""
    by_reason: dict[str, list[str]] = {}
    for release in timeline.releases:
        if release.reason is not None:
            by_reason.setdefault(release.reason, []).append(release.release)
    return [(spans(names, timeline), reason) for reason, names in by_reason.items()]


def between(changes: Changes) -> str:
    """`between 2.15.1 and 2.16.2`"""
    return f"between {changes.old} and {changes.new}"


def in_between(changes: Changes, timeline: Timeline) -> str:
    """`2.16.1 in between does not tell`; empty where there is none."""
    if not changes.in_between:
        return ""
    verb = "does" if len(changes.in_between) == 1 else "do"
    return f"{spans(changes.in_between, timeline)} in between {verb} not tell"


def appearing(conditions: Iterable[Condition]) -> list[str]:
    """[`seed_state appears in 48 cells`] of state that is absent on one side."""
    ids: dict[tuple[str, str], list[str]] = {}
    for entry in conditions:
        word = "appears in" if entry.old == "absent" else "disappears from"
        ids.setdefault((entry.fact, word), []).extend(entry.ids)
    return [f"{fact} {word} {wording.cells(len(own))}" for (fact, word), own in ids.items()]


def pieces(runs: Iterable[Run], gaps: Iterable[Gap], timeline: Timeline) -> list[Piece]:
    """Runs and gaps in order of release."""
    order = {release.release: number for number, release in enumerate(timeline.releases)}
    found = [(order[run.first], (span(run.first, run.last), run.value, False)) for run in runs]
    found += [(order[gap.first], (span(gap.first, gap.last), gap.says, True)) for gap in gaps]
    return [piece for _, piece in sorted(found, key=lambda entry: entry[0])]


def law_strips(timeline: Timeline, layer: str, aside: bool = False) -> list[Strip]:
    """The laws of `layer`, those together that differ in nothing but the fact; headlines first.

    `aside`: those that are left out of a short page as well, and those that never change.
    """
    joined: dict[tuple[Value, str, tuple[Run, ...], tuple[Gap, ...]], list[str]] = {}
    for law in timeline.laws:
        if law.layer == layer and (aside or is_told(law)):
            key = (law.value, wording.place(law.when), tuple(law.runs), tuple(law.gaps))
            joined.setdefault(key, []).append(law.fact)
    found = [
        Strip(tuple(facts), value, where, pieces(runs, gaps, timeline))
        for (value, where, runs, gaps), facts in joined.items()
    ]
    return sorted(found, key=lambda strip: wording.weight(strip.facts))


def is_told(law: LawRow) -> bool:
    """Whether a short page has the law: it changes, and does not follow from another."""
    return len(law.runs) > 1 and law.fact not in wording.ASIDE


def cell_strips(rows: Sequence[Row], timeline: Timeline) -> list[Strip]:
    """The facts of one cell, those together whose runs are the same."""
    joined: dict[tuple[tuple[Run, ...], tuple[Gap, ...]], list[str]] = {}
    for row in rows:
        joined.setdefault((tuple(row.runs), tuple(row.gaps)), []).append(row.fact)
    return [
        Strip(tuple(facts), "", "", pieces(runs, gaps, timeline)) for (runs, gaps), facts in joined.items()
    ]


def by_cell(timeline: Timeline) -> dict[str, list[Row]]:
    """The rows of each cell."""
    found: dict[str, list[Row]] = {}
    for row in timeline.rows:
        found.setdefault(row.id, []).append(row)
    return found


def the_same(timeline: Timeline) -> list[str]:
    """[`36 cells never change`, `8 laws hold throughout`]: what is not told one by one."""
    held = sum(len(law.runs) == 1 for law in timeline.laws)
    parts: list[str] = []
    if sum(release.reason is None for release in timeline.releases) < 2:
        return parts
    if same := timeline.summary.same:
        parts.append(f"{wording.cells(same)} never {'changes' if same == 1 else 'change'}")
    if held:
        parts.append(f"{held} {'law holds' if held == 1 else 'laws hold'} throughout")
    return parts


def silences(timeline: Timeline) -> list[tuple[str, str, list[str]]]:
    """Why and in which releases cells say nothing, with their ids; the most frequent first."""
    of_cell: dict[tuple[str, str], list[str]] = {}
    for silence in timeline.not_comparable:
        of_cell.setdefault((silence.id, silence.reason), []).extend(_covered(silence, timeline))
    alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (identity, reason), names in of_cell.items():
        alike.setdefault((reason, tuple(names)), []).append(identity)
    found = [(reason, spans(names, timeline), ids) for (reason, names), ids in alike.items()]
    return sorted(found, key=lambda entry: -len(entry[2]))


@dataclass(frozen=True)
class Doubt:
    """A fact that some releases do not tell: `epsilon in 24 cells`, `1.10.2 to 1.12.1`, and each cell."""

    what: str
    which: str
    cells: list[str]


def undecided(timeline: Timeline) -> list[Doubt]:
    """The facts that some releases do not decide."""
    return _doubts(
        timeline,
        [
            (entry.fact, entry.id, name, 0.0)
            for entry in timeline.undecided
            for name in _covered(entry, timeline)
        ],
    )


def unstable(timeline: Timeline) -> list[Doubt]:
    """The facts that flicker in some releases, and how often."""
    return _doubts(timeline, [(each.fact, each.id, each.release, each.rate) for each in timeline.unstable])


def _doubts(timeline: Timeline, entries: Iterable[tuple[str, str, str, float]]) -> list[Doubt]:
    by_fact: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for fact, identity, name, rate in entries:
        by_fact.setdefault(fact, {}).setdefault(identity, []).append((name, rate))
    return [
        Doubt(
            f"{fact} in {wording.cells(len(by_id))}",
            _with_rates([each for entries in by_id.values() for each in entries], timeline),
            [f"{identity}: {_with_rates(entries, timeline)}" for identity, entries in by_id.items()],
        )
        for fact, by_id in by_fact.items()
    ]


def _with_rates(entries: Sequence[tuple[str, float]], timeline: Timeline) -> str:
    """`2.3.4 to 2.5.3, rate 0.2 to 0.6`"""
    which, rates = spans([name for name, _ in entries], timeline), sorted({rate for _, rate in entries})
    return f"{which}, rate {span(str(rates[0]), str(rates[-1]))}" if any(rates) else which


def _covered(entry: Silence | Undecided, timeline: Timeline) -> list[str]:
    """The releases from the first to the last of `entry`, those that were measured."""
    names = [release.release for release in timeline.releases if release.reason is None]
    return names[names.index(entry.first) : names.index(entry.last) + 1]

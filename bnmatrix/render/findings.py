"""What a CI system is told of a check, one by one: the same for JUnit, SARIF and GitHub's annotations.

Changes that nobody accepted and accepted ones by target, accepted ones that do not hold any more, and cells
that could not be measured. What stands for a finding from run to run holds no version and no count.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bnmatrix.accepted import EXPIRED, MET, NOT_TRIED, UNMATCHED, Accepted, Answer
from bnmatrix.check_places import Places, names
from bnmatrix.checked import Check
from bnmatrix.comparison import severity
from bnmatrix.render import wording
from bnmatrix.requirement_lines import Place

CHANGED, TOLERATED, ACCEPTED, LOST = "changed", "tolerated", "accepted", "lost"
"""A change that fails the check, one that does not, one that was accepted; cells that were measured once. An
accepted change that is not met is `unmatched`, `expired` or `not_tried`, as its status is."""

LONGEST_LIST = 50
"""More cell ids than this are counted."""

EVERYWHERE = "wherever it was compared"


@dataclass(frozen=True)
class Finding:
    """One of them.

    target:   empty where it is of the baseline, and of no target alone
    what:     `gamma: unchanged → updated`
    where:    in which cells, in words that are the same in every run
    identity: what makes it the same finding in another run
    accepted: the accepted change that it is about
    """

    kind: str
    target: str
    fact: str
    severity: str
    what: str
    where: str
    ids: tuple[str, ...]
    identity: tuple[object, ...]
    accepted: Accepted | None = None
    place: Place | None = None

    @property
    def fails(self) -> bool:
        """Whether the check is red because of it; a lost cell makes it incomplete."""
        return self.kind in (CHANGED, UNMATCHED, EXPIRED, LOST)

    @property
    def name(self) -> str:
        """The same in every run: `gamma: unchanged → updated where training=true`"""
        return f"{self.what} {self.where}"

    @property
    def message(self) -> str:
        """A sentence for somebody who sees nothing else."""
        cells = wording.cells(len(self.ids))
        if self.kind == UNMATCHED:
            return f"accepted, but nothing changes so any more: {self.name}. Remove it from the baseline"
        if self.kind == EXPIRED and self.accepted is not None:
            return f"accepted until {self.accepted.expires}, and still so in {cells}: {self.name}"
        if self.kind == NOT_TRIED:
            return f"accepted for targets that were not measured: {self.name}"
        if self.kind == LOST:
            return f"{self.target}: {cells} could not be measured: {self.where}"
        told = f"{self.target}: {self.name}, in {cells} ({self.severity})"
        return f"{told}. Accepted {terms(self.accepted)}" if self.accepted is not None else told

    def details(self) -> list[str]:
        """All of it, in lines."""
        lines = [self.message]
        if self.kind in (CHANGED, TOLERATED, ACCEPTED):
            lines += [f"change    {self.what}", f"          {self.where}", f"severity  {self.severity}"]
        if self.accepted is not None:
            lines += [f"accepted  {terms(self.accepted)}"]
        lines += [f"cell      {identity}" for identity in self.ids[:LONGEST_LIST]]
        if len(self.ids) > LONGEST_LIST:
            lines += [f"          and {wording.cells(len(self.ids) - LONGEST_LIST, more=True)}"]
        return lines


def findings(check: Check, places: Places) -> list[Finding]:
    """All findings: open changes, the weightiest first, then accepted ones, then cells that were lost."""
    return [
        *_open(check, places),
        *(
            finding
            for number in range(len(check.expectations))
            for finding in _of_answer(check, number, places)
        ),
        *_lost(check, places),
    ]


def fingerprints(found: Sequence[Finding]) -> list[str]:
    """What names each from run to run; no two are the same."""
    counts: dict[str, int] = {}
    told = []
    for finding in found:
        text = json.dumps(finding.identity, ensure_ascii=True, sort_keys=True)
        digest = hashlib.sha256(text.encode()).hexdigest()[:32]
        counts[digest] = counts.get(digest, 0) + 1
        told.append(f"{digest}:{counts[digest]}")
    return told


def without_versions(targets: Sequence[str]) -> dict[str, str]:
    """{target: its name without versions}; whole where two would be the same."""
    short = {target: _VERSIONS.sub(r"\1\2", target) for target in targets}
    every = list(short.values())
    return {target: name if every.count(name) == 1 else target for target, name in short.items()}


_VERSIONS = re.compile(r"^([^=<>!~,;:\s]+)[^:]*(:.*)?$", re.DOTALL)


def targets_of(check: Check) -> list[str]:
    """Every target that a finding may be of, in the order of the check."""
    return list(
        dict.fromkeys(
            [
                *names(check),
                *(one.target for one in check.conditions),
                *(one.target for one in check.not_comparable),
                *(one.target for one in check.unstable),
                *(target for answer in check.expectations for target in answer.ids),
            ]
        )
    )


def terms(accepted: Accepted) -> str:
    """`by jo, until 2027-01-31: the reason`"""
    until = f", until {accepted.expires}" if accepted.expires else ""
    return f"by {accepted.owner}{until}: {accepted.reason}"


_UNFIT = re.compile("[^\t\n\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def clean(text: str) -> str:
    """`text` as XML, JSON and a log of lines can all hold it: other characters as Python escapes them."""
    whole = text.replace("\r\n", "\n").replace("\r", "\n")
    return _UNFIT.sub(lambda found: found[0].encode("unicode_escape", "backslashreplace").decode(), whole)


def _open(check: Check, places: Places) -> Iterator[Finding]:
    short = without_versions(targets_of(check))
    for one in check.conditions:
        old, new = wording.number(one.old), wording.number(one.new)
        place = wording.condition(one.when, one.but)
        yield Finding(
            kind=CHANGED if one.fails else TOLERATED,
            target=one.target,
            fact=one.fact,
            severity=one.severity,
            what=_line(f"{one.fact}: {old} → {new}"),
            where=_line(f"where {place}") if place else EVERYWHERE,
            ids=tuple(one.ids),
            identity=("change", short[one.target], one.fact, old, new, _sorted(one.when), ()),
            place=places.of_target.get(one.target, places.otherwise),
        )


def _of_answer(check: Check, number: int, places: Places) -> Iterator[Finding]:
    """Of an accepted change that holds one finding a target; else one of the baseline."""
    answer = check.expectations[number]
    short = without_versions(targets_of(check))
    if answer.status != MET:
        ids = tuple(f"{target}: {identity}" for target, ids in answer.ids.items() for identity in ids)
        targets = tuple(sorted(answer.accepted.targets))
        place = places.of_expectation.get(number, places.otherwise)
        yield _accepted(check, number, answer, answer.status, "", ids, (answer.status, targets), place)
        return
    for target, found in answer.ids.items():
        place = places.of_target.get(target, places.otherwise)
        identity = ("change", short[target])
        yield _accepted(check, number, answer, ACCEPTED, target, tuple(found), identity, place)


def _accepted(
    check: Check,
    number: int,
    answer: Answer,
    kind: str,
    target: str,
    ids: tuple[str, ...],
    identity: tuple[object, ...],
    place: Place | None,
) -> Finding:
    accepted = answer.accepted
    old, new = wording.number(accepted.old), wording.number(accepted.new)
    where = [f"where {wording.condition(accepted.when)}"] if accepted.when else []
    if accepted.cells:
        rest = len(accepted.cells) - 1
        more = f" and {wording.cells(rest, more=True)}" if rest else ""
        where.append(f"in {accepted.cells[0]}{more}")
    if not target and accepted.targets:
        where.append(f"of {wording.enumerated(accepted.targets)}")
    given = (one.severity for one in check.changes if one.accepted == number)
    cells = tuple(sorted(accepted.cells))
    return Finding(
        kind=kind,
        target=target,
        fact=accepted.fact,
        severity=next(given, severity(accepted.fact)),
        what=_line(f"{accepted.fact}: {old} → {new}"),
        where=_line(" ".join(where)) or EVERYWHERE,
        ids=ids,
        identity=(*identity, accepted.fact, old, new, _sorted(accepted.when), cells),
        accepted=accepted,
        place=place,
    )


def _lost(check: Check, places: Places) -> Iterator[Finding]:
    """The cells that the baseline has measured and that could not be, by the reason."""
    short = without_versions(targets_of(check))
    present = {name: side.target for name, side in zip(names(check), check.new.targets, strict=True)}
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for each in check.not_comparable:
        if each.lost:
            who = present.get(each.target, each.target)  # the reason begins with it
            why = each.reason.removeprefix(who).removeprefix(":").strip()
            grouped.setdefault((each.target, each.new, why), []).append(each.id)
    for (target, outcome, reason), ids in grouped.items():
        yield Finding(
            kind=LOST,
            target=target,
            fact="",
            severity="semantic",
            what=f"measured → {outcome}:",
            where=_line(reason) or outcome,
            ids=tuple(ids),
            identity=(LOST, short[target], outcome, reason),
            place=places.of_target.get(target, places.otherwise),
        )
    facts: dict[tuple[str, str], list[str]] = {}
    for one in check.one_sided:
        if one.lost:
            facts.setdefault((one.target, one.fact), []).append(one.id)
    for (target, fact), undecided in facts.items():
        yield Finding(
            kind=LOST,
            target=target,
            fact=fact,
            severity="descriptive",
            what="decided → undecided:",
            where=f"{fact} cannot be told any more",
            ids=tuple(undecided),
            identity=(LOST, short[target], "undecided", fact),
            place=places.of_target.get(target, places.otherwise),
        )


def _line(words: str) -> str:
    return " ".join(words.split())


def _sorted(when: dict[str, list[str]]) -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple(sorted((axis, tuple(sorted(values))) for axis, values in when.items()))

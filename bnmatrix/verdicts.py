"""The verdict on a claim: do the cells of a target that it speaks of say what it says?

Cells that say nothing (there is nothing to call, a fact is undecided) neither confirm nor contradict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from bnmatrix.axes import as_like, parse_id
from bnmatrix.claim import Answer, Claim, ModelPart, Shown
from bnmatrix.comparison import SAYS_NOTHING, comparable_facts, differs
from bnmatrix.conditions import When, boxes
from bnmatrix.expectations import Held, held
from bnmatrix.matrix import FAULTS, CellResult
from bnmatrix.own_layers import is_own
from bnmatrix.scenario import Expectation, matches
from bnmatrix.target import Target

HOLDS, CONTRADICTED, PARTLY = "holds", "contradicted", "partly"
UNTRIED, INCOMPLETE = "cannot be tried", "incomplete"

VERDICTS = {
    HOLDS: "every cell that tells agrees",
    PARTLY: "some cells agree, others do not",
    CONTRADICTED: "every cell that tells is against it",
    UNTRIED: "there is nothing to call, or nothing that tells",
    INCOMPLETE: "a cell that decides could not be run",
}


class Deciding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the claim says of one cell, and what was measured of it.

    `agrees` is null where the cell does not tell, with the reason.
    """

    id: str
    says: str
    fact: str
    expected: str
    measured: str
    agrees: bool | None
    reason: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a claim on a target.

    answer:    in a line what was measured
    agree, against: how many cells
    where:     under which conditions cells are against it, where others are not
    cells:     all that decides
    not_tried: what the claim says of whole models, of which nothing was measured, and why
    """

    target: str
    verdict: str
    answer: str
    agree: int = 0
    against: int = 0
    where: list[When] = []
    cells: list[Deciding] = []
    not_tried: list[str] = []


Models = Callable[[Target, ModelPart], list[Deciding]]
"""Measures what a claim says of a whole model: `id` is the name of a layer."""

ANSWERED = ("ok", "raised")
"""Outcomes that are the framework's own answer."""

FOLLOWING = ("training", "context")
"""Axes of which an execution that compiles a model has values of its own."""


def verdict(
    claim: Claim, target: Target, results: Sequence[CellResult], models: Models | None = None
) -> Verdict:
    """The verdict on a claim, of its cells on a target."""
    found = [
        each
        for expectation in claim.scenario.expect
        if target.framework in (expectation.frameworks or claim.frameworks)
        for cell in results
        if matches(cell.axes, expectation.where)
        for each in _deciding(cell, expectation)
    ]
    not_tried = []
    for part in claim.models:
        if models is None:
            not_tried.append(f"{part.says} ({part.factory}): of whole models nothing is measured over time")
        else:
            found += models(target, part)
    word = _word(found, results)
    against = list(dict.fromkeys(each.id for each in found if each.agrees is False))
    agree = list(dict.fromkeys(each.id for each in found if each.agrees and each.id not in against))
    where = _where(results, [*against, *agree], against) if word == PARTLY else []
    answers = [answer.says for answer in claim.answers if _is_met(answer, results)]
    return Verdict(
        target=target.text,
        verdict=word,
        answer="; ".join(answers) or _in_a_line(word, found, results, target),
        agree=len(agree),
        against=len(against),
        where=where,
        cells=found,
        not_tried=not_tried,
    )


def _deciding(cell: CellResult, expectation: Expectation) -> list[Deciding]:
    """What the cell says of the expectation; one thing, where it did not come to it."""
    if cell.outcome != "ok" and "outcome" not in expectation.facts:
        agrees = False if cell.outcome in ANSWERED else None
        return [_one(cell, expectation, Held("outcome", "ok", cell.outcome, False), agrees)]
    return [
        _one(cell, expectation, each, each.agrees if _tells(cell, each) else None)
        for each in held(cell, expectation)
    ]


def _tells(cell: CellResult, each: Held) -> bool:
    """Whether the cell says anything of it."""
    if each.what == "outcome":
        return cell.outcome in ANSWERED
    if each.what in cell.facts:
        return cell.facts[each.what] not in SAYS_NOTHING
    return each.measured not in ("not told", "[]", "0")


def _one(cell: CellResult, expectation: Expectation, each: Held, agrees: bool | None) -> Deciding:
    return Deciding(
        id=cell.id,
        says=expectation.says,
        fact=each.what,
        expected=each.expected,
        measured=each.measured.removesuffix(".0"),
        agrees=agrees,
        reason=cell.reason,
    )


def _word(found: Sequence[Deciding], results: Sequence[CellResult]) -> str:
    ids = {each.id for each in found}
    if any(cell.outcome in FAULTS for cell in results if cell.id in ids):
        return INCOMPLETE
    # A cell that is against it in one thing is against what is said of it there.
    said: dict[tuple[str, str], bool] = {}
    for each in found:
        if each.agrees is not None:
            key = each.id, each.says
            said[key] = said.get(key, True) and each.agrees
    if not said:
        return UNTRIED
    if all(said.values()):
        return HOLDS
    return PARTLY if any(said.values()) else CONTRADICTED


def _where(results: Sequence[CellResult], among: Sequence[str], some: Sequence[str]) -> list[When]:
    """What `some` of the cells `among` have in common, and the others have not; nothing where it is all."""
    axes = {cell.id: _sorted(cell.axes) for cell in results if cell.id in set(among)}
    chosen = [identity for identity in some if identity in axes]
    return [when for when, _ in boxes(axes, chosen)] if chosen and len(chosen) < len(axes) else []


def _sorted(axes: Mapping[str, str]) -> dict[str, str]:
    """The axes, the execution first and what follows from it last: of two conditions the first is told."""
    rest = {axis: value for axis, value in axes.items() if axis not in FOLLOWING}
    return {"execution": axes["execution"], **rest, **axes}


def _is_met(answer: Answer, results: Sequence[CellResult]) -> bool:
    return all(_shows(shown, results) for shown in answer.shown)


def _shows(shown: Shown, results: Sequence[CellResult]) -> bool:
    """Whether there are such cells that were measured, and all of them show it."""
    concerned = [cell for cell in results if matches(cell.axes, shown.where) and cell.outcome in ANSWERED]
    if shown.same_as is not None:
        return bool(concerned) and _are_alike(concerned, shown.same_as, results)
    expectation = Expectation(says="", where={}, facts=shown.facts, sizes=shown.sizes)
    return bool(concerned) and all(each.agrees for cell in concerned for each in held(cell, expectation))


def _are_alike(concerned: Sequence[CellResult], layer: str, results: Sequence[CellResult]) -> bool:
    """Whether the cells have the facts of those of `layer` in the same place."""
    known = {cell.id: cell for cell in results}
    for cell in concerned:
        place = parse_id(cell.id)
        named = as_like(place) if is_own(place.axes["layer"]) else place
        axes: Mapping[str, str] = {**named.axes, "layer": layer}
        other = next((each for each in known.values() if each.axes == axes), None)
        if other is None or any(differs(other, cell, fact) for fact in comparable_facts(other, cell)):
            return False
    return True


def _in_a_line(word: str, found: Sequence[Deciding], results: Sequence[CellResult], target: Target) -> str:
    """What was measured, where the claim has no words of its own for it."""
    if word == INCOMPLETE:
        faults = [cell for cell in results if cell.outcome in FAULTS]
        return _commonest([f"{cell.outcome}: {cell.reason or 'no reason is known'}" for cell in faults])
    if word == UNTRIED:
        reasons = [each.reason or f"{each.fact} is {each.measured}" for each in found]
        return _commonest(reasons) if reasons else f"{target.framework} has none of the cells that tell"
    against = [each for each in found if each.agrees is False]
    if not against:
        return _as_measured([each for each in found if each.agrees], results)
    alike: dict[str, list[str]] = {}
    for each in against:
        alike.setdefault(f"{each.measured}, not {each.expected}", []).append(each.fact)
    return "; ".join(f"{', '.join(dict.fromkeys(facts))} {said}" for said, facts in alike.items())


def _as_measured(found: Sequence[Deciding], results: Sequence[CellResult]) -> str:
    """Each fact, and where it has which value: facts together that have the same ones in the same cells."""
    columns: dict[str, dict[str, list[str]]] = {}
    for each in found:
        columns.setdefault(each.fact, {}).setdefault(each.measured, []).append(each.id)
    alike: dict[str, list[str]] = {}
    for fact, values in columns.items():
        among = [identity for ids in values.values() for identity in ids]
        said = []
        for value, ids in values.items():
            where = [in_words(when) for when in _where(results, among, ids)]
            said.append(f"{value} ({' or '.join(where)})" if any(where) else value)
        alike.setdefault(", ".join(said), []).append(fact)
    return "; ".join(f"{', '.join(facts)} {said}" for said, facts in alike.items())


def in_words(when: When) -> str:
    """`execution=fit, outer=functional|sequential`"""
    return ", ".join(f"{axis}={'|'.join(values)}" for axis, values in when.items())


def _commonest(words: Sequence[str]) -> str:
    return max(dict.fromkeys(words), key=words.count)

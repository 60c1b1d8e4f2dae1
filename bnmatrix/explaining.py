"""Why a cell is as it is: what was measured, the law, the lines that decide, and what is said of it.

The lines come from traces of that cell, and of the same with another `training` and another `trainable`, in
the installed framework. What is said are the expectations of the shipped scenarios that speak of the cell,
held against it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from bnmatrix import __version__
from bnmatrix.audit import findings
from bnmatrix.audit.findings import Finding
from bnmatrix.axes import AXES, Cell, is_sensible, make_cell
from bnmatrix.claim import Claim
from bnmatrix.claim_file import every
from bnmatrix.comparison import Change, compare, severity
from bnmatrix.deciding import Decision, decisions, is_same
from bnmatrix.errors import MEANINGS, BnmatrixError, Exit
from bnmatrix.expectations import check
from bnmatrix.facts import FACTS, WORDS
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, ExpectationResult, Law, Matrix, TargetMatrix
from bnmatrix.measurement import Measure, Options, Plan, device_of, guest_of, project_of, request_of
from bnmatrix.placement import place, ready
from bnmatrix.remeasuring import Tell
from bnmatrix.runner import Answer, ProbeFailed, Request, Runner
from bnmatrix.runner.messages import Trace
from bnmatrix.scenario import cells, matches
from bnmatrix.scenario_file import find, names
from bnmatrix.target import FAMILIES, Target

MOST_SENTENCES = 8

_SPEAKS = re.compile(r"\b(trainable|training|inference|frozen|freez\w+|eval\(?\)?|moving|running)\b")


class ExplainedCell(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of one target.

    laws:         over training and trainable, the rest as in the cell
    decided_by:   where steps with another value of `training` or `trainable` go on differently
    same_lines:   those of the two of which no other value changes a line of the layer's class that is run
    not_traced:   why there are no lines to tell
    documentation: sentences of the class that speak of it, as they stand there
    said:         what others say, held against the cell
    """

    target: str
    framework: str
    versions: dict[str, str]
    python: str
    device: str
    cell: CellResult
    laws: list[Law] = []
    decided_by: list[Decision] = []
    same_lines: list[str] = []
    not_traced: str | None = None
    documentation: list[str] = []
    said: list[ExpectationResult] = []


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What `bnmatrix explain --format json` prints: a word, with its values; a finding; or cells.

    changes: of several targets, from each to the next
    """

    schema_version: int
    bnmatrix: str
    what: str
    meaning: str = ""
    values: dict[str, str] = {}
    cells: list[ExplainedCell] = []
    changes: list[Change] = []
    finding: Finding | None = None


def of_word(word: str) -> Explanation | None:
    """What an exit code, a fact, an axis, a finding or a claim is; else None. Raises UsageError."""
    meaning, values = "", dict[str, str]()
    finding = findings.of_word(word)
    if word.isdigit() and int(word) in set(Exit):
        meaning = f"exit code {word}: {MEANINGS[Exit(int(word))]}"
    elif word in FACTS:
        meaning = f"the fact {word}: {FACTS[word]}. A change of it is {severity(word)}"
        values = dict.fromkeys(WORDS.get(word, ()), "")
    elif word in AXES:
        axis = AXES[word]
        meaning = f"the axis {word}: {axis.meaning}; {axis.default} where nothing is said"
        values = dict(axis.values)
    elif finding is not None:
        meaning = f"the finding {finding.id} {finding.name}: {finding.title}"
    elif claim := next((claim for claim in every() if claim.id == word), None):
        meaning = f"the claim {word}: {claim.says}"
        values = _how_measured(claim)
    if not meaning:
        return None
    return Explanation(
        schema_version=SCHEMA_VERSION,
        bnmatrix=__version__,
        what=word,
        meaning=meaning,
        values=values,
        finding=finding,
    )


def _how_measured(claim: Claim) -> dict[str, str]:
    """Who makes a claim, what it speaks of, and which cells decide."""
    found = {"source": claim.source, "speaks of": ", ".join(claim.frameworks)}
    for name in claim.frameworks:
        if name in FAMILIES and (number := len(cells(claim.scenario, FAMILIES[name]))):
            found[f"cells of {name}"] = str(number)
    for number, expectation in enumerate(claim.scenario.expect, 1):
        facts = [f"{fact} {' or '.join(words)}" for fact, words in expectation.facts.items()]
        facts += [f"{slot} {numbers}" for slot, numbers in expectation.measured.items()]
        facts += [f"{size} values of {slot}" for slot, size in expectation.sizes.items()]
        where = ", ".join(f"{axis}={'|'.join(values)}" for axis, values in expectation.where.items())
        only = f" (of {', '.join(expectation.frameworks)})" if expectation.frameworks else ""
        found[f"expects {number}"] = (
            f"{expectation.says}{only}: {', '.join(facts)}{' where ' if where else ''}{where}"
        )
    for part in claim.models:
        found[f"model {part.factory}"] = part.says
    return found


def of_cell(
    cell: Cell, targets: Sequence[Target], measure: Measure, options: Options, tell: Tell
) -> Explanation:
    """The cell on each of the targets; `tell` gets how far it is. Raises BnmatrixError."""
    table = _around(cell)
    matrix = measure([Plan(target, table) for target in targets], None)
    cells = []
    changes = [
        change
        for old, new in pairwise(matrix.targets)
        for change in compare(_only(old, cell), _only(new, cell), __version__).changes
    ]
    for target, measured in zip(targets, matrix.targets, strict=True):
        result = measured.by_id()[cell.id]
        others = _others(cell, table)
        if result.outcome == "ok":
            tell(f"running it line by line in {target.text}")
            compared = [other for several in others.values() for other in several]
            traces, why = _traces(target, [cell, *compared], options)
        else:
            traces, why = {}, f"the cell is {result.outcome}"
        cells.append(_explained(cell, measured, others, traces, why))
    return Explanation(
        schema_version=SCHEMA_VERSION, bnmatrix=__version__, what=cell.id, cells=cells, changes=changes
    )


def _only(measured: TargetMatrix, cell: Cell) -> TargetMatrix:
    return msgspec.structs.replace(measured, cells=[measured.by_id()[cell.id]])


def _around(cell: Cell) -> tuple[Cell, ...]:
    """The truth table of training and trainable that the cell is in."""
    found = [cell]
    for training in AXES["training"].values:
        for trainable in AXES["trainable"].values:
            axes = {**cell.axes, "training": training, "trainable": trainable}
            if is_sensible(axes):
                found.append(make_cell(axes))
    return tuple(dict.fromkeys(found))


def _others(cell: Cell, table: Sequence[Cell]) -> dict[str, list[Cell]]:
    """{axis: the cells that have another value of it, and of that alone}"""
    found: dict[str, list[Cell]] = {}
    for axis in ("training", "trainable"):
        for other in table:
            differing = [name for name in AXES if other.axes[name] != cell.axes[name]]
            # What is not given acts as the one or the other; true and false are what it is held against.
            if differing == [axis] and other.axes[axis] != "default":
                found.setdefault(axis, []).append(other)
    return found


def _traces(target: Target, cells: Sequence[Cell], options: Options) -> tuple[dict[str, Trace], str | None]:
    """{id: what a step of the cell ran through}, and why there is none of those that are missing."""
    placement = place(target, options.wishes)
    assert placement is not None
    device = device_of(target, options)
    guest = guest_of(target, ready(placement, options.wishes), device)
    plan = Plan(target, tuple(cells))
    project = project_of([plan])
    requests = []
    for cell in cells:
        axes, given = request_of(plan, cell, project)
        requests.append(Request(axes, options.seed, {**(given or {}), "trace": True}, cell.id))
    found: dict[str, Trace] = {}
    why = None
    with Runner(jobs=1, timeout=options.timeout) as runner:
        runner.submit(guest, requests)
        runner.start()
        for event in runner.results():
            if isinstance(event, ProbeFailed):
                raise BnmatrixError(f"{target.text}: {event.message}", event.hint)
            if isinstance(event, Answer):
                observed = event.observation
                if observed is not None and observed.trace is not None:
                    found[str(event.request.key)] = observed.trace
                else:
                    told = observed.not_measured.get("trace") if observed is not None else None
                    why = event.reason or told or event.outcome
    return found, why


def _explained(
    cell: Cell,
    measured: TargetMatrix,
    others: dict[str, list[Cell]],
    traces: dict[str, Trace],
    why: str | None,
) -> ExplainedCell:
    own = traces.get(cell.id)
    decided: list[Decision] = []
    same: list[str] = []
    for axis, several in others.items():
        if own is None or any(other.id not in traces for other in several):
            continue
        for other in several:
            decided += decisions(own, traces[other.id], axis, other.axes[axis])
        if all(is_same(own, traces[other.id]) for other in several):
            same.append(axis)
    result = measured.by_id()[cell.id]
    return ExplainedCell(
        target=measured.target,
        framework=measured.framework,
        versions=measured.versions,
        python=measured.python,
        device=measured.device,
        cell=result,
        laws=measured.laws,
        decided_by=decided,
        same_lines=same,
        not_traced=None if own is not None else why,
        documentation=sentences(own.doc) if own is not None else [],
        said=_said(measured, cell),
    )


def _said(measured: TargetMatrix, cell: Cell) -> list[ExpectationResult]:
    """What those of the shipped scenarios expect that are about the cell."""
    only = _only(measured, cell)
    family = FAMILIES[measured.framework]
    alone = Matrix(schema_version=SCHEMA_VERSION, bnmatrix=__version__, targets=[only])
    found = []
    for scenario in map(find, names()):
        about = tuple(each for each in scenario.expect if matches(cell.axes, each.where))
        if scenario.given is None and about and cell in cells(scenario, family):
            found += check(msgspec.structs.replace(scenario, expect=about), alone)
    return [each for each in found if each.answer != "untested"]


def sentences(doc: str) -> list[str]:
    """Those of a class's documentation that speak of training and of what is trained."""
    text = re.sub(r"(?s)(```|>>>).*?(```|\n\n|$)|\*\*", " ", doc)
    parts = re.split(r"\n\s*\n|(?<=[.:])\s+(?=[A-Z`])|\n\s*[-*]\s", text)
    plain = dict.fromkeys(re.sub(r"\s+", " ", part).strip(" -*") for part in parts)
    found = [part for part in plain if _SPEAKS.search(part) and part.endswith(".")]
    return sorted(found, key=lambda part: not re.search("trainable|froz|freez", part))[:MOST_SENTENCES]


def words() -> list[str]:
    """All that can be explained but cells."""
    known = (*findings.findings(), *(claim.id for claim in every()))
    return [*(str(int(code)) for code in Exit), *FACTS, *AXES, *known]

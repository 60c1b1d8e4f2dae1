"""Markdown, for a comment on a pull request: the folded tables, laws and changes of the terminal pages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bnmatrix.accepted import EXPIRED, UNMATCHED
from bnmatrix.audit.auditing import Audit
from bnmatrix.audit.findings import Finding
from bnmatrix.bisect import Bisection
from bnmatrix.checked import Check
from bnmatrix.claims import Claims
from bnmatrix.comparison import Condition, Diff, Likened
from bnmatrix.converted import Conversion
from bnmatrix.explaining import Explanation
from bnmatrix.matrix import Matrix, TargetMatrix, Value
from bnmatrix.render import claims_page, converted_words, explain_page, over_time, searched, wording
from bnmatrix.render.audit_rows import rows
from bnmatrix.render.folding import Folded, NotOk, by_layer, fold
from bnmatrix.timeline import Timeline

if TYPE_CHECKING:
    from bnmatrix.render import Result

CHANGES = ["where", "fact", "old", "new", "cells"]

FEW_CELLS = 2
"""Of a bisection: as many are named one by one."""

LONGEST_LIST = 50
"""More cell ids than this are counted."""


def text(result: Result) -> str:
    """The result as GitHub-flavoured Markdown."""
    if isinstance(result, Timeline):
        lines = _timeline(result)
    elif isinstance(result, Bisection):
        lines = _bisection(result)
    elif isinstance(result, Check):
        lines = _check(result)
    elif isinstance(result, Explanation):
        lines = _explanation(result)
    elif isinstance(result, Audit):
        lines = _audit(result)
    elif isinstance(result, Claims):
        lines = _claims(result)
    elif isinstance(result, Conversion):
        lines = _conversion(result)
    else:
        lines = _diff(result) if isinstance(result, Diff) else _run(result)
    if isinstance(result, Likened):
        lines = [*lines, *(line for diff in result.likeness for line in ("", *_diff(diff)))]
    return "\n".join(lines).rstrip() + "\n"


def _explanation(explanation: Explanation) -> Iterable[str]:
    if not explanation.cells:
        yield explanation.meaning
        yield ""
        for value, meaning in explanation.values.items():
            yield f"- `{value}` {_plain(meaning or wording.GLOSSARY.get(value, ''))}".rstrip()
        if explanation.finding is not None:
            yield from _finding(explanation.finding)
        return
    yield from (f"## `{explanation.what}`", "")
    for explained in explanation.cells:
        yield from (f"### {explained.target}", "", ", ".join(wording.versions(explained)), "")
        cell = explained.cell
        if cell.outcome == "ok":
            yield from _table(
                ["fact", "measured"],
                [[fact, _entry(value)] for fact, value in cell.facts.items() if value != ""],
            )
        else:
            yield from (_plain(f"{cell.outcome}: {cell.reason or ''}"), "")
        yield from (f"- `{law}`" for law in wording.told(explained.laws))
        yield from ("", "**The lines that decide**", "")
        for decision, here, there in explain_page.told(explained.decided_by):
            yield f"- `{decision.text}` ({decision.file}, line {decision.line}, in `{decision.function}`)"
            yield from (f"  - {name}: `{text}`" for name, text in (here, there))
        yield from (f"- {_plain(text)}" for text in explain_page.unlined(explained))
        if explained.said:
            yield from ("", "**What is said of it**", "")
        for answer in explained.said:
            yield f"- {answer.answer}: {_plain(answer.says)} ({_plain(answer.source or answer.scenario)})"
        if explained.documentation:
            yield from ("", "**Its own documentation**", "")
        yield from (f"> {_plain(sentence)}\n" for sentence in explained.documentation)
    if explanation.changes:
        yield from ("### Changed", "")
        rows_of_change = [[each.fact, _entry(each.old), _entry(each.new)] for each in explanation.changes]
        yield from _table(["fact", "was", "is"], rows_of_change)


def _finding(finding: Finding) -> Iterable[str]:
    for text in (finding.what, finding.why):
        yield from (" ".join(text.split()), "")
    for framework, remedy in finding.remedy.items():
        yield from (f"**{framework}**", "")
        if framework in finding.example:
            yield from ("```python", finding.example[framework].strip(), "```", "")
        code = remedy.code.strip().replace("{paths}", explain_page.PLACES)
        yield from (f"{remedy.says}:", "", "```python", code, "```", "")
    yield from (f"- {_plain(reference)}" for reference in finding.references)


MOST_LAYERS = 10
"""Of an audit: as many are named one by one."""


def _some(layers: Sequence[str]) -> str:
    more = f" and {len(layers) - MOST_LAYERS} more" if len(layers) > MOST_LAYERS else ""
    return ", ".join(f"`{path or 'the model'}`" for path in layers[:MOST_LAYERS]) + more


def _audit(audit: Audit) -> Iterable[str]:
    versions = ", ".join(f"{name} {version}" for name, version in audit.versions.items())
    yield from (f"## Audit of `{audit.subject}`", "")
    if audit.how:
        yield from (
            f"{audit.steps} steps, {audit.how}; {', '.join(audit.input)} ({audit.source}); {versions}",
            "",
        )
    if audit.outcome != "ok":
        place = f" ({audit.place})" if audit.place else ""
        yield from (f"**{audit.outcome}**: {_plain(str(audit.reason))}{place}", "")
    if audit.layers:
        heads = ["layer", "type", "frozen", "mode", "parameters", "state", "normalised by", "findings"]
        facts = ("frozen", "mode", "parameters", "state", "normalised_by")
        yield from _table(
            heads,
            [
                [f"`{row.path}`" + (f" x{len(row.layers)}" if len(row.layers) > 1 else ""), row.first.kind,
                 *(row.first.facts.get(fact, "") for fact in facts), " ".join(row.first.findings)]
                for row in rows(audit.layers)
            ],
        )  # fmt: skip
    for each in audit.findings:
        yield from ("", f"**{each.id} {each.title}**: {_some(each.layers)}", "")
        yield " ".join(each.why.split())
        if each.code:
            yield from ("", f"{each.says}:", "", "```python", each.code, "```")
    for answer in audit.expectations:
        yield from ("", f"- `{answer.pattern}={answer.expected}`: **{answer.answer}**")
        told = list(answer.against.items())
        yield from (f"  - `{path}`: {_plain(what)}" for path, what in told[:MOST_LAYERS])
        if len(told) > MOST_LAYERS:
            yield f"  - and {len(told) - MOST_LAYERS} further layers"


def _claims(claims: Claims) -> Iterable[str]:
    yield from (f"## {_plain(claims_page.title(claims))}", "")
    for claim in claims.claims:
        yield from (f"### {claim.id}", "", f"> {_plain(claim.says)} ({_plain(claim.source)})", "")
        if claims.timeline:
            runs = [[over_time.span(run.first, run.last), run.verdict, run.answer] for run in claim.runs]
        else:
            runs = [[each.target, each.verdict, each.answer] for each in claim.verdicts]
        told_of = [[_plain(name), f"**{word}**", _plain(answer)] for name, word, answer in runs]
        yield from _table(
            ["release" if claims.timeline else "target", "verdict", "what was measured"], told_of
        )
        if not claims.timeline:
            told = [(each.target, text) for each in claim.verdicts for text in claims_page.remarks(each)]
            yield from (f"- {_plain(target)}: {_plain(text)}" for target, text in told)
            yield from [""] if told else []
    yield from ("", *(f"{_plain(text)}\n" for text in claims_page.beneath(claims)))


def _conversion(conversion: Conversion) -> Iterable[str]:
    told = converted_words
    source, destination = conversion.source, conversion.destination
    yield from (f"## `{conversion.layer}` from {source.target} to {destination.target}", "")
    for party in (source, destination):
        yield f"- {party.target}: {', '.join(wording.versions(party))}"
    yield from ("", f"**{told.verdict(conversion)}**", "")
    for case in conversion.cases:
        yield from (f"### {told.case(case.axes)}", "")
        code = [line for line in (case.source_code, case.destination_code) if line]
        yield from (["```python", *code, "```", ""] if code else [])
        yield from (f"- {_plain(told.option(each, conversion))}" for each in case.options)
        yield from (f"- `{told.weight(each, conversion)}`" for each in case.weights)
        note = told.untold(case.weights)
        yield from ([f"- {note}"] if note else [])
        if case.refused:
            yield f"- refused: {_plain(case.refused)}"
        yield ""
        for proof in case.proofs:
            yield from (f"**{proof.scenario}: {told.answer(proof)}**", "")
            if proof.reason:
                yield from (_plain(proof.reason), "")
            if proof.answer in ("equal_but_for", "different"):
                yield from (f"- {_plain(text)}" for text in told.why(proof, conversion))
                yield from (f"- remedy: {_plain(told.remedy(proof))}", "")
            if proof.compared:
                heads, *rows_of_proof = told.rows(proof)
                yield from _table(heads, rows_of_proof)


def _run(matrix: Matrix) -> Iterable[str]:
    yield from _side_by_side([(target.target, target) for target in matrix.targets])
    for target in matrix.targets:
        given = f", numbers of {target.given_by}" if target.given_by else ""
        yield from (f"## {target.target}{given}", "", ", ".join(wording.versions(target)), "")
        for layer, cells in by_layer(target.cells).items():
            yield from _layer(target, layer, fold(cells, with_followers=True))
    if matrix.expectations:
        yield from ("## Expectations", "")
        yield from _table(
            ["scenario", "target", "says", "answer", "source"],
            [
                [
                    result.scenario,
                    result.target,
                    _plain(result.says),
                    _answer(result.answer, result.contradicted_by),
                    _plain(result.source or ""),
                ]
                for result in matrix.expectations
            ],
        )


def _layer(target: TargetMatrix, layer: str, folded: Folded) -> Iterable[str]:
    yield from (f"### `{layer}`", "")
    if folded.only is not None:
        yield from (_not_ok(folded.only), "")
        return
    laws = [law for law in target.laws if law.layer == layer]
    for who, decided in wording.answer(laws):
        decides = "decides" if who.endswith("alone") else "decide"
        parts = [
            f"{wording.enumerated([f'`{fact}`' for fact in facts])} {where}".strip()
            for facts, where in decided
        ]
        yield f"- {who} {decides} {'; '.join(parts)}"
    rows = []
    for block in folded.blocks:
        where = wording.or_else(map(wording.context, block.where, block.but))
        for row in block.rows:
            if isinstance(row.shows, NotOk):
                shown = [_not_ok(row.shows), *[""] * (len(folded.columns) - 1)]
            else:
                shown = [_entry(value) for value in row.shows]
            rows.append([where, ", ".join(row.training), ", ".join(row.trainable), *shown])
    yield ""
    yield from _table(["in", "training", "trainable", *(", ".join(facts) for facts in folded.columns)], rows)
    yield from (f"- `{law}`" for law in wording.told(laws))
    if acts := wording.default_acts([default for default in target.defaults if default.layer == layer]):
        yield f"- training not given {acts}"
    yield from (f"- {wording.beneath(fact)}" for fact in folded.beneath if not fact.follows)
    if folded.fixed:
        yield f"- all at {wording.condition({axis: [value] for axis, value in folded.fixed.items()})}"
    if folded.alike:
        yield f"- folded: {'; '.join(wording.folded(folded.alike))}"
    yield ""


def _side_by_side(sides: Sequence[tuple[str, TargetMatrix]]) -> Iterable[str]:
    if len({name for name, _ in sides}) < 2:
        return
    for layer in dict.fromkeys(law.layer for _, target in sides for law in target.laws):
        of_layer = [(name, [law for law in target.laws if law.layer == layer]) for name, target in sides]
        yield from _laws(f"## Side by side: `{layer}`", wording.side_by_side(of_layer))


def _laws(heading: str, found: Sequence[tuple[str, Sequence[tuple[str, wording.Told]]]]) -> Iterable[str]:
    if found:
        yield from (heading, "")
        rows = [
            [f"`{subject}`", name, f"`{law.rule}` {law.when}".strip()]
            for subject, laws in found
            for name, law in laws
        ]
        yield from _table(["what", "who", "rule"], rows)


def _diff(diff: Diff) -> Iterable[str]:
    summary = diff.summary
    yield from (f"## {diff.old.target} → {diff.new.target}", "")
    yield f"- old: {diff.old.target}, {', '.join(wording.versions(diff.old))}"
    yield f"- new: {diff.new.target}, {', '.join(wording.versions(diff.new))}"
    yield (
        f"- cells: **{summary.changed} changed**, {summary.same} the same, "
        f"{summary.not_comparable} not comparable, {summary.unstable} unstable"
    )
    yield ""
    if diff.conventions:
        yield from ("### Conventions", "")
        rows = [
            [one.layer, one.name, wording.number(one.old), wording.number(one.new)]
            for one in diff.conventions
        ]
        yield from _table(["layer", "convention", "old", "new"], rows)
    if found := wording.beyond_conventions(diff):
        yield from ("### What changed", "")
        if rows := _changes([entry for entry in found if not wording.one_sided(entry)]):
            yield from _table(CHANGES, rows)
        if only := wording.only_one_has(diff, filter(wording.one_sided, found)):
            yield from (*(f"- {each}" for each in only), "")
    for layer in dict.fromkeys(law.layer for law in diff.laws):
        sides = [
            (f"{side} {name}", [law for law in diff.laws if law.side == side and law.layer == layer])
            for side, name in (("old", diff.old.target), ("new", diff.new.target))
        ]
        yield from _laws(f"### Laws: `{layer}`", wording.side_by_side(sides))
    if diff.not_comparable:
        yield from ("### Not comparable", "")
        yield from _table(
            ["cells", "reason"],
            [[str(len(ids)), _plain(reason)] for reason, ids in wording.reasons(diff.not_comparable)],
        )
    if diff.unstable:
        yield from ("### Unstable", "")
        yield from (f"- `{one.fact}` in `{one.id}`, rate {one.rate}" for one in diff.unstable[:LONGEST_LIST])
        if len(diff.unstable) > LONGEST_LIST:
            yield f"- and {len(diff.unstable) - LONGEST_LIST} more"


def _check(check: Check) -> Iterable[str]:
    """The answer first: a reader of a pull request may read no further."""
    summary = check.summary
    yield from (
        "## bnmatrix check: " + ("**behaviour changed**" if check.fails else "no change that fails"),
        "",
    )
    for old, new in zip(check.old.targets, check.new.targets, strict=True):
        yield f"- {old.target}: {', '.join(wording.versions(old))} → {', '.join(wording.versions(new))}"
    yield (
        f"- cells: **{summary.changed} changed**, {summary.accepted} changed as accepted, "
        f"{summary.same} the same, {summary.not_comparable} not comparable, {summary.unstable} unstable"
    )
    yield ""
    for target in dict.fromkeys(condition.target for condition in check.conditions):
        for fails, name in ((True, "What changed"), (False, "Changed, and does not fail")):
            own = [one for one in check.conditions if one.target == target and one.fails == fails]
            if own:
                yield from (f"### {name}: {target}", "")
                yield from _table(CHANGES, _changes(own))
    if check.expectations:
        yield from ("### Accepted changes", "")
        rows = [
            [
                _plain(", ".join(one.cells) or wording.condition(one.when) or "wherever it changes"),
                one.fact,
                _entry(one.old),
                _entry(one.new),
                f"**{answer.status}**" if answer.status in (UNMATCHED, EXPIRED) else answer.status,
                _plain(f"{one.reason} ({one.owner}{f', until {one.expires}' if one.expires else ''})"),
            ]
            for answer in check.expectations
            for one in [answer.accepted]
        ]
        yield from _table(["where", "fact", "old", "new", "status", "reason"], rows)
    if lost := [each for each in check.not_comparable if each.lost]:
        yield from ("### Measured in the baseline, and could not be now", "")
        yield from _table(
            ["cell", "now", "reason"],
            [[_plain(each.id), each.new, _plain(each.reason)] for each in lost[:LONGEST_LIST]],
        )
    if undecided := [each for each in check.one_sided if each.lost]:
        yield from ("### Decided in the baseline, and could not be now", "")
        yield from (
            f"- `{one.fact}` in `{one.id}`, was {_entry(one.old)}" for one in undecided[:LONGEST_LIST]
        )
        yield ""
    if check.unstable:
        yield from ("### Unstable", "")
        yield from (f"- `{one.fact}` in `{one.id}`, rate {one.rate}" for one in check.unstable[:LONGEST_LIST])


def _changes(conditions: Sequence[Condition], few: int = 0) -> list[list[str]]:
    """The rows of a table of `CHANGES`. Where a place has a `few` cells, they are named instead of it."""
    rows = []
    for alike in wording.by_place(conditions):
        where = wording.condition(alike[0].when, alike[0].but) or "wherever it was compared"
        for facts, old, new in wording.by_change(alike):
            ids = wording.ids(one for one in alike if (one.old, one.new) == (old, new))
            cells = ", ".join(map("`{}`".format, ids)) if len(ids) <= few else _plain(where)
            because = next(
                (f": {_plain(one.because)}" for one in alike if one.because and one.fact in facts), ""
            )
            rows.append([cells, facts, _entry(old), _entry(new) + because, str(len(ids))])
    return rows


def _timeline(timeline: Timeline) -> Iterable[str]:
    yield from (f"## {over_time.range_of(timeline)}", "", over_time.size(timeline), "")
    if missing := over_time.not_measured(timeline):
        yield from (*(f"- **no result** {which}: {_plain(reason)}" for which, reason in missing), "")
    for step in timeline.changes:
        yield from (f"### {over_time.between(step).capitalize()}", "")
        if silent := over_time.in_between(step, timeline):
            yield from (silent, "")
        if rows := _changes([entry for entry in step.conditions if not wording.one_sided(entry)]):
            yield from _table(CHANGES, rows)
        if apart := over_time.appearing(filter(wording.one_sided, step.conditions)):
            yield from (*(f"- {each}" for each in apart), "")
    for layer in dict.fromkeys(law.layer for law in timeline.laws):
        if found := over_time.law_strips(timeline, layer):
            yield from (f"### Laws: `{layer}`", "")
            rows = [
                [f"`{strip.subject}`", which, f"_{says}_" if is_gap else f"`{says}`"]
                for strip in found
                for which, says, is_gap in strip.pieces
            ]
            yield from _table(["what", "releases", "rule"], rows)
    if same := over_time.the_same(timeline):
        yield from (*(f"- {part}" for part in same), "")
    if silences := over_time.silences(timeline):
        yield from ("### Not comparable", "")
        rows = [[str(len(ids)), which, _plain(reason)] for reason, which, ids in silences]
        yield from _table(["cells", "releases", "reason"], rows)
    for name, doubts in (
        ("Undecided", over_time.undecided(timeline)),
        ("Unstable", over_time.unstable(timeline)),
    ):
        if doubts:
            yield from (f"### {name}", "", *(f"- {doubt.what}: {doubt.which}" for doubt in doubts), "")


def _bisection(result: Bisection) -> Iterable[str]:
    yield from (f"## {searched.range_of(result)}", "", searched.size(result), "")
    for step in result.changes:
        yield from (f"### {searched.answer(step).capitalize()}", "")
        if doubts := searched.in_between(step, result):
            yield from (*(f"- **{name}** {_plain(why)}" for name, why in doubts), "")
        if rows := _changes([one for one in step.conditions if not wording.one_sided(one)], few=FEW_CELLS):
            yield from _table(CHANGES, rows)
        if apart := over_time.appearing(filter(wording.one_sided, step.conditions)):
            yield from (*(f"- {each}" for each in apart), "")
    if again := searched.more_than_once(result):
        yield from ("### Changed more than once", "")
        rows = [
            [
                ", ".join(map("`{}`".format, ids[:LONGEST_LIST])),
                facts,
                which,
                _piece(says, is_gap),
            ]
            for ids, facts, pieces in again
            for which, says, is_gap in pieces
        ]
        yield from _table(["cells", "fact", "releases", "says"], rows)
    if not result.changes:
        yield from (searched.nothing(result), "")
    yield from (f"- **skipped** {name}: {_plain(reason)}" for name, reason in searched.skipped(result))
    yield f"- measured: {', '.join(searched.measured(result))}"


def _piece(says: Value, is_gap: bool) -> str:
    return f"_{str(says).replace('_', ' ')}_" if is_gap else _entry(says)


def _table(heading: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterable[str]:
    yield f"| {' | '.join(heading)} |"
    yield f"|{' --- |' * len(heading)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _entry(value: Value) -> str:
    """A value; in bold what moves, since Markdown has no colours."""
    word = wording.number(value)
    return f"**{word}**" if word in wording.MOVES else word or "–"


def _not_ok(why: NotOk) -> str:
    return f"**{why.outcome}**" + (f": {_plain(why.why)}" if why.why else "")


def _answer(answer: str, contradicted_by: Sequence[str]) -> str:
    shown = ", ".join(f"`{identity}`" for identity in contradicted_by[:LONGEST_LIST])
    return f"**{answer}** by {shown}" if contradicted_by else answer


def _plain(words: str) -> str:
    """`words` so that Markdown takes nothing in them for markup, on one line of a table."""
    escaped = "".join(f"\\{sign}" if sign in "\\|*_`<>[]" else sign for sign in words)
    return " ".join(escaped.split())

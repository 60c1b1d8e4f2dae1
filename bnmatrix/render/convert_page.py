"""The page of a conversion: both lines of code, options and weights, and how the two compared."""

from __future__ import annotations

from rich.text import Text

from bnmatrix.converted import Case, Conversion, Proof
from bnmatrix.render import converted_words as words
from bnmatrix.render import wording
from bnmatrix.render.layout import (
    INDENT,
    STYLES,
    Sheet,
    View,
    columns,
    indented,
    labelled,
    room,
    ruled,
    separated,
    wrapped,
)

SIGNS = {"equal": "good", "equal_but_for": "unstable", "different": "bad", "not_compared": "undecided"}
COLOURS = {"equal": "moves", "equal_but_for": "doubtful", "different": "bad", "not_compared": "doubtful"}


def page(conversion: Conversion, expand: bool = False) -> View:
    """The page; `expand` shows every quantity that was compared."""

    def view(sheet: Sheet) -> list[Text]:
        names = f"{conversion.source.target} {sheet.signs.arrow} {conversion.destination.target}"
        lines = ruled(conversion.layer, names, sheet)
        for party in (conversion.source, conversion.destination):
            parts = [
                Text(party.target, STYLES["head"]),
                *(Text(part, STYLES["dim"]) for part in wording.versions(party)),
            ]
            lines += separated(parts, sheet, sheet.width)
        lines += [Text(), *wrapped(Text(words.verdict(conversion)), sheet.width)]
        before: Case | None = None
        for case in conversion.cases:
            lines += [Text(), *_case(conversion, case, before, sheet, expand)]
            before = case
        return lines

    return view


def _case(conversion: Conversion, case: Case, before: Case | None, sheet: Sheet, expand: bool) -> list[Text]:
    lines = wrapped(Text(words.case(case.axes), STYLES["head"]), sheet.width)
    for label, code in (("from", case.source_code), ("to", case.destination_code)):
        if code:
            lines += labelled(label, wrapped(Text(code), room(sheet)), sheet)
    paragraphs = [("options", [words.option(each, conversion) for each in case.options])]
    if before is None or (before.weights != case.weights):
        told = [words.weight(each, conversion) for each in case.weights]
        note = words.untold(case.weights)
        paragraphs.append(("weights", [*told, *([note] if note else [])]))
    for label, texts in paragraphs:
        found = [line for text in texts for line in indented(Text(text), room(sheet), 0, INDENT)]
        if found:
            lines += labelled(label, found, sheet)
    if case.refused:
        refused = Text(f"{sheet.signs.bad} refused: ", STYLES["bad"]).append(case.refused, "not bold default")
        lines += labelled("weights", indented(refused, room(sheet), 0, INDENT), sheet)
    if case.proofs:
        steps = f"{conversion.steps} steps of both with the same values on the same batches"
        lines += [Text(), *indented(Text(steps, STYLES["dim"]), sheet.width)]
    for proof in case.proofs:
        lines += _proof(conversion, proof, sheet, expand)
    return lines


def _proof(conversion: Conversion, proof: Proof, sheet: Sheet, expand: bool) -> list[Text]:
    colour = STYLES[COLOURS[proof.answer]]
    head = Text(f"{proof.scenario}  ").append(
        f"{getattr(sheet.signs, SIGNS[proof.answer])} {words.answer(proof)}", colour
    )
    lines = indented(head, sheet.width)
    told = [proof.reason] if proof.reason else [words.evidence(proof)]
    if proof.answer in ("equal_but_for", "different"):
        told += words.why(proof, conversion)
    for text in told:
        lines += indented(Text(text), sheet.width, 2 * INDENT, INDENT)
    if proof.answer in ("equal_but_for", "different"):
        helps = proof.remedy is not None and proof.remedy.answer == "equal"
        sign = sheet.signs.good if helps else sheet.signs.bad
        found = Text(f"{sign} ", STYLES["moves" if helps else "bad"])
        lines += indented(
            found.append(words.remedy(proof), "not bold default"), sheet.width, 2 * INDENT, INDENT
        )
    if expand and proof.compared:
        rows = words.rows(proof)
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        if sum(widths) + 2 * len(widths) + 2 * INDENT > sheet.width:  # one figure below another
            table = [line for row in rows[1:] for line in _upright(rows[0], row, sheet)]
        else:
            table = columns([[Text(entry, STYLES["dim"]) for entry in row] for row in rows], widths)
        lines += [Text(" " * 2 * INDENT) + line for line in table]
    return lines


def _upright(heads: list[str], row: list[str], sheet: Sheet) -> list[Text]:
    figures = ", ".join(f"{head} {figure}" for head, figure in zip(heads[1:], row[1:], strict=True))
    return indented(Text(f"{row[0]}: {figures}", STYLES["dim"]), sheet.width - 2 * INDENT, 0, INDENT)

"""The page of an explanation: what was measured, the law, the lines that decide, and what is said of it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.audit.findings import FRAMEWORKS, Finding
from bnmatrix.deciding import Decision
from bnmatrix.explaining import ExplainedCell, Explanation
from bnmatrix.render import wording
from bnmatrix.render.law_lines import laws_in_columns
from bnmatrix.render.layout import (
    INDENT,
    STYLES,
    Sheet,
    View,
    entry,
    indented,
    labelled,
    room,
    ruled,
    separated,
    wrapped,
)


def page(explanation: Explanation, expand: bool = False) -> View:
    """The page; `expand` shows every sentence of the documentation and every law."""

    def view(sheet: Sheet) -> list[Text]:
        if not explanation.cells:
            return word(explanation, sheet)
        lines = ruled(explanation.what, "", sheet)
        for cell in explanation.cells:
            lines += [*of_cell(cell, sheet, expand), Text()]
        return [*lines, *_changed(explanation, sheet)] if explanation.changes else lines[:-1]

    return view


def _changed(explanation: Explanation, sheet: Sheet) -> list[Text]:
    """What differs from one target to the next."""
    lines = [Text("changed", STYLES["head"])]
    for change in explanation.changes:
        told = Text(f"{change.fact}: ").append_text(entry(change.old, sheet.signs))
        told.append(f" {sheet.signs.arrow} ").append_text(entry(change.new, sheet.signs))
        lines += indented(told.append(f"  ({change.severity})", STYLES["dim"]), sheet.width, INDENT, INDENT)
    return lines


def word(explanation: Explanation, sheet: Sheet) -> list[Text]:
    """A word's meaning, and that of its values."""
    lines = indented(Text(explanation.meaning), sheet.width, 0, INDENT)
    for value, meaning in explanation.values.items():
        told = Text(value, STYLES["head"]).append(
            f"  {meaning or wording.GLOSSARY.get(value, '')}".rstrip(), "not bold"
        )
        lines += indented(told, sheet.width, INDENT, 2 * INDENT)
    if explanation.finding is not None:
        lines += _finding(explanation.finding, sheet)
    return lines


def _finding(finding: Finding, sheet: Sheet) -> list[Text]:
    """What it is, why it matters, an example and a remedy for each framework, and where to read on."""
    lines = list[Text]()
    for label, text in (("what", finding.what), ("why", finding.why)):
        lines += labelled(label, indented(Text(" ".join(text.split())), room(sheet), 0, 0), sheet)
    for framework in FRAMEWORKS:
        for label, code in (
            (f"bad, {framework}", finding.example.get(framework, "")),
            (f"mended, {framework}", finding.remedy[framework].code if framework in finding.remedy else ""),
        ):
            if code:
                says = f": {finding.remedy[framework].says}" if label.startswith("mended") else ""
                lines += [Text(), *indented(Text(label + says, STYLES["dim"]), sheet.width, INDENT, INDENT)]
                for line in code.strip("\n").replace("{paths}", PLACES).split("\n"):
                    lines += indented(Text(line), sheet.width, 2 * INDENT, INDENT) if line else [Text()]
    read = [line for text in finding.references for line in indented(Text(text), room(sheet), 0, INDENT)]
    return [*lines, Text(), *labelled("read", read, sheet)]


PLACES = '["path.of.a.layer"]'
"""In place of a model's own."""


def of_cell(explained: ExplainedCell, sheet: Sheet, expand: bool) -> list[Text]:
    """All that is known of the cell on one target."""
    lines = separated(
        [
            Text(explained.target, STYLES["head"]),
            *(Text(part, STYLES["dim"]) for part in wording.versions(explained)),
        ],
        sheet,
        sheet.width,
    )
    lines += labelled("measured", _measured(explained, sheet), sheet)
    laws = [law for law in wording.told(explained.laws) if expand or law.facts[0] in _TOLD_FIRST]
    if laws:
        shown = laws_in_columns([(law.subject, law) for law in laws], room(sheet))
        lines += labelled("laws", shown, sheet)
    lines += labelled("decided", _decided(explained, sheet), sheet)
    for label, paragraphs in (
        ("said", _said(explained, sheet)),
        ("its own", _documentation(explained, expand)),
    ):
        told = [line for text in paragraphs for line in indented(text, room(sheet), 0, INDENT)]
        if told:
            lines += labelled(label, told, sheet)
    return lines


_TOLD_FIRST = ("normalised_by", "gamma", "beta", "moving_mean", "moving_variance", "stochastic", "kernel")


def _measured(explained: ExplainedCell, sheet: Sheet) -> list[Text]:
    cell = explained.cell
    if cell.outcome != "ok":
        return wrapped(Text(f"{cell.outcome}: {cell.reason or ''}".rstrip(": ")), room(sheet))
    parts = [
        Text(f"{fact} ").append_text(entry(value, sheet.signs))
        for fact, value in cell.facts.items()
        if value != ""
    ]
    return separated(parts, sheet, room(sheet))


def _decided(explained: ExplainedCell, sheet: Sheet) -> list[Text]:
    """The lines, and where each axis goes from them."""
    width, lines = room(sheet), list[Text]()
    for decision, here, there in told(explained.decided_by):
        lines += indented(Text(decision.text, STYLES["head"]), width, 0, INDENT)
        place = f"{decision.file}, line {decision.line}, in {decision.function}"
        lines += indented(Text(place, STYLES["dim"]), width, INDENT, INDENT)
        for name, text in (here, there):
            lines += indented(Text(f"{name}: ").append(text, STYLES["dim"]), width, INDENT, INDENT)
    for text in unlined(explained):
        lines += indented(Text(text), width, 0, INDENT)
    return lines or [Text("no line that decides was found")]


Told = tuple[Decision, tuple[str, str], tuple[str, str]]


def told(decisions: Sequence[Decision]) -> list[Told]:
    """Each line with (where, the line that is run next) for this cell and for the other value."""
    return [
        (
            each,
            ("here", each.here or "it returns"),
            (f"with {each.axis}={each.other}", each.there or "it returns"),
        )
        for each in decisions
    ]


def unlined(explained: ExplainedCell) -> list[str]:
    """What is to be said where there are no lines."""
    if explained.not_traced:
        return [f"no lines: {explained.not_traced}"]
    return [
        f"another {axis} changes no line of the layer's class that is run" for axis in explained.same_lines
    ]


def _said(explained: ExplainedCell, sheet: Sheet) -> list[Text]:
    return [
        Text(f"{answer.answer}: ", STYLES["doubtful" if answer.answer == "contradicted" else "head"])
        .append(answer.says, "not bold default")
        .append(f" ({answer.source or answer.scenario})", "not bold dim")
        for answer in explained.said
    ]


def _documentation(explained: ExplainedCell, expand: bool) -> list[Text]:
    shown = explained.documentation if expand else explained.documentation[:MOST_SENTENCES]
    return [Text(f'"{sentence}"') for sentence in shown]


MOST_SENTENCES = 4
"""Of a class's documentation, unless the page is expanded."""

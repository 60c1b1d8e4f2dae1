"""The page of an audit: a row a layer, what was found, what was expected, and what mends it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.audit.auditing import Audit
from bnmatrix.render import wording
from bnmatrix.render.audit_rows import Row, rows
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
)

HEADS = ("layer", "type", "flags", "mode", "params", "state", "by", "gradient", "")

WIDE = 100
"""From here on there is room for the gradient."""

LEAST = 10
"""Columns that a path or a type is given at the least."""

MOST_NAMED = 4
"""Layers of a finding that are named."""

WORDS = {"training": "train", "inference": "infer", "not_given": "", "not_called": "not called",
         "hidden": "?", "called": "?", "mixed": "mixed"}  # fmt: skip


def page(audit: Audit, expand: bool = False) -> View:
    """The page; `expand` shows every layer, with each of its tensors."""

    def view(sheet: Sheet) -> list[Text]:
        versions = [f"{name} {version}" for name, version in audit.versions.items()]
        lines = ruled(f"audit of {audit.subject}", f" {sheet.signs.dot} ".join(versions), sheet)
        lines += separated(_told(audit), sheet, sheet.width)
        if audit.layers:
            lines += [Text(), *_table(audit, sheet, expand)]
        if audit.findings:
            lines += [Text(), *_findings(audit, sheet)]
        if audit.expectations:
            lines += [Text(), *_expectations(audit, sheet)]
        if audit.outcome != "ok":
            lines += [Text(), *_outcome(audit, sheet)]
        elif not audit.findings and not audit.expectations:
            lines += [Text(), Text(f"{sheet.signs.good} nothing was found", STYLES["stays"])]
        return lines

    return view


def _told(audit: Audit) -> list[Text | str]:
    """How the steps were made."""
    told: list[Text | str] = []
    if audit.how:
        told.append(f"{audit.steps} steps, {audit.how}")
    if audit.input:
        told.append(f"input {', '.join(audit.input)} ({audit.source})")
    losses = [wording.number(float(f"{loss:.3g}")) for loss in audit.losses if loss is not None]
    if losses:
        told.append(f"loss {', '.join(losses)}")
    return told or [f"in {audit.target}"]


def _table(audit: Audit, sheet: Sheet, expand: bool) -> list[Text]:
    found = [Row(each.path, (each,)) for each in audit.layers] if expand else rows(audit.layers)
    shown = [_cells(row, sheet) for row in found]
    heads = [Text(head, STYLES["dim"]) for head in HEADS]
    table = [heads, *shown]
    keep = [
        number for number, head in enumerate(HEADS)
        if (head != "gradient" or sheet.width >= WIDE) and any(len(row[number]) for row in shown)
    ]  # fmt: skip
    table = [[row[number] for number in keep] for row in table]
    widths = [max(len(row[number]) for row in table) for number in range(len(keep))]
    over = sum(widths) + 2 * (len(widths) - 1) - sheet.width
    if over > 0:  # the type gives way, then the path
        for number in (1, 0):
            taken = min(over, max(0, widths[number] - LEAST))
            widths[number] -= taken
            over -= taken
        for row in table:
            for number in (0, 1):
                row[number] = _cut(row[number], widths[number])
    if over > 0:
        return _listed(found, sheet)
    lines = columns(table, widths)
    if expand:
        lines = _with_tensors(lines, found, sheet)
    return lines


def _cells(row: Row, sheet: Sheet) -> list[Text]:
    facts, signs = row.first.facts, sheet.signs
    bad = bool(row.first.findings)
    count = f" x{len(row.layers)}" if len(row.layers) > 1 else ""
    path = Text(row.path or "(the model)", STYLES["bad"] if bad else "").append(count, STYLES["dim"])
    frozen = {"yes": "frozen", "no": "trains", "partly": "partly"}[facts["frozen"]]
    return [
        path,
        Text(row.first.kind),
        Text(frozen),
        Text(WORDS.get(mode := facts.get("mode", ""), mode) or signs.none),
        _moved(facts.get("parameters", "absent"), row.farthest(True), sheet),
        _moved(facts.get("state", "absent"), row.farthest(False), sheet),
        Text(facts.get("normalised_by", "") or _chance(facts)),
        Text(
            {"yes": "came", "absent": "", "unknown": ""}.get(gradient := facts.get("gradient", ""), gradient)
        ),
        Text(f"{signs.bad} {' '.join(row.first.findings)}", STYLES["bad"]) if bad else Text(),
    ]


def _chance(facts: dict[str, str]) -> str:
    return {"active": "by chance", "inactive": "no chance"}.get(facts.get("dropout", ""), "")


def _moved(word: str, by: float | None, sheet: Sheet) -> Text:
    if word == "absent":
        return Text(sheet.signs.none, STYLES["dim"])
    if word == "unchanged":
        return Text(f"{sheet.signs.stays} still", STYLES["stays"])
    return Text(
        f"{sheet.signs.moves} {by:.2g}" if by is not None else f"{sheet.signs.moves} moved", STYLES["moves"]
    )


def _cut(text: Text, width: int) -> Text:
    """A name that is too long, without its beginning: layers differ in the end of their paths."""
    return text if len(text) <= width else Text("..") + text[len(text) - width + 2 :]


def _listed(found: Sequence[Row], sheet: Sheet) -> list[Text]:
    """The rows one below another, where the page is too narrow for columns."""
    lines = []
    for row in found:
        parts = [cell for cell in _cells(row, sheet) if len(cell)]
        lines += separated(parts, sheet, sheet.width)
    return lines


def _with_tensors(lines: list[Text], found: Sequence[Row], sheet: Sheet) -> list[Text]:
    """Below each row what of it moved, and how far."""
    if len(lines) != len(found) + 1:  # something was wrapped
        return lines
    told = lines[:1]
    for line, row in zip(lines[1:], found, strict=True):
        told.append(line)
        parts: list[Text | str] = [
            f"{name} by {moved.by:.2g} (of {moved.of or 0:.2g})" if moved.by is not None else f"{name} moved"
            for name, moved in row.first.moved.items()
        ]
        if row.first.still:
            parts.append(f"still: {', '.join(row.first.still)}")
        for each in separated(parts, sheet, sheet.width - 2 * INDENT) if parts else []:
            told.append(Text(" " * 2 * INDENT) + Text(each.plain, STYLES["dim"]))
    return told


def _findings(audit: Audit, sheet: Sheet) -> list[Text]:
    lines = [Text("findings", STYLES["head"])]
    for each in audit.findings:
        head = Text(f"{sheet.signs.bad} {each.id} ", STYLES["bad"]).append(each.title, "not bold default")
        lines += indented(head, sheet.width, 0, INDENT)
        lines += labelled("where", indented(Text(_named(each.layers)), room(sheet), 0, 0), sheet)
        lines += labelled("why", indented(Text(" ".join(each.why.split())), room(sheet), 0, 0), sheet)
        if each.says:
            lines += labelled("mend", indented(Text(each.says), room(sheet), 0, 0), sheet)
    first = audit.findings[0].id
    hint = f"--fix prints the code for this model; bnmatrix explain {first} tells more of it"
    return [*lines, *indented(Text(hint, STYLES["dim"]), sheet.width, 0, INDENT)]


def _named(layers: Sequence[str]) -> str:
    shown = [path or "the model" for path in layers[:MOST_NAMED]]
    more = f" and {len(layers) - MOST_NAMED} more" if len(layers) > MOST_NAMED else ""
    return ", ".join(shown) + more


def _expectations(audit: Audit, sheet: Sheet) -> list[Text]:
    lines = [Text("expected", STYLES["head"])]
    for each in audit.expectations:
        holds = each.answer == "holds"
        sign = sheet.signs.good if holds else sheet.signs.bad
        head = Text(f"{sign} {each.pattern}={each.expected} ", STYLES["stays" if holds else "bad"])
        lines += indented(head.append(each.answer, "not bold default"), sheet.width, 0, INDENT)
        told = list(each.against.items())
        for path, what in told[:MOST_NAMED]:
            lines += indented(Text(f"{path}: {what}"), sheet.width, INDENT, INDENT)
        if len(told) > MOST_NAMED:
            lines.append(Text(f"{' ' * INDENT}and {len(told) - MOST_NAMED} further layers"))
    return lines


def _outcome(audit: Audit, sheet: Sheet) -> list[Text]:
    word = {"refused": "cannot be audited", "raised": "raised"}.get(audit.outcome, audit.outcome)
    place = f" ({audit.place})" if audit.place else ""
    text = Text(f"{sheet.signs.bad} {word}: ", STYLES["bad"]).append(
        f"{audit.reason}{place}", "not bold default"
    )
    lines = indented(text, sheet.width, 0, INDENT)
    hint = indented(Text(audit.hint), sheet.width, INDENT, INDENT) if audit.hint else []
    return [*lines, *hint]

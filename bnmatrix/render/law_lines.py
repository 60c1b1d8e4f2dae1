"""Laws on a terminal: under each other, with `<=>` aligned."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from bnmatrix.render.layout import INDENT, STYLES, Sheet, columns, indented
from bnmatrix.render.wording import Told

NARROWEST = 18
"""Where there is less room at the left, each law is a paragraph."""

SHORT = 24
"""`(in inference_mode)` stays in one piece."""

Named = tuple[str, Told]
"""A law, and what stands at its left: what it is about, or who obeys it."""


def laws_in_columns(laws: Sequence[Named], width: int) -> list[Text]:
    """What, the sign, the rule and where it holds. What has several laws is named once."""
    if not laws:
        return []
    # Neither a rule is broken, nor a word of where it holds, nor that itself where it is short.
    parts = [part for _, law in laws for part in (law.rule, *(law.when or "").split())]
    longest = max(map(len, [*parts, *(law.when for _, law in laws if law.when and len(law.when) <= SHORT)]))
    left = min(max(len(name) for name, _ in laws), width - longest - 7)
    if left < min(NARROWEST, *(len(name) for name, _ in laws)):
        return [
            line
            for name, law in laws
            for line in indented(Text(f"{name} {law.relation} ") + _rule(law), width, 0, INDENT)
        ]
    right = width - left - 7
    rows, before = [], None
    for name, law in laws:
        relation = Text(law.relation or "   ", STYLES["dim"])
        whole = _rule(law)
        # A place that does not fit beside its rule goes beneath it.
        apart = len(whole) > right
        rows.append(
            [
                Text(name if name != before else ""),
                relation,
                Text(law.rule, STYLES["head"]) if apart else whole,
            ]
        )
        if apart:
            rows.append([Text(), Text(), Text(law.when)])
        before = name
    return columns(rows, [left, 3, right])


def laws_of_sides(found: Sequence[tuple[str, Sequence[Named]]], sheet: Sheet) -> list[Text]:
    """What laws are about, and beneath it who obeys which."""
    lines: list[Text] = []
    for subject, laws in found:
        lines += indented(Text(subject, STYLES["head"]), sheet.width, INDENT, INDENT)
        within = laws_in_columns(laws, sheet.width - 2 * INDENT)
        lines += [Text(" " * 2 * INDENT) + line for line in within]
    return lines


def _rule(law: Told) -> Text:
    return Text(law.rule, STYLES["head"]).append(f" {law.when}" if law.when else "", "not bold")

"""Lines on a terminal of a given width: signs, colours, labelled paragraphs and columns.

Every colour has a sign or a word beside it, so a page says the same without colour; and every sign
has a form in ASCII.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from io import StringIO

from rich.console import Console
from rich.text import Text

from bnmatrix.matrix import Value
from bnmatrix.render.wording import DOUBTFUL, MOVES, STAYS, number

INDENT = 2
LABEL = 10
"""Width of the labels at the left of paragraphs; dropped where the page is narrow."""

NARROW = 60
"""Pages below this width have one column."""

STYLES = {
    "moves": "bold green",
    "stays": "cyan",
    "doubtful": "bold yellow",
    "bad": "bold red",
    "dim": "dim",
    "head": "bold",
    "place": "italic",
}


@dataclass(frozen=True)
class Signs:
    """The signs of a page, as far as its encoding can take them."""

    moves: str = "●"
    stays: str = "○"
    undecided: str = "?"
    unstable: str = "~"
    bad: str = "✗"
    good: str = "✓"
    rule: str = "─"
    dot: str = "·"
    arrow: str = "→"
    none: str = "–"


UNICODE = Signs()
ASCII = Signs(moves="*", stays="o", bad="x", good="+", rule="-", dot="|", arrow="->", none="-")


@dataclass(frozen=True)
class Sheet:
    """What a page is laid out on."""

    width: int
    signs: Signs

    @property
    def narrow(self) -> bool:
        """Whether there is room for one column only."""
        return self.width < NARROW


View = Callable[[Sheet], list[Text]]
"""A page: lines, once it is known what they are laid out on."""


def entry(value: Value, signs: Signs) -> Text:
    """A fact's value with its sign and colour."""
    word = number(value)
    if word == "":
        return Text(signs.none, STYLES["dim"])
    if word in MOVES:
        return Text(f"{signs.moves} {word}", STYLES["moves"])
    if word in STAYS:
        return Text(f"{signs.stays} {word}", STYLES["stays"])
    if word in DOUBTFUL:
        return Text(f"{getattr(signs, word)} {word}", STYLES["doubtful"])
    return Text(word)


def wrapped(text: Text, width: int) -> list[Text]:
    """`text` in lines of at most `width`, broken between words where that is possible."""
    plain = text.plain
    if plain and plain.isprintable() and text.cell_len <= width:
        lines = [text.copy()]
    else:
        lines = list(text.wrap(_measure(), max(width, 8)))
    for line in lines:
        line.rstrip()
    return lines


def indented(text: Text, width: int, indent: int = INDENT, hanging: int = 0) -> list[Text]:
    """A paragraph: lines after the first are indented by `hanging` more."""
    first, *_ = wrapped(text, width - indent)
    lines = [first]
    if len(rest := text.plain[len(first.plain) :].lstrip()):
        remaining = text[len(text.plain) - len(rest) :]
        lines += wrapped(remaining, width - indent - hanging)
    return [Text(" " * (indent + (hanging if index else 0))) + line for index, line in enumerate(lines)]


def labelled(label: str, lines: Sequence[Text], sheet: Sheet) -> list[Text]:
    """Lines with a label at their left; above them where the page is narrow. `lines` fit `room(sheet)`."""
    if sheet.narrow:
        return [Text(" " * INDENT + label, STYLES["dim"]), *(Text(" " * 2 * INDENT) + line for line in lines)]
    heads = [label, *[""] * (len(lines) - 1)]
    return [
        Text(" " * INDENT).append(f"{head:<{LABEL}}", STYLES["dim"]) + line
        for head, line in zip(heads, lines, strict=True)
    ]


def room(sheet: Sheet) -> int:
    """How wide lines may be beside a label."""
    return sheet.width - (2 * INDENT if sheet.narrow else INDENT + LABEL)


def separated(parts: Sequence[Text | str], sheet: Sheet, width: int, sign: str | None = None) -> list[Text]:
    """Short parts one after another with dots, or another `sign`, between, broken between parts first."""
    lines = [Text()]
    for index, part in enumerate(parts):
        piece = part.copy() if isinstance(part, Text) else Text(part)
        between = f" {sheet.signs.dot if sign is None else sign} "
        if index and len(lines[-1]) + len(between) + len(piece) <= width:
            lines[-1].append(between, STYLES["dim"]).append_text(piece)
        elif index:
            lines.append(piece)
        else:
            lines[-1].append_text(piece)
    return [short for line in lines for short in wrapped(line, width)]


def columns(rows: Sequence[Sequence[Text]], widths: Sequence[int], gap: int = 2) -> list[Text]:
    """Rows of entries side by side, each padded to its column; entries that are too wide are wrapped."""
    lines = []
    for row in rows:
        cells = [wrapped(cell, width) or [Text()] for cell, width in zip(row, widths, strict=True)]
        for index in range(max(len(cell) for cell in cells)):
            line = Text()
            for cell, width in zip(cells, widths, strict=True):
                piece = cell[index].copy() if index < len(cell) else Text()
                piece.pad_right(width + gap - len(piece))
                line.append_text(piece)
            line.rstrip()
            lines.append(line)
    return lines


def heading(name: str, of: str, sheet: Sheet) -> list[Text]:
    """The heading of a part of a page."""
    return wrapped(Text(name, STYLES["head"]).append(f"  {of}" if of else "", "not bold dim"), sheet.width)


def ruled(name: str, of: str, sheet: Sheet) -> list[Text]:
    """The heading of a large part of a page, over a rule."""
    return [*heading(name, of, sheet), Text(sheet.signs.rule * sheet.width, STYLES["dim"])]


def one_below_another(views: Sequence[View]) -> View:
    """Several pages as one."""

    def view(sheet: Sheet) -> list[Text]:
        pages = [each(sheet) for each in views]
        return [line for number, page in enumerate(pages) for line in ([Text(), *page] if number else page)]

    return view


def show(view: View, console: Console) -> None:
    """Print a page as the console's width and encoding allow."""
    signs = UNICODE if can_show(UNICODE, console) else ASCII
    lines = view(Sheet(console.width, signs))
    if console.color_system is None and not console.record:
        console.file.writelines(f"{line.plain}\n" for line in lines)  # at a hundredth of what print takes
        return
    for line in lines:
        console.print(line, soft_wrap=True)


def can_show(signs: Signs, console: Console) -> bool:
    """Whether the console's encoding and terminal take these signs."""
    if console.is_dumb_terminal:
        return False
    try:
        "".join(vars(signs).values()).encode(console.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


@cache
def _measure() -> Console:
    """A console that is only asked how wide text is."""
    return Console(file=StringIO(), width=80, color_system=None)

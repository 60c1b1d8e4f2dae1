"""`bnmatrix explain`: why a cell is as it is, and what a fact, an axis, a finding or a claim means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.errors import Exit

if TYPE_CHECKING:
    from bnmatrix.axes import Cell
    from bnmatrix.target import Target

What = Annotated[
    list[str],
    typer.Argument(
        metavar="WHAT",
        help="A cell by its id, after one target or several: tf2 batch_norm training=true trainable=false. "
        "Or a fact, an axis, a finding, a claim, an exit code.",
    ),
]

FORMATS = ("table", "json", "markdown")


def explain(
    what: What,
    device: options.Device = None,
    expand: options.Expand = False,
    format: options.Format = "table",
    output: options.Output = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    timeout: options.Timeout = 60.0,
    python: options.Python = None,
    offline: options.Offline = False,
    yes: options.Yes = False,
    no_cache: options.NoCache = False,
    refresh: options.Refresh = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Say why a cell is as it is: what was measured, the law, the framework's own lines that decide.

    The lines are found by running the cell, and the same with another training or trainable, line by line.
    Of a change name both targets: what differs is told beneath. Without a target: all that is installed.

    Exit code 0: done. 3: an environment, framework or cell could not be run.
    """
    from bnmatrix.cli.measuring import means, measurer, teller
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.errors import UsageError
    from bnmatrix.explaining import of_cell, of_word
    from bnmatrix.matrix import FAULTS
    from bnmatrix.placement import installed

    check_format(format, FORMATS)
    path = check_writable(output)
    words = " ".join(what).split()
    explanation = of_word(words[0]) if len(words) == 1 else None
    code = Exit.DONE
    if explanation is None:
        named, cell = _parsed(words)
        how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
        targets = named or installed(how.options.wishes)
        if not targets:
            raise UsageError("no framework is installed here", f"name one: bnmatrix explain tf2 {cell.id}")
        explanation = of_cell(cell, targets, measurer(how), how.options, teller(how))
        if any(each.cell.outcome in FAULTS for each in explanation.cells):
            code = Exit.INCOMPLETE
    write(explanation, format, path, expand)
    return code


def _parsed(words: list[str]) -> tuple[list[Target], Cell]:
    """Targets, then the id of a cell. Raises UsageError."""
    from bnmatrix.axes import parse_id
    from bnmatrix.errors import UsageError, unknown
    from bnmatrix.explaining import words as known
    from bnmatrix.layers import layers
    from bnmatrix.own_layers import is_own
    from bnmatrix.target import FAMILIES, parse

    if not words:
        raise UsageError("nothing is named", "bnmatrix explain tf2 batch_norm training=true trainable=false")
    count = next(
        (
            number
            for number, word in enumerate(words)
            if word in layers() or "=" in word.partition("==")[0] or (is_own(word) and not _is_target(word))
        ),
        len(words),
    )
    if count == len(words) and not _is_target(words[0]):
        raise unknown("word", words[0], [*known(), *layers(), *FAMILIES])
    return [parse(word) for word in words[:count]], parse_id(" ".join(words[count:]) or "batch_norm")


def _is_target(word: str) -> bool:
    from bnmatrix.errors import BnmatrixError
    from bnmatrix.target import parse

    try:
        parse(word)
    except BnmatrixError:
        return False
    return True

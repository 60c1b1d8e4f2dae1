"""`bnmatrix diff`: two targets or saved matrices side by side; only what differs."""

from __future__ import annotations

from typing import Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.errors import Exit, NothingSelectedError

Old = Annotated[
    str,
    typer.Argument(metavar="OLD", help="A target, or what `run --format json` wrote: FILE, or FILE#TARGET."),
]
New = Annotated[str, typer.Argument(metavar="NEW", help="Likewise.")]


def diff(
    old: Old,
    new: New,
    layer: options.Layer = None,
    scenario: options.Scenario = None,
    axis: options.AxisValues = None,
    cell: options.CellId = None,
    device: options.Device = None,
    expand: options.Expand = False,
    format: options.Format = "table",
    output: options.Output = None,
    seed: options.Seed = 0,
    jobs: options.Jobs = None,
    timeout: options.Timeout = 60.0,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Compare two frameworks, or saved runs, cell by cell.

    Exit code 0: no difference. 1: behaviour changed. 3: a cell or framework could not be run.
    5: nothing could be compared.
    """
    from bnmatrix import __version__
    from bnmatrix.cli.measuring import say_incomplete
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.cli.selection import select
    from bnmatrix.cli.sides import both
    from bnmatrix.comparison import compare
    from bnmatrix.measurement import Options, is_complete

    check_format(format)
    path = check_writable(output)
    selection = select(layer, scenario, axis, cell, device)
    matrix = both(old, new, selection, Options(seed, jobs, timeout, device), quiet, verbose)
    result = compare(matrix.targets[0], matrix.targets[1], __version__)
    write(result, format, path, expand)
    if not is_complete(matrix):
        say_incomplete(matrix)
    if result.changes:
        return Exit.CHANGED
    if is_complete(matrix) and not result.summary.same + result.summary.unstable:
        raise NothingSelectedError(
            "no cell could be compared", "see above why; choose cells that both sides have"
        )
    return Exit.DONE if is_complete(matrix) else Exit.INCOMPLETE

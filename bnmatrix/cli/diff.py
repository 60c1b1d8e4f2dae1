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
    like: options.Like = None,
    scenario: options.Scenario = None,
    axis: options.AxisValues = None,
    cell: options.CellId = None,
    coverage: options.Coverage = None,
    full: options.Full = False,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    expand: options.Expand = False,
    format: options.Format = "table",
    output: options.Output = None,
    witness: options.Witness = None,
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
    """Compare two frameworks, or saved runs, cell by cell.

    A target that is not installed, or not in the version asked for, gets an environment of its own.

    Exit code 0: no difference. 1: behaviour changed. 3: an environment, framework or cell could not be run.
    4: the store of known results cannot be used. 5: nothing could be compared.
    """
    from bnmatrix.cli.dry_run import ahead, check_ahead
    from bnmatrix.cli.measuring import code_of, means, measurer, teller
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.cli.witnesses import check_folder, check_sides, hand_over
    from bnmatrix.selection import select
    from bnmatrix.sides import compared, plans_of
    from bnmatrix.witness.handing import name_of

    check_format(format)
    check_ahead(dry_run, format)
    path = check_writable(output)
    axis = options.with_like(axis, like)
    selection = select(layer, scenario, axis, cell, device, coverage, full)
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    if dry_run:
        return ahead(plans_of(old, new, selection), how, format, path)
    both = None if witness is None else check_sides(plans_of(old, new, selection))
    folder = check_folder(witness)
    matrix, result = compared(old, new, selection, measurer(how), teller(how))
    write(result, format, path, expand)
    if folder is not None and both is not None:
        names = name_of(both[0], result.old.versions), name_of(both[1], result.new.versions)
        hand_over(folder, result.conditions, *both, how, names)
    code = code_of(matrix, how)
    if result.changes:
        return Exit.CHANGED
    if code == Exit.DONE and not result.summary.same + result.summary.unstable:
        raise NothingSelectedError(
            "no cell could be compared", "see above why; choose cells that both sides have"
        )
    return code

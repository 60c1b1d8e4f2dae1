"""`bnmatrix run`: measure, and print the truth table."""

from __future__ import annotations

from bnmatrix.cli import options
from bnmatrix.errors import Exit, NothingSelectedError


def run(
    framework: options.Framework = None,
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
    """Measure what a layer does in one step, and print the truth table.

    A framework that is not installed, or not in the version asked for, gets an environment of its own.

    Exit code 0: done. 1: an expectation of a scenario failed, or a layer differs from the one that --like
    names. 3: an environment, framework or cell could not be run. 4: the store of known results cannot be
    used. 5: no cell is selected, or none could be compared with that of --like.
    """
    from bnmatrix.cli.dry_run import ahead, check_ahead
    from bnmatrix.cli.measuring import code_of, means, measured, measurer, say_unasked, teller
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.cli.progress import note
    from bnmatrix.comparison import Likened
    from bnmatrix.expectations import answered
    from bnmatrix.likeness import beside, check_alike, check_own_layers, likened
    from bnmatrix.selection import select, targets, tasks

    check_format(format)
    check_ahead(dry_run, format)
    path = check_writable(output)
    axis = options.with_like(axis, None if cell else like)
    selection = select(layer, scenario, axis, cell, device, coverage, full)
    if like and cell:
        check_alike(selection.cells, like)
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    found, notes = targets(framework, selection, how.options.wishes)
    work = tasks(found, selection, named=bool(framework))
    for text in notes:
        note(text, quiet)
    plans = [task.plan for task in work]
    others = beside(plans) if like else []
    if dry_run:
        return ahead([*plans, *others], how, format, path)
    everything = measured([*plans, *others], how)
    check_own_layers(everything, made=True)
    matrix = likened(everything, work, measurer(how), teller(how)) if like else answered(work, everything)
    say_unasked(work, matrix, quiet)
    write(matrix, format, path, expand)
    code = code_of(everything, how)
    failed = any(result.answer == "contradicted" for result in matrix.expectations)
    diffs = matrix.likeness if isinstance(matrix, Likened) else []
    if failed or any(diff.changes for diff in diffs):
        return Exit.CHANGED
    if code == Exit.DONE and diffs and not any(diff.summary.same + diff.summary.unstable for diff in diffs):
        raise NothingSelectedError("no cell could be compared", "see above why")
    return code

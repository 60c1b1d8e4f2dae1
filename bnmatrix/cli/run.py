"""`bnmatrix run`: measure, and print the truth table."""

from __future__ import annotations

from bnmatrix.cli import options
from bnmatrix.errors import Exit


def run(
    framework: options.Framework = None,
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
    """Measure what a layer does in one step, and print the truth table.

    Exit code 0: all was measured. 1: an expectation of a scenario failed. 3: a cell or framework could not be
    run.
    """
    from bnmatrix.cli.measuring import check, measured, say_incomplete, say_unasked
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.cli.progress import note
    from bnmatrix.cli.selection import select, targets, tasks
    from bnmatrix.measurement import Options, is_complete

    check_format(format)
    path = check_writable(output)
    selection = select(layer, scenario, axis, cell, device)
    found, notes = targets(framework, selection)
    work = tasks(found, selection, named=bool(framework))
    for text in notes:
        note(text, quiet)
    matrix = measured([task.plan for task in work], Options(seed, jobs, timeout, device), quiet, verbose)
    matrix = check(work, matrix)
    say_unasked(work, matrix, quiet)
    write(matrix, format, path, expand)
    if not is_complete(matrix):
        say_incomplete(matrix)
    if any(result.answer == "contradicted" for result in matrix.expectations):
        return Exit.CHANGED
    return Exit.DONE if is_complete(matrix) else Exit.INCOMPLETE

"""`bnmatrix timeline`: one column a release; when did each cell change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options

if TYPE_CHECKING:
    from bnmatrix.matrix import Matrix

EVERY = ("minor", "release")

Framework = Annotated[
    str,
    typer.Argument(
        metavar="FRAMEWORK",
        autocompletion=options.complete_framework,
        help="A framework without a version: tf1, tf2, keras, keras[jax], torch.",
    ),
]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="VERSION", help="The first release. Without it: the first there is."),
]
To = Annotated[
    str | None, typer.Option("--to", metavar="VERSION", help="The last release. Without it: the newest.")
]
Every = Annotated[
    str,
    typer.Option(
        "--every",
        metavar="|".join(EVERY),
        autocompletion=lambda incomplete: options._matching(EVERY, incomplete),
        help="Every minor release, at its newest patch, or every release.",
    ),
]
FromCache = Annotated[
    bool, typer.Option("--from-cache", help="Show what is known already; measure and fetch nothing.")
]


def timeline(
    framework: Framework,
    first: From = None,
    last: To = None,
    every: Every = "minor",
    from_cache: FromCache = False,
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
    """Measure release after release of a framework, and show when each cell changed.

    --from-cache shows the releases of which something is known.

    Exit code 0: done. 3: an environment, framework or cell could not be run. 4: the store of known results
    cannot be used. 5: no release, or no cell, is selected.
    """
    from bnmatrix import __version__
    from bnmatrix.cli.dry_run import ahead, check_ahead
    from bnmatrix.cli.measuring import code_of, means, measured
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.cli.progress import note
    from bnmatrix.errors import UsageError, unknown
    from bnmatrix.releases import releases
    from bnmatrix.selection import no_given, select, tasks
    from bnmatrix.timeline import timeline as over_time

    check_format(format)
    check_ahead(dry_run, format)
    if every not in EVERY:
        raise unknown("--every", every, EVERY)
    if from_cache and (no_cache or refresh):
        raise UsageError("--from-cache shows what is known", "leave --no-cache and --refresh out beside it")
    path = check_writable(output)
    axis = options.with_like(axis, like)
    selection = select(layer, scenario, axis, cell, device, coverage, full)
    no_given(selection)
    how = means(
        seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose, known=from_cache
    )
    wishes = how.options.wishes
    found = releases(framework, first, last, every == "minor", from_cache or offline, wishes)
    span = found[0].text if len(found) == 1 else f"{len(found)} releases, {found[0].text} to {found[-1].text}"
    note(f"{span}{', of those that are here' if offline and not from_cache else ''}", quiet)
    plans = [task.plan for task in tasks(found, selection, named=True)]
    if dry_run:
        return ahead(plans, how, format, path)
    matrix = measured(plans, how)
    if from_cache:
        matrix = _known_of(matrix, quiet)
    write(over_time(matrix.targets, __version__), format, path, expand)
    return code_of(matrix, how)


def _known_of(matrix: Matrix, quiet: bool) -> Matrix:
    """`matrix` less the targets of which nothing is known. Raises NothingSelectedError where none remains."""
    import msgspec

    from bnmatrix.cli.progress import note
    from bnmatrix.errors import NothingSelectedError

    known = [target for target in matrix.targets if any(cell.outcome != "skipped" for cell in target.cells)]
    unknown = [target.target for target in matrix.targets if target not in known]
    if not known:
        raise NothingSelectedError("none of these cells is known", "without --from-cache they are measured")
    if unknown:
        note(f"not measured yet: {', '.join(unknown)}", quiet)
    return msgspec.structs.replace(matrix, targets=known)

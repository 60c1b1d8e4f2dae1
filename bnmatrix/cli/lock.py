"""`bnmatrix lock`: write the baseline, what the frameworks of a project do today."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.errors import Exit

if TYPE_CHECKING:
    from bnmatrix.baseline import Baseline

LockedLayer = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="LAYER",
        autocompletion=options.complete_layer,
        help="A layer of `bnmatrix list layers`, or all. Repeatable. Without it: as configured, else all.",
    ),
]
BaselineFile = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE",
        help="The baseline. Without it: bnmatrix.lock beside the project's pyproject.toml.",
    ),
]


def lock(
    framework: options.Framework = None,
    layer: LockedLayer = None,
    like: options.Like = None,
    scenario: options.Scenario = None,
    axis: options.AxisValues = None,
    cell: options.CellId = None,
    coverage: options.Coverage = None,
    full: options.Full = False,
    device: options.Device = None,
    baseline: BaselineFile = None,
    dry_run: options.DryRun = False,
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
    """Measure, and write the baseline that `bnmatrix check` holds the future against.

    What is measured: what the options say; else [tool.bnmatrix] of the pyproject.toml; else what the baseline
    holds that is there; else every layer of every framework that is installed.

    Exit code 0: written. 3: not written, for cells timed out or a framework could not be run; written, where
    some crash. 4: the store of known results cannot be used.
    """
    from bnmatrix import __version__
    from bnmatrix.baseline import SCHEMA_VERSION, Baseline, text
    from bnmatrix.cli.dry_run import ahead
    from bnmatrix.cli.measuring import code_of, means, measured
    from bnmatrix.cli.output import check_writable, write_text
    from bnmatrix.cli.progress import note
    from bnmatrix.cli.project import ALL, configured, existing, project, selected, selection
    from bnmatrix.likeness import check_own_layers
    from bnmatrix.selection import no_given, targets, tasks

    axis = options.with_like(axis, like)
    found = project(baseline)
    path = check_writable(str(found.baseline))
    before = existing(found)
    chosen = (
        selected(layer, scenario, axis, cell, coverage, full)
        or configured(found.configured)
        or (before.selection if before else ALL)
    )
    held = [each.target for each in before.targets] if before else []
    named = framework or found.configured.frameworks or held
    cells = selection(chosen, device)
    no_given(cells)
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    these, notes = targets(named, cells, how.options.wishes)
    work = [task.plan for task in tasks(these, cells, named=bool(named))]
    for line in notes:
        note(line, quiet)
    if dry_run:
        return ahead(work, how, "table", None)
    matrix = measured(work, how)
    check_own_layers(matrix, made=True)
    code = code_of(matrix, how)
    for target in matrix.targets:
        lost = sum(each.outcome in ("skipped", "timed_out") for each in target.cells)
        if lost:
            what = f"{lost} of {len(target.cells)} cells of {target.target} could not be measured"
            typer.echo(f"{path} was not written: {what}", err=True)
            return Exit.INCOMPLETE
    made = Baseline(
        schema_version=SCHEMA_VERSION,
        bnmatrix=__version__,
        seed=seed,
        selection=chosen,
        targets=matrix.targets,
    )
    write_text(text(made), path)
    note(f"{path}: {_told(made)}", quiet)
    if gone := [name for name in held if name not in [target.target for target in made.targets]]:
        note(f"no longer in it: {', '.join(gone)}", quiet)
    if before is not None and before.accepted:
        note(f"no longer listed: {len(before.accepted)} accepted changes; what is there now counts", quiet)
    return code


def _told(baseline: Baseline) -> str:
    return "; ".join(
        f"{len(target.cells)} cell{'s' if len(target.cells) > 1 else ''} of {target.target}"
        f" ({', '.join(f'{name} {version}' for name, version in target.versions.items())})"
        for target in baseline.targets
    )

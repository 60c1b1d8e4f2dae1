"""`bnmatrix check`: the present against the baseline, or against another target."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.cli.lock import BaselineFile
from bnmatrix.errors import Exit, NothingSelectedError

if TYPE_CHECKING:
    from pathlib import Path

    from bnmatrix.baseline import Baseline
    from bnmatrix.checked import Check, Compared
    from bnmatrix.cli.measuring import Means
    from bnmatrix.cli.project import Project

Against = Annotated[
    str | None,
    typer.Option(
        "--against",
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="Compare with this target in place of the baseline: both are measured. tf2==2.15.1",
    ),
]
Accept = Annotated[
    bool,
    typer.Option(
        "--accept",
        help="Take changes over into the baseline: one by one on a terminal; with --reason those that "
        "--change, --fact and --cell name, or all.",
    ),
]
Forget = Annotated[
    bool,
    typer.Option(
        "--forget", help="Take accepted changes that are not met, or past their date, out of the baseline."
    ),
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why they are accepted.")]
Owner = Annotated[
    str | None, typer.Option("--owner", metavar="NAME", help="Who accepts them. Without it: git's user.")
]
Expires = Annotated[
    str | None,
    typer.Option("--expires", metavar="DATE", help="The last day on which that holds: 2027-01-31."),
]
Change = Annotated[
    list[int] | None,
    typer.Option("--change", metavar="N", help="Accept the change of this number. Repeatable."),
]
Fact = Annotated[
    list[str] | None, typer.Option("--fact", metavar="FACT", help="Accept changes of this fact. Repeatable.")
]
OnlyFor = Annotated[
    list[str] | None,
    typer.Option(
        "--framework",
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="Check this target of the baseline only; with --against: what is compared. Repeatable.",
    ),
]


def check(
    framework: OnlyFor = None,
    baseline: BaselineFile = None,
    against: Against = None,
    layer: options.Layer = None,
    like: options.Like = None,
    scenario: options.Scenario = None,
    axis: options.AxisValues = None,
    cell: options.CellId = None,
    coverage: options.Coverage = None,
    full: options.Full = False,
    accept: Accept = False,
    forget: Forget = False,
    reason: Reason = None,
    owner: Owner = None,
    expires: Expires = None,
    change: Change = None,
    fact: Fact = None,
    device: options.Device = None,
    dry_run: options.DryRun = False,
    expand: options.Expand = False,
    format: options.CheckFormat = "table",
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
    """Measure the cells of the baseline anew, and say what changed and was not accepted.

    The layers, axes and cells are those of the baseline; options choose others with --against only.

    Exit code 0: no difference, or none that fails. 1: behaviour changed, or an accepted change is not met or
    past its date. 3: a cell that the baseline has measured could not be run, or a fact that it has decided
    not be decided. 4: the store of known results cannot be used. 5: nothing could be compared.
    """
    from bnmatrix import checking
    from bnmatrix.cli.accepting import Rewriting, acceptance
    from bnmatrix.cli.dry_run import ahead, check_ahead
    from bnmatrix.cli.measuring import means, measurer, teller
    from bnmatrix.cli.output import check_format, check_writable
    from bnmatrix.cli.project import ALL, configured, drift, loaded, project, selected, selection
    from bnmatrix.cli.witnesses import check_folder
    from bnmatrix.errors import UsageError
    from bnmatrix.render import CHECK_FORMATS

    axis = options.with_like(axis, like)
    check_format(format, CHECK_FORMATS)
    check_ahead(dry_run, format)
    path = check_writable(output)
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    if not accept and (reason or owner or expires or change or fact):
        raise UsageError("--reason, --owner, --expires, --change and --fact go with --accept", "add --accept")
    if (accept or forget) and against is not None:
        word = "--accept" if accept else "--forget"
        raise UsageError(f"{word} writes into a baseline", "leave --against out; bnmatrix lock makes one")
    given = acceptance(reason, owner, expires, change, fact, cell) if accept else None
    choice = selected(layer, scenario, axis, None if accept else cell, coverage, full)
    folder = check_folder(witness)
    found = project(baseline)
    if path is not None and path.resolve() == found.baseline.resolve():
        raise UsageError(f"--output {path} is the baseline itself", "name another file")
    tolerances, measure, tell = found.configured.tolerances, measurer(how), teller(how)
    if against is not None:
        cells = selection(choice or configured(found.configured) or ALL, device)
        new = checking.present_of(against, framework or ())
        if dry_run:
            return ahead(checking.plans_against(against, new, cells), how, format, path)
        compared = [checking.against(against, new, cells, measure, tell, tolerances)]
        return _report(_Said(found, compared), format, path, expand, how, folder)
    if choice is not None:
        raise UsageError(
            "the cells that are checked are those of the baseline",
            "bnmatrix lock chooses them; with --against the options do",
        )
    only = framework or ()
    if not (accept or forget or dry_run):
        known = _known(found, only, how)
        if known is not None:
            return _report(known, format, path, expand, how, folder)
    held = loaded(found)
    drifted = drift(found, held)
    for line in drifted:
        tell(f"{line}; bnmatrix lock writes it anew")
    rewriting = Rewriting(found.baseline) if accept or forget else None
    how.options = replace(how.options, seed=held.seed, with_laws=False)
    plans = checking.plans_of(held, only)
    if dry_run:
        return ahead(plans, how, format, path)
    compared = checking.held_against(held, plans, measurer(how), tell, tolerances)
    if not drifted:
        _keep(found, only, compared, how)
    said = _Said(found, compared, found.baseline, held)
    if rewriting is not None and forget:
        said = replace(said, baseline=rewriting.forget(held, said.check(), tell))
    if rewriting is not None and given is not None:
        assert said.baseline is not None
        said = replace(said, baseline=rewriting.accept(said.baseline, given, said.check(), tell))
    return _report(said, format, path, expand, how, folder)


def _known(found: Project, only: Sequence[str], means: Means) -> _Said | None:
    """What a check found when it was made the last time, if it found nothing and nothing is different."""
    from bnmatrix import recall
    from bnmatrix.cli.measuring import opened
    from bnmatrix.cli.progress import note

    key = recall.key(found.baseline, only, means.options, found.configured)
    if key is None:
        return None
    with opened(means) as records:
        answer = recall.find(records, key) if records is not None else None
    if answer is None:
        return None
    note(f"{answer.cells()} of {answer.cells()} cells were known; --refresh measures them anew", means.quiet)
    return _Said(found, answer.compared(), found.baseline)


def _keep(found: Project, only: Sequence[str], compared: Sequence[Compared], means: Means) -> None:
    """Keep what was found, for the next time."""
    from bnmatrix import recall
    from bnmatrix.cli.measuring import opened

    key = recall.key(found.baseline, only, means.options, found.configured)
    if key is not None:
        with opened(means) as records:
            if records is not None:
                recall.keep(records, key, compared)


@dataclass(frozen=True)
class _Said:
    """What was compared, of which project.

    file:     that of the baseline; None where two targets were measured
    baseline: what it holds; None where that was not read, for what was found is known
    """

    project: Project
    compared: Sequence[Compared]
    file: Path | None = None
    baseline: Baseline | None = None

    def check(self) -> Check:
        """What the check finds."""
        from bnmatrix import __version__
        from bnmatrix.checked import Rules, check

        configured = self.project.configured
        return check(
            self.compared,
            self.baseline.accepted if self.baseline else [],
            Rules(fail_on=configured.fail_on, severity=configured.severity),
            date.today(),
            __version__,
            str(self.file) if self.file else None,
        )


def _witness(said: _Said, check: Check, folder: Path, means: Means) -> None:
    """Write programs that show the changes which nobody accepted, run on the targets as they were and are."""
    from bnmatrix.checking import past_of
    from bnmatrix.cli.witnesses import hand_over
    from bnmatrix.target import parse
    from bnmatrix.witness.handing import name_of

    for target in said.compared:
        own = [condition for condition in check.conditions if condition.target == target.name]
        old = past_of(target.old) if said.file else parse(target.old.target)
        new = parse(target.name)
        names = name_of(old, target.diff.old.versions), name_of(new, target.diff.new.versions)
        hand_over(folder, own, old, new, means, names)


def _report(
    said: _Said, form: str, path: Path | None, expand: bool, means: Means, folder: Path | None
) -> int:
    """Write what was found, and the witnesses; return the exit code."""
    from bnmatrix import __version__
    from bnmatrix.cli.measuring import code_of
    from bnmatrix.cli.output import write
    from bnmatrix.matrix import SCHEMA_VERSION, Matrix

    result = said.check()
    write(result, form, path, expand)
    _summarise(result, means)
    if folder is not None:
        _witness(said, result, folder, means)
    present = [target.new for target in said.compared]
    code = code_of(Matrix(schema_version=SCHEMA_VERSION, bnmatrix=__version__, targets=present), means)
    if result.fails:
        return Exit.CHANGED
    lost = sum(each.lost for each in result.not_comparable)
    undecided = sum(each.lost for each in result.one_sided)
    for count, what in (
        (lost, "cells that the baseline has measured could not be"),
        (undecided, "facts that the baseline has decided could not be"),
    ):
        if count:
            typer.echo(f"incomplete: {count} {what}", err=True)
    if lost or undecided:
        return Exit.INCOMPLETE
    counts = result.summary
    if code == Exit.DONE and not counts.same + counts.unstable + counts.accepted + counts.changed:
        raise NothingSelectedError("no cell could be compared", "see above why")
    return code


def _summarise(result: Check, means: Means) -> None:
    """On GitHub Actions the summary of the job gets the result, too."""
    if "GITHUB_STEP_SUMMARY" in os.environ:
        from bnmatrix.cli.job_summary import append
        from bnmatrix.render import as_markdown

        append(as_markdown.text(result))

"""`bnmatrix bisect`: the first release in which the behaviour changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.cli.timeline import EVERY, Framework

if TYPE_CHECKING:
    from bnmatrix.bisect import Bisection, Search
    from bnmatrix.cli.measuring import Means
    from bnmatrix.matrix import Matrix, TargetMatrix
    from bnmatrix.target import Target
    from bnmatrix.timeline import Release


def _complete_fact(incomplete: str) -> list[str]:
    from bnmatrix.facts import FACTS

    return options._matching(FACTS, incomplete)


Range = Annotated[
    str,
    typer.Argument(metavar="OLD..NEW", help="The releases to search, both ends included: 2.10.1..2.16.1."),
]
Fact = Annotated[
    list[str] | None,
    typer.Option(
        "--fact",
        metavar="FACT",
        autocompletion=_complete_fact,
        help="Only changes of this fact: gamma, normalised_by, outcome ... Repeatable.",
    ),
]
Every = Annotated[
    str,
    typer.Option(
        "--every",
        metavar="|".join(reversed(EVERY)),
        autocompletion=lambda incomplete: options._matching(EVERY, incomplete),
        help="Search every release, or the newest patch of every minor one.",
    ),
]


def bisect(
    framework: Framework,
    between: Range,
    cell: options.CellId = None,
    fact: Fact = None,
    every: Every = "release",
    layer: options.Layer = None,
    like: options.Like = None,
    scenario: options.Scenario = None,
    axis: options.AxisValues = None,
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
    """Find the first release in which the behaviour changed.

    Both ends are compared as `diff` does. For each condition under which they differ, or for the cells of
    --cell, the releases between are halved until the first one with the new behaviour is found. Releases that
    cannot be installed, or say nothing, are skipped; yanked ones are not considered. A change that came and
    went between two releases that were measured is not seen: `bnmatrix timeline` measures every one.

    Exit code 0: done, also where nothing differs. 3: an environment, framework or cell that matters could
    not be run. 4: the store of known results cannot be used. 5: no release is known, or nothing could be
    compared.
    """
    from bnmatrix import __version__
    from bnmatrix.bisect import Search, bisection
    from bnmatrix.cli.dry_run import ahead, check_ahead
    from bnmatrix.cli.measuring import means, measurer, teller
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.cli.progress import note
    from bnmatrix.cli.witnesses import check_folder, hand_over
    from bnmatrix.errors import NothingSelectedError, unknown
    from bnmatrix.facts import FACTS
    from bnmatrix.selection import no_given, select
    from bnmatrix.sides import compared, plans_of
    from bnmatrix.target import parse

    check_format(format)
    check_ahead(dry_run, format)
    if every not in EVERY:
        raise unknown("--every", every, EVERY)
    for name in fact or ():
        if name not in FACTS:
            raise unknown("fact", name, list(FACTS))
    path = check_writable(output)
    folder = check_folder(witness)
    axis = options.with_like(axis, like)
    selection = select(layer, scenario, axis, cell, device, coverage, full)
    no_given(selection)
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    found = _releases(framework, between, every, how)
    first, last = found[0], found[-1]
    among = "here" if offline else "minor" if every == "minor" else "all"
    note(_span(found, among), quiet)
    if dry_run:
        most = (len(found) - 2).bit_length() if len(found) > 2 else 0
        if most:
            note(f"a single change takes about {most} of the releases between; of both ends:", quiet)
        return ahead(plans_of(first.text, last.text, selection), how, format, path)
    matrix, diff = compared(first.text, last.text, selection, measurer(how), teller(how))
    _check_ends(matrix)
    if not diff.changes and not diff.summary.same + diff.summary.unstable:
        raise NothingSelectedError(
            f"no cell could be compared; {diff.not_comparable[0].reason}",
            f"choose cells that both {first.text} and {last.text} have",
        )
    search = Search(len(found), (matrix.targets[0], matrix.targets[-1]), diff, fact or ())
    tried = _searched(search, found, matrix, how)
    result = bisection(search, _named(framework), tried, among, __version__)
    write(result, format, path, expand)
    if folder is not None:
        for step in result.changes:
            old, new = parse(result.target_of(step.old)), parse(result.target_of(step.new))
            hand_over(folder, step.conditions, old, new, how)
    return _code(result, matrix, how)


def _releases(framework: str, between: str, every: str, how: Means) -> list[Target]:
    """The releases to search, both ends included. Raises UsageError and NothingSelectedError."""
    from packaging.version import InvalidVersion, Version

    from bnmatrix.errors import UsageError
    from bnmatrix.releases import releases
    from bnmatrix.target import parse

    example = f"bnmatrix bisect {_named(framework)} 2.10.1..2.16.1"
    target = parse(framework)
    if target.family.package in dict(target.pins):
        raise UsageError(f"{framework} has a version already", f"say which releases after it: {example}")
    ends = between.split("..")
    if len(ends) != 2 or not all(ends):
        raise UsageError(f"{between[:60]!r} is not of the form OLD..NEW", f"write {example}")

    def version(end: str) -> Version:
        try:
            return Version(end)
        except (InvalidVersion, ValueError):
            raise UsageError(f"{end[:40]!r} is not a version", f"write {example}") from None

    old, new = map(version, ends)
    if old > new and old.release[: len(new.release)] != new.release:
        raise UsageError(
            f"{ends[0]} is later than {ends[1]}", f"the old one comes first: {ends[1]}..{ends[0]}"
        )
    wishes = how.options.wishes
    return releases(framework, ends[0], ends[1], every == "minor", wishes.offline, wishes)


def _named(framework: str) -> str:
    return framework.strip().partition(",")[0].partition(":")[0]


def _span(found: Sequence[Target], among: str) -> str:
    """`15 releases, torch==1.1.0 to torch==1.12.1, of those that are here`"""
    span = found[0].text
    if len(found) > 1:
        span = f"{len(found)} releases, {found[0].text} to {found[-1].text}"
    return f"{span}, of those that are here" if among == "here" else span


def _check_ends(matrix: Matrix) -> None:
    """Raise where nothing of an end could be run: there is nothing to search between then."""
    from bnmatrix.environment.errors import EnvironmentFailure
    from bnmatrix.matrix import FAULTS

    for end in matrix.targets:
        if not end.versions and all(cell.outcome in FAULTS for cell in end.cells):
            reason = end.cells[0].reason or end.cells[0].outcome
            raise EnvironmentFailure(f"{end.target}, an end, could not be run: {reason}", "choose another")


def _searched(search: Search, found: Sequence[Target], matrix: Matrix, how: Means) -> dict[int, Release]:
    """Measure what the search asks for; the releases that were tried, by number."""
    from bnmatrix.preparing import Preparing

    last = len(found) - 1
    tried = {0: _release(found[0], matrix.targets[0]), last: _release(found[last], matrix.targets[-1])}
    with Preparing(how.options.wishes) as preparing:
        while wanted := search.next():
            column, ids = wanted
            target = found[column]
            measured: TargetMatrix | str | None = _known(target, ids, how)
            if measured is None:
                preparing.ask(target, [found[number] for number in search.ahead(column)])
                left = search.left()
                title = f"measuring {target.text}, {left} releases are left" if left > 1 else None
                measured = _measured(target, ids, how, title)
            if isinstance(measured, str):
                search.skip(column)
                tried[column] = _release(target, None, measured)
            else:
                search.take(column, measured.cells)
                tried[column] = _release(target, measured)
    return tried


def _known(target: Target, ids: Sequence[str], how: Means) -> TargetMatrix | None:
    """The cells of a release, if all of them are known: then nothing has to be made ready for it."""
    quiet = replace(how, options=replace(how.options, known=True), quiet=True, verbose=False)
    found = _measured(target, ids, quiet, "")
    how.lost = how.lost or quiet.lost
    if isinstance(found, str) or any(cell.outcome == "skipped" for cell in found.cells):
        return None
    return found


def _measured(target: Target, ids: Sequence[str], how: Means, title: str | None) -> TargetMatrix | str:
    """The cells of a release, or why it cannot be measured. Raises what would befall every release."""
    from bnmatrix.axes import parse_id
    from bnmatrix.cli.measuring import measured
    from bnmatrix.environment.errors import DiskFull, TooLarge, Unreachable
    from bnmatrix.errors import BnmatrixError
    from bnmatrix.measurement import Plan

    try:
        (found,) = measured([Plan(target, tuple(map(parse_id, ids)))], how, title).targets
    except (DiskFull, TooLarge, Unreachable):
        raise
    except BnmatrixError as error:
        return error.message.removeprefix(f"{target.text}: ")
    if not found.versions and not how.options.known:
        return found.cells[0].reason or found.cells[0].outcome
    return found


def _release(target: Target, found: TargetMatrix | None, reason: str | None = None) -> Release:
    from bnmatrix.timeline import Release

    return Release(
        release=dict(target.pins)[target.family.package].removeprefix("=="),
        target=target.text,
        versions=found.versions if found else {},
        python=found.python if found else "",
        device=found.device if found else "",
        reason=reason,
    )


def _code(result: Bisection, matrix: Matrix, how: Means) -> int:
    """The exit code: what could not be run matters at the ends, and where it hides which release it was."""
    import msgspec

    from bnmatrix.cli.measuring import code_of
    from bnmatrix.errors import Exit
    from bnmatrix.matrix import FAULTS

    answered = {row.id for row in result.rows}  # that a cell crashed at an end may be the change
    ends = [
        msgspec.structs.replace(end, cells=[cell for cell in end.cells if cell.id not in answered])
        for end in matrix.targets
    ]
    code = code_of(msgspec.structs.replace(matrix, targets=ends), how)
    names = [each.release for each in result.releases]
    failed = {each.release for each in result.releases if each.reason is not None}
    for each in result.silent:
        if each.says in FAULTS:
            failed.update(names[names.index(each.first) : names.index(each.last) + 1])
    for step in result.changes:
        for name in step.in_between:
            if name in failed:
                typer.echo(f"incomplete: {name} could not be run, so the change is not pinned down", err=True)
                code = Exit.INCOMPLETE
    return code

"""`bnmatrix claims`: what documentation and others say, measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options

if TYPE_CHECKING:
    from bnmatrix.claim import Claim
    from bnmatrix.placement import Wishes
    from bnmatrix.target import Target

EVERY = ("minor", "release")


def _complete_claim(incomplete: str) -> list[str]:
    """Claims."""
    from bnmatrix.claim_file import every

    return options._matching([claim.id for claim in every()], incomplete)


Id = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ID]...",
        autocompletion=_complete_claim,
        help="Claims of `bnmatrix list claims`. Without any: all.",
    ),
]
OnTarget = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="A framework, with version, backend and device if need be: tf2, tf1==1.15.5. Repeatable. "
        "Without it: every one that is installed.",
    ),
]
File = Annotated[
    list[str] | None,
    typer.Option(
        "--claims",
        metavar="FILE",
        help="A file of claims of your own; without an ID these alone are measured. Repeatable.",
    ),
]
Over = Annotated[
    str | None,
    typer.Option(
        "--timeline",
        metavar="FRAMEWORK",
        autocompletion=options.complete_framework,
        help="Release after release of a framework, in place of --target.",
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


def claims(
    claim: Id = None,
    target: OnTarget = None,
    file: File = None,
    over: Over = None,
    first: From = None,
    last: To = None,
    every: Every = "minor",
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
    """Measure what is said of training and trainable: does it hold, on each target that it speaks of?

    --timeline tells in which releases it holds.

    Exit code 0: done; a contradicted claim is an answer. 3: an environment, framework or cell could not be
    run. 4: the store of known results cannot be used. 5: none of the claims is about what was asked for.
    """
    from bnmatrix import __version__
    from bnmatrix.claim_file import chosen
    from bnmatrix.claimed_models import measuring
    from bnmatrix.claims import measured, plans_of
    from bnmatrix.cli.dry_run import ahead, check_ahead
    from bnmatrix.cli.measuring import code_of, means, measurer, teller
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.errors import UsageError, unknown
    from bnmatrix.releases import releases
    from bnmatrix.target import check_device

    check_format(format)
    check_ahead(dry_run, format)
    if every not in EVERY:
        raise unknown("--every", every, EVERY)
    if over and target:
        raise UsageError("--timeline chooses the targets itself", "leave --target out beside it")
    if (first or last) and not over:
        raise UsageError("--from and --to are of a timeline", "name the framework: --timeline tf2")
    if device is not None:
        check_device(device)
    path = check_writable(output)
    wanted = chosen(claim or (), file or ())
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    wishes = how.options.wishes
    found = (
        releases(over, first, last, every == "minor", offline, wishes)
        if over
        else _targets(target, wanted, wishes)
    )
    if dry_run:
        return ahead(plans_of(wanted, found), how, format, path)
    models = None if over else measuring(how.options, teller(how))  # over time it would take hours
    result, matrix = measured(wanted, found, measurer(how), __version__, over, models)
    write(result, format, path, expand)
    return code_of(matrix, how)


def _targets(names: list[str] | None, wanted: list[Claim], wishes: Wishes) -> list[Target]:
    """Those named, or those installed that a claim speaks of. Raises UsageError where there are none."""
    from bnmatrix.errors import UsageError
    from bnmatrix.placement import installed
    from bnmatrix.target import parse

    if names:
        return list(dict.fromkeys(parse(name) for name in names))
    here = installed(wishes)
    found = [target for target in here if any(claim.speaks_of(target.framework) for claim in wanted)]
    if not found and not all(claim.unknown_frameworks() for claim in wanted):
        about = sorted({name for claim in wanted for name in claim.frameworks})
        raise UsageError(
            f"none of the frameworks that this is about is installed: {', '.join(about)}",
            f"name one, and an environment is made for it: --target {about[0]}",
        )
    return found

"""`bnmatrix audit`: what real training steps do to each layer of the user's own model."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options

if TYPE_CHECKING:
    from bnmatrix.target import Target

FORMATS = ("table", "json", "markdown")

What = Annotated[
    str | None,
    typer.Argument(
        metavar="WHAT",
        help="package.module:factory, path/to/file.py:factory (a function or class that makes the model), "
        "or a .keras, .h5, SavedModel or torch file. Without it: what [tool.bnmatrix.audit] says.",
    ),
]
OneFramework = Annotated[
    str | None,
    typer.Option(
        "--framework",
        "--target",
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="Run it there: tf2==2.15.1, torch==2.13.0. Without it: in the current environment, with "
        "whatever framework the model brings along.",
    ),
]
Arguments = Annotated[
    list[str] | None,
    typer.Option("--arg", metavar="NAME=VALUE", help="An argument of the factory. Repeatable."),
]
Input = Annotated[
    str | None,
    typer.Option(
        "--input",
        metavar="WHAT",
        help="module:function or file.py:function that returns a batch, or (batch, target).",
    ),
]
InputShape = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="N,N,...",
        help="Of an input that is made up, with the batch: 8,3,64,64, or 8,16:int. One for each input.",
    ),
]
Execution = Annotated[
    str | None,
    typer.Option(
        "--execution",
        metavar="HOW",
        help="fit, train_on_batch or by_hand. Without it: fit for a compiled Keras model, else by hand.",
    ),
]
OptimizerName = Annotated[
    str | None,
    typer.Option(
        "--optimizer",
        metavar="NAME",
        help="Of torch: sgd, momentum, weight_decay, adam, adamw or rmsprop, over all parameters. "
        "Without it: the one that the factory returns, else plain SGD by hand.",
    ),
]
Steps = Annotated[int | None, typer.Option("--steps", metavar="N", help="Training steps, 2 or more.")]
Expect = Annotated[
    list[str] | None,
    typer.Option(
        "--expect",
        metavar="PATTERN=WORD",
        help='What it is to do: "backbone.*=frozen" or "head.*=trains". Repeatable.',
    ),
]
Fix = Annotated[bool, typer.Option("--fix", help="Print what mends the findings, as code for this model.")]
Strict = Annotated[bool, typer.Option("--strict", help="Exit with 1 where something was found.")]
Trust = Annotated[
    bool, typer.Option("--trust", help="Load a file of torch although loading it runs code that is in it.")
]
Format = Annotated[str, typer.Option("--format", metavar="FORMAT", help="table, json or markdown.")]
LongTimeout = Annotated[
    float,
    typer.Option("--timeout", metavar="S", parser=options.seconds, help="Seconds that all of it may take."),
]


def audit(
    what: What = None,
    framework: OneFramework = None,
    arg: Arguments = None,
    input: Input = None,
    input_shape: InputShape = None,
    execution: Execution = None,
    optimizer: OptimizerName = None,
    steps: Steps = None,
    expect: Expect = None,
    fix: Fix = False,
    strict: Strict = False,
    trust: Trust = False,
    device: options.Device = None,
    expand: options.Expand = False,
    format: Format = "table",
    output: options.Output = None,
    seed: options.Seed = 0,
    timeout: LongTimeout = 900.0,
    python: options.Python = None,
    offline: options.Offline = False,
    yes: options.Yes = False,
    quiet: options.Quiet = False,
    verbose: options.Verbose = False,
) -> int:
    """Make real training steps with your own model, and say what they did to each of its layers.

    Your code runs in a process of its own, in your environment; files, weights and random state stay as they
    are. Findings are hazards that show: `bnmatrix explain BN001` tells of one.

    Exit code 0: done. 1: an expectation failed, or with --strict something was found. 2: the model cannot be
    audited as asked for. 3: its process was lost, or an environment could not be made.
    """
    from bnmatrix.audit import auditing
    from bnmatrix.cli.measuring import means
    from bnmatrix.cli.output import check_format, check_writable, write, write_text
    from bnmatrix.cli.progress import note

    check_format(format, FORMATS)
    path = check_writable(output)
    settings = auditing.settings(what, arg, input, input_shape, execution, optimizer, steps, expect, trust)
    how = means(seed, None, timeout, device, python, offline, yes, True, False, quiet, verbose)
    target = _target(framework or settings.framework)
    note(f"auditing {settings.subject.shown} in {framework or auditing.CURRENT}", quiet)
    found = auditing.audit(settings.subject, settings.how, target, how.options)
    if format == "table" and not found.layers and found.outcome != "ok":  # there is no page to be shown
        raise auditing.error_of(found)
    if fix:
        write_text(auditing.fixes(found), path)
    else:
        write(found, format, path, expand)
    seen = format == "table" and not fix and path is None and sys.stdout.isatty()
    if found.outcome != "ok" and not seen:  # the page tells it as well
        error = auditing.error_of(found)
        note("\n  ".join(part for part in (f"bnmatrix: {error.message}", error.hint) if part), quiet=False)
    if found.output and verbose:
        note(found.output, quiet=False)
    return auditing.exit_code(found, strict or settings.strict)


def _target(text: str | None) -> Target | None:
    from bnmatrix.target import parse

    return parse(text) if text else None

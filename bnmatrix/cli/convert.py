"""`bnmatrix convert`: the options and weights with which one layer behaves like that of another framework."""

from __future__ import annotations

from typing import Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.errors import Exit

Layer = Annotated[
    str,
    typer.Argument(metavar="LAYER", autocompletion=options.complete_layer, help="batch_norm, conv, ..."),
]
Source = Annotated[
    str,
    typer.Option(
        "--from",
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="Where the layer and its weights are: tf2, tf1==1.15.5, torch.",
    ),
]
Destination = Annotated[
    str,
    typer.Option(
        "--to",
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="Where they are to be.",
    ),
]
LayerOption = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        metavar="NAME=NUMBER",
        help="An option of the layer that is converted, by its neutral name: momentum (the share that is "
        "kept), epsilon, rate, units. Repeatable. Without it: the framework's defaults.",
    ),
]
AxisValues = Annotated[
    list[str] | None,
    typer.Option(
        "--axis",
        metavar="NAME=V,V",
        autocompletion=options.complete_axis,
        help="rank, api, variant, dtype or data_format. Repeatable. Without it: rank=2,4.",
    ),
]
Steps = Annotated[int, typer.Option("--steps", metavar="N", help="Steps that both make side by side.")]

FORMATS = ("table", "json", "markdown")


def convert(
    layer: Layer,
    source: Source,
    destination: Destination,
    option: LayerOption = None,
    axis: AxisValues = None,
    steps: Steps = 10,
    device: options.Device = None,
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
    """Say with which options and weights a layer of one framework behaves like that of another, and prove it.

    What the layer does is measured, and the options of the other follow from that. Then both make ten steps
    side by side, and output, gradients and statistics are compared at each.

    Exit code 0: options and weights make them equal. 1: something cannot be made equal by these, and what
    else can be done about it is told. 2: the layer is not in both. 3: a cell could not be run.
    """
    from bnmatrix.cli.measuring import means, measurer, teller
    from bnmatrix.cli.output import check_format, check_writable, write
    from bnmatrix.conversion import convert as converted
    from bnmatrix.conversion import numbers, question
    from bnmatrix.converted import exit_code
    from bnmatrix.selection import axis_values
    from bnmatrix.target import check_device, parse

    check_format(format, FORMATS)
    path = check_writable(output)
    if device is not None:
        check_device(device)
    asked = question(
        layer, parse(source), parse(destination), axis_values(axis or ()), numbers(option or ()), steps
    )
    how = means(seed, jobs, timeout, device, python, offline, yes, no_cache, refresh, quiet, verbose)
    found, incomplete = converted(asked, measurer(how), how.options, teller(how))
    write(found, format, path, expand)
    code = exit_code(found, incomplete)
    return Exit.STORE if code == Exit.DONE and how.lost else code

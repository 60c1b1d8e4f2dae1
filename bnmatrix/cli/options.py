"""The options, each declared once: name, help and completion. Commands name them in their signatures.

Completions import what they need when a shell asks for them, never for `--help`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer


def _matching(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def complete_framework(incomplete: str) -> list[str]:
    """Frameworks."""
    from bnmatrix.target import FAMILIES

    return _matching(FAMILIES, incomplete)


def complete_layer(incomplete: str) -> list[str]:
    """Layers, and `all`."""
    from bnmatrix.layers import layers

    return _matching(["all", *layers()], incomplete)


def complete_scenario(incomplete: str) -> list[str]:
    """Shipped scenarios."""
    from bnmatrix.scenario_file import names

    return _matching(names(), incomplete)


def complete_axis(incomplete: str) -> list[str]:
    """`axis=`, then `axis=value`, then further values after a comma."""
    from bnmatrix.axes import AXES

    name, separator, values = incomplete.partition("=")
    if not separator:
        return _matching([f"{axis}=" for axis in AXES], incomplete)
    before, comma, _ = values.rpartition(",")
    known = AXES[name].values if name in AXES else ()
    return _matching([f"{name}={before}{comma}{value}" for value in known], incomplete)


def complete_coverage(incomplete: str) -> list[str]:
    """Coverages."""
    from bnmatrix.coverage import COVERAGES, FULL

    return _matching([*COVERAGES, FULL], incomplete)


def complete_format(incomplete: str) -> list[str]:
    """Formats."""
    from bnmatrix.render import FORMATS

    return _matching(FORMATS, incomplete)


Framework = Annotated[
    list[str] | None,
    typer.Option(
        "--framework",
        metavar="TARGET",
        autocompletion=complete_framework,
        help="A framework, with version, backend and device if need be: tf2, tf1==1.15.5, "
        "keras[jax]==3.8.0, torch:cuda. Repeatable. Without it: every one that is installed.",
    ),
]
Layer = Annotated[
    list[str] | None,
    typer.Option(
        "--layer",
        metavar="LAYER",
        autocompletion=complete_layer,
        help="A layer of `bnmatrix list layers`, all, or one of your own: package.module:Class. "
        "Repeatable. Without it: batch_norm.",
    ),
]


def complete_like(incomplete: str) -> list[str]:
    """Layers."""
    return [word for word in complete_layer(incomplete) if word != "all"]


Like = Annotated[
    str | None,
    typer.Option(
        "--like",
        metavar="LAYER",
        autocompletion=complete_like,
        help="What a layer of your own is examined as. Without it: batch_norm.",
    ),
]


def with_like(axis: list[str] | None, like: str | None) -> list[str] | None:
    """--axis, with what --like says."""
    if like == "":
        raise typer.BadParameter("--like is empty: name a layer, --like batch_norm")
    return axis if like is None else [*(axis or ()), f"like={like}"]


Scenario = Annotated[
    list[str] | None,
    typer.Option(
        "--scenario",
        metavar="SCENARIO",
        autocompletion=complete_scenario,
        help="One of `bnmatrix list scenarios`, or a TOML file. Repeatable. Without it: core.",
    ),
]
AxisValues = Annotated[
    list[str] | None,
    typer.Option(
        "--axis",
        metavar="NAME=V,V",
        autocompletion=complete_axis,
        help="Values of an axis, in place of the scenario's. Repeatable.",
    ),
]
Coverage = Annotated[
    str | None,
    typer.Option(
        "--coverage",
        metavar="COVERAGE",
        autocompletion=complete_coverage,
        help="pairwise or threewise: few cells, in which every two or three values occur together. "
        "product: all. full: as --full. Without a scenario: of every axis.",
    ),
]
Full = Annotated[
    bool,
    typer.Option(
        "--full",
        help="training x trainable x every pair of values of the other axes, in place of a scenario. "
        "--axis narrows the values.",
    ),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say how many cells, where and how long; measure nothing.")
]
CellId = Annotated[
    list[str] | None,
    typer.Option(
        "--cell",
        metavar="ID",
        help='One cell by its id, in place of a scenario: "batch_norm trainable=false". Repeatable.',
    ),
]
Device = Annotated[
    str | None,
    typer.Option("--device", metavar="DEVICE", help="cpu, gpu, cuda:0 or auto, for targets that name none."),
]
Expand = Annotated[bool, typer.Option("--expand", help="Show every cell, with all its facts.")]
Format = Annotated[
    str,
    typer.Option(
        "--format", metavar="FORMAT", autocompletion=complete_format, help="table, json, csv or markdown."
    ),
]


def complete_check_format(incomplete: str) -> list[str]:
    """Formats of a check."""
    from bnmatrix.render import CHECK_FORMATS

    return _matching(CHECK_FORMATS, incomplete)


CheckFormat = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        autocompletion=complete_check_format,
        help="table, json, csv, markdown, junit, sarif or github.",
    ),
]
Witness = Annotated[
    str | None,
    typer.Option(
        "--witness",
        metavar="DIR",
        help="For each changed condition write a short program into DIR that shows it on both sides "
        "without bnmatrix.",
    ),
]
Output = Annotated[
    str | None,
    typer.Option("--output", metavar="FILE", help="Write the results to FILE in place of stdout."),
]
Seed = Annotated[
    int,
    # Frameworks take 32 bits, and the last observations of a cell count a few further.
    typer.Option("--seed", metavar="N", min=0, max=2**32 - 10, help="The first seed."),
]
Jobs = Annotated[
    int | None,
    typer.Option(
        "--jobs", metavar="N", min=1, help="How many probes run at a time. Without it: as many as fit."
    ),
]


def seconds(text: str) -> float:
    """The text of an option as seconds."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0.1 <= found <= 86400:
        raise typer.BadParameter(f"{text!r} is not a number of seconds from 0.1 to 86400 (a day).")
    return found


Timeout = Annotated[
    float, typer.Option("--timeout", metavar="S", parser=seconds, help="Seconds a cell may take.")
]
Python = Annotated[
    str | None,
    typer.Option(
        "--python",
        metavar="PYTHON",
        help="The interpreter: its environment is used where it has the target, else one is made for it. "
        "Without it: the active environment, and the newest interpreter that fits.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Fetch nothing: use what is here.")]
Yes = Annotated[bool, typer.Option("--yes", help="Fetch more than 2 GB without further ado.")]
NoCache = Annotated[
    bool, typer.Option("--no-cache", help="Neither read nor write the store of known results.")
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Measure anew what is known already.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Results and errors only, no progress.")]
Verbose = Annotated[
    bool, typer.Option("--verbose", help="Say more on stderr; tracebacks of internal errors.")
]

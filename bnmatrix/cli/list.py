"""`bnmatrix list`: what there is to choose from, at once and without a framework."""

from __future__ import annotations

from typing import Annotated

import typer

from bnmatrix.cli.options import _matching
from bnmatrix.errors import Exit

KINDS = ("layers", "frameworks", "axes", "scenarios", "claims", "findings")
FORMATS = ("table", "json")


def _complete_kind(incomplete: str) -> list[str]:
    return _matching(KINDS, incomplete)


What = Annotated[
    str, typer.Argument(metavar="|".join(KINDS), autocompletion=_complete_kind, help="What to list.")
]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="FORMAT",
        autocompletion=lambda incomplete: _matching(FORMATS, incomplete),
        help="table or json.",
    ),
]


def list_(what: What, format: Format = "table") -> int:
    """List layers, frameworks, axes, scenarios, claims, or the findings of an audit."""
    from bnmatrix.errors import unknown
    from bnmatrix.render import listing

    if what not in KINDS:
        raise unknown("list", what, KINDS)
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    entries = getattr(listing, what)()
    typer.echo(listing.as_json(entries) if format == "json" else listing.as_text(what, entries))
    return Exit.DONE

"""`bnmatrix cache`: what is known already, and how to forget it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bnmatrix.cli.list import FORMATS, Format
from bnmatrix.errors import Exit

if TYPE_CHECKING:
    from bnmatrix.store import Info, Store

app = typer.Typer(rich_markup_mode=None)


@app.callback(invoke_without_command=True)
def cache(context: typer.Context) -> None:
    """The store of known results: what it holds; clear it."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
def info(format: Format = "table") -> int:
    """Say where the store of known results lies, what it holds and how large it is.

    Exit code 0: done. 4: the store cannot be used.
    """
    from bnmatrix.errors import unknown

    if format not in FORMATS:
        raise unknown("format", format, FORMATS)
    store = _store()
    found = store.info()
    if store.note:
        typer.echo(store.note, err=True)
    typer.echo(_as_json(found) if format == "json" else _as_text(found))
    return Exit.DONE


@app.command()
def clear() -> int:
    """Forget every known result. Safe while others are measuring: what they find from then on is kept.

    Exit code 0: done. 4: the store cannot be used, or a newer bnmatrix has written it.
    """
    store = _store()
    records = store.info().records if store.is_writable else 0  # else `clear` says why it cannot
    freed = store.clear()
    typer.echo(f"cleared {_counted(records, 'record')}, {_megabytes(freed)} freed")
    return Exit.DONE


def _store() -> Store:
    from bnmatrix.environment import places
    from bnmatrix.store import Store

    return Store.open(places.root() / "store")


def _as_text(found: Info) -> str:
    lines = {"path": str(found.path), "records": str(found.records), "size": _megabytes(found.bytes)}
    if found.oldest is not None and found.newest is not None:
        lines |= {"oldest": _time(found.oldest), "newest": _time(found.newest)}
    lines["format"] = str(found.format)
    for path in found.set_aside:
        lines["damaged"] = f"{lines['damaged']}, {path.name}" if "damaged" in lines else path.name
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _as_json(found: Info) -> str:
    import json
    from dataclasses import asdict
    from datetime import datetime, timezone

    times = {
        name: None if seconds is None else datetime.fromtimestamp(seconds, timezone.utc).isoformat()
        for name, seconds in (("oldest", found.oldest), ("newest", found.newest))
    }
    return json.dumps({"schema_version": 1, **asdict(found), **times}, indent=2, default=str)


def _time(seconds: int) -> str:
    from datetime import datetime

    return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"

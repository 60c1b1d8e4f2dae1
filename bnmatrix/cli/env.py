"""`bnmatrix env`: the isolated environments, and what they need."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bnmatrix.cli import options
from bnmatrix.cli.list import FORMATS, Format
from bnmatrix.cli.progress import is_due, note, seconds_told
from bnmatrix.errors import BnmatrixError, Exit, UsageError, unknown

if TYPE_CHECKING:
    from bnmatrix.environment.isolated import Kept
    from bnmatrix.environment.places import Settings

app = typer.Typer(rich_markup_mode=None)

Targets = Annotated[
    list[str],
    typer.Argument(
        metavar="TARGET",
        autocompletion=options.complete_framework,
        help="A framework and its version, for instance tf1==1.15.5 or keras[jax]==3.8.0.",
    ),
]


def _complete_made(incomplete: str) -> list[str]:
    """The targets that have an environment."""
    from bnmatrix.environment import isolated
    from bnmatrix.environment.places import Settings

    return options._matching(dict.fromkeys(map(_target, isolated.environments(Settings()))), incomplete)


MadeTargets = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TARGET]",
        autocompletion=_complete_made,
        help="As `bnmatrix env list` has them, or as `env create` takes them: of a range the newest.",
    ),
]
All = Annotated[bool, typer.Option("--all", help="Remove every environment.")]


@app.callback(invoke_without_command=True)
def env(context: typer.Context) -> None:
    """The isolated environments: list, make, remove them."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_(format: Format = "table") -> int:
    """List them: packages, size on disk, whether they are whole."""
    from bnmatrix.environment import isolated
    from bnmatrix.environment.places import Settings
    from bnmatrix.render import environments

    _check(format)
    settings = Settings()
    _say_looking(settings)
    entries = [_entry(each) for each in isolated.environments(settings)]
    typer.echo(_as_json("environments", entries) if format == "json" else environments.environments(entries))
    return Exit.DONE


@app.command("create")
def create(
    target: Targets,
    python: options.Python = None,
    offline: options.Offline = False,
    yes: options.Yes = False,
    quiet: options.Quiet = False,
) -> int:
    """Make them, and print their interpreters.

    What is there and whole is kept.
    """
    from bnmatrix import environment
    from bnmatrix.placement import Wishes, wanted_of
    from bnmatrix.target import parse

    targets = list({parse(text): None for text in target})
    say = _Waiting(quiet)
    wishes = Wishes(python, offline, yes, say)
    settings = wishes.settings()
    for each in targets:
        try:
            path = environment.make(environment.resolve(wanted_of(each, wishes), settings), settings)
        finally:
            say.done()
        typer.echo(f"{each.text}  {path}")
    return Exit.DONE


@app.command("remove")
def remove(target: MadeTargets = None, every: All = False, quiet: options.Quiet = False) -> int:
    """Remove those of some targets, or all.

    What uv has in its cache stays.
    """
    from bnmatrix.environment import isolated
    from bnmatrix.environment.places import Settings

    if bool(target) == every:
        raise UsageError(
            "say which environments to remove: TARGET... or --all", "`bnmatrix env list` has them"
        )
    settings = Settings()
    _say_looking(settings, quiet)
    there = isolated.environments(settings)
    chosen = there if every else [each for text in target or () for each in _of(text, there)]
    freed = 0
    for each in {each.folder: each for each in chosen}.values():
        size = isolated.remove(each.folder, settings)
        freed += size
        _say_removed(_target(each), "", size, quiet)
    _say_freed(freed, quiet)
    return Exit.DONE


@app.command("prune")
def prune(quiet: options.Quiet = False) -> int:
    """Remove those that are of no use.

    These are unfinished, damaged, superseded or without their interpreter.
    """
    from bnmatrix.environment import isolated
    from bnmatrix.environment.places import Settings

    settings = Settings()
    _say_looking(settings, quiet)
    removed = isolated.prune(settings)
    for each in removed:
        _say_removed(each.name, f": {each.why}", each.size, quiet)
    _say_freed(sum(each.size for each in removed), quiet)
    return Exit.DONE


@app.command("doctor")
def doctor(format: Format = "table", offline: options.Offline = False) -> int:
    """Look at what they need, and say how to mend it.

    That is interpreters, uv, the index, a torch for the CPU, and room on the disk.
    Exit code 3 where something cannot work.
    """
    import msgspec

    from bnmatrix.environment.doctor import PROBLEM, examine
    from bnmatrix.environment.places import Settings
    from bnmatrix.render import environments

    _check(format)
    parts = "the interpreters, uv and the disk" if offline else "the interpreters, uv, the index and the disk"
    note(f"looking at {parts}", False)
    entries = [msgspec.to_builtins(check) for check in examine(Settings(offline=offline))]
    typer.echo(_as_json("checks", entries) if format == "json" else environments.checks(entries))
    return Exit.INCOMPLETE if any(entry["state"] == PROBLEM for entry in entries) else Exit.DONE


class _Waiting:
    """Progress on stderr. Of lines that differ in their seconds only a terminal shows the last."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.in_place = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        self.is_open = False

    def __call__(self, text: str) -> None:
        if self.quiet:
            return
        seconds = seconds_told(text)
        if seconds is None:
            self.done()
            note(text, False)
        elif self.in_place:
            # Cleared to the end of the line; what is longer than the line could not be taken back.
            width = shutil.get_terminal_size((80, 24)).columns - 1
            typer.echo(f"\r{text[:width]}\x1b[K", err=True, nl=False)
            self.is_open = True
        elif is_due(seconds):
            note(text, False)

    def done(self) -> None:
        """Take back the line that is open."""
        if self.is_open:
            typer.echo("\r\x1b[K", err=True, nl=False)
            self.is_open = False


def _check(format: str) -> None:
    if format not in FORMATS:
        raise unknown("format", format, FORMATS)


def _as_json(name: str, entries: list[dict[str, object]]) -> str:
    import json

    return json.dumps({"schema_version": 1, name: entries}, indent=2)


def _say_looking(settings: Settings, quiet: bool = False) -> None:
    """Where there are environments: whether they are whole and how large takes a while to find out."""
    if settings.environments.is_dir():
        note(f"looking at the environments in {settings.environments}", quiet)


def _target(kept: Kept) -> str:
    """What an environment is called: its target, or its folder where that is all that is known."""
    return kept.stamp.label if kept.stamp else Path(kept.folder).name


def _entry(kept: Kept) -> dict[str, object]:
    stamp = kept.stamp
    return {
        "target": _target(kept),
        "python": stamp and stamp.python,
        "as_of": stamp and stamp.as_of,
        "packages": stamp and stamp.packages,
        "size": kept.size,
        "made": stamp and stamp.made,
        "whole": kept.fault is None,
        "fault": kept.fault,
        "folder": kept.folder,
    }


def _of(text: str, there: list[Kept]) -> list[Kept]:
    """The environments of the target `text`, which may also be the name of a folder. Raises UsageError."""
    plain = "".join(text.split())
    found = [each for each in there if plain in ("".join(_target(each).split()), Path(each.folder).name)]
    if not found:
        # It may have been made for another target, which came to the same packages.
        folder = _folder_of(text)
        found = [each for each in there if each.folder == folder]
    if not found:
        names = ", ".join(dict.fromkeys(map(_target, there)))
        raise UsageError(
            f"unknown environment {text!r}", f"there are: {names}" if names else "none has been made yet"
        )
    return found


def _folder_of(text: str) -> str | None:
    """The folder that the target `text` leads to, as far as is known without asking the index."""
    from bnmatrix import environment
    from bnmatrix.environment import isolated
    from bnmatrix.placement import Wishes, wanted_of
    from bnmatrix.target import parse

    wishes = Wishes(offline=True)
    settings = wishes.settings()
    try:
        lock = environment.known(wanted_of(parse(text), wishes), settings)
    except BnmatrixError:  # no target at all
        return None
    return str(isolated.folder_of(lock, settings)) if lock else None


def _say_removed(name: str, why: str, size: int, quiet: bool) -> None:
    from bnmatrix.environment.isolated import megabytes

    note(f"removed {name}{why} ({megabytes(size)})", quiet)


def _say_freed(size: int, quiet: bool) -> None:
    """`size`: 0 where nothing was removed. It counts what uv's cache shares, which still takes its place."""
    from bnmatrix.environment.isolated import megabytes

    note(f"{megabytes(size)} in all, less what uv's cache shares" if size else "nothing to remove", quiet)

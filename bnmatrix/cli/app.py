"""The commands, put together. Imported by `bnmatrix --help`: nothing here or at the top of a command's module
imports more than typer; what a command needs it imports when it runs.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from bnmatrix.cli.plain_values import take_plain_values_as_they_are
from bnmatrix.errors import BnmatrixError, Exit, UsageError

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

COMMANDS = {
    "run": "run",
    "diff": "diff",
    "timeline": "timeline",
    "bisect": "bisect",
    "lock": "lock",
    "check": "check",
    "audit": "audit",
    "claims": "claims",
    "convert": "convert",
    "explain": "explain",
    "list": "list_",
    "env": "app",
    "cache": "app",
}
"""Each is a module beside this one: the name there of its function, or of its group of commands."""


def _print_version(wanted: bool) -> None:
    if wanted:
        from bnmatrix import __version__

        typer.echo(f"bnmatrix {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    """Measure what `training` and `trainable` really do to a layer in one step."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


def add_commands(arguments: Sequence[str]) -> None:
    """Have the command that the arguments name; all of them where they begin with none, as for help."""
    named = [arguments[0]] if arguments and arguments[0] in COMMANDS else COMMANDS
    for name in named:
        found = getattr(importlib.import_module(f"bnmatrix.cli.{name}"), COMMANDS[name])
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name)
        else:
            app.command(name)(found)


def execute() -> int:
    """Run the command that the arguments name, and return its exit code.

    Raises BnmatrixError, also for what typer finds wrong with the arguments, and KeyboardInterrupt.
    """
    # Every typer has this base of its errors; not every one exports it.
    usage_error = typer.BadParameter.__mro__[2]
    try:
        take_plain_values_as_they_are()
        add_commands(sys.argv[1:])
        result = typer.main.get_command(app).main(prog_name="bnmatrix", standalone_mode=False)
    except typer.Abort:
        raise KeyboardInterrupt from None
    except BnmatrixError:
        raise
    except Exception as error:
        if isinstance(error, usage_error):
            raise _in_our_words(error) from error
        raise
    if result == Exit.INTERRUPTED:  # what typer makes of Ctrl-C
        raise KeyboardInterrupt
    return result if isinstance(result, int) else Exit.DONE


def _in_our_words(error: Exception) -> UsageError:
    """An error of typer's own, told as ours are."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "bnmatrix"
    return UsageError(message.rstrip("."), f"`{command} --help` lists what there is")

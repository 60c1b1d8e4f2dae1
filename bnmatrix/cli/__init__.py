"""The command line: parse, call the library, render. One module a command; no logic.

This module turns whatever happens into an exit code and, at most, a line or two on stderr:

    a mistake of the user's     the message, then a hint        the error's own code, 2 as a rule
    Ctrl-C, SIGTERM             "interrupted"                   130
    a reader that went away     nothing                         the code the command would have had
    a mistake of ours           one line, and where to report   3; `--verbose` shows the traceback

It is imported by `bnmatrix --help`, so nothing here or at the top of a command's module imports more
than typer: what a command needs it imports when it runs.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType
from typing import Annotated, NoReturn

import typer

from bnmatrix.cli import diff, list, run
from bnmatrix.errors import BnmatrixError, Exit

app = typer.Typer(
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("run")(run.run)
app.command("diff")(diff.diff)
app.command("list")(list.list_)


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


def main() -> NoReturn:
    """Run the program and leave with the documented exit code (`bnmatrix.errors.Exit`)."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        code = _run()
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough. What is still buffered must not be written at exit.
        _discard(sys.stdout)
        code = Exit.DONE
    try:
        sys.stderr.flush()
    except BrokenPipeError:
        _discard(sys.stderr)
    sys.exit(code)


def _run() -> int:
    # Every typer has this base of its errors; not every one exports it.
    usage_error = typer.BadParameter.__mro__[2]
    try:
        result = typer.main.get_command(app).main(prog_name="bnmatrix", standalone_mode=False)
    except BnmatrixError as error:
        return _tell(error.message, error.hint, error.exit_code)
    except (KeyboardInterrupt, typer.Abort):
        result = Exit.INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:
        if isinstance(error, usage_error):
            return _usage(error)
        return _internal(error)
    if result == Exit.INTERRUPTED:
        return _tell("interrupted", None, Exit.INTERRUPTED)
    return result if isinstance(result, int) else Exit.DONE


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM takes the way of Ctrl-C, so that no probe is left behind."""
    raise KeyboardInterrupt


def _usage(error: Exception) -> int:
    """An error of typer's own, told as ours are."""
    message = error.format_message() if hasattr(error, "format_message") else str(error)
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "bnmatrix"
    return _tell(message.rstrip("."), f"`{command} --help` lists what there is", Exit.USAGE)


def _internal(error: Exception) -> int:
    """A mistake of ours."""
    if "--verbose" in sys.argv:
        import traceback

        traceback.print_exc()
    told = " ".join(f"{type(error).__name__}: {error}".split())
    return _tell(
        f"bnmatrix itself failed: {told}",
        "please report this, with what --verbose adds to it",
        Exit.INCOMPLETE,
    )


def _tell(message: str, hint: str | None, code: int) -> int:
    try:
        typer.echo(f"bnmatrix: {message}", err=True)
        if hint:
            typer.echo(f"  {hint}", err=True)
    except BrokenPipeError:
        _discard(sys.stderr)
    return code


def _discard(stream: object) -> None:
    """Let what is left in the buffer of a closed pipe go nowhere."""
    number = stream.fileno()  # type: ignore[attr-defined]
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)

"""The command line: parse, call the library, render. One module a command; no logic.

This module turns whatever happens into an exit code and, at most, a line or two on stderr:

    a mistake of the user's     the message, then a hint        the error's own code, 2 as a rule
    Ctrl-C, SIGTERM, SIGHUP     "interrupted"                   130
    a reader that went away     nothing (`streams`)             the code the command would have had
    a mistake of ours           one line, and where to report   3; `--verbose` shows the traceback

It imports next to nothing before `main` is there to catch Ctrl-C.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from bnmatrix.cli import streams
from bnmatrix.errors import BnmatrixError, Exit


def main() -> NoReturn:
    """Run the program and leave with the documented exit code (`bnmatrix.errors.Exit`)."""
    try:
        code = _run()
    except KeyboardInterrupt:
        code = _tell("interrupted", None, Exit.INTERRUPTED)
        exec("")  # else Python remembers that Ctrl-C came within an `exec`, and dies of it in the end
    sys.exit(code)


def _run() -> int:
    gc.set_threshold(100_000)  # starting throws nothing away, and looking for it takes a tenth of the time
    streams.prepare()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) == signal.SIG_DFL:  # nohup has SIGHUP ignored
            signal.signal(number, _interrupt)
    if not os.environ.get("COLUMNS", "0").strip("0"):  # rich takes 0 columns at its word
        os.environ.pop("COLUMNS", None)
    try:
        from bnmatrix.cli.app import execute  # typer takes a while

        code = execute()
        sys.stdout.flush()
        return code
    except BnmatrixError as error:
        return _tell(error.message, error.hint, error.exit_code)
    except Exception as error:
        return _internal(error)


def _interrupt(number: int, frame: FrameType | None) -> NoReturn:
    """SIGTERM and SIGHUP take the way of Ctrl-C, so that no probe is left behind."""
    raise KeyboardInterrupt


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
    print(f"bnmatrix: {message}", file=sys.stderr)
    if hint:
        print(f"  {hint}", file=sys.stderr)
    return code

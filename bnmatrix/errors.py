"""Exit codes, and the errors that carry them: what, where, why, and what to do next."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """The documented exit codes. 1 wins over 3; an incomplete run is never 0."""

    DONE = 0
    CHANGED = 1
    USAGE = 2
    INCOMPLETE = 3
    STORE = 4
    NOTHING = 5
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "no difference, or done",
    Exit.CHANGED: "behaviour changed, or an expectation failed",
    Exit.USAGE: "the command line, a scenario or a saved matrix cannot be used as it is",
    Exit.INCOMPLETE: "an environment, probe or cell could not be run; stderr says which, and why",
    Exit.STORE: "the store of known results cannot be used; `bnmatrix cache info` tells where it is",
    Exit.NOTHING: "nothing was selected",
    Exit.INTERRUPTED: "it was stopped by Ctrl-C; what was measured until then is kept",
}


class BnmatrixError(Exception):
    """A mistake or misfortune the user can do something about: told in a line, with what to do next."""

    exit_code = Exit.USAGE

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(BnmatrixError):
    """Unknown word, malformed file, contradictory options."""


class NothingSelectedError(BnmatrixError):
    """The selection is valid and empty."""

    exit_code = Exit.NOTHING


def nearest(word: str, known: list[str] | tuple[str, ...]) -> str | None:
    """The known word most like `word`, if any is alike."""
    from difflib import get_close_matches  # only where a mistake was made

    found = get_close_matches(word, known, n=1, cutoff=0.5)
    return found[0] if found else None


def unknown(kind: str, word: str, known: list[str] | tuple[str, ...], where: str = "") -> UsageError:
    """The error for a word that is not among the known ones, naming the nearest."""
    guess = nearest(word, known)
    hint = f"did you mean {guess!r}?" if guess else f"known: {', '.join(known)}"
    return UsageError(f"{where}unknown {kind} {word!r}", hint)

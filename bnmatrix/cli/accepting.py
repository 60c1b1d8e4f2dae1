"""`check --accept`: from the changes of a check to accepted changes in the baseline."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date

import typer

from bnmatrix.accepted import Accepted
from bnmatrix.axes import parse_id
from bnmatrix.checked import Check, CheckedCondition
from bnmatrix.errors import UsageError, unknown
from bnmatrix.facts import FACTS


@dataclass(frozen=True)
class Acceptance:
    """Who accepts, why and until when; and of which changes: `numbers`, `facts`, `cells`, empty for all."""

    reason: str
    owner: str
    expires: date | None
    numbers: Sequence[int] = ()
    facts: Sequence[str] = ()
    cells: Sequence[str] = ()


def acceptance(
    reason: str | None,
    owner: str | None,
    expires: str | None,
    numbers: Sequence[int] | None,
    facts: Sequence[str] | None,
    cells: Sequence[str] | None,
) -> Acceptance | None:
    """The options of `--accept`, checked; None where a terminal is to be asked. Raises UsageError."""
    for fact in facts or ():
        if fact not in FACTS:
            raise unknown("fact", fact, list(FACTS))
    until = _date(expires) if expires is not None else None
    ids = [parse_id(cell).id for cell in cells or ()]
    if reason is None:
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise UsageError(
                "--accept needs a reason where nobody can be asked",
                'add --reason "..."; on a terminal it asks',
            )
        return None
    if not reason.strip():
        raise UsageError("--reason is empty", "say why the changes are accepted")
    return Acceptance(reason.strip(), owner or _user(), until, numbers or (), facts or (), ids)


def accepted_by(given: Acceptance, check: Check) -> list[Accepted]:
    """The changes that `given` takes over: conditions, or the cells that it names. Raises UsageError."""
    known = [condition.number for condition in check.conditions]
    for number in given.numbers:
        if number not in known:
            raise UsageError(
                f"there is no change {number}",
                f"they are numbered from 1 to {len(known)}" if known else "nothing changed",
            )
    found = []
    for condition in check.conditions:
        if given.numbers and condition.number not in given.numbers:
            continue
        if given.facts and condition.fact not in given.facts:
            continue
        ids = [identity for identity in given.cells if identity in condition.ids]
        if not given.cells or ids:
            found.append(_accepted(condition, given, ids))
    return found


def _accepted(condition: CheckedCondition, given: Acceptance, ids: list[str]) -> Accepted:
    return Accepted(
        fact=condition.fact,
        old=condition.old,
        new=condition.new,
        when={} if ids else condition.when,
        cells=ids,
        targets=[condition.target],
        reason=given.reason,
        owner=given.owner,
        expires=given.expires,
    )


def asked(check: Check, show: Iterator[str], owner: str | None) -> list[Accepted]:
    """Show each change on the terminal, and take over those that its reader accepts; `show` tells of each.

    Nothing is taken over of what comes after `quit`.
    """
    found: list[Accepted] = []
    last = Acceptance("", owner or _user(), None)
    for condition, text in zip(check.conditions, show, strict=True):
        typer.echo(f"\n{text}", err=True)
        answer = _choice()
        if answer == "quit":
            break
        if answer == "accept":
            last = _answers(last)
            found.append(_accepted(condition, last, []))
    return found


def _choice() -> str:
    words = {"a": "accept", "s": "skip", "q": "quit"}
    while True:
        typed = typer.prompt("accept, skip or quit", default="skip", err=True).strip().lower()
        if typed[:1] in words and words[typed[:1]].startswith(typed):
            return words[typed[:1]]
        typer.echo(f"  {typed!r} is none of these", err=True)


def _answers(last: Acceptance) -> Acceptance:
    """Reason, owner and date, with those of the last change to be taken by Enter."""
    reason = ""
    while not reason:
        reason = typer.prompt("  reason", default=last.reason or None, err=True).strip()
    owner = typer.prompt("  owner", default=last.owner, err=True).strip()
    while True:
        told = last.expires.isoformat() if last.expires else "never"
        typed = typer.prompt("  expires", default=told, err=True).strip()
        try:
            expires = None if typed == "never" else _date(typed)
            return replace(last, reason=reason, owner=owner, expires=expires)
        except UsageError as error:
            typer.echo(f"  {error.message}; {error.hint}", err=True)


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise UsageError(f"{text!r} is not a date", "write it as 2027-01-31") from error


def _user() -> str:
    """Git's user, else the system's."""
    with suppress(OSError, subprocess.SubprocessError):
        asked = subprocess.run(
            ["git", "config", "user.name"], capture_output=True, text=True, check=False, timeout=5
        )
        if asked.stdout.strip():
            return asked.stdout.strip()
    with suppress(OSError, KeyError, ImportError):
        return getpass.getuser()
    return os.environ.get("USER", "unknown")

"""`check --accept` and `--forget`: changes go into the baseline as accepted ones, and out of it again."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import msgspec
import typer

from bnmatrix.accepted import EXPIRED, UNMATCHED, Accepted
from bnmatrix.axes import parse_id
from bnmatrix.baseline import Baseline
from bnmatrix.baseline import text as text_of
from bnmatrix.checked import Check, CheckedCondition
from bnmatrix.cli.output import check_writable, write_text
from bnmatrix.errors import UsageError, unknown
from bnmatrix.facts import FACTS


@dataclass(frozen=True)
class Acceptance:
    """Who accepts, why and until when; and of which changes: `numbers`, `facts`, `cells`, empty for all.

    reason: None where the terminal is to be asked
    """

    reason: str | None
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
) -> Acceptance:
    """The options of `--accept`, checked. Raises UsageError."""
    for fact in facts or ():
        if fact not in FACTS:
            raise unknown("fact", fact, list(FACTS))
    until = _date(expires) if expires is not None else None
    ids = [parse_id(cell).id for cell in cells or ()]
    if until is not None and until < date.today():
        raise UsageError(f"--expires {until} is past", "name a day that is still to come")
    if reason is None and not all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        raise UsageError(
            "--accept needs a reason where nobody can be asked", 'add --reason "..."; on a terminal it asks'
        )
    for name, text in (("reason", reason), ("owner", owner)):
        if text is not None and not text.strip():
            raise UsageError(f"--{name} is empty", "say why the changes are accepted, and who accepts them")
    who = owner.strip() if owner else _user()
    return Acceptance(reason.strip() if reason else None, who, until, numbers or (), facts or (), ids)


def accepted_by(given: Acceptance, check: Check) -> list[Accepted]:
    """The changes that `given` takes over, each whole or in the cells that it names; asked for on a terminal
    where there is no reason yet. Raises UsageError."""
    chosen = _chosen(given, check)
    if given.reason is None:
        return _asked(given, chosen)
    return [_accepted(condition, given, ids) for condition, ids in chosen]


def _nothing_open(check: Check) -> str:
    """Why there may be nothing to accept."""
    if check.summary.accepted:
        return 'what changed is accepted already, and its date and reason stand under "accepted" in the file'
    return "no such change" if check.conditions else "nothing changed"


def _chosen(given: Acceptance, check: Check) -> list[tuple[CheckedCondition, list[str]]]:
    """The conditions that are meant, and which of their cells; none for all."""
    known = [condition.number for condition in check.conditions]
    for number in given.numbers:
        if number not in known:
            raise UsageError(
                f"there is no change {number}",
                f"they are numbered from 1 to {len(known)}" if known else _nothing_open(check),
            )
    found = []
    for condition in check.conditions:
        if given.numbers and condition.number not in given.numbers:
            continue
        if given.facts and condition.fact not in given.facts:
            continue
        ids = [identity for identity in given.cells if identity in condition.ids]
        if not given.cells or ids:
            found.append((condition, ids))
    return found


def _accepted(condition: CheckedCondition, given: Acceptance, ids: list[str]) -> Accepted:
    assert given.reason is not None
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


def _asked(given: Acceptance, chosen: Sequence[tuple[CheckedCondition, list[str]]]) -> list[Accepted]:
    """Show each change on the terminal, and take over those that its reader accepts, up to `quit`."""
    from bnmatrix.render.check_page import told

    found: list[Accepted] = []
    last = given
    for condition, ids in chosen:
        typer.echo(f"\n{told(condition)}", err=True)
        answer = _choice()
        if answer == "quit":
            break
        if answer == "accept":
            last = _answers(last)
            found.append(_accepted(condition, last, ids))
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
    reason = _text("reason", last.reason)
    owner = _text("owner", last.owner)
    while True:
        told = last.expires.isoformat() if last.expires else "never"
        typed = typer.prompt("  expires", default=told, err=True).strip()
        try:
            expires = None if typed == "never" else _date(typed)
            return replace(last, reason=reason, owner=owner, expires=expires)
        except UsageError as error:
            typer.echo(f"  {error.message}; {error.hint}", err=True)


def _text(name: str, last: str | None) -> str:
    """What is typed for `name`, which may not be empty."""
    typed = ""
    while not typed:
        typed = typer.prompt(f"  {name}", default=last, err=True).strip()
    return typed


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


class Rewriting:
    """The baseline in a file, as it was read; rewritten only while the file is still what it was.

    Raises UsageError where the file cannot be written, before anything is measured.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        check_writable(str(file))
        self._was = _content(file)

    def accept(
        self, held: Baseline, given: Acceptance, check: Check, tell: Callable[[str], None]
    ) -> Baseline:
        """Write what is accepted; returns the baseline as it is then."""
        more = accepted_by(given, check)
        if not more:
            tell(f"nothing was accepted: {_nothing_open(check)}; {self.file} is as it was")
            return held
        found = self._write(held, [*held.accepted, *more])
        for one in more:
            tell(f"accepted: {_told(one)}")
        return found

    def forget(self, held: Baseline, check: Check, tell: Callable[[str], None]) -> Baseline:
        """Take out what is no longer met, or past its date; returns the baseline as it is then."""
        gone = [one.accepted for one in check.expectations if one.status in (UNMATCHED, EXPIRED)]
        if not gone:
            tell("there is nothing to forget")
            return held
        found = self._write(held, [one for one in held.accepted if one not in gone])
        for one in gone:
            tell(f"forgotten: {_told(one)}")
        return found

    def _write(self, held: Baseline, accepted: list[Accepted]) -> Baseline:
        if _content(self.file) != self._was:
            raise UsageError(f"{self.file} has changed in the meantime, and was left as it is", "try again")
        made = msgspec.structs.replace(held, accepted=accepted)
        write_text(text_of(made), self.file)
        self._was = _content(self.file)
        return made


def _content(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _told(one: Accepted) -> str:
    where = ", ".join(one.cells) or ", ".join(f"{axis}={'|'.join(each)}" for axis, each in one.when.items())
    return f"{one.fact} {one.old} -> {one.new}, {where or 'wherever it changes'}"

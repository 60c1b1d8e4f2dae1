"""`--witness DIR`: a program that shows a changed condition without bnmatrix, tried on both sides."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnmatrix.cli.progress import note
from bnmatrix.errors import BnmatrixError, UsageError

if TYPE_CHECKING:
    from bnmatrix.cli.measuring import Means
    from bnmatrix.comparison import Condition
    from bnmatrix.measurement import Plan
    from bnmatrix.runner.work import Guest
    from bnmatrix.target import Target

STARTING = 90.0
"""Seconds that a framework may take to start, beside what a cell may take."""


def check_folder(name: str | None) -> Path | None:
    """The folder `name`, made. Raises UsageError now, before anything is measured, if it cannot be used."""
    if name is None:
        return None
    if not name:
        raise UsageError("--witness is empty", "name a folder")
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UsageError(f"cannot write into {name}: {error.strerror}", "name another folder") from error
    return folder


def check_sides(plans: Sequence[Plan]) -> tuple[Target, Target]:
    """The two targets of `plans`. Raises UsageError where a witness cannot run on both sides."""
    from bnmatrix.witness.handing import same_framework

    if len(plans) != 2:
        raise UsageError(
            "--witness runs a program on both sides, and a saved one has no interpreter",
            "name two targets: tf2==2.15.1 tf2==2.21.0",
        )
    old, new = plans[0].target, plans[1].target
    if not same_framework(old, new):
        raise UsageError(
            f"--witness needs one framework on both sides: {old.text} and {new.text} are two",
            "leave it out, or compare two releases of one",
        )
    return old, new


def hand_over(
    folder: Path,
    conditions: Sequence[Condition],
    old: Target,
    new: Target,
    means: Means,
    names: tuple[str, str] | None = None,
) -> list[Path]:
    """Write a program for each of `conditions` into `folder`, as far as one tells the two sides apart.

    names: what a program calls the two sides, where that is not the targets' text

    Says on stderr what was written, and for what there is none and why. Returns the files.
    """
    from bnmatrix.cli.output import write_text
    from bnmatrix.witness.handing import file_name, witness_of
    from bnmatrix.witness.parts import NoProgram

    written: list[Path] = []
    if not conditions:
        return written
    count = "1 changed condition" if len(conditions) == 1 else f"{len(conditions)} changed conditions"
    note(f"running programs that may show {count}, each on both sides", means.quiet)
    try:
        guests = [_guest(target, means) for target in (old, new)]
    except BnmatrixError as error:
        note(f"no witness: {error.message}", means.quiet)
        return written
    for number, condition in enumerate(conditions, 1):
        far = f"{number}/{len(conditions)} " if len(conditions) > 1 else ""
        what = f"{condition.fact} {condition.old} -> {condition.new}"
        try:
            seconds = STARTING + means.options.timeout
            found = witness_of(condition, old, new, guests, names or (old.text, new.text), seconds)
        except (NoProgram, OSError) as reason:
            note(f"{far}no witness of {what}: {reason}", means.quiet)
            continue
        path = folder / file_name(condition, [each.name for each in written])
        write_text(found.text, path)
        written.append(path)
        note(f"{far}witness of {what}, in {found.cell}: {path}", means.quiet)
    return written


def _guest(target: Target, means: Means) -> Guest:
    """How a side runs: in the environment in which it was measured."""
    from bnmatrix.measurement import device_of, guest_of
    from bnmatrix.placement import place, ready

    wishes = means.options.wishes
    placement = place(target, wishes)
    assert placement is not None  # the index may be asked
    return guest_of(target, ready(placement, wishes), device_of(target, means.options))

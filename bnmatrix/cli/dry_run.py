"""`--dry-run`: what a command would measure, where, and about how long."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bnmatrix.errors import Exit, UsageError

if TYPE_CHECKING:
    from bnmatrix.cli.measuring import Means
    from bnmatrix.measurement import Plan

FORMATS = ("table", "json")


def check_ahead(dry_run: bool, form: str) -> None:
    """Raise UsageError for a format that --dry-run does not have."""
    if dry_run and form not in FORMATS:
        raise UsageError(f"--dry-run is not told as {form}", f"it has {' and '.join(FORMATS)}")


def ahead(plans: Sequence[Plan], means: Means, form: str, path: Path | None) -> int:
    """Say what measuring `plans` would be."""
    from bnmatrix.cli.measuring import opened
    from bnmatrix.cli.output import write_text
    from bnmatrix.matrix import dump
    from bnmatrix.outlook import outlook
    from bnmatrix.render import outlook_page

    with opened(means) as records:
        found = outlook(plans, means.options, records)
    write_text(dump(found).decode() if form == "json" else outlook_page.text(found), path)
    return Exit.DONE

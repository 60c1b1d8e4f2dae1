"""What would be measured, as plain text."""

from __future__ import annotations

import shutil

from bnmatrix.outlook import ENVIRONMENTS, Outlook
from bnmatrix.render.listing import columns

_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def text(found: Outlook) -> str:
    """A line a target, then all of them and the time."""
    if not found.targets:
        return "nothing would be measured\n"
    heading = ("target", "cells", "known", "work", "where")
    rows = [
        (
            target.target,
            f"{target.cells:>5}",
            f"{target.known:>5}",
            f"{about(target.seconds):>6}",
            " ".join(part for part in (ENVIRONMENTS[target.environment], _in(target.python)) if part),
        )
        for target in found.targets
    ]
    lines = [*columns(heading, rows, shutil.get_terminal_size((80, 24)).columns), ""]
    probes = "1 probe" if found.jobs == 1 else f"{found.jobs} probes"
    open_ = found.cells - found.known
    if not open_:
        lines.append(f"{_cells(found.cells)}, all known already: nothing would be measured")
    else:
        known = f", {found.known} known already" if found.known else ""
        lines.append(f"{_cells(found.cells)}{known}: about {about(found.seconds)} with {probes} at a time")
    making = sum(target.environment == "to be made" for target in found.targets)
    if making and open_:
        lines.append(f"and what it takes to make {making} environment{'s' if making > 1 else ''}")
    return "\n".join(lines) + "\n"


def about(seconds: float) -> str:
    """`12 s`, `3 min`, `1.5 h`: no more digits than an estimate has."""
    for size, unit in _UNITS:
        if seconds >= 2 * size or size == 1:
            count = seconds / size
            return f"{count:.0f} {unit}" if count >= 5 or size <= 60 else f"{count:.1f} {unit}"
    raise AssertionError(seconds)


def _in(python: str) -> str:
    return f"({python})" if python else ""


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"

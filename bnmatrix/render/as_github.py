"""GitHub's workflow commands: annotations, at the requirement that was bumped or in the baseline.

GitHub shows ten of each kind a step, the first that it is given; so the weightiest come first, and no others.
"""

from __future__ import annotations

from collections.abc import Sequence

from bnmatrix.accepted import EXPIRED, UNMATCHED
from bnmatrix.check_places import NOWHERE, Places
from bnmatrix.checked import Check
from bnmatrix.render.findings import ACCEPTED, CHANGED, LOST, TOLERATED, Finding, clean, findings
from bnmatrix.requirement_lines import Place

MOST = 10
"""Annotations of a kind that GitHub shows of a step."""

TITLES = {
    UNMATCHED: "an accepted change is not there",
    EXPIRED: "an accepted change is past its date",
    LOST: "cells could not be measured",
}
LONGEST_TITLE = 200
LONGEST = 4000
"""Characters of a message; GitHub takes some more."""


def text(check: Check, places: Places = NOWHERE) -> str:
    """The check as workflow commands, a line each; empty where there is nothing to tell."""
    found = findings(check, places)
    failing = [one for kind in (CHANGED, EXPIRED, UNMATCHED, LOST) for one in found if one.kind == kind]
    lines = [
        *_shown("error", [(one.place, _title(one), one.message) for one in failing]),
        *_shown("warning", [*_tolerated(found), *_unstable(check, places)]),
        *_shown("notice", _accepted(found, places)),
    ]
    return "".join(f"{line}\n" for line in lines)


Annotation = tuple[Place | None, str, str]
"""Where, title, message."""


def _shown(command: str, annotations: Sequence[Annotation]) -> list[str]:
    lines = [_line(command, *annotation) for annotation in annotations[:MOST]]
    rest = len(annotations) - len(lines)
    words = {"error": "what fails", "warning": "what is only told", "notice": "what was accepted"}[command]
    return [*lines, *([f"and {rest} more of {words}: `--format table` or the job summary"] if rest else [])]


def _title(finding: Finding) -> str:
    return TITLES.get(finding.kind) or f"{finding.target}: {finding.what}"


def _tolerated(found: Sequence[Finding]) -> list[Annotation]:
    return [(one.place, _title(one), one.message) for one in found if one.kind == TOLERATED]


def _unstable(check: Check, places: Places) -> list[Annotation]:
    """One of each target with facts that flicker."""
    annotations = []
    for target in dict.fromkeys(one.target for one in check.unstable):
        own = [one for one in check.unstable if one.target == target]
        told = f"{target}: differs between identical runs: {own[0].fact} in {own[0].id}"
        more = f" and {len(own) - 1} more" if len(own) > 1 else ""
        place = places.of_target.get(target, places.otherwise)
        annotations.append((place, f"{target} is unstable", told + more))
    return annotations


def _accepted(found: Sequence[Finding], places: Places) -> list[Annotation]:
    """One for all of them: they are known."""
    known = [one.accepted for one in found if one.kind == ACCEPTED and one.accepted is not None]
    if not known:
        return []
    dates = [one.expires for one in known if one.expires is not None]
    until = f", until {min(dates)} at the earliest" if dates else ""
    changes = "1 change is" if len(known) == 1 else f"{len(known)} changes are"
    return [(places.otherwise, "accepted changes", f"{changes} accepted{until}")]


def _line(command: str, place: Place | None, title: str, message: str) -> str:
    properties = {} if place is None else {"file": place.file, "line": str(place.line)}
    properties["title"] = _cut(f"bnmatrix: {title}", LONGEST_TITLE)
    told = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{command} {told}::{_data(_cut(message, LONGEST))}"


def _cut(words: str, most: int) -> str:
    return words if len(words) <= most else f"{words[: most - 1]}…"


def _data(value: str) -> str:
    """As GitHub's own toolkit writes the message of a command."""
    return clean(value).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(value: str) -> str:
    """Likewise a property."""
    return _data(value).replace(":", "%3A").replace(",", "%2C")

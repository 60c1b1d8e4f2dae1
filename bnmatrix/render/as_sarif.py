"""SARIF 2.1.0, for code scanning: a rule a fact, a result a condition under which it changed.

Accepted changes are results, too, suppressed with the reason. Every result has its own fingerprint: of none
GitHub makes one of the line, and all changes that one requirement brought are of one line.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import msgspec

from bnmatrix.accepted import EXPIRED, NOT_TRIED, UNMATCHED, Accepted
from bnmatrix.check_places import NOWHERE, Places, names
from bnmatrix.checked import Check
from bnmatrix.comparison import severity
from bnmatrix.facts import FACTS
from bnmatrix.render.findings import (
    ACCEPTED,
    LONGEST_LIST,
    LOST,
    TOLERATED,
    Finding,
    clean,
    findings,
    fingerprints,
)
from bnmatrix.requirement_lines import Place

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

LEVELS = {"semantic": "error", "numeric": "warning", "descriptive": "note", "ignored": "note"}

OTHER_RULES = {
    UNMATCHED: (
        "accepted-unmatched",
        "An accepted change is not there",
        "The baseline accepts a change that no cell shows any more. Remove it: what is accepted is as exact "
        "as what is measured.",
    ),
    EXPIRED: (
        "accepted-expired",
        "An accepted change is past its date",
        "A change was accepted until a date that has passed, and is still there. Accept it anew, or undo it.",
    ),
    LOST: (
        "cell-lost",
        "A cell can be measured no more",
        "The baseline has this cell measured, and now it could not be: whether it changed is unknown.",
    ),
}
"""{kind of finding: (rule, in a line, help)}"""

MEANINGS = {
    "semantic": "What the layer does has changed: what moves, what freezes, what normalises.",
    "numeric": "The layer does the same to another degree.",
    "descriptive": "What the framework says of the layer has changed, or how it is put together.",
}

WHAT_NEXT = "Accept it with `bnmatrix check --accept`, or undo the upgrade."


def text(check: Check, places: Places = NOWHERE) -> str:
    """The check as SARIF."""
    found = [finding for finding in findings(check, places) if finding.kind != NOT_TRIED]
    rules = [*FACTS, *dict.fromkeys(one.fact for one in found if one.fact and one.fact not in FACTS)]
    every = [*map(_rule, rules), *(_other_rule(*words) for words in OTHER_RULES.values())]
    order = {rule["id"]: number for number, rule in enumerate(every)}
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "bnmatrix", "version": check.bnmatrix, "rules": every}},
                "invocations": [{"executionSuccessful": not any(one.kind == LOST for one in found)}],
                "results": [
                    _result(finding, fingerprint, order)
                    for finding, fingerprint in zip(found, fingerprints(found), strict=True)
                ],
                "columnKind": "unicodeCodePoints",
                "properties": {"targets": _targets(check), "cells": msgspec.to_builtins(check.summary)},
            }
        ],
    }
    return json.dumps(_cleaned(log), indent=2, ensure_ascii=False) + "\n"


def _targets(check: Check) -> list[dict[str, Any]]:
    """Who was measured."""
    sides = zip(names(check), check.old.targets, check.new.targets, strict=True)
    return [
        {"name": name, "old": msgspec.to_builtins(old), "new": msgspec.to_builtins(new)}
        for name, old, new in sides
    ]


def _rule(fact: str) -> dict[str, Any]:
    says = FACTS.get(fact, "a fact of an adapter of your own")
    of = severity(fact)
    return {
        "id": fact,
        "shortDescription": {"text": f"{fact} changed"},
        "fullDescription": {"text": f"{fact}: {says}."},
        "help": {
            "text": f"{fact}: {says}. {MEANINGS[of]} {WHAT_NEXT}",
            "markdown": f"**{fact}**: {says}.\n\n{MEANINGS[of]}\n\n{WHAT_NEXT}",
        },
        "defaultConfiguration": {"level": LEVELS[of]},
        "properties": {"tags": [of]},
    }


def _other_rule(identity: str, short: str, help_text: str) -> dict[str, Any]:
    return {
        "id": identity,
        "shortDescription": {"text": short},
        "fullDescription": {"text": help_text},
        "help": {"text": help_text, "markdown": help_text},
        "defaultConfiguration": {"level": "error"},
    }


def _result(finding: Finding, fingerprint: str, order: dict[str, int]) -> dict[str, Any]:
    rule = OTHER_RULES[finding.kind][0] if finding.kind in OTHER_RULES else finding.fact
    result: dict[str, Any] = {
        "ruleId": rule,
        "ruleIndex": order[rule],
        "level": _level(finding),
        "message": {"text": finding.message},
        "partialFingerprints": {"bnmatrix/v1": fingerprint, "primaryLocationLineHash": fingerprint},
        "baselineState": "unchanged" if finding.kind == ACCEPTED else "new",
        "properties": {
            "target": finding.target,
            "fact": finding.fact,
            "severity": finding.severity,
            "change": finding.what,
            "where": finding.where,
            "cells": len(finding.ids),
            "ids": list(finding.ids[:LONGEST_LIST]),
        },
    }
    if finding.place is not None:
        result["locations"] = [_location(finding.place)]
    if finding.kind == ACCEPTED and finding.accepted is not None:
        result["suppressions"] = [_suppression(finding.accepted)]
    return result


def _level(finding: Finding) -> str:
    """By severity; what does not fail the check is a note, also to a reader that knows no suppressions."""
    if finding.kind in OTHER_RULES:
        return "error"
    return "note" if finding.kind in (TOLERATED, ACCEPTED) else LEVELS[finding.severity]


def _location(place: Place) -> dict[str, Any]:
    region: dict[str, Any] = {"startLine": place.line}
    if place.text:
        region["snippet"] = {"text": place.text}
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": quote(place.file, errors="backslashreplace")},
            "region": region,
        }
    }


def _suppression(accepted: Accepted) -> dict[str, Any]:
    told: dict[str, Any] = {"owner": accepted.owner}
    if accepted.expires is not None:
        told["expires"] = accepted.expires.isoformat()
    return {
        "kind": "external",
        "status": "accepted",
        "justification": accepted.reason,
        "properties": told,
    }


def _cleaned(value: Any) -> Any:
    """`value`, every text of it one that any reader takes."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one) for one in value]
    return {name: _cleaned(one) for name, one in value.items()} if isinstance(value, dict) else value

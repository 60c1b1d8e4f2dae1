"""JUnit XML: a suite a target, a test a condition under which something changed, and one for all the rest.

The names of tests hold neither versions nor counts, so that a service can follow a test from run to run.
Accepted changes are skipped tests, and those that do not hold any more are failures of a suite of their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree import ElementTree

from bnmatrix.accepted import EXPIRED, NOT_TRIED, UNMATCHED
from bnmatrix.check_places import NOWHERE, names
from bnmatrix.checked import Check
from bnmatrix.render import wording
from bnmatrix.render.findings import (
    ACCEPTED,
    CHANGED,
    LONGEST_LIST,
    LOST,
    TOLERATED,
    Finding,
    clean,
    findings,
    targets_of,
    without_versions,
)

BASELINE = "accepted changes"
"""The suite of those that are not met."""

NO_OTHER = "no other change"

SAYS = {
    CHANGED: "failure",
    UNMATCHED: "failure",
    EXPIRED: "failure",
    LOST: "error",
    TOLERATED: "skipped",
    ACCEPTED: "skipped",
    NOT_TRIED: "skipped",
}
"""What a test of each kind of finding says."""


def text(check: Check) -> str:
    """The check as JUnit XML."""
    found = findings(check, NOWHERE)
    targets = targets_of(check)
    short = without_versions(targets)
    root = ElementTree.Element("testsuites", {"name": "bnmatrix check"})
    for target in targets:
        suite = _element(root, "testsuite", {"name": target})
        _properties(suite, check, target)
        tests = _Tests(suite, short[target])
        for finding in found:
            if finding.target == target:
                tests.add(finding)
        _aside(tests, check, target)
    if of_baseline := [finding for finding in found if not finding.target]:
        tests = _Tests(_element(root, "testsuite", {"name": BASELINE}), BASELINE)
        for finding in of_baseline:
            tests.add(finding)
    _count(root)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


class _Tests:
    """The tests of one suite: no two have the same name."""

    def __init__(self, suite: ElementTree.Element, group: str) -> None:
        self.suite = suite
        self.group = group
        self.taken: dict[str, int] = {}

    def test(self, name: str) -> ElementTree.Element:
        """A test that passes."""
        name = clean(name)
        self.taken[name] = self.taken.get(name, 0) + 1
        unique = name if self.taken[name] == 1 else f"{name} ({self.taken[name]})"
        return _element(self.suite, "testcase", {"classname": self.group, "name": unique})

    def add(self, finding: Finding) -> None:
        """The test of a finding."""
        kind = finding.severity if finding.kind == CHANGED else finding.kind
        _says(self.test(finding.name), SAYS[finding.kind], kind, finding.message, finding.details())


def _aside(tests: _Tests, check: Check, target: str) -> None:
    """What could not be compared and what flickers, told and not failed; and that there is nothing else."""
    silent = [one for one in check.not_comparable if one.target == target and not one.lost]
    if silent:
        lines = _shown([f"{one.id}: {one.reason or f'{one.old}, {one.new}'}" for one in silent])
        told = f"{wording.cells(len(silent))} cannot be compared"
        _says(tests.test("cells that cannot be compared"), "skipped", "not_comparable", told, lines)
    flickering = [one for one in check.unstable if one.target == target]
    if flickering:
        lines = _shown([f"{one.fact} in {one.id}, rate {one.rate}" for one in flickering])
        told = f"not compared, for it differs between identical runs: {len(flickering)} times"
        _says(tests.test("facts that are unstable"), "skipped", "unstable", told, lines)
    rest = tests.test(NO_OTHER)
    summary = check.summary
    if not summary.same + summary.changed + summary.accepted + summary.unstable:
        _says(rest, "skipped", "not_comparable", "no cell could be compared", [])


def _shown(lines: Sequence[str]) -> list[str]:
    rest = len(lines) - LONGEST_LIST
    return [*lines[:LONGEST_LIST], *([f"and {rest} more"] if rest > 0 else [])]


def _says(test: ElementTree.Element, what: str, kind: str, message: str, lines: Iterable[str]) -> None:
    told = _element(test, what, {"type": kind, "message": message})
    told.text = clean("\n".join(lines))


def _properties(suite: ElementTree.Element, check: Check, target: str) -> None:
    """Who was measured."""
    holder = _element(suite, "properties", {})
    _element(holder, "property", {"name": "bnmatrix", "value": check.bnmatrix})
    if check.baseline is not None:
        _element(holder, "property", {"name": "baseline", "value": check.baseline})
    known = names(check)
    if target in known:
        place = known.index(target)
        for name, side in (("old", check.old.targets[place]), ("new", check.new.targets[place])):
            value = ", ".join([side.target, *wording.versions(side)])
            _element(holder, "property", {"name": name, "value": value})


def _count(root: ElementTree.Element) -> None:
    """The numbers of tests: of each suite, and of all."""
    totals = {"tests": 0, "failures": 0, "errors": 0}
    for suite in root:
        tests = suite.findall("testcase")
        counts = {
            "tests": len(tests),
            "failures": sum(test.find("failure") is not None for test in tests),
            "errors": sum(test.find("error") is not None for test in tests),
        }
        for name, number in counts.items():
            suite.set(name, str(number))
            totals[name] += number
        suite.set("skipped", str(sum(test.find("skipped") is not None for test in tests)))
    for name, number in totals.items():
        root.set(name, str(number))


def _element(parent: ElementTree.Element, tag: str, attributes: dict[str, str]) -> ElementTree.Element:
    return ElementTree.SubElement(parent, tag, {name: clean(value) for name, value in attributes.items()})

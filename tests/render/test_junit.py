"""JUnit XML is what its schema says, whatever an exception says; a test can be followed from run to run."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema
from hypothesis import given, settings
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion

from bnmatrix.accepted import EXPIRED, UNMATCHED
from bnmatrix.checked import Check
from bnmatrix.render import as_junit
from tests.render import checks
from tests.render.wild import wild

XSD = Path(__file__).parents[1] / "published_schemas" / "junit-10.xsd"


@cache
def schema() -> xmlschema.XMLSchema:
    return xmlschema.XMLSchema(str(XSD))


def cases_of(check: Check) -> dict[tuple[str, str], ElementTree.Element]:
    """{(suite, name): test}"""
    root = ElementTree.fromstring(as_junit.text(check).encode())
    every = [(suite.attrib["name"], test) for suite in root for test in suite.iter("testcase")]
    found = {(suite, test.attrib["name"]): test for suite, test in every}
    assert len(found) == len(every), "two tests of one name"
    return found


def answers_of(check: Check) -> dict[tuple[str, str], str]:
    """{(suite, name): passed, failure, error or skipped}"""
    return {name: test[0].tag if len(test) else "passed" for name, test in cases_of(check).items()}


def test_an_example(snapshot: SnapshotAssertion) -> None:
    assert as_junit.text(checks.full()) == snapshot


@pytest.mark.parametrize("check", [checks.full(), checks.green()], ids=["full", "green"])
def test_it_is_what_the_schema_says(check: Check) -> None:
    schema().validate(as_junit.text(check))


def test_the_schema_refuses_something_else() -> None:
    with pytest.raises(xmlschema.XMLSchemaValidationError):
        schema().validate(as_junit.text(checks.full()).replace("classname", "class"))


@settings(max_examples=25, deadline=None)
@given(check=wild())
def test_whatever_the_words_are_it_is_what_the_schema_says(check: Check) -> None:
    schema().validate(as_junit.text(check))
    open_ones = sum(one.fails for one in check.conditions)
    gone = sum(one.status in (UNMATCHED, EXPIRED) for one in check.expectations)
    assert list(answers_of(check).values()).count("failure") == open_ones + gone


def test_numbers_of_tests_add_up() -> None:
    root = ElementTree.fromstring(as_junit.text(checks.full()).encode())
    for suite in root:
        for attribute, tag in {"failures": "failure", "errors": "error", "skipped": "skipped"}.items():
            assert int(suite.attrib[attribute]) == len(list(suite.iter(tag)))
        assert int(suite.attrib["tests"]) == len(list(suite.iter("testcase")))
    for attribute in ("tests", "failures", "errors"):
        assert int(root.attrib[attribute]) == sum(int(suite.attrib[attribute]) for suite in root)


def test_each_finding_is_a_test_of_its_kind() -> None:
    assert answers_of(checks.full()) == {
        ("tf2", "gamma: unchanged → updated where trainable=false"): "failure",
        ("tf2", "update_rate: 0.01 → 1 where execution=fit"): "skipped",
        ("tf2", "moving_mean: unchanged → updated where training=true"): "skipped",
        ("tf2", "measured → timed_out: no answer within 60 s"): "error",
        ("tf2", "cells that cannot be compared"): "skipped",
        ("tf2", "no other change"): "passed",
        ("torch", "decided → undecided: epsilon cannot be told any more"): "error",
        ("torch", "facts that are unstable"): "skipped",
        ("torch", "no other change"): "passed",
        ("accepted changes", "warnings: none → UserWarning: x in batch_norm execution=fit"): "failure",
        ("accepted changes", "epsilon: 0.001 → 1e-05 of tf2"): "failure",
        ("accepted changes", "gamma: updated → unchanged of keras[jax]"): "skipped",
    }


def test_a_green_check_has_a_test_that_passed() -> None:
    assert answers_of(checks.green()) == {("torch", "no other change"): "passed"}


def test_where_nothing_was_compared_nothing_has_passed() -> None:
    summary = replace(checks.green().summary, same=0, not_comparable=36)
    assert "passed" not in answers_of(replace(checks.green(), summary=summary)).values()


def test_a_skipped_test_says_who_accepted_and_why() -> None:
    test = cases_of(checks.full())["tf2", "moving_mean: unchanged → updated where training=true"]
    assert "by jo: the head is trained anew anyway" in test[0].attrib["message"]


def test_a_test_is_the_same_when_its_change_is_accepted() -> None:
    full = checks.full()
    known = checks.condition(1, "moving_mean", "unchanged", "updated", checks.IDS, {"training": ["true"]})
    before = cases_of(replace(full, conditions=[known], expectations=[]))
    name = ("tf2", "moving_mean: unchanged → updated where training=true")
    assert before[name].attrib == cases_of(full)[name].attrib


def test_control_characters_are_told_as_python_writes_them() -> None:
    wild_one = checks.condition(1, "warnings", "none", "\x1b[31m\0\udc80", checks.IDS)
    (name, *_) = cases_of(replace(checks.full(), conditions=[wild_one]))
    assert name == ("tf2", r"warnings: none → \x1b[31m\x00\udc80 wherever it was compared")


def test_two_tests_of_one_name_are_told_apart() -> None:
    full = checks.full()
    twice = replace(full, expectations=[*full.expectations[:1], *full.expectations])
    name = "moving_mean: unchanged → updated where training=true"
    assert {("tf2", name), ("tf2", f"{name} (2)")} <= set(cases_of(twice))

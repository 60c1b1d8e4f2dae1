"""SARIF is what its schema says; a result has the same fingerprint as long as it is the same."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import jsonschema
import pytest
from hypothesis import given, settings
from msgspec.structs import replace
from syrupy.assertion import SnapshotAssertion

from bnmatrix.check_places import NOWHERE, Places
from bnmatrix.checked import Check, Sides
from bnmatrix.facts import FACTS
from bnmatrix.render import as_sarif
from bnmatrix.requirement_lines import Place
from tests.render import checks
from tests.render.wild import PLACES, wild

SCHEMAS = Path(__file__).parents[1] / "published_schemas"
OASIS, SCHEMA_STORE = "sarif-schema-2.1.0.json", "sarif-2.1.0-rtm.5.json"
REQUIREMENT = Place("ml/requirements.txt", 3, "tensorflow", "tensorflow==2.21.0")
AT = Places(
    {"tf2": REQUIREMENT},
    {1: Place("ml/bnmatrix.lock", 40, "", "")},
    Place("ml/bnmatrix.lock", 1, "", ""),
)


@cache
def validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    if name == OASIS:  # a misprint of the committee specification, which the errata mend: sarif-spec#449
        suppression = schema["definitions"]["suppression"]["properties"]
        suppression["status"] = suppression.pop("state")
    return jsonschema.validators.validator_for(schema)(schema)


def validate(text: str) -> None:
    for name in (OASIS, SCHEMA_STORE):
        validator(name).validate(json.loads(text.encode()))


def run_of(check: Check, places: Places = NOWHERE) -> dict[str, Any]:
    (run,) = json.loads(as_sarif.text(check, places).encode())["runs"]
    return run  # type: ignore[no-any-return]


def results_of(check: Check, places: Places = NOWHERE) -> dict[str, dict[str, Any]]:
    """{rule: result}, of a check that has no two of a rule."""
    return {result["ruleId"]: result for result in run_of(check, places)["results"]}


def fingerprints_of(check: Check) -> list[str]:
    return [result["partialFingerprints"]["bnmatrix/v1"] for result in run_of(check)["results"]]


def test_an_example(snapshot: SnapshotAssertion) -> None:
    run = run_of(checks.full(), AT)
    used = {result["ruleId"] for result in run["results"]}
    driver = run["tool"]["driver"]
    driver["rules"] = [rule for rule in driver["rules"] if rule["id"] in used]
    assert json.dumps(run, indent=2, ensure_ascii=False) == snapshot


@pytest.mark.parametrize("check", [checks.full(), checks.green()], ids=["full", "green"])
def test_it_is_what_the_schema_says(check: Check) -> None:
    validate(as_sarif.text(check, AT))


def test_the_schema_refuses_something_else() -> None:
    broken = json.loads(as_sarif.text(checks.full(), AT))
    broken["runs"][0]["results"][0]["level"] = "semantic"
    for name in (OASIS, SCHEMA_STORE):
        with pytest.raises(jsonschema.ValidationError):
            validator(name).validate(broken)


@settings(max_examples=25, deadline=None)
@given(check=wild(), places=PLACES)
def test_whatever_the_words_are_it_is_what_the_schema_says(check: Check, places: Places) -> None:
    text = as_sarif.text(check, places)
    validate(text)
    every = fingerprints_of(check)
    assert len(set(every)) == len(every)
    for result in run_of(check, places)["results"]:
        for location in result.get("locations", []):
            uri = urlsplit(location["physicalLocation"]["artifactLocation"]["uri"])
            assert (uri.scheme, uri.netloc, uri.query, uri.fragment) == ("", "", "", "")


def test_there_is_a_rule_for_each_fact_with_help() -> None:
    rules = {rule["id"]: rule for rule in run_of(checks.green())["tool"]["driver"]["rules"]}
    for fact, says in FACTS.items():
        assert says in rules[fact]["help"]["text"]
    assert {"accepted-unmatched", "accepted-expired", "cell-lost"} == set(rules) - set(FACTS)


def test_an_index_is_that_of_the_rule() -> None:
    run = run_of(checks.full())
    rules = run["tool"]["driver"]["rules"]
    assert run["results"]
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]


def test_each_finding_has_its_level_and_state() -> None:
    found = results_of(checks.full())
    assert {rule: (one["level"], one["baselineState"]) for rule, one in found.items()} == {
        "gamma": ("error", "new"),
        "update_rate": ("note", "new"),
        "moving_mean": ("note", "unchanged"),
        "accepted-expired": ("error", "new"),
        "accepted-unmatched": ("error", "new"),
        "cell-lost": ("error", "new"),
    }


def test_an_accepted_change_is_there_and_suppressed() -> None:
    found = results_of(checks.full())
    (suppression,) = found.pop("moving_mean")["suppressions"]
    assert suppression == {
        "kind": "external",
        "status": "accepted",
        "justification": "the head is trained anew anyway",
        "properties": {"owner": "jo"},
    }
    assert not any("suppressions" in result for result in found.values())


def test_results_are_at_the_requirement_else_in_the_baseline() -> None:
    def place(rule: str) -> tuple[str, int]:
        (location,) = results_of(checks.full(), AT)[rule]["locations"]
        where = location["physicalLocation"]
        return where["artifactLocation"]["uri"], where["region"]["startLine"]

    assert place("gamma") == ("ml/requirements.txt", 3)
    assert place("accepted-expired") == ("ml/bnmatrix.lock", 40)
    assert place("accepted-unmatched") == ("ml/bnmatrix.lock", 1)


def test_the_name_of_a_file_is_written_as_a_uri() -> None:
    name = "my project/50%: größe#1?.txt"
    found = results_of(checks.full(), Places(otherwise=Place(name, 1, "", "")))
    uri = found["gamma"]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(urlsplit(uri).path) == name


def test_a_run_with_lost_cells_was_no_success() -> None:
    assert [one["executionSuccessful"] for one in run_of(checks.full())["invocations"]] == [False]
    assert [one["executionSuccessful"] for one in run_of(checks.green())["invocations"]] == [True]


GAMMA = checks.condition(1, "gamma", "unchanged", "updated", checks.IDS, {"trainable": ["false"]})


def fingerprint(**changes: Any) -> str:
    """Of one condition that is like `GAMMA` but for the changes."""
    target = changes.get("target", "tf2")
    side = checks.side(target, tensorflow="2.21.0")
    sides = Sides(targets=[side])
    check = replace(checks.green(), old=sides, new=sides, conditions=[replace(GAMMA, **changes)])
    (found,) = fingerprints_of(check)
    return found


def test_a_fingerprint_is_that_of_every_run() -> None:
    """Written down: code scanning would take another for other results, and open all of them anew."""
    assert fingerprint() == "2211115bd5488b3ceaa300e0fa84fbd5:1"


@pytest.mark.parametrize(
    "changes",
    [
        {"number": 7},
        {"ids": checks.IDS[:1], "cells": 1},
        {"fails": False},
        {"severity": "descriptive"},
        {"target": "tf2==2.15.1"},
        {"target": "tf2==2.18.1,keras==3.5.0"},
    ],
    ids=str,
)
def test_a_fingerprint_holds_no_count_and_no_version(changes: dict[str, Any]) -> None:
    assert fingerprint(**changes) == fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"fact": "beta"},
        {"old": "absent"},
        {"new": "absent"},
        {"when": {}},
        {"when": {"trainable": ["true"]}},
        {"target": "torch"},
        {"target": "tf2:cuda"},
    ],
    ids=str,
)
def test_another_change_has_another_fingerprint(changes: dict[str, Any]) -> None:
    assert fingerprint(**changes) != fingerprint()


def test_a_change_keeps_its_fingerprint_when_it_is_accepted() -> None:
    full = checks.full()
    known = checks.condition(1, "moving_mean", "unchanged", "updated", checks.IDS, {"training": ["true"]})
    before = results_of(replace(full, conditions=[known], expectations=[]))["moving_mean"]
    after = results_of(full)["moving_mean"]
    assert before["partialFingerprints"] == after["partialFingerprints"]
    assert before["ruleId"] == after["ruleId"]


def test_two_versions_of_a_target_are_told_apart() -> None:
    sides = Sides(targets=[checks.side("tf2==2.15.1"), checks.side("tf2==2.21.0")])
    conditions = [replace(GAMMA, target=side.target) for side in sides.targets]
    check = replace(checks.green(), old=sides, new=sides, conditions=conditions)
    first, second = fingerprints_of(check)
    assert first.partition(":")[0] != second.partition(":")[0]


def test_two_results_of_one_identity_have_two_fingerprints() -> None:
    full = checks.full()
    every = fingerprints_of(replace(full, expectations=[*full.expectations[:1], *full.expectations]))
    first, second = (every[number] for number in (2, 3))
    assert first.removesuffix(":1") == second.removesuffix(":2")

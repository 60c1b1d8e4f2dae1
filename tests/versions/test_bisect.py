"""`bnmatrix bisect` finds the changes of the catalogue, each to the release, in ranges far wider than needed.

With BNMATRIX_TEST_OFFLINE set only releases that are here already are searched.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from math import log2
from typing import Any

import pytest
from packaging.version import Version

from tests.versions.releases import bnmatrix, need
from tests.versions.test_catalogue import ENTRIES, cell_id

OFFLINE = ("--offline",) if os.environ.get("BNMATRIX_TEST_OFFLINE") else ()

WIDE = {"torch": ("1.1.0", "1.12.1"), "keras[torch]": ("3.0.5", "3.15.1"), "tf2": ("2.10.1", "2.16.1")}
"""The ends of the search for what changed only once; of tf2 some is as before again in 2.21."""

FIRST = {
    "a-traced-module-can-be-thawed": "1.3.1",  # in 1.1 as in 1.4
    "adamw-fails-where-everything-is-frozen": "1.3.1",  # the first that has the optimizer
    "channels-last-in-memory": "1.3.1",  # the first that has it
    "a-traced-module-tells-the-mode-it-was-traced-in": "1.6.0",  # in 1.1 as in 1.8
    "spectral-norm-can-be-used-twice-in-a-step": "1.9.1",  # about the first that has it
    "bfloat16-batch-norm-on-the-processor": "1.5.1",  # 1.1 has no such dtype
    "float16-dense-on-the-processor": "1.10.2",  # in 1.5 as in 1.12
    "a-frozen-recurrent-layer-holds-in-fit": "3.1.0",  # the first in which it trains on torch at all
}
"""Where the range begins later, and why."""

Entry = dict[str, Any]


def framework(entry: Entry) -> str:
    return str(entry["old"].partition("==")[0])


def version(target: str) -> str:
    return target.partition("==")[2]


def ends(entry: Entry) -> tuple[str, str]:
    """The widest range in which the fact changed once, by the catalogue."""
    first, last = WIDE[framework(entry)]
    first = FIRST.get(entry["id"], first)
    for other in ENTRIES:
        if other is entry or (framework(other), cell_id(other), other["fact"]) != (
            framework(entry),
            cell_id(entry),
            entry["fact"],
        ):
            continue
        if Version(version(other["new"])) <= Version(version(entry["old"])):
            first = max(first, version(other["new"]), key=Version)
        else:
            last = min(last, version(other["old"]), key=Version)
    return first, last


def bisected(entry: Entry, first: str, last: str, cells: Sequence[str], facts: Sequence[str]) -> Entry:
    """The JSON of a search, in which the release with the change can be had."""
    name = framework(entry)
    for each in (f"{name}=={first}", entry["old"], entry["new"], f"{name}=={last}"):
        if not OFFLINE:
            need(each)
        elif bnmatrix("env", "create", each, *OFFLINE).returncode:
            pytest.skip(f"{each} is not here")
    words = [word for cell in cells for word in ("--cell", cell)]
    words += [word for fact in facts for word in ("--fact", fact)]
    words += ["--format", "json", "--quiet", "--yes", *OFFLINE]
    done = bnmatrix("bisect", name, f"{first}..{last}", *words)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def changes(found: Entry) -> set[tuple[Any, ...]]:
    """(cell, fact, old value, new value, last release with the old, first with the new)"""
    return {
        (identity, one["fact"], one["old"], one["new"], step["old"], step["new"])
        for step in found["changes"]
        for one in step["conditions"]
        for identity in one["ids"]
    }


def wanted(entry: Entry) -> tuple[Any, ...]:
    values = cell_id(entry), entry["fact"], entry["was"], entry["is"]
    return (*values, version(entry["old"]), version(entry["new"]))


ONE_BY_ONE = [entry for entry in ENTRIES if framework(entry) != "tf2"]
TOGETHER = [entry for entry in ENTRIES if framework(entry) == "tf2"]


def test_there_are_enough_of_them() -> None:
    assert len(ONE_BY_ONE) >= 10
    assert len(TOGETHER) >= 2


@pytest.mark.versions
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("entry", ONE_BY_ONE, ids=lambda entry: entry["id"])
def test_a_change_is_found_to_the_release(entry: Entry) -> None:
    found = bisected(entry, *ends(entry), [cell_id(entry)], [entry["fact"]])
    assert changes(found) == {wanted(entry)}
    assert found["measured"] <= log2(found["total"]) + 3
    print(f"{found['measured']} measured of {found['total']}")


@pytest.mark.versions
@pytest.mark.timeout(3600)
def test_changes_of_one_release_are_found_together() -> None:
    cells = list(dict.fromkeys(map(cell_id, TOGETHER)))
    found = bisected(TOGETHER[0], *WIDE["tf2"], cells, sorted({entry["fact"] for entry in TOGETHER}))
    assert {wanted(entry) for entry in TOGETHER} <= changes(found)
    print(f"{found['measured']} measured of {found['total']}")

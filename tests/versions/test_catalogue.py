"""The catalogue of changes that bnmatrix found: each comes out of `diff`, between neighbouring releases."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bnmatrix.axes import make_cell
from bnmatrix.coverage import full
from bnmatrix.target import parse
from tests.versions.releases import bnmatrix, difference, need

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ENTRIES: list[dict[str, Any]] = tomllib.loads(
    (Path(__file__).parent / "catalogue.toml").read_text(encoding="utf-8")
)["change"]

BY_PAIR: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
for _entry in ENTRIES:
    BY_PAIR[_entry["old"], _entry["new"]].append(_entry)

pairs = pytest.mark.parametrize(("old", "new"), BY_PAIR, ids=lambda target: str(target))


def cell_id(entry: dict[str, Any]) -> str:
    """Axes that an entry does not name are at their default."""
    return make_cell({axis: str(value) for axis, value in entry["cell"].items()}).id


def test_each_entry_has_a_name_of_its_own_and_says_where_it_comes_from() -> None:
    assert len(ENTRIES) >= 25
    assert len({entry["id"] for entry in ENTRIES}) == len(ENTRIES)
    assert all(entry["source"] and entry["was"] != entry["is"] for entry in ENTRIES)


@cache
def full_ids(layer: str, framework: str) -> set[str]:
    """The ids of `--full`."""
    return {cell.id for cell in full(layer, parse(framework).family)}


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry["id"])
def test_full_holds_the_cell(entry: dict[str, Any]) -> None:
    for side in (entry["old"], entry["new"]):
        assert cell_id(entry) in full_ids(entry["cell"].get("layer", "batch_norm"), parse(side).framework)


@pytest.mark.versions
@pytest.mark.timeout(1800)
@pairs
def test_the_changes_are_found(old: str, new: str) -> None:
    need(old, new)
    entries = BY_PAIR[old, new]
    selection = [word for entry in entries for word in ("--cell", cell_id(entry))]
    changes = difference(old, new, selection)["changes"]
    found = {(change["id"], change["fact"], change["old"], change["new"]) for change in changes}
    wanted = {(cell_id(entry), entry["fact"], entry["was"], entry["is"]) for entry in entries}
    assert wanted <= found


@pytest.mark.versions
@pytest.mark.timeout(300)
@pairs
def test_nothing_was_released_between(old: str, new: str) -> None:
    target = parse(old)
    framework = old.partition("==")[0]
    first, last = (dict(parse(side).pins)[target.family.package].removeprefix("==") for side in (old, new))
    asked = bnmatrix("timeline", framework, "--from", first, "--to", last, "--dry-run", "--format", "json")
    if "cannot be reached" in asked.stderr:
        pytest.skip(asked.stderr)
    assert asked.returncode == 0, asked.stderr
    assert [each["target"] for each in json.loads(asked.stdout)["targets"]] == [old, new]

"""Each known change comes out of `diff` of its two targets; what is known to be stable shows nothing."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from bnmatrix.coverage import full
from bnmatrix.target import parse
from tests.versions.releases import difference, need, run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

CATALOGUE = tomllib.loads((Path(__file__).parent / "known_changes.toml").read_text(encoding="utf-8"))


changes = pytest.mark.parametrize("entry", CATALOGUE["change"], ids=lambda entry: entry["id"])
stable = pytest.mark.parametrize("entry", CATALOGUE["stable"], ids=lambda entry: entry["id"])


def selection(cell: dict[str, Any]) -> list[str]:
    """The options that select the cells of an entry."""
    arguments: list[str] = []
    for axis, value in cell.items():
        arguments += ["--layer", value] if axis == "layer" else ["--axis", f"{axis}={value}"]
    if "training" not in cell:
        arguments += ["--axis", "training=true,false,default"]
    return arguments


@changes
def test_full_asks_for_a_known_change(entry: dict[str, Any]) -> None:
    asked = {axis: str(value) for axis, value in entry["cell"].items()}
    for side in (entry["old"], entry["new"]):
        cells = full(asked["layer"], parse(side).family)
        assert any(asked.items() <= cell.axes.items() for cell in cells)


@pytest.mark.versions
@pytest.mark.timeout(1800)
@changes
def test_a_known_change_is_found(entry: dict[str, Any]) -> None:
    options = selection(entry["cell"])
    need(entry["old"], entry["new"])
    found = {
        (change["fact"], change["old"], change["new"])
        for change in difference(entry["old"], entry["new"], options)["changes"]
    }
    assert (entry["fact"], entry["was"], entry["is"]) in found


@pytest.mark.versions
@pytest.mark.timeout(1800)
@stable
def test_what_is_stable_shows_nothing(entry: dict[str, Any]) -> None:
    options = selection(entry["cell"])
    targets = entry["targets"]
    need(*targets)
    for target in targets:
        cells = [cell for cell in run(target, *options)["cells"] if cell["outcome"] == "ok"]
        assert cells
        for cell in cells:
            facts = {fact: cell["facts"][fact] for fact in entry["facts"] if fact in cell["facts"]}
            assert facts.items() <= entry["facts"].items(), cell["id"]
    for old, new in itertools.pairwise(targets):
        changed = difference(old, new, options)["changes"]
        assert [change for change in changed if change["fact"] in entry["facts"]] == []

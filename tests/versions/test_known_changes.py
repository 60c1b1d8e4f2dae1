"""Each known change comes out of `diff` of its two targets; what is known to be stable shows nothing."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path
from typing import Any

import pytest

from bnmatrix.axes import AXES
from tests.versions.releases import difference, need, run

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

pytestmark = [pytest.mark.versions, pytest.mark.timeout(1800)]

CATALOGUE = tomllib.loads((Path(__file__).parent / "known_changes.toml").read_text(encoding="utf-8"))


def selection(cell: dict[str, Any]) -> list[str]:
    """The options that select the cells of an entry. Skips the test where an axis is not there yet."""
    arguments: list[str] = []
    for axis, value in cell.items():
        if axis not in AXES or str(value) not in AXES[axis].values:
            pytest.skip(f"{axis}={value} does not exist yet")
        arguments += ["--layer", value] if axis == "layer" else ["--axis", f"{axis}={value}"]
    if "training" not in cell:
        arguments += ["--axis", "training=true,false,default"]
    return arguments


@pytest.mark.parametrize("entry", CATALOGUE["change"], ids=lambda entry: entry["id"])
def test_a_known_change_is_found(entry: dict[str, Any]) -> None:
    options = selection(entry["cell"])
    need(entry["old"], entry["new"])
    changes = difference(entry["old"], entry["new"], options)["changes"]
    found = {(change["fact"], change["old"], change["new"]) for change in changes}
    assert (entry["fact"], entry["was"], entry["is"]) in found


@pytest.mark.parametrize("entry", CATALOGUE["stable"], ids=lambda entry: entry["id"])
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
        changes = difference(old, new, options)["changes"]
        assert [change for change in changes if change["fact"] in entry["facts"]] == []

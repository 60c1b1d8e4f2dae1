"""Audits in releases and on backends that are not installed: the same model, and what each makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.versions.releases import bnmatrix, need

pytestmark = [pytest.mark.versions, pytest.mark.timeout(900)]

MODELS = Path(__file__).with_name("audited_models.py")

NORM, DROP, CONV = "base.norm", "base.drop", "base.conv"

FOUND = {
    "tf1==1.15.5": {"plain": {}, "frozen": {"BN015": [NORM]}, "pinned": {}, "late": {"BN007": [CONV, NORM]}},
    "tf2==2.15.1": {"plain": {}, "frozen": {}, "pinned": {}, "late": {"BN007": [CONV, NORM]}},
    "tf2==2.21.0": {"plain": {}, "frozen": {}, "pinned": {"BN006": [NORM, DROP]}, "late": {}},
    "keras[jax]==3.15.1": {"plain": {}, "frozen": {}, "pinned": {"BN006": [NORM, DROP]}, "late": {}},
    "keras[torch]==3.15.1": {"plain": {}, "frozen": {}, "pinned": {"BN006": [NORM, DROP]}, "late": {}},
}
"""{target: {factory: {finding: the layers that show it}}}"""


@pytest.mark.parametrize(("target", "factory"), [(each, name) for each in FOUND for name in FOUND[each]])
def test_what_is_found(target: str, factory: str) -> None:
    need(target)
    done = bnmatrix("audit", f"{MODELS}:{factory}", "--framework", target, "--format", "json", "--quiet")
    assert done.returncode == 0, done.stderr
    found = {each["id"]: each["layers"] for each in json.loads(done.stdout)["findings"]}
    assert found == FOUND[target][factory]

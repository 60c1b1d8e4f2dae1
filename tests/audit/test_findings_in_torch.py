"""Every finding that occurs in torch is shown by a bad model, and by no mended twin."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="torch is not installed")

from bnmatrix.audit.findings import findings
from tests.audit.audits import audited, found
from tests.audit.torch_models import PAIRS


@pytest.mark.parametrize("name", PAIRS)
def test_a_bad_model_is_found_and_its_mended_twin_is_not(name: str) -> None:
    bad, mended = PAIRS[name]
    assert list(found(bad)) == [name.split()[0]]
    assert found(mended) == {}


def test_every_finding_of_torch_has_its_pair() -> None:
    shown = {name.split()[0] for name in PAIRS}
    assert shown == {each.id for each in findings().values() if "torch" in each.remedy}


def test_what_normalised_is_told_of_each_layer() -> None:
    bad, mended = PAIRS["BN001"]
    by_path = {row.path: row for row in audited(bad)}
    assert by_path["backbone.1"].facts["normalised_by"] == "batch"
    assert by_path["backbone.1"].facts["inference_normalised_by"] == "moving"
    assert {row.path: row for row in audited(mended)}["backbone.1"].facts["normalised_by"] == "moving"

"""The real TensorFlow 1 and the one embedded in TensorFlow 2 behave alike, but for what is explained here."""

from __future__ import annotations

import pytest

from bnmatrix.placement import Wishes, installed
from tests.versions.releases import difference, need

pytestmark = [pytest.mark.versions, pytest.mark.timeout(1800)]

REAL, EMBEDDED = "tf1==1.15.5", "tf1"

EXPLAINED = {
    # tf_keras itself reads `Model.state_updates` there, which by now warns that it will be removed.
    ("keras", "evaluate"): {"warnings"},
    ("keras", "predict"): {"warnings"},
}


@pytest.mark.skipif(
    EMBEDDED not in [target.text for target in installed(Wishes())],
    reason="no TensorFlow 2 with tf_keras is installed here",
)
@pytest.mark.parametrize("api", ["default", "keras"])
def test_the_embedded_one_gives_the_same_truth_table(api: str) -> None:
    need(REAL)
    found = difference(REAL, EMBEDDED, ["--axis", f"api={api}"])
    assert found["summary"]["same"] > 0
    unexplained = [
        change
        for change in found["changes"]
        if change["fact"] not in EXPLAINED.get((api, change["axes"]["execution"]), ())
    ]
    assert unexplained == []
    assert all(entry["old"] == entry["new"] == "unavailable" for entry in found["not_comparable"])

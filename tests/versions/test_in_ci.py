"""One old TensorFlow and one Keras 3 release, from nothing to a truth table, in every run of CI."""

from __future__ import annotations

import pytest

from tests.versions.releases import bnmatrix, need, outcomes, run

pytestmark = pytest.mark.timeout(600)

TF1, KERAS = "tf1==1.15.5", "keras[tensorflow]==3.5.0"
CALLS = ("--axis", "execution=call", "--axis", "training=true,false")


@pytest.mark.parametrize(("target", "rule"), [(TF1, "training"), (KERAS, "training and trainable")])
def test_a_release_that_is_not_installed_is_measured(target: str, rule: str) -> None:
    need(target)
    found = run(target, *CALLS)
    assert outcomes(found) == {"ok"}
    assert target.endswith(found["versions"]["tensorflow" if target == TF1 else "keras"])
    rules = {
        law["rule"] for law in found["laws"] if (law["fact"], law["value"]) == ("normalised_by", "batch")
    }
    assert rules == {rule}


def test_what_was_measured_is_known_offline() -> None:
    need(TF1)
    first = run(TF1, *CALLS)
    again = bnmatrix("run", "--framework", TF1, *CALLS, "--format", "json", "--offline", "--jobs", "1")
    assert f"{len(first['cells'])} of {len(first['cells'])} cells were known" in again.stderr
    assert "measuring" not in again.stderr
    assert run(TF1, *CALLS, "--offline")["cells"] == first["cells"]

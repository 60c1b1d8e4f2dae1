"""The core scenario on releases far apart: no cell crashes, and what is unavailable says why."""

from __future__ import annotations

import pytest

from tests.versions.releases import need, outcomes, run

pytestmark = [pytest.mark.versions, pytest.mark.timeout(1800)]

RELEASES = [
    "tf1==1.12.3", "tf1==1.15.5",
    "tf2==2.0.4", "tf2==2.4.4", "tf2==2.10.1", "tf2==2.13.1", "tf2==2.15.1", "tf2==2.16.2", "tf2==2.21.0",
    "keras==2.1.2", "keras==2.2.4", "keras==2.3.1",
    "keras==3.0.5", "keras==3.5.0", "keras==3.10.0", "keras==3.15.1",
    "keras[torch]==3.3.3", "keras[torch]==3.15.1", "keras[jax]==3.5.0", "keras[jax]==3.15.1",
    "torch==1.0.0", "torch==1.4.0", "torch==1.7.1", "torch==1.12.1", "torch==2.13.0",
]  # fmt: skip


@pytest.mark.parametrize("target", RELEASES)
def test_the_core_scenario_runs(target: str) -> None:
    need(target)
    found = run(target)
    assert outcomes(found) <= {"ok", "raised", "unavailable"}
    assert "ok" in outcomes(found)
    assert all(cell["reason"] for cell in found["cells"] if cell["outcome"] != "ok")
    rules = {
        law["rule"] for law in found["laws"] if (law["fact"], law["value"]) == ("normalised_by", "batch")
    }
    assert rules <= {"training", "training and trainable"}
    assert rules

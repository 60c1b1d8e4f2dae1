"""Every finding that occurs in Keras is shown by a bad model, and by no mended twin: in Keras 3 and in Keras 2."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
pytest.importorskip("tf_keras", reason="tf_keras is not installed")

from bnmatrix.audit.findings import findings
from tests.audit.audits import found
from tests.audit.keras_models import Factory, pairs

NAMES = {
    "keras": ["BN001", "BN002", "BN003", "BN004", "BN005", "BN006", "BN007", "BN009", "BN010", "BN011", "BN012",
              "BN013", "BN014"],
    "tf_keras": ["BN002", "BN003", "BN004", "BN005", "BN007", "BN009", "BN010", "BN011", "BN012", "BN013"],
}  # fmt: skip


@cache
def of(name: str) -> dict[str, tuple[Factory, Factory]]:
    keras: Any = pytest.importorskip(name)
    return pairs(keras, 3 if hasattr(keras, "ops") else 2)


@pytest.mark.parametrize(
    ("keras", "name"), [(keras, name) for keras, names in NAMES.items() for name in names]
)
def test_a_bad_model_is_found_and_its_mended_twin_is_not(keras: str, name: str) -> None:
    bad, mended = of(keras)[name]
    assert list(found(bad)) == [name]
    assert found(mended) == {}


def test_every_finding_of_keras_has_its_pair() -> None:
    assert {name: sorted(of(name)) for name in NAMES} == NAMES
    in_a_session = {"BN015"}  # freezing does not imply inference in TensorFlow 1 only
    of_keras = {each.id for each in findings().values() if "keras" in each.remedy}
    assert {name for names in NAMES.values() for name in names} == of_keras - in_a_session

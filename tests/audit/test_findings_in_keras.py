"""Every finding that occurs in Keras is shown by a bad model, and by no mended twin: in Keras 3 and 2."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
pytest.importorskip("tf_keras", reason="tf_keras is not installed")

from bnmatrix.audit.findings import findings
from tests.audit.audits import found
from tests.audit.keras_models import Factory, pairs

BY_FIT = ("BN003", "BN006", "BN007", "BN010", "BN014")
"""The others by hand, which compiles nothing."""

NAMES = {
    "keras": [*BY_FIT, "BN001", "BN002", "BN004", "BN005", "BN009", "BN011", "BN012", "BN013"],
    "tf_keras": ["BN003", "BN007", "BN010", "BN002", "BN004", "BN005", "BN009", "BN012", "BN013"],
}

IN_A_SESSION = {"BN015"}
"""Freezing does not imply inference in TensorFlow 1 only."""


@cache
def of(name: str) -> dict[str, tuple[Factory, Factory]]:
    keras: Any = pytest.importorskip(name)
    return pairs(keras, 3 if hasattr(keras, "ops") else 2)


@cache
def shown(factory: Factory, execution: str) -> dict[str, list[str]]:
    return found(factory, execution=execution)


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("keras", "name"), [(keras, name) for keras in NAMES for name in NAMES[keras]])
def test_a_bad_model_is_found_and_its_mended_twin_is_not(keras: str, name: str) -> None:
    execution = "fit" if name in BY_FIT else "by_hand"
    bad, mended = of(keras)[name]
    assert list(shown(bad, execution)) == [name]
    assert shown(mended, execution) == {}


def test_every_finding_of_keras_has_its_pair() -> None:
    assert {name: sorted(of(name)) for name in NAMES} == {name: sorted(NAMES[name]) for name in NAMES}
    of_keras = {each.id for each in findings().values() if "keras" in each.remedy}
    assert {name for names in NAMES.values() for name in names} == of_keras - IN_A_SESSION

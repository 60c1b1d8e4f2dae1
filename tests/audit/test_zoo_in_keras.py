"""The applications that Keras has: nothing is found in them plain, or frozen as it should be; a mode fixed at
the call of an unfrozen backbone is overridden in every batch norm and active dropout of it."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed")
pytest.importorskip("keras", minversion="3", reason="Keras 3 is not installed")

import keras

from bnmatrix.audit.findings import findings
from bnmatrix.audit.layers import AuditedLayer
from bnmatrix.audit.remedies import remedy_of
from tests.audit import zoo_keras
from tests.audit.audits import audited

QUICK = {("plain", "MobileNet"), ("pinned", "MobileNet"), ("frozen", "VGG16")}


def of(what: str) -> list[Any]:
    """The applications, all but the quick ones for the long run."""
    return [
        name if (what, name) in QUICK else pytest.param(name, marks=pytest.mark.versions)
        for name in zoo_keras.ZOO if hasattr(keras.applications, name)
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def a_clear_session() -> None:
    keras.backend.clear_session()


def rows(name: str, **options: bool) -> list[AuditedLayer]:
    return audited(lambda: zoo_keras.fine_tuned(name, **options))


def found(rows: list[AuditedLayer]) -> dict[str, set[str]]:
    """{finding: the layers that show it}."""
    shown: dict[str, set[str]] = {}
    for row in rows:
        for each in row.findings:
            shown.setdefault(each, set()).add(row.path)
    return shown


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", of("plain"))
def test_nothing_is_found_where_all_is_in_order(name: str) -> None:
    told = rows(name)
    assert found(told) == {}
    norms = [row for row in told if row.kind == "BatchNormalization"]
    assert all(row.facts["normalised_by"] == "batch" for row in norms)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", of("whole"))
def test_nothing_is_found_in_an_application_with_its_own_head(name: str) -> None:
    assert found(audited(lambda: zoo_keras.whole(name))) == {}


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", of("frozen"))
def test_nothing_is_found_and_nothing_moves_in_a_backbone_frozen_before_compile(name: str) -> None:
    told = rows(name, frozen=True)
    assert found(told) == {}
    body = [row for row in told if "." in row.path]
    assert body
    assert not any(row.moved for row in body)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", of("pinned"))
def test_a_mode_fixed_at_the_call_is_overridden_in_all_of_the_backbone(name: str) -> None:
    told = rows(name, pinned=True)
    keras.backend.clear_session()  # so that names are given again
    layers = {layer.name: layer for layer in zoo_keras.fine_tuned(name).layers[1]._flatten_layers()}
    expected = {
        row.path for row in told
        if "." in row.path and (
            row.kind == "BatchNormalization" or getattr(layers[row.path.split(".")[-1]], "rate", 0) > 0
        )
    }  # fmt: skip
    assert found(told) == ({"BN006": expected} if expected else {})


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", of("late"))
def test_a_backbone_frozen_after_a_step_is_found_whole(name: str) -> None:
    told = rows(name, frozen=True, late=True)
    parameters = {row.path for row in told if "." in row.path and row.facts["parameters"] != "absent"}
    assert found(told) == {"BN007": parameters}


@pytest.mark.parametrize("name", ["BN001", "BN002"])
def test_what_mends_it_finds_layers_whose_model_has_a_point_in_its_name(name: str) -> None:
    model = zoo_keras.fine_tuned("MobileNet")
    paths = ["mobilenet_1.00_32.conv1_bn", "mobilenet_1.00_32.conv_dw_13_bn", "dense"]
    model.layers[-1].name = "dense"
    told = remedy_of(findings()[name], "keras", paths)
    assert told is not None
    exec(told.code.partition("model.compile")[0], {"model": model})
    frozen = {layer.name for layer in model._flatten_layers() if not layer.trainable}
    assert frozen == {"conv1_bn", "conv_dw_13_bn", "dense"}

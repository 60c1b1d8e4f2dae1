"""Messages, of trials that are written down here: every reason, whatever the frameworks of the day do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from syrupy.assertion import SnapshotAssertion

from bnmatrix.testing.report import not_frozen, not_trained
from bnmatrix.testing.seen import Layer, Tensor, Trial
from bnmatrix.testing.why import why_still

ONES = np.ones(4, np.float32)


def tensor(name: str, by: float = 0.0, **fields: Any) -> Tensor:
    fields.setdefault("is_parameter", not name.startswith(("running", "moving", "num")))
    return Tensor(name=name, before=ONES, after=ONES + np.float32(by), **fields)


def count(by: int) -> Tensor:
    return Tensor("num_batches_tracked", False, np.array(3), np.array(3 + by), in_forward=True)


def torch_trial(*layers: Layer) -> Trial:
    return Trial("torch", "by hand, SGD", 2, list(layers))


def keras_trial(*layers: Layer, **fields: Any) -> Trial:
    return Trial("keras", "fit, adam", 2, list(layers), fitted=True, **fields)


def torch_layer(*tensors: Tensor, **fields: Any) -> Layer:
    return Layer("backbone.bn1", "BatchNorm1d", list(tensors), **{"modes": [True, True], **fields})


def keras_layer(*tensors: Tensor, **fields: Any) -> Layer:
    usual = {"modes": [True], "trainable": False, "parents": {"the model": True, "backbone": False}}
    return Layer("backbone.bn1", "BatchNormalization", list(tensors), **{**usual, **fields})


HELD = {"flag": False, "in_forward": False}
NOT_FROZEN = {
    "statistics in training mode": torch_trial(torch_layer(
        tensor("running_mean", 0.31, in_forward=True), tensor("running_var", 0.12, in_forward=True), count(2),
        tensor("weight", **HELD), tensor("bias", **HELD),
    )),
    "statistics in inference mode": torch_trial(torch_layer(
        tensor("running_mean", 0.31, in_forward=True), tensor("weight", **HELD), modes=[False, False],
    )),
    "statistics of a layer that is not called": torch_trial(torch_layer(
        tensor("running_mean", 0.31, in_forward=False), tensor("weight", **HELD), modes=[],
    )),
    "a stale gradient": torch_trial(torch_layer(
        tensor("weight", 0.5, stale=True, stepped=True, moved_by={"momentum": 0.9}, **HELD),
        tensor("bias", **HELD),
    )),
    "no gradient and no optimizer": torch_trial(torch_layer(tensor("weight", 0.5, stepped=False, **HELD))),
    "lost": torch_trial(torch_layer(tensor("weight", float("nan"), flag=True, in_forward=False))),
    "keras, statistics": keras_trial(keras_layer(
        tensor("moving_mean", 0.31), tensor("gamma", flag=False, stepped=False),
    )),
    "keras, thawed below a frozen parent": keras_trial(keras_layer(
        tensor("gamma", 0.31, flag=True, stepped=False), trainable=True,
    )),
    "keras, compiled before": keras_trial(
        keras_layer(tensor("moving_mean", 0.31), tensor("gamma", 0.1, flag=False)),
        compiled_anew={"backbone.bn1": keras_layer(tensor("moving_mean"), tensor("gamma", flag=False))},
    ),
    "many layers": torch_trial(*(
        Layer(f"block{number}", "BatchNorm1d", [tensor("running_mean", 1.0, in_forward=True)], modes=[True])
        for number in range(13)
    )),
}  # fmt: skip

STILL = {
    "frozen": (torch_layer(), tensor("weight", flag=False)),
    "not in the optimizer": (torch_layer(), tensor("weight", flag=True, stepped=False)),
    "no gradient": (torch_layer(), tensor("weight", flag=True, stepped=True, looked=True)),
    "a small gradient": (
        torch_layer(), tensor("weight", flag=True, stepped=True, looked=True, gradient=1e-12),
    ),
    "pinned": (torch_layer(modes=[False]), tensor("running_mean")),
    "keras, frozen": (keras_layer(), tensor("gamma", flag=False)),
    "keras, frozen parent": (keras_layer(trainable=True), tensor("gamma", flag=True)),
    "keras, pinned": (keras_layer(modes=[False], trainable=True), tensor("moving_mean")),
    "keras, unseen": (keras_layer(modes=None, trainable=True), tensor("moving_mean")),
}  # fmt: skip


@pytest.mark.parametrize("case", NOT_FROZEN)
def test_what_is_not_frozen(case: str, snapshot: SnapshotAssertion) -> None:
    assert not_frozen(NOT_FROZEN[case]) == snapshot


@pytest.mark.parametrize("case", STILL)
def test_what_does_not_train(case: str, snapshot: SnapshotAssertion) -> None:
    layer, still = STILL[case]
    trial = torch_trial(layer) if case.partition(",")[0] != "keras" else keras_trial(layer)
    layer.tensors[:] = [still]
    reason = why_still(layer, still, trial)
    assert reason is not None
    assert not_trained(trial, {layer.path: [(still, reason)]}) == snapshot


def test_nothing_moved_says_nothing() -> None:
    same = torch_layer(tensor("weight", **HELD), Tensor("bias", True, ONES * np.nan, ONES * np.nan))
    assert not_frozen(torch_trial(same)) is None

"""Paths to a layer in PyTorch: what the mode, the flags and the state are on the way there."""

from __future__ import annotations

import importlib
import inspect

import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

import torch.utils.checkpoint
from torch import nn

from bnmatrix.axes import parse_id
from bnmatrix.matrix import CellResult
from tests.laboratory import adapter, facts, observe

MADE = ("reloaded", "cloned", "converted", "converted_back", "functional_call", "data_parallel", "averaged")


def seen(identity: str) -> CellResult:
    found = facts(adapter("torch"), identity, seeds=(0,))
    assert found.outcome == "ok", found.reason or found.facts
    return found


def trained(**facts: object) -> dict[str, object]:
    """Facts of a step in training mode, and others."""
    return {"normalised_by": "batch", "moving_mean": "updated", "updates_per_step": 1, **facts}


def assert_facts(identity: str, expected: dict[str, object]) -> None:
    found = seen(identity).facts
    assert {name: found.get(name) for name in expected} == expected


@pytest.mark.parametrize("context", MADE)
def test_what_is_made_of_a_model_trains_as_the_model_does(context: str) -> None:
    assert_facts(f"batch_norm context={context} training=true", trained(gamma="updated"))


@pytest.mark.parametrize("context", MADE)
def test_mode_of_what_is_made_of_a_model_follows_the_model(context: str) -> None:
    assert_facts(f"batch_norm context={context} training=false", {"normalised_by": "moving"})
    assert_facts(f"batch_norm context={context} training=false mode_set=after", {"normalised_by": "moving"})


def test_mode_does_not_reach_a_wrapper_that_is_made_afterwards() -> None:
    found = seen("batch_norm context=data_parallel training=false")
    assert found.facts["mode_after"] == "layer=no inner=no model=yes"


def test_weights_alone_carry_neither_mode_nor_trainable() -> None:
    whole = seen("batch_norm context=reloaded training=false trainable=false").facts
    weights = seen("batch_norm context=reloaded training=false trainable=false saved_as=weights").facts
    assert (whole["normalised_by"], whole["gamma"]) == ("moving", "unchanged")
    assert (weights["normalised_by"], weights["gamma"]) == ("batch", "updated")


@pytest.mark.parametrize("depth", ["0", "1", "2"])
def test_of_parent_and_pinned_child_the_last_word_counts(depth: str) -> None:
    pinned = f"batch_norm context=pinned_false depth={depth} training=true"
    assert_facts(pinned, {"normalised_by": "batch"})
    found = seen(f"{pinned} mode_set=after")
    assert found.facts["normalised_by"] == "moving"
    flags = {
        "0": "layer=no model=yes",
        "1": "layer=no model=yes inner=no",
        "2": "layer=no model=yes inner=no inner_2=no",
    }
    assert found.facts["mode_after"] == flags[depth]


@pytest.mark.parametrize("depth", ["1", "2"])
@pytest.mark.parametrize(
    ("context", "trainable", "gamma"),
    [
        ("frozen_parent", "true", "updated"),
        ("frozen_parent", "false", "unchanged"),
        ("thawed_parent", "true", "updated"),
        ("thawed_parent", "false", "updated"),
    ],
)
def test_of_parent_and_layer_the_last_word_on_trainable_counts(
    context: str, trainable: str, gamma: str, depth: str
) -> None:
    assert_facts(f"batch_norm context={context} trainable={trainable} depth={depth}", {"gamma": gamma})


def test_shared_layer_updates_twice() -> None:
    assert_facts("batch_norm context=shared training=true", trained(updates_per_step=2, update_rate=0.19))


@pytest.mark.skipif(
    "use_reentrant" not in inspect.signature(torch.utils.checkpoint.checkpoint).parameters,
    reason="this torch has one kind of checkpoint",
)
@pytest.mark.parametrize("kind", ["reentrant", "non_reentrant"])
def test_checkpointed_layer_updates_again_in_the_backward_pass(kind: str) -> None:
    assert_facts(
        f"batch_norm context=checkpointed checkpoint={kind} training=true", trained(updates_per_step=2)
    )


def test_averaged_copy_is_what_is_called_and_stepped_over() -> None:
    found = seen("batch_norm context=averaged training=true trainable=false freeze_on=parent")
    assert found.facts["gamma"] == "unchanged"
    assert "model/n_averaged" in str(found.facts["weight_order"])


def test_conversion_to_sync_batch_norm_and_back_replaces_the_layer() -> None:
    def kind(context: str) -> type:
        bench = adapter("torch").bench(parse_id(f"batch_norm context={context}").axes, (6, 4), {})
        return type(bench.layer)

    assert kind("converted") is nn.SyncBatchNorm
    assert not issubclass(kind("converted_back"), nn.SyncBatchNorm)
    assert kind("model") is nn.BatchNorm1d


@pytest.mark.parametrize("layer", ["lstm", "multi_head_attention", "embedding", "dropout", "conv"])
@pytest.mark.parametrize("context", ["model", "shared", "cloned", "pinned_true", "reloaded"])
def test_every_kind_of_layer_can_be_put_into_a_path(layer: str, context: str) -> None:
    seen(f"{layer} context={context}")


def test_padded_positions_do_not_reach_others_through_attention() -> None:
    used, cell = adapter("torch"), "multi_head_attention variant=no_dropout training=true"
    plain, padded = (observe(used, cell + mask, seed=0) for mask in ("", " mask=padded"))
    one, other = (each.passes["first"].input_gradient for each in (plain, padded))
    assert one is not None
    assert other is not None
    assert not (one == other).all()
    in_a_model = observe(used, cell + " mask=padded context=model", seed=0)
    assert (in_a_model.passes["first"].output == padded.passes["first"].output).all()


@pytest.mark.parametrize(
    ("identity", "reason"),
    [
        ("batch_norm rank=3 mask=padded", "torch's batch_norm takes no mask"),
        ("lstm mask=padded", "torch's lstm takes no mask"),
        ("batch_norm freeze=constructor", "torch.nn has no constructor argument trainable"),
        ("batch_norm context=forwarding", "torch passes no training argument from module to module"),
        ("batch_norm context=pinned_default", "torch has no third mode beside train() and eval()"),
        ("batch_norm context=model outer=subclassed", "every module of torch is a subclass"),
        ("batch_norm context=reloaded saved_as=h5", "torch writes no HDF5"),
        ("batch_norm context=cloned depth=2", "context cloned has no depth 2"),
        ("batch_norm freeze_on=parent", "nothing holds the layer"),
        ("batch_norm api=functional context=pinned_true", "a function has no mode that could be pinned"),
    ],
)
def test_notion_that_torch_does_not_have_is_unavailable(identity: str, reason: str) -> None:
    found = observe(adapter("torch"), identity, seed=0)
    assert found.outcome == "unavailable"
    assert str(found.reason).startswith(reason)


@pytest.mark.parametrize(
    ("lacking", "identity", "reason"),
    [
        ("torch.optim.swa_utils.AveragedModel", "context=averaged", "torch.optim.swa_utils.AveragedModel"),
        (
            "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
            "context=converted",
            "torch.nn.SyncBatchNorm.convert_sync_batchnorm",
        ),
        ("torch.channels_last", "rank=4 data_format=channels_last", "torch.channels_last"),
        ("torch.optim.AdamW", "optimizer=adamw", "torch.optim.AdamW"),
    ],
)
def test_what_a_release_lacks_is_named(
    lacking: str, identity: str, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    importlib.import_module("torch.optim.swa_utils")
    monkeypatch.delattr(lacking)
    found = observe(adapter("torch"), f"batch_norm {identity}", seed=0)
    assert found.outcome == "unavailable"
    assert str(found.reason).endswith(f"has no {reason}")

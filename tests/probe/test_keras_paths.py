"""What lies between a user's model and the layer, when it is frozen, how the step is made: on both Keras 3
(`tf2`) and Keras 2 (`tf_keras`), which answer many of these cells differently.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

pytest.importorskip("tensorflow", reason="TensorFlow is not installed here")
pytest.importorskip("tf_keras", reason="tf_keras is not installed here")

from bnmatrix.matrix import CellResult
from tests.laboratory import adapter, facts, observe

KERAS_3, KERAS_2 = "tf2", "tf_keras"


@cache
def found(framework: str, identity: str) -> CellResult:
    return facts(adapter(framework), identity, seeds=(0,))


def value(framework: str, identity: str, fact: str) -> Any:
    result = found(framework, identity)
    assert result.outcome == "ok", result
    return result.facts[fact]


@pytest.mark.parametrize(
    ("identity", "fact", "keras_2", "keras_3"),
    [
        ("batch_norm context=pinned_false execution=fit", "moving_mean", "unchanged", "updated"),
        (
            "batch_norm context=pinned_false depth=2 execution=fit outer=subclassed",
            "moving_mean",
            "unchanged",
            "unchanged",
        ),
        (
            "batch_norm context=no_argument execution=fit outer=subclassed",
            "moving_mean",
            "updated",
            "unchanged",
        ),
        (
            "batch_norm context=no_argument execution=fit outer=sequential",
            "moving_mean",
            "updated",
            "updated",
        ),
        ("dropout context=pinned_true execution=predict", "stochastic", "yes", "no"),
        ("batch_norm context=frozen_parent", "gamma", "unchanged", "updated"),
        ("batch_norm context=after_sibling", "moving_mean", "unchanged", "updated"),
        (
            "batch_norm execution=train_on_batch freeze=after_compile trainable=false",
            "gamma",
            "updated",
            "unchanged",
        ),
        (
            "batch_norm execution=train_on_batch freeze=recompiled trainable=false",
            "gamma",
            "unchanged",
            "unchanged",
        ),
    ],
)
def test_where_the_two_generations_part(identity: str, fact: str, keras_2: str, keras_3: str) -> None:
    assert (value(KERAS_2, identity, fact), value(KERAS_3, identity, fact)) == (keras_2, keras_3)


@pytest.mark.parametrize("framework", [KERAS_2, KERAS_3])
@pytest.mark.parametrize(
    "context",
    [
        "model outer=sequential",
        "model outer=subclassed",
        "forwarding depth=2",
        "pinned_true depth=0",
        "thawed_parent",
        "shared",
        "reloaded",
        "reloaded saved_as=h5",
        "reloaded saved_as=weights",
        "cloned",
        "checkpointed",
    ],
)
def test_a_path_that_passes_the_mode_on_changes_nothing(framework: str, context: str) -> None:
    direct = found(framework, "batch_norm training=true").facts
    there = found(framework, f"batch_norm context={context} training=true").facts
    same = ("gamma", "beta", "moving_mean", "normalised_by", "input_gradient")
    assert {fact: there[fact] for fact in same} == {fact: direct[fact] for fact in same}


@pytest.mark.parametrize("framework", [KERAS_2, KERAS_3])
def test_a_traced_function_goes_on_with_what_it_captured(framework: str) -> None:
    late = "freeze=after_first_step trainable=false training=false"
    assert value(framework, f"batch_norm execution=graph {late}", "gamma") == "updated"
    assert value(framework, f"batch_norm {late}", "gamma") == "unchanged"


@pytest.mark.parametrize("framework", [KERAS_2, KERAS_3])
def test_what_was_exported_is_called_and_its_own_state_read(framework: str) -> None:
    trained = observe(adapter(framework), "batch_norm execution=exported training=true", 0)
    served = observe(adapter(framework), "batch_norm execution=exported", 0)
    assert trained.outcome == served.outcome == "ok"
    moved = {
        name: (each.states["start"]["moving_mean"] != each.states["first"]["moving_mean"]).any()
        for name, each in {"trained": trained, "served": served}.items()
    }
    assert moved == {"trained": True, "served": False}
    assert not served.passes["first"].has_gradient


@pytest.mark.parametrize("framework", [KERAS_2, KERAS_3])
def test_the_optimizer_steps(framework: str) -> None:
    first = {}
    for optimizer in ("none", "sgd", "adam"):
        seen = observe(adapter(framework), f"dense optimizer={optimizer}", 0)
        first[optimizer] = seen.states["first"]["kernel"] - seen.states["start"]["kernel"]
    assert abs(first["none"] / first["sgd"] - 8.0).max() < 0.001
    assert (abs(abs(first["adam"]) - 0.125) < 0.001).all()


@pytest.mark.parametrize(
    ("framework", "identity", "reason"),
    [
        (KERAS_3, "dropout mask=padded rank=3", "a call of Dropout takes no mask"),
        (KERAS_3, "batch_norm context=shared outer=sequential", "a list of layers uses none of them twice"),
        (KERAS_3, "batch_norm execution=fit context=stateless", "under fit Keras calls the model itself"),
        (KERAS_2, "batch_norm context=stateless", "this Keras has no stateless_call"),
        (KERAS_2, "batch_norm freeze=constructor freeze_on=variables", "a constructor makes no variables"),
    ],
)
def test_what_there_is_not_is_said(framework: str, identity: str, reason: str) -> None:
    result = found(framework, identity)
    assert result.outcome == "unavailable"
    assert reason in (result.reason or "")


def test_channels_first_gives_the_same_answer() -> None:
    first, last = (
        observe(adapter(KERAS_3), f"batch_norm rank=4 training=true data_format={form}", 0)
        for form in ("channels_first", "default")
    )
    assert abs(first.passes["first"].output - last.passes["first"].output).max() < 1e-5
    gradients = [each.passes["first"].input_gradient for each in (first, last)]
    assert abs(gradients[0] - gradients[1]).max() < 1e-5


def test_a_mask_reaches_the_layer_in_a_model() -> None:
    for context in ("direct", "model", "forwarding"):
        identity = f"batch_norm context={context} mask=padded rank=3 training=true"
        assert value(KERAS_3, identity, "normalised_by") == "unmasked_batch", context

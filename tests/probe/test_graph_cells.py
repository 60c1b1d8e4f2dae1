"""What makes graphs: the embedded TensorFlow 1, in a probe of its own. A step is made once and then run."""

from __future__ import annotations

import pytest

from bnmatrix.axes import parse_id
from bnmatrix.matrix import CellResult, Matrix
from bnmatrix.measurement import Options, Plan, measure
from bnmatrix.placement import Wishes, installed

TARGETS = {target.text: target for target in installed(Wishes())}

pytestmark = [
    pytest.mark.skipif("tf1" not in TARGETS, reason="tf1 is not installed here"),
    pytest.mark.timeout(300),
]

KERAS = "batch_norm api=keras"
LAYERS = "batch_norm training=true"
FOUND: dict[str, dict[str, object]] = {
    # tf.layers: what is frozen only when the training operation exists is trained all the same.
    f"{LAYERS} optimizer=sgd freeze=before_build trainable=false": {"gamma": "unchanged"},
    f"{LAYERS} optimizer=sgd freeze=constructor trainable=false": {"gamma": "unchanged"},
    f"{LAYERS} optimizer=sgd freeze=after_compile trainable=false": {
        "gamma": "updated",
        "trainable_after": "no",
    },
    f"{LAYERS} optimizer=momentum freeze=after_first_step trainable=false": {"gamma": "updated"},
    f"{LAYERS} optimizer=momentum freeze=recompiled trainable=false": {"gamma": "unchanged"},
    # What it makes while it is frozen is never trained, thawed or not.
    f"{LAYERS} optimizer=adam freeze=recompiled": {"gamma": "unchanged", "trainable_after": "yes"},
    f"{LAYERS} optimizer=rmsprop": {"gamma": "updated", "updates_per_step": 1},
    # The collection is filled when the variables are made.
    f"{LAYERS} execution=call_over_collection freeze=before_build trainable=false": {"gamma": "unchanged"},
    f"{LAYERS} execution=call_over_collection freeze=after_first_step trainable=false": {"gamma": "updated"},
    f"{LAYERS} context=shared": {"gamma": "updated", "normalised_by": "batch"},
    f"{LAYERS} training_as=tensor": {"normalised_by": "batch", "moving_mean": "updated"},
    "batch_norm training=false training_as=tensor": {"normalised_by": "moving", "moving_mean": "unchanged"},
    f"{LAYERS} training_as=int": {"normalised_by": "batch"},
    f"{LAYERS} data_format=channels_first rank=3": {"normalised_by": "batch", "gamma": "updated"},
    # Keras: the updates are asked for once, too.
    f"{KERAS} training=true optimizer=adam": {"gamma": "updated", "moving_mean": "updated"},
    f"{KERAS} training=true optimizer=sgd freeze=after_compile trainable=false": {
        "gamma": "updated",
        "moving_mean": "updated",
    },
    f"{KERAS} training=true optimizer=adam freeze=recompiled": {"gamma": "updated", "moving_mean": "updated"},
    f"{KERAS} training=true optimizer=sgd freeze=recompiled trainable=false": {
        "gamma": "unchanged",
        "moving_mean": "unchanged",
    },
    f"{KERAS} training=true training_as=tensor": {"normalised_by": "batch"},
    f"{KERAS} execution=fit freeze=recompiled trainable=false": {"gamma": "unchanged"},
    f"{KERAS} execution=fit freeze=after_first_step trainable=false": {"gamma": "updated"},
    f"{KERAS} execution=fit context=pinned_false": {"normalised_by": "moving", "moving_mean": "unchanged"},
    f"{KERAS} execution=fit context=not_forwarding outer=subclassed": {"gamma": "updated"},
    f"{KERAS} execution=fit context=shared": {"normalised_by": "batch"},
    f"{KERAS} execution=test_on_batch": {"gamma": "unchanged", "normalised_by": "moving"},
    f"{KERAS} training=true context=frozen_parent": {
        "gamma": "unchanged",
        "trainable_after": "layer=yes inner=no model=yes",
    },
}
NOT_THERE = {
    f"{LAYERS} context=model": "tf.layers has no model",
    "batch_norm execution=fit": "tf.layers has no fit",
    f"{LAYERS} rank=3 mask=padded": "no call of tf.layers takes a mask",
    "dropout training=true rank=3 data_format=channels_first": "dropout of tf.layers has its channels last",
    f"{LAYERS} optimizer=adamw": (
        "tf.train has no optimizer that decays weights, and there is no tf.contrib.opt.AdamWOptimizer"
    ),
    f"{KERAS} training=true optimizer=weight_decay": "SGD of tf.compat.v1.keras has no argument weight_decay",
}
REFUSED = {
    f"{KERAS} training=true trainable=false freeze_on=variables": "AttributeError",
    f"{KERAS} execution=run_eagerly": "ValueError",
}


@pytest.fixture(scope="module")
def cells() -> dict[str, CellResult]:
    """All of them, out of one probe."""
    identities = [*FOUND, *NOT_THERE, *REFUSED]
    asked = tuple(parse_id(each) for each in identities)
    matrix: Matrix = measure([Plan(TARGETS["tf1"], asked)], Options())
    found = {cell.id: cell for cell in matrix.targets[0].cells}
    return {each: found[parse_id(each).id] for each in identities}


@pytest.mark.parametrize("identity", FOUND)
def test_what_a_graph_was_made_with_is_what_it_does(identity: str, cells: dict[str, CellResult]) -> None:
    cell, expected = cells[identity], FOUND[identity]
    assert cell.outcome == "ok", cell.reason
    assert {name: cell.facts[name] for name in expected} == expected


@pytest.mark.parametrize("identity", NOT_THERE)
def test_what_graphs_have_no_notion_of_is_unavailable(identity: str, cells: dict[str, CellResult]) -> None:
    assert (cells[identity].outcome, cells[identity].reason) == ("unavailable", NOT_THERE[identity])


@pytest.mark.parametrize("identity", REFUSED)
def test_what_the_framework_refuses_is_its_own_error(identity: str, cells: dict[str, CellResult]) -> None:
    assert cells[identity].outcome == "raised"
    assert str(cells[identity].reason).startswith(REFUSED[identity])

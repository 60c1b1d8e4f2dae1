"""Lasagne 0.1 of 2015 on the Theano of the first Python 3.6, from nothing but the package index."""

from __future__ import annotations

from typing import Any

import pytest

from bnmatrix.axes import parse_id
from bnmatrix.layers import layers
from tests.versions.releases import bnmatrix, need, run

pytestmark = [pytest.mark.versions, pytest.mark.timeout(1800)]

TARGET = "lasagne==0.1"

BOTH = "layer/kernel layer/bias"

# cell: some of its facts
CELLS: dict[str, dict[str, object]] = {
    "dense training=true": {"kernel": "updated", "bias": "updated", "trainable_weights": 2},
    "dense trainable=false training=true": {
        "kernel": "unchanged", "bias": "unchanged", "trainable_weights": 0, "non_trainable_weights": 2,
        "weight_order": BOTH, "input_gradient": "through_kernel", "trainable_after": "no",
    },
    "dense freeze_on=variables trainable=false training=true": {"kernel": "unchanged", "bias": "unchanged"},
    "dense context=model trainable=false training=true": {
        "kernel": "unchanged", "bias": "unchanged", "trainable_after": "layer=no model=no",
        "weight_order": BOTH,
    },
    "dense freeze_on=first_variable trainable=false training=true": {
        "kernel": "unchanged", "bias": "updated", "trainable_weights": 1, "non_trainable_weights": 1,
        "weight_order": BOTH,
    },
    # The step is compiled with the tags of its moment.
    "dense freeze=after_first_step trainable=false": {"kernel": "updated", "trainable_weights": 0},
    "dense freeze=after_compile optimizer=momentum trainable=false": {"kernel": "updated"},
    "dense freeze=recompiled optimizer=momentum trainable=false": {"kernel": "unchanged"},
    "dense freeze=recompiled optimizer=adam": {"kernel": "updated"},
    "dense dtype=float64 training=true": {"kernel": "updated", "output_dtype": "float64"},
    "dense training=true variant=no_bias": {"kernel": "updated", "bias": "absent"},
    "conv trainable=false training=true": {"kernel": "unchanged", "input_gradient": "through_kernel"},
    "conv rank=4 training=true": {"kernel": "updated", "input_gradient": "through_kernel"},
    "embedding training=true": {"kernel": "updated", "stochastic": "no"},
    "embedding trainable=false": {"kernel": "unchanged"},
    "dropout training=true": {"stochastic": "yes", "output_scale": 2, "expected_output": "kept"},
    "dropout training=false": {"stochastic": "no", "output_scale": 1},
    "dropout": {"stochastic": "yes", "output_scale": 2},
    "dropout rank=4 training=true": {"dropped_unit": "element", "input_gradient": "elementwise"},
    "gaussian_noise context=model training=true": {"stochastic": "yes", "expected_output": "kept"},
    "gaussian_noise context=model training=false": {"stochastic": "no", "output_scale": 1},
}  # fmt: skip

# cell: what is said of it
UNAVAILABLE = {
    "batch_norm training=true": "Lasagne 0.1 has no BatchNormLayer",
    "conv rank=5": "Lasagne 0.1 has no Conv3DLayer",
    "dense rank=3": "DenseLayer of Lasagne 0.1 makes one vector of each sample",
    "dense execution=graph": "Lasagne has no execution graph",
    "dense context=shared": "a layer of Lasagne is no network",
    "dense freeze=constructor": "no layer of Lasagne takes an argument trainable",
    "dense dtype=bfloat16": "Theano has no dtype or policy bfloat16",
    "dense optimizer=adamw": "lasagne.updates has no adamw",
    "dropout freeze_on=first_variable trainable=false": "the layer has no variables",
    "lstm": "Lasagne 0.1 has no lstm",
    **{
        f"{name} variant={variant}": "has no"
        for name, layer in layers().items()
        for variant in layer.lacks.get("lasagne", {}).get("variant", ())
    },
}


@pytest.fixture(scope="module")
def cells() -> dict[str, dict[str, Any]]:
    """Every cell, in one go."""
    need(TARGET)
    asked = [word for cell in (*CELLS, *UNAVAILABLE) for word in ("--cell", cell)]
    return {cell["id"]: cell for cell in run(TARGET, *asked)["cells"]}


@pytest.mark.parametrize("identity", CELLS)
def test_the_tag_decides_what_is_updated_and_deterministic_what_is_drawn(
    identity: str, cells: dict[str, dict[str, Any]]
) -> None:
    facts = cells[parse_id(identity).id]["facts"]
    assert {fact: facts.get(fact) for fact in CELLS[identity]} == CELLS[identity]


@pytest.mark.parametrize("identity", UNAVAILABLE)
def test_what_it_does_not_have_is_told(identity: str, cells: dict[str, dict[str, Any]]) -> None:
    cell = cells[parse_id(identity).id]
    assert cell["outcome"] == "unavailable"
    assert UNAVAILABLE[identity] in cell["reason"]


def test_the_claim_of_2015_holds() -> None:
    need(TARGET)
    done = bnmatrix("run", "--framework", TARGET, "--scenario", "lasagne_trainable_tag", "--quiet")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("✓ holds") == 6


def test_without_a_version_it_is_the_newest_release_with_what_there_was_in_its_time() -> None:
    need(TARGET, "lasagne")
    newest = run("lasagne", "--cell", "dense training=true")
    pinned = run(TARGET, "--cell", "dense training=true")
    assert newest["versions"] == pinned["versions"]
    assert newest["cells"][0]["facts"] == pinned["cells"][0]["facts"]

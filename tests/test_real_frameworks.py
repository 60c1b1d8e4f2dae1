"""Every installed framework, end to end: plans, probes, judge, matrix, laws."""

from __future__ import annotations

import pytest

from bnmatrix import records, scenario, scenario_file
from bnmatrix.layers import layers
from bnmatrix.matrix import Matrix, TargetMatrix, is_complete
from bnmatrix.measurement import Options, Plan, measure
from bnmatrix.placement import Wishes, installed

TARGETS = {target.text: target for target in installed(Wishes())}
CALLS = {"execution": ("call",), "training": ("true", "false")}
RULES = {
    "tf1": "training",
    "tf2": "training and trainable",
    "tf_keras": "training and trainable",
    "keras[torch]": "training and trainable",
    "keras[jax]": "training and trainable",
    "torch": "training",
}

pytestmark = [
    pytest.mark.skipif(not TARGETS, reason="no framework is installed here"),
    pytest.mark.timeout(400),
]


def run(
    chosen: tuple[str, ...], overrides: dict[str, tuple[str, ...]], seed: int = 0
) -> dict[str, TargetMatrix]:
    core = scenario_file.find("core")
    plans = [
        Plan(target, tuple(scenario.cells(core, target.family, chosen, overrides)))
        for target in TARGETS.values()
    ]
    with records.opened(False, print) as known:  # other tests ask for some of it again
        matrix: Matrix = measure(plans, Options(seed=seed), records=known)
    assert is_complete(matrix)
    return {target.target: target for target in matrix.targets}


@pytest.fixture(scope="module")
def core() -> dict[str, TargetMatrix]:
    """The scenario core, on all of them."""
    return run((), {})


@pytest.fixture(scope="module")
def calls() -> dict[str, TargetMatrix]:
    """Every layer, called directly."""
    return run(tuple(layers()), CALLS)


@pytest.mark.parametrize("target", TARGETS)
def test_batch_statistics_are_used_under_the_rule_of_the_framework(
    target: str, core: dict[str, TargetMatrix]
) -> None:
    laws = [law for law in core[target].laws if (law.fact, law.value) == ("normalised_by", "batch")]
    assert [(law.rule, law.when) for law in laws] == [(RULES[target], {})]


@pytest.mark.parametrize("target", TARGETS)
def test_every_cell_of_the_core_is_ok_and_decided(target: str, core: dict[str, TargetMatrix]) -> None:
    for cell in core[target].cells:
        if cell.outcome == "unavailable":
            # tf.layers has no models; Keras on torch compiles no call.
            assert (target, cell.axes["execution"] == "graph") in (("tf1", False), ("keras[torch]", True))
            continue
        assert cell.outcome == "ok", cell.reason
        assert not {"undecided", "unstable"} & {str(value) for value in cell.facts.values()}, cell.id


@pytest.mark.parametrize(
    ("target", "acts_as"),
    [
        ("tf2", {"call": "false", "graph": "false", "fit": "true", "train_on_batch": "true",
                 "evaluate": "false", "predict": "false"}),
        ("tf1", {"call": "false", "call_over_collection": "false"}),
        ("torch", {"call": "true", "inference_mode": "true"}),
    ],
)  # fmt: skip
def test_training_not_given_acts_as_the_framework_has_it(
    target: str, acts_as: dict[str, str], core: dict[str, TargetMatrix]
) -> None:
    if target not in core:
        pytest.skip(f"{target} is not installed here")
    found = {each.execution: each.acts_as for each in core[target].defaults}
    assert acts_as.items() <= found.items()


@pytest.mark.parametrize("target", TARGETS)
def test_the_list_of_layers_says_which_framework_has_which(
    target: str, calls: dict[str, TargetMatrix]
) -> None:
    framework = TARGETS[target].framework
    listed = {
        name for name, layer in layers().items()
        if framework in layer.classes and "api=" not in layer.classes[framework]
    }  # fmt: skip
    assert {cell.axes["layer"] for cell in calls[target].cells if cell.outcome != "unavailable"} == listed


@pytest.mark.parametrize("target", TARGETS)
def test_no_layer_with_a_closed_form_is_left_unexplained(target: str, calls: dict[str, TargetMatrix]) -> None:
    for cell in calls[target].cells:
        family = layers()[cell.axes["layer"]].family
        if cell.outcome == "ok" and family in ("batch_norm", "sample_norm", "linear", "dropout"):
            assert cell.facts["input_gradient"] not in ("other", "none", "zero"), cell.id
            assert cell.facts["normalised_by"] != "neither", cell.id


@pytest.mark.parametrize("target", TARGETS)
def test_a_frozen_layer_keeps_its_trained_weights(target: str, calls: dict[str, TargetMatrix]) -> None:
    trained = ("gamma", "beta", "kernel", "bias", "recurrent_kernel", "magnitude", "direction")
    for cell in calls[target].cells:
        layer, frozen = cell.axes["layer"], cell.axes["trainable"] == "false"
        if cell.outcome == "ok" and frozen and layer != "spectral_norm":
            found = {cell.facts[slot] for slot in trained if slot in cell.facts}
            assert found <= {"unchanged", "absent"}, cell.id

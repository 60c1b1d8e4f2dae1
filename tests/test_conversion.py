"""From one framework to another: options, weights and the proof, on real layers.

TensorFlow in eager mode and torch share this process (`laboratory`); what needs graph mode, or another
backend of Keras, runs in probes.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest

import bnmatrix
from bnmatrix import conversion, converted, courses
from bnmatrix.axes import parse_id
from bnmatrix.conversion import question
from bnmatrix.converted import Case, Conversion, Proof
from bnmatrix.errors import Exit, UsageError
from bnmatrix.judge import judge, settle
from bnmatrix.layers import layers
from bnmatrix.matrix import CellResult, Matrix, TargetMatrix
from bnmatrix.measurement import Options, Plan
from bnmatrix.runner import Answer, Guest, Request
from bnmatrix.runner.messages import Course
from bnmatrix.side_by_side import PASSING
from bnmatrix.target import Target, parse
from tests.laboratory import adapter, observe

NEEDS = {"tf1": "tf_keras", "tf2": "tensorflow", "tf_keras": "tf_keras", "torch": "torch"}


def needs(*frameworks: str) -> None:
    for each in frameworks:
        pytest.importorskip(NEEDS[each], reason=f"{each} is not installed")


@cache
def result(framework: str, identity: str, options: tuple[tuple[str, float], ...]) -> CellResult:
    """The settled facts of a cell of this process, with these options."""
    cell = parse_id(identity)
    given = {"options": dict(options)}
    observations = [observe(adapter(framework), identity, seed, given) for seed in (0, 1)]
    settled = settle([judge(each, layers()[cell.axes["layer"]], cell.axes) for each in observations])
    measured = {"intervals": {fact: list(each) for fact, each in settled.intervals.items()}}
    first = observations[0]
    return CellResult(id=cell.id, axes=cell.axes, outcome=first.outcome, facts=settled.facts,
                      measured=measured, seconds=0.0, reason=first.reason)  # fmt: skip


def measure(plans: Sequence[Plan], title: str | None) -> Matrix:
    """`measurement.measure` in this process."""
    targets = []
    for plan in plans:
        options = tuple((plan.given.options if plan.given else {}).items())
        cells = [result(plan.target.framework, cell.id, options) for cell in plan.cells]
        targets.append(TargetMatrix(target=plan.target.text, framework=plan.target.framework, versions={},
                                    python="", device="cpu", cells=cells))  # fmt: skip
    return Matrix(schema_version=1, bnmatrix="", targets=targets)


@contextmanager
def following(targets: Sequence[Target], steps: int, options: Options) -> Iterator[courses.Follow]:
    """`courses.following` in this process."""

    def follow(asked: Sequence[courses.Asked]) -> dict[courses.Asked, Answer]:
        found = {}
        for each in asked:
            given = {"options": dict(each.options), "course": {"steps": steps, **each.mend.as_sent()}}
            framework = targets[each.side].framework
            observed = observe(adapter(framework), each.cell.id, options.seed, given)
            request = Request(each.cell.axes, options.seed, given, each)
            found[each] = Answer(Guest(framework, framework), request, observed.outcome, observed, None, 0.0)
        return found

    yield follow


def made(
    layer: str,
    source: str,
    destination: str,
    axes: Mapping[str, Sequence[str]] = {},
    options: Mapping[str, float] = {},
) -> Conversion:
    needs(source, destination)
    chosen = {axis: tuple(values) for axis, values in axes.items()}
    asked = question(layer, parse(source), parse(destination), chosen, options)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(courses, "following", following)
        return conversion.convert(asked, measure, Options(), lambda text: None)[0]


def proofs(case: Case) -> dict[str, Proof]:
    return {proof.scenario: proof for proof in case.proofs}


def answers(case: Case) -> dict[str, str]:
    return {proof.scenario: proof.answer for proof in case.proofs}


ALL_EQUAL = dict.fromkeys(conversion.SCENARIOS, "equal")


@pytest.fixture(scope="module")
def to_torch() -> Conversion:
    return made("batch_norm", "tf2", "torch")


def test_options_and_names_of_weights_are_those_of_the_destination(to_torch: Conversion) -> None:
    first, second = to_torch.cases
    assert (first.axes, second.axes) == ({"rank": "2"}, {"rank": "4"})
    assert first.source_code == "tf.keras.layers.BatchNormalization()"
    assert first.destination_code == "torch.nn.BatchNorm1d(channels, momentum=0.01, eps=0.001)"
    assert second.destination_code == "torch.nn.BatchNorm2d(channels, momentum=0.01, eps=0.001)"
    assert [(each.name, each.source, each.asked, each.destination) for each in first.options] == [
        ("momentum", 0.99, 0.99, 0.99),
        ("epsilon", 0.001, 0.001, 0.001),
    ]
    names = {
        weight.source and weight.source.name: weight.destination and weight.destination.name
        for weight in first.weights
    }
    assert names == {
        "gamma": "weight",
        "beta": "bias",
        "moving_mean": "running_mean",
        "moving_variance": "running_var",
        None: "num_batches_tracked",
    }


def test_a_biased_variance_parts_from_an_unbiased_one_by_its_factor_alone(to_torch: Conversion) -> None:
    for case in to_torch.cases:
        proof = proofs(case)["training"]
        assert (proof.answer, proof.factor, proof.values) == ("equal_but_for", 1.2, 6)
        assert proof.parting() == ["moving_variance", "inference_output"]
        (cause,) = proof.causes
        assert (cause.fact, cause.source, cause.destination) == ("variance_estimator", "biased", "unbiased")
        assert proof.remedy is not None
        assert "running_var = 0.99 old + (running_var - 0.99 old) (N - 1) / N" in proof.remedy.do[0]
        assert proof.remedy.answer == "equal"


def test_frozen_means_inference_there_and_eval_here(to_torch: Conversion) -> None:
    for case in to_torch.cases:
        proof = proofs(case)["frozen"]
        assert proof.answer == "different"
        said = {cause.fact: (cause.source, cause.destination) for cause in proof.causes}
        assert said["normalised_by"] == ("moving", "batch")
        assert said["moving_mean"] == ("unchanged", "updated")
        assert proof.remedy is not None
        assert (proof.remedy.do, proof.remedy.answer) == (["call .eval() on it"], "equal")


def test_what_agrees_is_compared_in_everything_within_rounding(to_torch: Conversion) -> None:
    proof = proofs(to_torch.cases[0])["inference"]
    assert [each.what for each in proof.compared] == [
        "output", "input_gradient", "gradient of gamma", "gradient of beta", "gamma", "beta", "moving_mean",
        "moving_variance", "inference_output",
    ]  # fmt: skip
    assert all(each.largest is not None and each.largest < 1e-6 < each.allowed for each in proof.compared)
    assert any(each.largest for each in proof.compared)  # two frameworks round differently
    assert converted.exit_code(to_torch, False) == converted.exit_code(to_torch, True) == Exit.CHANGED


def test_back_again_the_variables_are_frozen_and_not_the_layer() -> None:
    (case,) = made("batch_norm", "torch", "tf2", {"rank": "2"}).cases
    assert case.destination_code == "tf.keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-05)"
    proof = proofs(case)["frozen"]
    assert proof.remedy is not None
    assert proof.remedy.do[0] == "freeze each of its variables, not the layer"
    assert proof.remedy.do[1].endswith("N / (N - 1)")
    assert proof.remedy.answer == "equal"
    given = proofs(case)["mode not given"].remedy
    assert given is not None
    assert (given.do[0], given.answer) == ("call it with training=True", "equal")


def test_an_unchanged_twin_is_equal_in_everything() -> None:
    found = made("batch_norm", "torch", "torch")
    assert [answers(case) for case in found.cases] == [ALL_EQUAL, ALL_EQUAL]
    assert {each.largest for case in found.cases for proof in case.proofs for each in proof.compared} == {0.0}
    assert converted.exit_code(found, False) == Exit.DONE
    assert converted.exit_code(found, True) == Exit.INCOMPLETE


@pytest.mark.parametrize(
    ("option", "value", "slots"),
    [("momentum", 0.98, {"moving_mean", "moving_variance"}), ("epsilon", 0.00101, {"output", "gamma"})],
)
def test_a_wrong_option_of_the_destination_is_found(
    monkeypatch: pytest.MonkeyPatch, option: str, value: float, slots: set[str]
) -> None:
    right = conversion.derived
    monkeypatch.setattr(conversion, "derived", lambda *given: {**right(*given), option: value})
    (case,) = made("batch_norm", "torch", "torch", {"rank": "2"}, {"momentum": 0.99, "epsilon": 0.001}).cases
    proof = proofs(case)["training"]
    assert proof.answer != "equal"
    assert slots <= set(proof.parting())
    fact = {"momentum": "update_rate", "epsilon": "epsilon"}[option]
    assert fact in {cause.fact for cause in proof.causes}
    assert proof.remedy is None
    (told,) = [each for each in case.options if each.name == option]
    assert told.source != told.destination


def test_given_options_are_taken_over_to_the_last_digit() -> None:
    options = {"momentum": 0.9731, "epsilon": 0.00123457}
    (case,) = made("batch_norm", "tf_keras", "torch", {"rank": "4"}, options).cases
    assert case.source_code == "tf_keras.layers.BatchNormalization(momentum=0.9731, epsilon=0.00123457)"
    assert case.destination_code == "torch.nn.BatchNorm2d(channels, momentum=0.0269, eps=0.00123457)"
    # The fused kernel of rank 4 is unbiased, as torch is.
    assert (answers(case)["training"], answers(case)["inference"]) == ("equal", "equal")


TRANSPOSED = {
    ("dense", "2"): [1, 0],
    ("conv", "3"): [2, 1, 0],
    ("conv", "4"): [3, 2, 0, 1],
    ("embedding", "2"): None,
    ("layer_norm", "4"): None,
    ("group_norm", "2"): None,
    ("rms_norm", "2"): None,
}


@pytest.mark.parametrize(("layer", "rank"), TRANSPOSED)
def test_other_layers_are_equal_with_their_kernels_turned_over(layer: str, rank: str) -> None:
    (case,) = made(layer, "tf2", "torch", {"rank": rank}).cases
    assert answers(case) == ALL_EQUAL
    assert case.weights[0].transposed == TRANSPOSED[layer, rank]


def test_a_gradient_of_which_next_to_nothing_is_left_is_held_against_its_terms() -> None:
    """Two values that normalise each other, with the small epsilon of torch."""
    (case,) = made("group_norm", "torch", "tf2", {"rank": "2"}).cases
    assert case.destination_code == "tf.keras.layers.GroupNormalization(groups=2, epsilon=1e-05)"
    assert answers(case) == ALL_EQUAL


def course(framework: str, identity: str) -> Course:
    """One step of a cell."""
    needs(framework)
    found = observe(adapter(framework), identity, 0, {"course": {"steps": 1}}).course
    assert found is not None
    return found


def test_weights_without_a_counterpart_are_refused() -> None:
    found = made("spectral_norm", "tf2", "torch")
    (case,) = found.cases
    assert case.refused is not None
    assert case.refused.endswith("of torch has no counterpart in tf2")
    assert (case.proofs, case.weights) == ([], [])
    assert converted.exit_code(found, False) == Exit.CHANGED


def test_gates_that_lie_in_another_order_are_refused() -> None:
    cell = "lstm training=true variant=no_dropout"
    told = courses.why_not(course("tf2", cell), course("torch", cell), PASSING, ["tf2", "torch"])
    assert told == (
        "bias_hh_l0, weight_ih_l1, weight_hh_l1, bias_ih_l1, bias_hh_l1 of torch have no counterpart in tf2"
    )


def test_what_depends_on_chance_is_not_compared() -> None:
    (case,) = made("dropout", "torch", "torch", {"rank": "2"}).cases
    assert answers(case) == {
        "training": "not_compared", "frozen": "not_compared", "inference": "equal",
        "mode not given": "not_compared",
    }  # fmt: skip
    assert "depends on chance" in str(proofs(case)["training"].reason)


def test_an_average_that_varies_gives_no_momentum() -> None:
    """Of torch's cumulative average: the first update takes in a fourth, the second a fifth."""
    (case,) = made("batch_norm", "torch", "torch", {"rank": "2", "variant": ["cumulative_momentum"]}).cases
    momentum = case.options[0]
    assert (momentum.name, momentum.source, momentum.asked) == ("momentum", "varies", None)


@pytest.mark.parametrize("framework", ["tf2", "tf_keras", "torch"])
@pytest.mark.parametrize("layer", ["batch_norm", "conv", "group_norm", "embedding"])
def test_the_line_of_code_can_be_run(layer: str, framework: str) -> None:
    rank = "2" if layer == "embedding" else "4"
    code = course(framework, f"{layer} rank={rank} training=true").code
    names: dict[str, Any] = {"channels": 4, "units": 3}
    for root, module in (("tf", "tensorflow"), ("tf_keras", "tf_keras"), ("torch", "torch")):
        if code.startswith(f"{root}."):
            names[root] = importlib.import_module(module)
    assert type(eval(code, names)).__name__ == code.partition("(")[0].rpartition(".")[2]


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("batchnorm", "tf2", "torch"), "unknown layer 'batchnorm'"),
        (("weight_norm", "tf2", "torch"), "tf2 has no weight_norm"),
        (("my:Norm", "tf2", "torch"), "a layer of your own"),
        (("batch_norm", "tf2", "torch", {"context": ("model",)}), "the axis context is no choice"),
        (("batch_norm", "tf2", "torch", {"dtype": ("float16",)}), "ten steps in float16"),
        (("batch_norm", "tf2", "torch", {}, {"decay": 0.9}), "unknown option 'decay'"),
        (("batch_norm", "tf2", "torch", {}, {}, 0), "0 is not a number of steps"),
    ],
)
def test_what_cannot_be_asked(asked: tuple[Any, ...], told: str) -> None:
    layer, source, destination, *rest = asked
    axes, options, steps = [*rest, {}, {}, 10][: len(rest)] + [{}, {}, 10][len(rest) :]
    with pytest.raises(UsageError, match=told):
        question(layer, parse(source), parse(destination), axes, options, steps)


def test_in_probes_of_their_own_from_tensorflow_1_to_2() -> None:
    """With a session on the one side: frozen it keeps normalising by the batch."""
    needs("tf1", "tf2")
    (case,) = bnmatrix.convert("batch_norm", "tf1", "tf2", {"rank": 2}).cases
    assert case.source_code == "tf.compat.v1.layers.BatchNormalization()"
    assert answers(case) == {**ALL_EQUAL, "frozen": "different"}
    proof = proofs(case)["frozen"]
    assert ("normalised_by", "batch", "moving") in {
        (cause.fact, cause.source, cause.destination) for cause in proof.causes
    }
    assert proof.remedy is not None
    assert proof.remedy.do == [
        "freeze each of its variables, not the layer",
        "put moving_mean and moving_variance back after each step",
    ]
    assert proof.remedy.answer == "equal"


def test_in_probes_of_their_own_from_keras_2_to_keras_on_torch() -> None:
    needs("tf_keras", "torch")
    (case,) = bnmatrix.convert("batch_norm", "tf_keras", "keras[torch]", {"rank": 2}).cases
    assert case.destination_code == "keras.layers.BatchNormalization(momentum=0.99, epsilon=0.001)"
    assert answers(case) == ALL_EQUAL

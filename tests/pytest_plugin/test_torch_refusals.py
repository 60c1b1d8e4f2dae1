"""Live torch models of which nothing can be told, and what a forward leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")
from torch import nn  # noqa: E402

from bnmatrix.testing import CannotTell, assert_frozen, assert_trains  # noqa: E402
from tests.pytest_plugin.test_torch import INPUT, Careful, Net, failure, fingerprint, frozen  # noqa: E402

NAN = float("nan")
BOTH = pytest.mark.parametrize("question", [assert_frozen, assert_trains])


def refusal(question: Callable[[], None]) -> str:
    with pytest.raises(CannotTell) as caught:
        question()
    return str(caught.value)


# --- no numbers any more


@BOTH
def test_an_input_that_holds_nan_is_named_first(question: Any) -> None:
    given = INPUT.clone()
    given[0, 0] = NAN
    told = refusal(lambda: question(frozen(), "head", input={"batch": given}))
    assert told.startswith("the steps make no numbers any more: the input holds NaN, and the loss of step 1")


@BOTH
def test_a_loss_that_is_nan_is_no_training(question: Any) -> None:
    told = refusal(lambda: question(frozen(), "head", input=INPUT, loss=lambda out, _: out.sum() * NAN))
    assert "the loss of step 1 is nan" in told


@BOTH
def test_weights_that_are_lost_are_named_with_the_step(question: Any) -> None:
    class Blows(Net):
        calls = 0

        def forward(self, batch: Any) -> Any:
            self.calls += 1
            zero = self.head.weight.sum() * 0  # of which the root has no slope
            return super().forward(batch) + (zero.sqrt() if self.calls == 2 else zero)

    told = refusal(lambda: question(Blows(), "backbone", input=INPUT))
    assert "step 2 left no numbers in head.weight" in told


@BOTH
def test_a_step_of_ones_own_that_diverges_is_told(question: Any) -> None:
    def step(model: Any) -> None:
        model(INPUT)
        model.head.bias.data.fill_(float("inf"))

    assert "step 1 left no numbers in head.bias" in refusal(lambda: question(Net(), "head", step=step))


def test_what_was_no_number_before_is_none_of_the_steps() -> None:
    model = frozen()
    model.register_buffer("mask", torch.full((3,), -float("inf")))
    model.register_buffer("unknown", torch.full((3,), NAN))
    assert_frozen(model, "backbone", "mask", "unknown", input=INPUT)


# --- nothing was tried


@BOTH
@pytest.mark.parametrize("steps", [0, -1, 1.5])
def test_no_steps_are_no_trial(question: Any, steps: Any) -> None:
    assert "steps=" in refusal(lambda: question(Net(), "head", input=INPUT, steps=steps))


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_steps_have_gradients_wherever_they_are_made(without: Any) -> None:
    model = frozen()
    before = fingerprint(model)
    with without():
        assert_trains(model, "head", input=INPUT)
        told = failure(lambda: assert_frozen(model, "head", input=INPUT * 1.0))
        assert not torch.is_grad_enabled()
    assert "nothing freezes it" in told
    assert fingerprint(model) == before


@BOTH
def test_a_step_that_does_nothing_is_no_trial(question: Any) -> None:
    told = refusal(lambda: question(Net(), "backbone", step=lambda: None))
    assert "the given step called nothing of the model and moved nothing" in told


def test_a_step_that_only_calls_or_only_moves_is_one() -> None:
    model = frozen().eval()
    assert_frozen(model, "backbone", step=lambda: model.backbone(INPUT))
    assert_frozen(model, "backbone", step=lambda: model.head.bias.data.add_(1.0))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"mode": "eval"}, "unknown mode 'eval'\n  known: train, as_is"),
        ({"execution": "predict"}, "unknown execution 'predict'\n  known: fit, by_hand"),
        ({"execution": "fit"}, "torch has no fit"),
    ],
)
def test_unknown_words_are_refused(words: Any, said: str) -> None:
    assert said in refusal(lambda: assert_frozen(frozen(), "backbone", input=INPUT, **words))


# --- several names


class Shared(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a = nn.BatchNorm1d(4)
        self.b = self.a
        self.w = nn.Parameter(torch.ones(4))
        self.v = self.w

    def forward(self, batch: Any) -> Any:
        return self.b(batch) * self.w


def test_what_is_shared_goes_by_each_of_its_names() -> None:
    assert_trains(Shared(), "b", input=INPUT)
    assert_trains(Shared(), "v", input=INPUT)
    model = Shared().requires_grad_(False)
    assert "b is not frozen" in failure(lambda: assert_frozen(model, "b", input=INPUT))
    assert failure(lambda: assert_frozen(model, input=INPUT)).count("is not frozen") == 1
    model.a.eval()
    assert_frozen(model, "b.*", "v", input=INPUT, mode="as_is", step=lambda: model.eval()(INPUT))


def test_a_module_that_holds_itself_is_walked_once() -> None:
    model = Net()
    model.drop.owner = model
    assert_trains(model, "head", input=INPUT, mode="as_is")


# --- mistakes


@pytest.mark.parametrize("pattern", [0, None, [], {"head"}, ["head", 3]])
def test_a_pattern_that_is_no_text_is_told(pattern: Any) -> None:
    assert "pattern" in refusal(lambda: assert_frozen(Net(), pattern, input=INPUT))


def test_patterns_in_a_list_are_taken() -> None:
    assert_frozen(frozen(), ["backbone.conv", ("backbone.bn1",)], input=INPUT)
    assert "no layer and no parameter matches 'neck'" in refusal(
        lambda: assert_frozen(frozen(), ["backbone", "neck"], input=INPUT)
    )


def test_an_optimizer_that_is_a_class_is_told() -> None:
    told = refusal(lambda: assert_trains(Net(), input=INPUT, optimizer=torch.optim.SGD))
    assert "optimizer= is a class" in told
    assert "SGD(model.parameters(), ...)" in told
    assert "is no optimizer" in refusal(lambda: assert_trains(Net(), input=INPUT, optimizer="sgd"))


def test_a_model_without_numbers_is_told() -> None:
    model = nn.Linear(4, 4, device="meta")
    assert "meta device" in refusal(lambda: assert_trains(model, input=INPUT))


# --- nothing is left behind


class Grows(Careful):
    """Registers, and changes in place, whatever a forward can reach."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = torch.zeros(3)
        self.seen: list[Any] = []
        self.cache: dict[str, Any] = {}

    def forward(self, batch: Any) -> Any:
        self.register_buffer("last", batch.detach().clone(), persistent=False)
        self.extra = nn.Linear(2, 2)
        self.late = nn.Parameter(torch.ones(2))
        self.plain += 1
        self.seen.append(batch)
        self.cache["batch"] = batch
        return self.extra(super().forward(batch)) * self.late


def test_what_a_forward_registers_is_taken_away_again() -> None:
    model = Grows()
    before = fingerprint(model), list(model.state_dict())
    assert_trains(model, "head", input=INPUT)
    assert (fingerprint(model), list(model.state_dict())) == before
    assert (model.plain.tolist(), model.seen, model.cache) == ([0.0, 0.0, 0.0], [], {})
    assert model._non_persistent_buffers_set == set()

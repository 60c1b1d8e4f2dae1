"""Assertions on live torch models: good ones pass, their bad twins fail, and nothing of either is changed."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")
from torch import nn  # noqa: E402

from bnmatrix.testing import CannotTell, assert_frozen, assert_trains  # noqa: E402

INPUT = torch.linspace(-2, 5, 32).reshape(8, 4).sin()


class Net(nn.Module):
    """A backbone that ends in a batch norm, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential()
        self.backbone.add_module("conv", nn.Linear(4, 6))
        self.backbone.add_module("bn1", nn.BatchNorm1d(6))
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(6, 2)

    def forward(self, batch: Any) -> Any:
        return self.head(self.drop(torch.relu(self.backbone(batch))))


class Careful(Net):
    """Keeps its frozen backbone in inference mode."""

    def train(self, mode: bool = True) -> Careful:
        super().train(mode)
        self.backbone.eval()
        return self


def frozen(cls: type[Net] = Careful) -> Net:
    model = cls()
    model.backbone.requires_grad_(False)
    return model


def failure(question: Callable[[], None]) -> str:
    with pytest.raises(AssertionError) as caught:
        question()
    return " ".join(str(caught.value).split())


def test_a_backbone_in_inference_mode_is_frozen() -> None:
    assert_frozen(frozen(), "backbone.*", input=INPUT)


def test_a_backbone_in_training_mode_is_not() -> None:
    told = failure(lambda: assert_frozen(frozen(Net), "backbone.*", input=INPUT))
    assert "backbone.bn1 is not frozen: in 2 steps (by hand, SGD)" in told
    assert "num_batches_tracked moved by 2 (from 0)" in told
    assert "weight, bias stood still" in told
    assert "requires_grad=False: it was called with module.training=True" in told
    assert "backbone.bn1.eval()" in told
    assert "backbone.conv" not in told


def test_a_flag_that_torch_does_not_read_is_named() -> None:
    model = Careful()
    model.backbone.requires_grad = False
    told = failure(lambda: assert_frozen(model, "backbone.conv", input=INPUT))
    assert "backbone.requires_grad is False: that is an attribute torch never reads" in told
    assert "backbone.requires_grad_(False)" in told


def test_what_nothing_freezes_is_told_so() -> None:
    told = failure(lambda: assert_frozen(Careful(), "backbone.conv.weight", input=INPUT))
    assert "nothing freezes it: requires_grad of weight is True" in told
    assert "bias" not in told


def frozen_with_stale_gradients() -> tuple[Net, Callable[[], None], Any]:
    model = Careful()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=0.1)
    model(INPUT).sum().backward()
    optimizer.step()
    model.backbone.requires_grad_(False)

    def step() -> None:
        optimizer.zero_grad(set_to_none=False)
        model.train()
        model(INPUT).sum().backward()
        optimizer.step()

    return model, step, optimizer


def test_momentum_moves_what_was_frozen_later() -> None:
    model, step, _ = frozen_with_stale_gradients()
    told = failure(lambda: assert_frozen(model, "backbone.*", step=step))
    assert "in 2 steps (the given step, SGD)" in told
    assert "a gradient from before the freeze still lay in weight and bias" in told
    assert "momentum=0.9 and weight_decay=0.1" in told


def test_an_optimizer_of_the_head_alone_leaves_the_rest() -> None:
    model = Careful()
    optimizer = torch.optim.SGD(model.head.parameters(), 0.1)
    assert_frozen(model, "backbone", input=INPUT, optimizer=optimizer)
    assert_trains(model, "head", input=INPUT, optimizer=optimizer)
    told = failure(lambda: assert_trains(model, "backbone.conv", input=INPUT, optimizer=optimizer))
    assert "weight, bias stood still: it is in no parameter group of the optimizer" in told


def test_a_forward_that_writes_to_its_parameter_is_told_from_a_step() -> None:
    model = nn.Sequential(nn.Embedding(5, 3, max_norm=0.1), nn.Linear(3, 2))
    model[0].requires_grad_(False)
    told = failure(lambda: assert_frozen(model, "0", input=torch.arange(4)))
    assert "its own forward wrote weight, no optimizer did" in told


def test_all_of_a_model_trains() -> None:
    assert_trains(Net(), input=INPUT)


def test_a_bias_before_a_normalisation_by_the_batch_need_not_move() -> None:
    # Exactly zero, where it is not mere rounding.
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6, affine=False), nn.Linear(6, 1))
    assert_trains(model, "0", input=INPUT)


def test_statistics_that_stand_still_are_no_training() -> None:
    told = failure(lambda: assert_trains(Careful(), "backbone", input=INPUT))
    assert "running_mean, running_var, num_batches_tracked stood still: the layer is in eval()" in told
    assert "module.training=False" in told


def test_a_frozen_parameter_does_not_train() -> None:
    told = failure(lambda: assert_trains(frozen(), "backbone.conv", input=INPUT))
    assert "weight, bias stood still: requires_grad is False" in told


def test_a_layer_that_is_left_out_gets_no_gradient() -> None:
    class Forgetful(Net):
        def forward(self, batch: Any) -> Any:
            return self.backbone(batch)

    told = failure(lambda: assert_trains(Forgetful(), "head", input=INPUT))
    assert "no gradient reached it, the layer was not called" in told


def test_a_gradient_that_is_zero_is_told_so() -> None:
    class Dead(Net):
        def forward(self, batch: Any) -> Any:
            return self.head(self.backbone(batch) * 0)

    told = failure(lambda: assert_trains(Dead(), "backbone.conv", input=INPUT))
    assert "its gradient was zero throughout" in told


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("backbon.*", "near it: backbone"),
        ("classifier.*", "no layer and no parameter matches 'classifier.*'"),
        ("drop", "what 'drop' matches has no parameters and no state: drop"),
    ],
)
@pytest.mark.parametrize("question", [assert_frozen, assert_trains])
def test_a_pattern_without_match_is_no_success(question: Any, pattern: str, said: str) -> None:
    with pytest.raises(CannotTell) as caught:
        question(frozen(), "head", pattern, input=INPUT)
    assert said in str(caught.value)


def test_an_input_of_another_shape_is_told() -> None:
    with pytest.raises(CannotTell, match=r"training step 1 raised RuntimeError: mat1 and mat2"):
        assert_frozen(frozen(), "backbone", input=torch.ones(8, 5))


def test_no_input_and_no_model_are_told() -> None:
    with pytest.raises(CannotTell, match="give input="):
        assert_frozen(frozen(), "backbone")
    with pytest.raises(CannotTell, match="is no model"):
        assert_frozen(Net, "backbone", input=INPUT)
    with pytest.raises(CannotTell, match="without a shape yet"):
        assert_frozen(nn.Sequential(nn.LazyLinear(3)), "0", input=INPUT)


def test_inputs_by_name_and_a_loss_of_ones_own() -> None:
    class TwoInputs(Net):
        def forward(self, first: Any, second: Any) -> Any:  # type: ignore[override]
            return {"logits": super().forward(first + second)}

    def loss(output: Any, target: Any) -> Any:
        return ((output["logits"] - target) ** 2).mean()

    given = {"first": INPUT, "second": INPUT.numpy()}
    assert_trains(TwoInputs(), "head", input=given)
    assert_trains(TwoInputs(), "head", input=given, target=torch.ones(8, 2), loss=loss)


# --- nothing is changed


def fingerprint(model: Any, optimizer: Any = None) -> list[Any]:
    """All that a user could see of a model, its optimizer and the random numbers."""

    def plain(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            return id(value), value.detach().clone().numpy().tobytes()
        if isinstance(value, dict):
            return [(key, plain(each)) for key, each in value.items()]
        if isinstance(value, list):
            return [plain(each) for each in value]
        return value

    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
    seen = [
        (name, module.training, sorted(vars(module)), [len(getattr(module, each)) for each in hooks],
         plain(dict(module._parameters)), plain(dict(module._buffers)))
        for name, module in model.named_modules()
    ]  # fmt: skip
    seen += [
        (name, each.requires_grad, plain(each.grad), len(each._backward_hooks or ()))
        for name, each in model.named_parameters()
    ]
    if optimizer is not None:
        values = optimizer.state_dict()
        seen += [
            (key, {name: bytes_of(each) for name, each in state.items()})
            for key, state in values["state"].items()
        ]
        seen += [plain(values["param_groups"]), sorted(vars(optimizer))]
    return [*seen, torch.get_rng_state().numpy().tobytes(), random.getstate(), str(np.random.get_state())]


def bytes_of(value: Any) -> Any:
    return value.numpy().tobytes() if isinstance(value, torch.Tensor) else value


def raising(model: Any) -> None:
    model.train()
    model(INPUT).sum().backward()
    torch.rand(3)
    np.random.rand()
    random.random()
    raise RuntimeError("on the way")


QUESTIONS: dict[str, Callable[[Net, Any], None]] = {
    "frozen": lambda model, _: assert_frozen(model, "backbone", input=INPUT),
    "trains": lambda model, _: assert_trains(model, input=INPUT),
    "optimizer": lambda model, optimizer: assert_trains(model, input=INPUT, optimizer=optimizer),
    "raises": lambda model, _: assert_frozen(model, step=raising),
}


@pytest.mark.parametrize("question", QUESTIONS)
@pytest.mark.parametrize("cls", [Net, Careful])
def test_nothing_is_changed(cls: type[Net], question: str) -> None:
    model = cls()
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    model(INPUT).sum().backward()
    optimizer.step()
    model.eval()
    model.backbone.requires_grad_(False)
    before = fingerprint(model, optimizer)
    with suppress(AssertionError, CannotTell):
        QUESTIONS[question](model, optimizer)
    assert fingerprint(model, optimizer) == before


def test_a_step_of_ones_own_is_undone_too() -> None:
    model, step, optimizer = frozen_with_stale_gradients()
    before = fingerprint(model, optimizer)
    with pytest.raises(AssertionError):
        assert_frozen(model, "backbone", step=step)
    assert fingerprint(model, optimizer) == before


def test_a_step_takes_the_model_where_it_takes_anything() -> None:
    called = []

    def step(model: Any) -> None:
        called.append(model)
        model(INPUT)

    model = Net().eval()
    assert_frozen(model, step=step, steps=3)
    assert called == [model] * 3

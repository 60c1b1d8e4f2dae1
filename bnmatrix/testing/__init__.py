"""Assertions about live models, for a test suite: what is frozen stands still, what trains moves.

    import torch

    from bnmatrix.testing import assert_frozen, assert_trains


    class Classifier(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.BatchNorm1d(8))
            self.head = torch.nn.Linear(8, 2)
            self.backbone.requires_grad_(False)

        def train(self, mode=True):
            super().train(mode)
            self.backbone.eval()  # without this line its statistics move
            return self

        def forward(self, batch):
            return self.head(self.backbone(batch))


    def test_only_the_head_is_trained():
        model, batch = Classifier(), torch.randn(16, 8)
        assert_frozen(model, "backbone.*", input=batch)
        assert_trains(model, "head.*", input=batch)

Each makes real training steps with the model itself, and puts everything back: weights, statistics,
gradients, the optimizer's state, flags, modes and random numbers. An AssertionError names what moved (or
stood still), how far, and why that is possible although the flag says otherwise. `CannotTell` is raised where
the question cannot be put: nothing matched, no input is known, the model raised, its numbers became NaN.

No framework is imported here; a model that is there has brought its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from bnmatrix.testing.errors import CannotTell

__all__ = ["CannotTell", "assert_behaves_like", "assert_frozen", "assert_trains"]


def assert_frozen(
    model: Any,
    *patterns: str | Sequence[str],
    input: Any = None,
    target: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Any = None,
    step: Callable[..., Any] | None = None,
    steps: int = 2,
    mode: str = "train",
    execution: str | None = None,
) -> None:
    """Fail if training steps move anything of what `patterns` match: parameters, statistics, counters.

    patterns:  paths of layers or of their tensors, with * and ?: "backbone.*", "*.running_mean"; or
               lists of such. A layer stands for all beneath it; none means the whole model. Random-number
               state does not count
    input:     a batch. torch: a tensor, a tuple of arguments, or a dict of keyword arguments. A Keras model
               that names its inputs gets numbers in their shapes without it
    target:    what goes with it, for `loss` or for the compiled loss of a Keras model
    loss:      of a step by hand, from (output, target); without it all that the model puts out, weighted
    optimizer: torch: the one that makes the step, in place of plain SGD
    step:      makes one whole training step, from the model or from nothing, in place of all the above
    steps:     how many
    mode:      torch: "train" calls model.train() first, "as_is" leaves the modes as they are
    execution: Keras: "fit" (of a compiled model, and the default there) or "by_hand"
    """
    __tracebackhide__ = True
    from bnmatrix.testing.report import not_frozen
    from bnmatrix.testing.seen import Training
    from bnmatrix.testing.stillness import compiled_anew

    live = _live(model)
    chosen = _chosen(live, patterns)
    training = Training(input, target, loss, optimizer, step, steps, mode, execution)
    trial = live.trial(chosen, training)
    message = not_frozen(trial)
    if message is not None and trial.fitted:
        message = not_frozen(compiled_anew(trial, live, training, chosen))
    if message is not None:
        raise AssertionError(message)


def assert_trains(
    model: Any,
    *patterns: str | Sequence[str],
    input: Any = None,
    target: Any = None,
    loss: Callable[[Any, Any], Any] | None = None,
    optimizer: Any = None,
    step: Callable[..., Any] | None = None,
    steps: int = 2,
    mode: str = "train",
    execution: str | None = None,
) -> None:
    """Fail unless training steps move every parameter that `patterns` match, and the statistics of layers
    that keep some. Arguments as in `assert_frozen`.

    A parameter whose gradient is zero, beside others of its layer that move, is no failure: a bias before a
    normalisation by the batch has none.
    """
    __tracebackhide__ = True
    from bnmatrix.testing.report import not_trained
    from bnmatrix.testing.seen import Training
    from bnmatrix.testing.stillness import stood_still

    live = _live(model)
    training = Training(input, target, loss, optimizer, step, steps, mode, execution)
    chosen = _chosen(live, patterns)
    trial = live.trial(chosen, training)
    message = not_trained(trial, stood_still(trial, live, training, chosen))
    if message is not None:
        raise AssertionError(message)


def assert_behaves_like(
    layer: Any,
    baseline: Any,
    *,
    like: str = "batch_norm",
    rank: int | None = None,
    target: str | None = None,
) -> None:
    """Fail unless a layer of one's own does in one step what a baseline says that a known layer does.

    layer:    its class, a factory (given the number of channels, if it wants an argument), or a layer: then
              others like it are made
    baseline: a file of `bnmatrix run --format json --output FILE`, a bnmatrix.lock, or such a result
    like:     the known layer, by its name in bnmatrix
    rank:     of the inputs, where the layer does not take all that the baseline has
    target:   which of the baseline's targets, where it has several

    Measured are the baseline's direct calls. State goes by the names that the framework's own layer has
    (`running_mean`, `moving_mean`). What moves, how the output is made, and every rate count; numbers of
    weights, warnings and dtypes do not.
    """
    __tracebackhide__ = True
    from bnmatrix.testing.likeness import unlike

    message = unlike(layer, baseline, like, rank, target)
    if message is not None:
        raise AssertionError(message)


def _chosen(live: Any, patterns: Sequence[Any]) -> dict[str, list[str]]:
    """{layer: [tensor, ...]} of what the patterns match."""
    from bnmatrix.errors import UsageError
    from bnmatrix.patterns import select

    try:
        return select(live.named(), patterns)
    except UsageError as error:
        raise CannotTell(error.message, error.hint) from None


def _live(model: Any) -> Any:
    """The model, as its framework has it."""
    from bnmatrix.probe.live.keras_parts import keras_of
    from bnmatrix.testing.keras_model import KerasModel
    from bnmatrix.testing.torch_model import TorchModel

    if keras_of(model) is not None:  # before torch: a Keras layer on torch is a module of torch, too
        return KerasModel(model)
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.nn.Module):
        return TorchModel(model)
    raise CannotTell(
        f"a {type(model).__name__} is no model that bnmatrix knows",
        "it takes a Keras model or a torch.nn.Module, not a class and not a function",
    )

"""How a step is made in PyTorch: executions, optimizers, and when `trainable` takes its value."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

import torch

from bnmatrix.axes import parse_id
from bnmatrix.runner.messages import Observation
from tests.laboratory import adapter, facts, observe

STEPPING = ("sgd", "momentum", "weight_decay", "adam", "adamw", "rmsprop")


def fact(identity: str, name: str) -> object:
    found = facts(adapter("torch"), identity, seeds=(0,))
    assert found.outcome == "ok", found.reason or found.facts
    return found.facts[name]


def seen(identity: str) -> Observation:
    return observe(adapter("torch"), identity, seed=0)


@pytest.mark.parametrize("optimizer", STEPPING)
@pytest.mark.parametrize("other_way", ["", "_zeroed"])
def test_every_optimizer_moves_what_is_trainable_only(optimizer: str, other_way: str) -> None:
    cell = f"batch_norm optimizer={optimizer}{other_way}"
    assert fact(cell, "gamma") == "updated"
    assert fact(f"{cell} trainable=false", "gamma") == "unchanged"


def test_optimizers_differ() -> None:
    after = {
        tuple(seen(f"batch_norm optimizer={name}").states["first"]["gamma"]) for name in ("none", *STEPPING)
    }
    assert len(after) == 1 + len(STEPPING) - 1  # momentum shows from the second step on


@pytest.mark.parametrize(
    ("freeze", "optimizer", "gamma"),
    [
        ("after_first_step", "none", "unchanged"),
        ("after_first_step", "momentum", "unchanged"),  # no gradient is left, whatever the momentum
        ("after_first_step", "momentum_zeroed", "updated"),  # a gradient of zeros, and the momentum's rest
        ("after_first_step", "sgd_zeroed", "unchanged"),
        ("after_first_step", "weight_decay_zeroed", "updated"),
        ("recompiled", "momentum_zeroed", "unchanged"),  # a new optimizer has no momentum
        ("between_backward_and_step", "none", "updated"),
        ("between_backward_and_step", "adam", "updated"),
        ("after_compile", "adam", "unchanged"),
    ],
)
def test_frozen_parameter_moves_by_what_is_left_of_it_in_the_optimizer(
    freeze: str, optimizer: str, gamma: str
) -> None:
    assert fact(f"batch_norm trainable=false freeze={freeze} optimizer={optimizer}", "gamma") == gamma


@pytest.mark.parametrize(
    ("freeze", "moved"),
    [
        ("after_compile", True),
        ("after_first_step", True),
        ("recompiled", True),
        ("between_backward_and_step", False),  # no gradient was asked for
    ],
)
def test_parameter_that_is_thawed_late_was_frozen_until_then(freeze: str, moved: bool) -> None:
    states = seen(f"batch_norm freeze={freeze} optimizer=sgd").states
    assert (states["start"]["gamma"] != states["first"]["gamma"]).all() == moved


@pytest.mark.parametrize("on", ["layer", "parent", "variables"])
def test_it_is_the_same_where_trainable_is_set(on: str) -> None:
    assert fact(f"batch_norm context=model freeze_on={on} trainable=false", "gamma") == "unchanged"


@pytest.mark.parametrize("execution", ["graph", "traced", "compiled"])
def test_what_is_made_of_a_module_steps_as_the_module_does(execution: str) -> None:
    cell = f"batch_norm execution={execution} training=true"
    used = adapter("torch")
    plain, made = facts(used, "batch_norm training=true", (0,)), facts(used, cell, (0,))
    differing = {name for name in plain.facts if plain.facts[name] != made.facts[name]}
    assert differing <= {"warnings"}


@pytest.mark.parametrize(
    ("execution", "after"), [("graph", "moving"), ("traced", "batch"), ("compiled", "moving")]
)
def test_of_scripted_traced_and_compiled_only_the_trace_keeps_the_mode_it_was_made_in(
    execution: str, after: str
) -> None:
    cell = f"batch_norm context=model execution={execution} training=false mode_set=after"
    assert fact(cell, "normalised_by") == after


def test_tracing_itself_is_not_taken_for_a_step() -> None:
    assert fact("batch_norm execution=traced training=true", "updates_per_step") == 1


@pytest.mark.parametrize("execution", ["no_grad", "inference_mode"])
def test_forward_only_in_training_mode_updates_statistics_and_steps_over_nothing(execution: str) -> None:
    cell = f"batch_norm execution={execution} training=true"
    assert fact(cell, "moving_mean") == "updated"
    assert fact(cell, "gamma") == "unchanged"
    assert not seen(cell).passes["first"].has_gradient


@pytest.mark.skipif(not hasattr(torch, "export"), reason="this torch has no export")
def test_exported_module_keeps_its_mode_and_its_state_is_the_one_that_moves() -> None:
    for training, by in (("true", "batch"), ("false", "moving")):
        assert fact(f"batch_norm execution=exported training={training}", "normalised_by") == by
    assert fact("batch_norm execution=exported training=true", "updates_per_step") == 1


@pytest.mark.skipif(not hasattr(torch, "export"), reason="this torch has no export")
def test_export_leaves_out_modules_without_state() -> None:
    assert fact("dropout context=model execution=exported training=true", "mode_after") == "model=yes"
    assert fact("dropout context=model execution=exported training=true", "stochastic") == "yes"


@pytest.mark.parametrize("kind", ["int", "numpy_bool", "tensor"])
def test_mode_is_given_in_the_type_that_is_asked_for(kind: str) -> None:
    given = []

    class Outermost:
        def train(self, mode: object) -> None:
            given.append(type(mode).__name__)

    bench = adapter("torch").bench(parse_id("batch_norm").axes, (6, 4), {})
    bench.cell = parse_id(f"batch_norm training=true training_as={kind}").axes
    bench.set_mode(Outermost())
    assert given[0].rstrip("_") in (kind.removeprefix("numpy_"), "Tensor")


@pytest.mark.parametrize("rank", ["4", "5"])
def test_channels_last_in_memory_changes_nothing_but_the_strides(rank: str) -> None:
    cell = f"batch_norm rank={rank} training=true"
    used = adapter("torch")
    assert facts(used, f"{cell} data_format=channels_last").facts == facts(used, cell).facts
    bench = used.bench(parse_id(f"{cell} data_format=channels_last").axes, (3, 1, 2, 1, 4)[: int(rank)], {})
    assert bench.memory_format is {"4": torch.channels_last, "5": torch.channels_last_3d}[rank]


def test_format_that_the_input_cannot_have_is_refused_by_torch() -> None:
    found = seen("batch_norm rank=3 data_format=channels_last")
    assert found.outcome == "raised"
    assert found.exception is not None
    assert found.exception.message.startswith("required rank 4 tensor")


def test_plain_cell_imports_neither_compiler_nor_optimizers() -> None:
    import subprocess
    import sys

    from tests.laboratory import FOLDER

    code = (
        "import sys; from tests.laboratory import adapter, observe\n"
        "used = adapter('torch'); before = set(sys.modules)\n"
        "observe(used, 'batch_norm context=model training=true', 0)\n"
        "late = set(sys.modules) - before\n"
        "assert not [name for name in late if name.startswith(('torch._dynamo', 'torch.optim'))], late"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, cwd=FOLDER.parent.parent)

"""Whole torch models: nothing is found where nothing is wrong, and of a frozen backbone what a loop moves."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

pytest.importorskip("torch", reason="torch is not installed")

import torch

from bnmatrix.audit.layers import AuditedLayer
from tests.audit import zoo_torch
from tests.audit.audits import audited

QUICK = (
    "resnet", "unet", "transformer", "vgg with spectral norm", "style transfer, one image",
    "style transfer, tracked", "detector, frozen norms", "text classifier", "diffusion transformer",
    "discriminator",
)  # fmt: skip
MODELS = [name if name in QUICK else pytest.param(name, marks=pytest.mark.versions) for name in zoo_torch.ZOO]


@pytest.fixture(autouse=True)
def one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def rows(name: str, **options: bool) -> list[AuditedLayer]:
    return audited(lambda: zoo_torch.made(name, **options))


def found(name: str, **options: bool) -> dict[str, list[str]]:
    shown: dict[str, list[str]] = {}
    for row in rows(name, **options):
        for each in row.findings:
            shown.setdefault(each, []).append(row.path)
    return {identity: sorted(paths) for identity, paths in shown.items()}


def moves_by_hand(name: str) -> list[str]:
    """Modules whose buffers two steps by hand move, of a model with a frozen backbone; counters left out."""
    made = zoo_torch.made(name, frozen=True)
    model, batch = made["model"], made["input"]
    before = {path: tensor.clone() for path, tensor in model.backbone.named_buffers()}
    for _ in range(2):
        model.train()
        model(batch)
    return sorted({
        f"backbone.{path}".rpartition(".")[0]
        for path, tensor in model.backbone.named_buffers()
        if not path.endswith("num_batches_tracked") and not torch.equal(tensor, before[path])
    })  # fmt: skip


def by_chance(name: str) -> list[str]:
    """Modules of the backbone in which chance has a hand in training, by their options."""
    model = zoo_torch.made(name)["model"]
    within = (torch.nn.RNNBase, torch.nn.MultiheadAttention)
    return sorted(
        f"backbone.{path}"
        for path, module in model.backbone.named_modules()
        if (isinstance(module, torch.nn.modules.dropout._DropoutNd) and module.p > 0)
        or (isinstance(module, within) and module.dropout > 0)
        or isinstance(module, zoo_torch.DropPath)
    )  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_found_where_all_is_in_order(name: str) -> None:
    assert found(name) == {}


@pytest.mark.parametrize("name", MODELS)
def test_of_a_frozen_backbone_what_moves_by_hand_is_found_and_no_more(name: str) -> None:
    expected = moves_by_hand(name)
    assert found(name, frozen=True) == ({"BN001": expected} if expected else {})


@pytest.mark.parametrize("name", MODELS)
def test_a_backbone_in_eval_that_train_reaches_is_found_with_its_dropouts(name: str) -> None:
    expected = sorted({*moves_by_hand(name), *by_chance(name)})
    assert found(name, frozen=True, handed=False) == ({"BN008": expected} if expected else {})


@pytest.mark.parametrize("name", MODELS)
def test_nothing_is_found_where_train_leaves_the_frozen_backbone_in_eval(name: str) -> None:
    assert found(name, frozen=True, kept=True) == {}


@pytest.mark.parametrize("name", MODELS)
def test_the_batch_normalises_in_training_and_each_image_itself_in_instance_norm(name: str) -> None:
    modules = dict(zoo_torch.made(name)["model"].named_modules())
    for row in rows(name):
        if isinstance(modules[row.path], torch.nn.modules.batchnorm._BatchNorm):
            assert row.facts["normalised_by"] == "batch", row
            called = row.facts["inference_normalised_by"] != "unknown"  # a classifier for training only
            assert not called or row.facts["inference_normalised_by"] == "moving", row
        if isinstance(modules[row.path], torch.nn.InstanceNorm2d):
            assert row.facts["normalised_by"] == "sample", row
            tracked = modules[row.path].track_running_stats
            assert row.facts["inference_normalised_by"] == ("moving" if tracked else "sample"), row


def test_what_is_flagged_as_frozen_is_the_backbone() -> None:
    for row in rows("resnet", frozen=True):
        assert (row.facts["frozen"] == "yes") == row.path.startswith("backbone"), row


class Spared(torch.nn.Module):
    """Leaves out whole samples, and those that are kept as they are: with a few, chance may spare all."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.drop_path = type(name, (Unscaled,), {})()
        self.head = torch.nn.Linear(3, 2)

    def forward(self, x: Any) -> Any:
        return self.head(self.drop_path(x))


class Unscaled(torch.nn.Module):
    drop_prob = 0.2

    def forward(self, x: Any) -> Any:
        return x * (torch.rand(len(x), 1) >= self.drop_prob) if self.training else x


@pytest.mark.parametrize("seed", range(4))
def test_a_dropout_that_happens_to_spare_all_samples_is_not_dead(seed: int) -> None:
    made = lambda: {"model": Spared("DropPath"), "input": torch.randn(2, 3)}  # noqa: E731
    by_path = {row.path: row for row in audited(made, seed=seed)}
    assert by_path["drop_path"].facts["dropout"] == "active"


@pytest.mark.parametrize("p", [0.5, 1e-4])
@pytest.mark.parametrize("inplace", [True, False])
def test_a_dropout_that_writes_over_its_input_or_seldom_drops_is_active(p: float, inplace: bool) -> None:
    def made() -> Any:
        first = torch.nn.Linear(6, 6)
        return torch.nn.Sequential(first, torch.nn.Dropout(p, inplace=inplace), torch.nn.Linear(6, 2))

    by_path = {row.path: row for row in audited(made)}
    assert by_path["1"].facts["dropout"] == "active"
    assert not by_path["1"].findings


def test_a_dropout_between_the_layers_of_a_recurrent_layer_that_has_one_is_dead() -> None:
    def of(layers: int) -> Any:
        return {
            "model": zoo_torch.Net(torch.nn.LSTM(3, 4, layers, dropout=0.3), First()),
            "input": torch.randn(5, 2, 3),
        }

    assert not any(row.findings for row in audited(lambda: of(2)))
    assert [row.path for row in audited(lambda: of(1)) if row.findings == ["BN012"]] == ["backbone"]


class First(torch.nn.Module):
    """The first of what it is given, as an answer."""

    def __init__(self) -> None:
        super().__init__()
        self.answer = torch.nn.Linear(4, 2)

    def forward(self, given: Any) -> Any:
        return self.answer(given[0])

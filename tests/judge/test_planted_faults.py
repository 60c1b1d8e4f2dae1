"""Every planted fault is found, and where nothing is planted nothing is found. Real torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

torch = pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

from bnmatrix.comparison import compare  # noqa: E402
from bnmatrix.matrix import TargetMatrix  # noqa: E402
from tests.judge import torch_mutants  # noqa: E402
from tests.laboratory import adapter, matrix, probe  # noqa: E402

RANKS = {"batch_norm": (2, 4), "dropout": (2, 4), "layer_norm": (2, 4), "spatial_dropout": (4,)}
PLANTED = [
    (layer, mutant) for layer, twin in torch_mutants.TWINS.items() for mutant in torch_mutants.mutants(twin)
]
UNCHANGED = 200


def cells(layer: str) -> list[str]:
    name = layer.split()[0]
    return [
        f"{layer} training={training} trainable={trainable}" + (f" rank={rank}" if rank else "")
        for training in ("true", "false", "default")
        for trainable in ("true", "false")
        for rank in RANKS.get(name, (0,))
    ]


@contextmanager
def in_place_of(module: type | None) -> Iterator[None]:
    """`module`, where there is one, in place of what the adapter builds."""
    builders = probe("adapters.torch").BUILDERS
    usual = builders["default"]
    if module is not None:
        builders["default"] = (
            lambda name, variant, shape, options: module(*arguments(module, shape)),
            usual[1],
        )
    try:
        yield
    finally:
        builders["default"] = usual


def of(layer: str, module: type | None, seeds: tuple[int, ...] = (0, 1)) -> TargetMatrix:
    """The truth table of torch's own layer, or of `module` in its place."""
    with in_place_of(module):
        return matrix(adapter("torch"), cells(layer), seeds)


def arguments(module: type, shape: tuple[int, ...]) -> tuple[int, ...]:
    return () if issubclass(module, torch_mutants.Dropout) else (shape[-1],)


@pytest.fixture(scope="module")
def originals() -> dict[str, TargetMatrix]:
    return {layer: of(layer, None) for layer in torch_mutants.TWINS}


@pytest.mark.parametrize("layer", torch_mutants.TWINS)
def test_an_unchanged_twin_shows_no_difference(layer: str, originals: dict[str, TargetMatrix]) -> None:
    diff = compare(originals[layer], of(layer, torch_mutants.TWINS[layer], (7, 8)), "")
    assert [(change.id, change.fact, change.old, change.new) for change in diff.changes] == []
    assert diff.summary.unstable == 0


@pytest.mark.parametrize(("layer", "mutant"), PLANTED, ids=lambda each: getattr(each, "__name__", each))
def test_a_planted_fault_is_found(layer: str, mutant: type, originals: dict[str, TargetMatrix]) -> None:
    assert compare(originals[layer], of(layer, mutant, (7, 8)), "").summary.changed > 0


def test_there_are_enough_planted_faults() -> None:
    assert len(PLANTED) >= 40


@pytest.mark.timeout(300)
@pytest.mark.parametrize("layer", torch_mutants.TWINS)
def test_new_seeds_show_no_difference(layer: str, originals: dict[str, TargetMatrix]) -> None:
    halves = [cells(layer)[half::2] for half in (0, 1)]  # of the cells, in turn
    for run in range(UNCHANGED):
        fresh = matrix(adapter("torch"), halves[run % 2], (100 + 2 * run, 101 + 2 * run))
        diff = compare(originals[layer], fresh, "")
        assert diff.summary.not_comparable == len(halves[1 - run % 2])
        found = [(change.id, change.fact, change.old, change.new) for change in diff.changes]
        assert (found, diff.unstable) == ([], [])

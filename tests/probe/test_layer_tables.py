"""What `layers.json` says that a framework lacks is what its adapter has no entry for."""

from __future__ import annotations

import pytest

from bnmatrix.layers import layers
from tests.laboratory import probe


def lacked(layer: str, framework: str) -> set[str]:
    """The variants that `layers.json` leaves out for a framework."""
    return set(layers()[layer].lacks.get(framework, {}).get("variant", ()))


@pytest.mark.parametrize("layer", layers())
def test_keras(layer: str) -> None:
    known = layers()[layer]
    for framework in known.classes.keys() & {"tf2", "tf_keras", "keras"}:
        has = set(probe("adapters.keras_layers").VARIANTS.get(layer, ()))
        assert lacked(layer, framework) == known.variants.keys() - has


@pytest.mark.parametrize("layer", [name for name, layer in layers().items() if "torch" in layer.classes])
def test_torch(layer: str) -> None:
    pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")
    entry = probe("adapters.torch_layers").LAYERS[layer]
    assert lacked(layer, "torch") == layers()[layer].variants.keys() - entry.variants.keys()

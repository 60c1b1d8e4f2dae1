"""What older releases of PyTorch lack or do otherwise, acted out by the installed one."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

import torch

from bnmatrix.axes import parse_id
from tests.laboratory import adapter, observe


@pytest.mark.parametrize(
    ("lacking", "identity", "what"),
    [
        ("torch.inference_mode", "batch_norm execution=inference_mode", "inference_mode"),
        ("torch.autocast", "batch_norm dtype=mixed_bfloat16", "torch.autocast"),
        ("torch.bfloat16", "batch_norm dtype=bfloat16", "dtype bfloat16"),
        ("torch.bfloat16", "batch_norm dtype=mixed_bfloat16", "dtype bfloat16"),
        ("torch.nn.MultiheadAttention", "multi_head_attention", "MultiheadAttention"),
        ("torch.nn.functional.layer_norm", "layer_norm api=functional", "torch.nn.functional.layer_norm"),
        (
            "torch.nn.utils.parametrizations.spectral_norm",
            "spectral_norm",
            "torch.nn.utils.parametrizations.spectral_norm",
        ),
    ],
)
def test_what_a_release_lacks_is_unavailable_under_its_own_name(
    lacking: str, identity: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    used = adapter("torch")
    monkeypatch.delattr(lacking)
    seen = observe(used, identity, seed=0)
    release = torch.__version__.partition("+")[0]
    assert (seen.outcome, seen.reason) == ("unavailable", f"torch {release} has no {what}")


@pytest.mark.skipif(not hasattr(torch, "inference_mode"), reason="this torch has no inference_mode")
def test_buffer_that_a_release_replaces_under_inference_mode_can_be_restored() -> None:
    """torch 1.9 counts batches by a new tensor, and has no `torch.is_inference` to ask."""
    bench = adapter("torch").bench(parse_id("batch_norm").axes, (6, 4), {})
    with torch.inference_mode():
        bench.layer.num_batches_tracked = bench.layer.num_batches_tracked + 1
    bench.write({"num_batches_tracked": np.array(3.0)})
    bench.train_once(np.arange(24.0).reshape(6, 4))
    assert bench.read()["num_batches_tracked"] == 4

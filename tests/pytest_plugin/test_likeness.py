"""A layer of one's own against a baseline, in this process. Real torch and Keras."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

torch = pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

from bnmatrix.matrix import SCHEMA_VERSION, Matrix, TargetMatrix, dump  # noqa: E402
from bnmatrix.testing import CannotTell, assert_behaves_like  # noqa: E402
from tests.judge.torch_mutants import BatchNorm, mutants  # noqa: E402
from tests.laboratory import adapter, matrix  # noqa: E402

CELLS = [
    f"batch_norm training={training} trainable={trainable} rank={rank}"
    for training in ("true", "default")
    for trainable in ("true", "false")
    for rank in (2, 4)
] + ["batch_norm training=true context=model", "dropout training=true"]


@pytest.fixture(scope="module")
def baseline() -> TargetMatrix:
    return matrix(adapter("torch"), CELLS, name="torch==2")


def test_a_layer_written_anew_behaves_like_the_one_it_follows(baseline: TargetMatrix) -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    assert_behaves_like(BatchNorm, baseline)
    assert_behaves_like(lambda channels: BatchNorm(channels), baseline)
    assert_behaves_like(BatchNorm(4), baseline)
    assert (torch.get_num_threads(), torch.equal(torch.get_rng_state(), state)) == (threads, True)


@pytest.mark.parametrize("mutant", mutants(BatchNorm)[:6], ids=lambda each: each.__name__)
def test_a_fault_in_it_is_told(baseline: TargetMatrix, mutant: Any) -> None:
    with pytest.raises(
        AssertionError, match=f"{mutant.__name__} does not behave like batch_norm of torch==2"
    ):
        assert_behaves_like(mutant, baseline)


class Biased(BatchNorm):
    """Takes in the variance as it is in the batch, without the correction."""

    def forward(self, batch: Any) -> Any:
        before = self.running_var.clone()
        output = super().forward(batch)
        if self.training:
            taken = batch.detach().var(0, unbiased=False)
            self.running_var.copy_((1 - self.rate) * before + self.rate * taken)
        return output


def test_the_message_names_cell_fact_and_both_values(baseline: TargetMatrix, tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_bytes(dump(Matrix(schema_version=SCHEMA_VERSION, bnmatrix="0", targets=[baseline])))
    with pytest.raises(AssertionError) as caught:
        assert_behaves_like(Biased, file, rank=2)
    told = str(caught.value)
    assert "Biased does not behave like batch_norm of torch==2" in told
    assert ": 4 of 4 cells differ" in told
    assert "  batch_norm training=true\n" in told
    assert "    variance_estimator  unbiased in the baseline, biased here" in told


def test_what_cannot_be_compared_is_no_success(baseline: TargetMatrix, tmp_path: Path) -> None:
    whole = Matrix(schema_version=SCHEMA_VERSION, bnmatrix="0", targets=[baseline, baseline])
    with pytest.raises(CannotTell, match="2 targets"):
        assert_behaves_like(BatchNorm, whole)
    with pytest.raises(CannotTell, match=r"(?s)no target 'tf2'.*torch==2"):
        assert_behaves_like(BatchNorm, baseline, target="tf2")
    with pytest.raises(CannotTell, match="no direct call of lstm"):
        assert_behaves_like(BatchNorm, baseline, like="lstm")
    with pytest.raises(CannotTell, match=r"raised in every cell: RuntimeError"):
        assert_behaves_like(torch.nn.BatchNorm1d(64), baseline, rank=2)
    with pytest.raises(CannotTell, match="wants the arguments in1_features, in2_features"):
        assert_behaves_like(torch.nn.Bilinear, baseline)
    with pytest.raises(CannotTell, match="is no layer"):
        assert_behaves_like(3, baseline)
    with pytest.raises(Exception, match="cannot read"):
        assert_behaves_like(BatchNorm, tmp_path / "none.json")


def test_a_layer_that_cannot_be_made_is_told(baseline: TargetMatrix) -> None:
    class Raises(torch.nn.BatchNorm1d):
        def __init__(self, *_: Any) -> None:
            raise RuntimeError("no such thing")

    class Named(torch.nn.BatchNorm1d):
        def __init__(self, *, channels: int, momenta: int) -> None:
            super().__init__(channels)

    for layer, said in (
        (Raises, "Raises raised RuntimeError: no such thing"),
        (Named, r"Named wants the arguments channels, momenta"),
    ):
        with pytest.raises(CannotTell, match=rf"(?s){said}.*give a factory"):
            assert_behaves_like(layer, baseline)


def test_a_layer_of_another_rank_is_told_which(baseline: TargetMatrix) -> None:
    layer = torch.nn.BatchNorm2d
    with pytest.raises(CannotTell, match=r"(?s)raised in every cell.*expected 4D input.*give rank=4$"):
        assert_behaves_like(layer, baseline, rank=2)
    narrow = replace(baseline, cells=[cell for cell in baseline.cells if "rank=4" not in cell.id])
    with pytest.raises(CannotTell, match=r"(?s)inputs of rank 4.*the baseline has none"):
        assert_behaves_like(layer, narrow)
    with pytest.raises(AssertionError, match=r"raised at every input of rank 2: .* rank=4$"):
        assert_behaves_like(layer, baseline)
    assert_behaves_like(layer, baseline, rank=4)


def test_a_keras_layer_is_measured_beside_tensorflow_in_use() -> None:
    tf = pytest.importorskip("tensorflow")
    used = adapter("tf2")
    tf.constant(1.0) + 1.0  # from now on nobody may set its threads
    cells = [f"batch_norm training={each} trainable=false" for each in ("true", "default")]
    saved = matrix(used, cells, name="tf2")
    Original = used.keras.layers.BatchNormalization

    class Leaks(Original):  # type: ignore[misc, valid-type]
        def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
            output = super().call(inputs, training=training)
            if training:
                self.moving_mean.assign(self.moving_mean * 0.99)
            return output

    assert_behaves_like(Original, saved)
    assert_behaves_like(Original(momentum=0.99), saved)
    with pytest.raises(AssertionError, match=r"moving_mean +unchanged in the baseline, updated here"):
        assert_behaves_like(Leaks, saved)

"""Pages of thousands of cells: short, and there soon."""

from __future__ import annotations

import time

import pytest

from bnmatrix.coverage import full
from bnmatrix.laws import defaults, laws
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, Matrix, TargetMatrix, Value
from bnmatrix.render import terminal
from bnmatrix.target import FAMILIES


def facts(axes: dict[str, str], number: int) -> dict[str, Value]:
    """Facts that hang on many axes, and now and then on none."""
    in_training = axes["training"] == "true" or axes["execution"] in ("fit", "train_on_batch", "run_eagerly")
    in_training = {"pinned_false": False, "pinned_true": True}.get(axes["context"], in_training)
    is_trained = (axes["trainable"] == "true") != (axes["freeze"] == "after_compile")
    makes_step = axes["execution"] not in ("predict", "evaluate", "test_on_batch", "exported")
    slot: Value = "absent" if axes["variant"] == "no_affine" else "unchanged"
    return {
        "gamma": "undecided" if number % 97 == 0 else "updated" if is_trained and makes_step else slot,
        "moving_mean": "updated" if in_training else "unchanged",
        "normalised_by": "batch" if in_training else "moving",
        "update_rate": 0.01,
        "output_dtype": axes["dtype"],
        "trainable_weights": 2 if is_trained else 0,
    }


@pytest.fixture(scope="module")
def target() -> TargetMatrix:
    cells = []
    for number, cell in enumerate(full("batch_norm", FAMILIES["keras"])):
        outcome, reason = "ok", None
        if cell.axes["batch"] == "empty":
            outcome, reason = "raised", f"ValueError: of {cell.axes['dtype']}"
        elif cell.axes["mask"] != "none":
            outcome, reason = "unavailable", f"takes no mask at rank {cell.axes['rank']}"
        found = facts(cell.axes, number) if outcome == "ok" else {}
        cells.append(
            CellResult(
                id=cell.id,
                axes=cell.axes,
                outcome=outcome,
                reason=reason,
                facts=found,
                measured={},
                seconds=0.0,
            )
        )
    return TargetMatrix(
        target="keras",
        framework="keras",
        versions={},
        python="3.11",
        device="cpu",
        cells=cells,
        laws=laws(cells),
        defaults=defaults(cells),
    )


def test_a_page_of_thousands_of_cells_is_folded(target: TargetMatrix) -> None:
    assert len(target.cells) > 5_000
    started = time.process_time()
    page = terminal.text(
        Matrix(schema_version=SCHEMA_VERSION, bnmatrix="", targets=[target]), expand=False
    ).splitlines()
    assert time.process_time() - started < 20  # some 2 s on an idle machine
    assert len(page) < 500
    assert any("further tables, of" in line for line in page)
    assert any(f"{len(target.cells)}: " in line and "unavailable" in line for line in page)

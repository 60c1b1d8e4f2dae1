"""Explanations made by hand: of a cell on two targets, and of a word."""

from __future__ import annotations

from bnmatrix.axes import parse_id
from bnmatrix.deciding import Decision
from bnmatrix.explaining import ExplainedCell, Explanation, of_word
from bnmatrix.matrix import CellResult, ExpectationResult
from tests.render import miniature

CELL = "batch_norm trainable=false training=true"


def of_cell() -> Explanation:
    """One target with all there may be, one where nothing could be traced."""
    target = miniature.tf2()
    first = ExplainedCell(
        target=target.target, framework=target.framework, versions=target.versions, python=target.python,
        device=target.device, cell=target.by_id()[CELL],
        laws=[law for law in target.laws if law.fact in ("gamma", "normalised_by")],
        decided_by=[
            Decision(axis="trainable", other="true", file="keras/src/layers/normalization/batch_norm.py",
                     line=341, function="call", text="if training and self.trainable:",
                     here="mean = moving_mean", there="mean, variance = self._moments(inputs, mask)"),
            Decision(axis="trainable", other="true", file="keras/src/layers/layer.py", line=700,
                     function="trainable_variables", text="if not self.trainable:", here="return []",
                     there=""),
        ],
        same_lines=["training"],
        documentation=["A frozen layer is run in inference mode (`trainable=False`)."],
        said=[
            ExpectationResult(scenario="frozen", says="a frozen layer holds", target="tf2", answer="holds",
                              source="its documentation"),
            ExpectationResult(scenario="mode", says="training decides alone", target="tf2",
                              answer="contradicted", contradicted_by=[CELL], because={CELL: "it does not"}),
        ],
    )  # fmt: skip
    other = miniature.torch()
    second = ExplainedCell(
        target=other.target, framework=other.framework, versions=other.versions, python=other.python,
        device=other.device, not_traced="the cell is raised",
        cell=CellResult(id=CELL, axes=parse_id(CELL).axes, outcome="raised", facts={}, measured={},
                        seconds=0.0, reason="ValueError: no | such thing"),
    )  # fmt: skip
    return Explanation(schema_version=1, bnmatrix="0.1.0", what=CELL, cells=[first, second])


def of_fact() -> Explanation:
    """A word with values."""
    found = of_word("normalised_by")
    assert found is not None
    return found

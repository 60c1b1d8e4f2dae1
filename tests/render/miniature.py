"""A small matrix made by hand: what tf2, torch and tf1 plausibly do, with one cell of every awkward kind.

The rules are written down here so that pages can be tested without a framework; no test of behaviour
uses them.
"""

from __future__ import annotations

from itertools import product

from bnmatrix.axes import Cell, make_cell
from bnmatrix.laws import defaults, laws
from bnmatrix.matrix import SCHEMA_VERSION, CellResult, ExpectationResult, Matrix, TargetMatrix, Value

EVERY = (("true", "false", "default"), ("true", "false"))
MODEL = ("fit", "train_on_batch", "evaluate", "predict")


def cells(executions: tuple[str, ...], ranks: tuple[str, ...] = ("2", "4")) -> list[Cell]:
    """The core scenario for a family that has `executions`."""
    made = []
    for execution, rank in product(executions, ranks):
        for training, trainable in product(*EVERY):
            if execution not in MODEL or training == "default":
                made.append(
                    make_cell(
                        {"training": training, "trainable": trainable, "execution": execution, "rank": rank}
                    )
                )
    return made


def yes(condition: bool) -> str:
    return "updated" if condition else "unchanged"


def result(cell: Cell, facts: dict[str, Value]) -> CellResult:
    return CellResult(id=cell.id, axes=cell.axes, outcome="ok", facts=facts, measured={}, seconds=0.01)


def common(cell: Cell, batch: bool, moving: bool, step: bool) -> dict[str, Value]:
    """The facts of a layer that normalises by the `batch`, whose statistics are `moving`, and a `step`."""
    facts: dict[str, Value] = {
        "gamma": yes(step),
        "beta": yes(step),
        "moving_mean": yes(moving),
        "moving_variance": yes(moving),
        "normalised_by": "batch" if batch else "moving",
    }
    if cell.axes["execution"] in ("call", "graph", "call_without_updates"):
        facts["input_gradient"] = "through_batch_statistics" if batch else "elementwise"
    if moving:
        facts["variance_estimator"] = "biased"
        facts |= {"update_rate": 0.01, "next_update_rate": 0.01, "updates_per_step": 1}
    facts["epsilon"] = 0.001
    facts["statistics_dtype"] = facts["output_dtype"] = "float32"
    facts["trainable_weights"] = 2 if cell.axes["trainable"] == "true" else 0
    facts["non_trainable_weights"] = 2 if cell.axes["trainable"] == "true" else 4
    return facts


def tf2() -> TargetMatrix:
    """Freezing switches to inference; `training` not given is false in a call, true in fit."""
    found = []
    for cell in cells(("call", "graph", *MODEL)):
        axes = cell.axes
        training = axes["training"] == "true" or axes["execution"] in ("fit", "train_on_batch")
        trainable = axes["trainable"] == "true"
        step = trainable and axes["execution"] not in ("evaluate", "predict")
        found.append(result(cell, common(cell, training and trainable, training and trainable, step)))
    return target("tf2", {"tensorflow": "2.21.0", "keras": "3.12.1", "numpy": "2.4.6"}, found)


def torch() -> TargetMatrix:
    """Mode and freezing are independent; the variance is unbiased; inference mode refuses the step."""
    found = []
    for cell in cells(("call", "inference_mode")):
        axes = cell.axes
        training, trainable = axes["training"] != "false", axes["trainable"] == "true"
        facts = common(cell, training, training, trainable and axes["execution"] == "call")
        facts |= {"num_batches_tracked": yes(training), "epsilon": 1e-05}
        facts |= {"trainable_weights": 2, "non_trainable_weights": 3}
        if training:
            facts |= {"variance_estimator": "unbiased", "update_rate": 0.1, "next_update_rate": 0.1}
        if axes["execution"] == "inference_mode":
            facts["input_gradient"] = "none"
        found.append(result(cell, facts))
    return target("torch", {"torch": "2.13.0+cpu", "numpy": "2.4.6"}, found)


def tf1() -> TargetMatrix:
    """Freezing stops all updates and leaves the mode alone. Some cells went wrong, each in its own way."""
    found = []
    for cell in cells(("call", "call_without_updates", "fit")):
        axes = cell.axes
        training = axes["training"] == "true" or axes["execution"] == "fit"
        trainable = axes["trainable"] == "true"
        moving = training and trainable and axes["execution"] != "call_without_updates"
        facts = common(cell, training, moving, trainable)
        if axes["rank"] == "4" and moving:
            facts["variance_estimator"] = "unbiased"
        made = result(cell, facts)
        if axes["execution"] == "fit":
            made = awkward(cell, made)
        found.append(made)
    return target("tf1", {"tensorflow": "2.21.0", "tf_keras": "2.21.0", "numpy": "2.4.6"}, found)


def awkward(cell: Cell, made: CellResult) -> CellResult:
    """One cell each that raised, is unavailable, was not decided, and flickers."""
    kind = {("true", "2"): "raised", ("false", "2"): "unavailable", ("true", "4"): "undecided"}.get(
        (cell.axes["trainable"], cell.axes["rank"]), "unstable"
    )
    broken = {"id": made.id, "axes": made.axes, "measured": {}, "seconds": 0.0}
    if kind == "raised":
        return CellResult(
            **broken,
            outcome="raised",
            facts={"exception": "ValueError"},
            reason="ValueError: fit() was given an input of rank 2 where this function wants an image",
        )
    if kind == "unavailable":
        return CellResult(**broken, outcome="unavailable", facts={}, reason="tf.layers has no model to fit")
    facts = {**made.facts, "normalised_by": kind}
    measured = (
        {"unstable": {"normalised_by": {"rate": 0.3, "values": ["batch", "moving"]}}}
        if kind == "unstable"
        else {}
    )
    return CellResult(
        id=made.id,
        axes=made.axes,
        outcome="ok",
        facts=facts,
        measured=measured,
        seconds=made.seconds,
        reason="no closed form within the tolerance" if kind == "undecided" else None,
    )


def target(name: str, versions: dict[str, str], found: list[CellResult], framework: str = "") -> TargetMatrix:
    """The matrix of one target, its laws found as everywhere."""
    return TargetMatrix(
        target=name,
        framework=framework or name,
        versions=versions,
        python="3.11.7",
        device="cpu",
        cells=found,
        laws=laws(found),
        defaults=defaults(found),
    )


def matrix(*targets: TargetMatrix, expectations: bool = False) -> Matrix:
    """A run of `targets`."""
    return Matrix(
        schema_version=SCHEMA_VERSION,
        bnmatrix="0.1.0",
        targets=list(targets),
        expectations=EXPECTATIONS if expectations else [],
    )


EXPECTATIONS = [
    ExpectationResult(
        scenario="frozen",
        target="tf2",
        answer="holds",
        says="a frozen layer runs in inference mode, whatever training says",
        source="TensorFlow's documentation of BatchNormalization",
    ),
    ExpectationResult(
        scenario="frozen",
        target="torch",
        answer="contradicted",
        says="a frozen layer runs in inference mode, whatever training says",
        source="TensorFlow's documentation of BatchNormalization",
        contradicted_by=[
            "batch_norm trainable=false training=true",
            "batch_norm rank=4 trainable=false training=true",
        ],
    ),
    ExpectationResult(
        scenario="frozen", target="tf1", answer="untested", says="reloading keeps the frozen state"
    ),
]

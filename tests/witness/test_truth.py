"""A program tells the truth: it exits with 0 where what really holds is the old value, with 1 where the new.

What really holds is measured here, by bnmatrix. All programs of a framework run in one process, for speed.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bnmatrix.axes import parse_id
from bnmatrix.facts import WORDS
from bnmatrix.matrix import Value
from bnmatrix.target import parse
from bnmatrix.witness.program import programs
from tests.cli.conftest import environment

ALL_AT_ONCE = """\
import contextlib, io, json, os, sys, warnings
warnings.simplefilter("ignore")

def leave(status):
    raise SystemExit(status)

os._exit = leave
statuses = []
for text in json.load(sys.stdin):
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow and not tensorflow.executing_eagerly():
        tensorflow.compat.v1.keras.backend.clear_session()  # a program expects a graph of its own
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        try:
            exec(compile(text, "witness", "exec"), {"__name__": "__main__", "__file__": "witness"})
        except SystemExit as end:
            statuses.append([end.code, printed.getvalue()])
        except Exception as error:
            statuses.append([repr(error), printed.getvalue()])
print(json.dumps(statuses))
"""

SLOTS = ["gamma", "moving_mean"]
STEP = [*SLOTS, "moving_variance", "normalised_by", "variance_estimator", "update_rate", "updates_per_step"]

TORCH = {
    "batch_norm training=true": [*STEP, "input_gradient", "inference_output", "output_dtype", "warnings"],
    "batch_norm training=false": [
        *SLOTS,
        "normalised_by",
        "input_gradient",
        "updates_per_step",
        "mode_after",
    ],
    "batch_norm rank=4 training=true": STEP,
    "batch_norm trainable=false training=true": [*STEP, "trainable_weights", "trainable_after"],
    "batch_norm training=true variant=tracking_switched_off_later": STEP[:4],
    "batch_norm training=true context=checkpointed": ["moving_mean", "updates_per_step"],
    "batch_norm training=true context=pinned_false mode_set=after": ["moving_mean", "normalised_by"],
    "batch_norm training=true context=pinned_false depth=2": ["mode_after"],
    "batch_norm training=true context=shared": ["updates_per_step"],
    "batch_norm training=true execution=traced": ["num_batches_tracked", "normalised_by"],
    "batch_norm training=true execution=no_grad": ["moving_mean"],
    "batch_norm training=true context=frozen_parent": SLOTS,
    "batch_norm training=true context=thawed_parent trainable=false": SLOTS,
    "batch_norm training=true freeze=after_first_step trainable=false optimizer=momentum": ["gamma"],
    "batch_norm training=true freeze=after_first_step trainable=false optimizer=momentum_zeroed": ["gamma"],
    "batch_norm training=true freeze=between_backward_and_step trainable=false": ["gamma"],
    "batch_norm training=true training_as=int": ["outcome"],
    "batch_norm batch=one_value training=true": ["outcome"],
    "dense training=true dtype=float64": ["kernel", "output_dtype"],
    "dropout training=true": ["stochastic"],
    "dropout training=false": ["stochastic"],
    "spectral_norm training=true": ["kernel", "power_iteration_vector"],
    "gru trainable=false training=true": ["recurrent_kernel"],
}
KERAS = {
    "batch_norm training=true": [*STEP, "input_gradient", "inference_output", "output_dtype", "warnings"],
    "batch_norm training=false": [*SLOTS, "normalised_by", "input_gradient"],
    "batch_norm rank=4 training=true": STEP,
    "batch_norm trainable=false training=true": [*SLOTS, "normalised_by", "trainable_weights"],
    "batch_norm context=pinned_false training=true": ["normalised_by"],
    "batch_norm context=no_argument outer=subclassed training=true": ["moving_mean"],
    "batch_norm context=after_sibling": ["moving_mean"],
    "batch_norm context=frozen_parent training=true": SLOTS,
    "batch_norm context=reloaded trainable=false training=true": SLOTS,
    "batch_norm execution=fit": [*SLOTS, "normalised_by", "variance_estimator"],
    "batch_norm execution=fit freeze=after_compile trainable=false": SLOTS,
    "batch_norm execution=train_on_batch freeze=after_first_step trainable=false": ["gamma"],
    "batch_norm execution=evaluate": ["normalised_by", "moving_mean"],
    "batch_norm context=pinned_true execution=predict": ["normalised_by"],
    "dense trainable=false freeze=constructor training=true": ["kernel"],
    "dropout context=pinned_true execution=predict": ["stochastic"],
    "dropout training=true": ["stochastic"],
}
GRAPH = {
    "batch_norm training=true": [*STEP, "input_gradient"],
    "batch_norm trainable=false training=true": [*SLOTS, "normalised_by"],
    "batch_norm execution=call_without_updates training=true": ["moving_mean"],
    "batch_norm api=keras training=true": ["gamma", "moving_mean", "normalised_by"],
    "batch_norm api=keras context=pinned_false training=true": ["moving_mean"],
    "batch_norm api=keras execution=call_over_collection trainable=false training=true": ["gamma"],
}


def another(fact: str, value: Value) -> Value:
    """A value that the fact does not have."""
    if not isinstance(value, str):
        return value + 1
    if fact == "warnings":
        return "UserWarning: nobody says so" if value == "none" else "none"
    words = [
        word for word in WORDS.get(fact, ()) if word not in (value, "absent", "not_applicable", "crashed")
    ]
    return words[0] if words else f"not {value}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("target", "table"), [("torch", TORCH), ("tf2", KERAS), ("tf1", GRAPH)])
def test_a_program_measures_what_bnmatrix_measures(
    target: str, table: dict[str, list[str]], tmp_path: Path
) -> None:
    known = parse(target)
    pytest.importorskip(known.family.packages[0])
    selection = [word for cell in table for word in ("--cell", cell)]
    command = [sys.executable, "-m", "bnmatrix", "run", "--framework", target, "--format", "json", *selection]
    run = subprocess.run(command, env=environment(), capture_output=True, check=False, timeout=200)
    (measured,) = json.loads(run.stdout)["targets"]
    facts = {cell["id"]: {"outcome": cell["outcome"], **cell["facts"]} for cell in measured["cells"]}
    questions, texts = [], []
    for cell in map(parse_id, table):
        for number, fact in enumerate(next(names for name, names in table.items() if parse_id(name) == cell)):
            holds = facts[cell.id].get(fact)
            assert holds is not None, (cell.id, fact, facts[cell.id])
            other = another(fact, holds)
            # Exchanged, a program differs in its last line only: once a cell is enough.
            for sides, expected in [((holds, other), 0), ((other, holds), 1)][: 2 if number == 0 else 1]:
                text = programs(known.framework, None, cell, fact, *sides, ("old", "new"))[-1]
                questions.append((cell.id, fact, sides, expected))
                texts.append(text)
    done = subprocess.run(
        [sys.executable, "-c", ALL_AT_ONCE],
        input=json.dumps(texts),
        env=environment(TF_CPP_MIN_LOG_LEVEL="3", **dict(known.probe_variables())),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    ends = json.loads(done.stdout.splitlines()[-1])
    wrong = [
        (*question, *end) for question, end in zip(questions, ends, strict=True) if end[0] != question[-1]
    ]
    assert not wrong

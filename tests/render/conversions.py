"""Conversions made by hand: one with all there may be, one where all is equal."""

from __future__ import annotations

from bnmatrix.converted import (
    Case,
    Cause,
    Compared,
    Conversion,
    Option,
    Party,
    Proof,
    Remedy,
    Stored,
    Weight,
)

TF2 = Party(
    target="tf2", framework="tf2", versions={"tensorflow": "2.21.0", "keras": "3.15.1", "numpy": "2.4.6"},
    python="3.11.7", device="cpu",
)  # fmt: skip
TORCH = Party(
    target="torch", framework="torch", versions={"torch": "2.13.0", "numpy": "2.4.6"}, python="3.11.7",
    device="cpu",
)  # fmt: skip


def held(**parting: tuple[float | None, int]) -> list[Compared]:
    """Output, input gradient and two slots; `parting`: {what: (how far, from which step)}."""
    found = []
    for what in ("output", "input_gradient", "gradient of gamma", "moving_variance", "inference_output"):
        largest, at = parting.get(what, (1.2e-7, None))
        found.append(Compared(what=what, largest=largest, allowed=2.9e-5, parts_at=at))
    return found


def stored(name: str, *shape: int, dtype: str = "float32") -> Stored:
    return Stored(name=name, shape=list(shape), dtype=dtype)


def partly() -> Conversion:
    """Of a batch normalisation; the second case is refused."""
    corrected = Remedy(
        do=["correct it after each step: running_var = 0.99 old + (running_var - 0.99 old) (N - 1) / N"],
        cell="batch_norm training=true", answer="equal", compared=held(),
    )  # fmt: skip
    half = Remedy(
        do=["freeze each of its variables, not the layer", "put running_mean back after each step"],
        cell="batch_norm trainable=false", answer="equal_but_for", compared=held(moving_variance=(0.2, 1)),
    )  # fmt: skip
    proofs = [
        Proof(
            scenario="training", source_cell="batch_norm training=true",
            destination_cell="batch_norm training=true", answer="equal_but_for",
            compared=held(moving_variance=(0.0489, 1), inference_output=(0.0239, 10)),
            causes=[Cause(fact="variance_estimator", source="biased", destination="unbiased")],
            factor=1.2, values=6, remedy=corrected,
        ),
        Proof(
            scenario="frozen", source_cell="batch_norm trainable=false training=true",
            destination_cell="batch_norm trainable=false training=true", answer="different",
            compared=held(**{"output": (0.8887, 1), "input_gradient": (None, 1),
                             "gradient of gamma": (1.0, 2), "moving_variance": (0.2188, 1)}),
            causes=[Cause(fact="normalised_by", source="moving", destination="batch"),
                    Cause(fact="updates_per_step", source=0, destination=1)],
            remedy=half,
        ),
        Proof(
            scenario="inference", source_cell="batch_norm training=false",
            destination_cell="batch_norm training=false", answer="equal", compared=held(),
        ),
        Proof(
            scenario="mode not given", source_cell="batch_norm", destination_cell="batch_norm",
            answer="not_compared", reason="torch: raised, RuntimeError: no | such thing",
        ),
    ]  # fmt: skip
    first = Case(
        axes={"rank": "2"},
        source_code="tf.keras.layers.BatchNormalization()",
        destination_code="torch.nn.BatchNorm1d(channels, momentum=0.01, eps=0.001)",
        options=[
            Option(name="momentum", source=0.99, asked=0.99, destination=0.99),
            Option(name="epsilon", source="undecided", asked=None, destination=1e-05),
            Option(name="rate", source=0.5, asked=0.5, destination=0.25),
        ],
        weights=[
            Weight(slot="gamma", source=stored("gamma", 4), destination=stored("weight", 4)),
            Weight(
                slot="kernel", source=stored("kernel", 1, 1, 4, 3, dtype="bfloat16"),
                destination=stored("weight", 3, 4, 1, 1), transposed=[3, 2, 0, 1],
            ),
            Weight(slot="num_batches_tracked", source=None,
                   destination=stored("num_batches_tracked", dtype="int64")),
        ],
        proofs=proofs,
    )  # fmt: skip
    second = Case(axes={"rank": "4"}, refused="bias_hh_l0 of torch has no counterpart in tf2")
    return Conversion(
        schema_version=1, bnmatrix="0.1.0", layer="batch_norm", source=TF2, destination=TORCH, steps=10,
        seed=0, cases=[first, second],
    )  # fmt: skip


def equal() -> Conversion:
    """Of a dense layer."""
    proof = Proof(scenario="training", source_cell="dense", destination_cell="dense", answer="equal",
                  compared=held())  # fmt: skip
    weights = [Weight(slot="kernel", source=stored("weight", 3, 4), destination=stored("kernel", 4, 3),
                      transposed=[1, 0])]  # fmt: skip
    case = Case(axes={"rank": "2"}, source_code="torch.nn.Linear(channels, units)",
                destination_code="tf.keras.layers.Dense(units=3)", weights=weights,
                proofs=[proof])  # fmt: skip
    return Conversion(
        schema_version=1, bnmatrix="0.1.0", layer="dense", source=TORCH, destination=TF2, steps=10, seed=0,
        cases=[case, Case(axes={"rank": "4"}, weights=weights, proofs=[proof])],
    )  # fmt: skip

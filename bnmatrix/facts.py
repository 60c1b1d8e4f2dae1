"""The names of facts, in the order in which they are shown, and what each one says."""

from __future__ import annotations

FACTS: dict[str, str] = {
    "outcome": "whether the cell ran: ok, raised, unavailable, crashed, timed_out, skipped",
    "exception": "the type of the exception",
    "gamma": "the scale",
    "beta": "the offset",
    "moving_mean": "the moving mean",
    "moving_variance": "the moving variance",
    "num_batches_tracked": "the counter of batches",
    "kernel": "the kernel (of an embedding: its table)",
    "recurrent_kernel": "the kernel of the recurrent state",
    "bias": "the bias",
    "output_kernel": "the kernel of the output projection",
    "output_bias": "the bias of the output projection",
    "power_iteration_vector": "the estimate of the first singular vector",
    "magnitude": "the magnitude of a weight-normalised kernel",
    "direction": "the direction of a weight-normalised kernel",
    "seed_state": "the state of the layer's random numbers",
    "normalised_by": "whose statistics normalise the output: batch, unmasked_batch, moving, sample, neither",
    "input_gradient": "how the gradient reaches the input",
    "variance_estimator": "of the moving-variance update: biased (N), unbiased (N-1), ...twice, unmasked_...",
    "update_rate": "share of the new batch's statistic taken in by the first step (all of its updates)",
    "next_update_rate": "share of the new batch's statistic taken in by the second step",
    "updates_per_step": "how often the statistics moved in one step",
    "epsilon": "what is added to the variance, fitted from the output",
    "stochastic": "does the output depend on chance",
    "output_scale": "the factor by which kept elements are scaled",
    "dropped_unit": "what is dropped together: element, channel",
    "expected_output": "is the output's expected value the input's: kept, shifted",
    "inference_output": "did the output in inference mode change by the step",
    "statistics_dtype": "dtype of the moving statistics",
    "output_dtype": "dtype of the output",
    "trainable_weights": "how many",
    "non_trainable_weights": "how many",
    "regularisation_losses": "how many",
    "weight_order": "the outermost object's weight list",
    "mode_after": "what the mode flags say afterwards",
    "trainable_after": "what the trainable flags say afterwards",
    "warnings": "categories and first lines",
}

SLOT_VALUES = ("updated", "unchanged", "absent")

_YES_NO = ("yes", "no")

SLOTS = (
    "gamma",
    "beta",
    "moving_mean",
    "moving_variance",
    "num_batches_tracked",
    "kernel",
    "recurrent_kernel",
    "bias",
    "output_kernel",
    "output_bias",
    "power_iteration_vector",
    "magnitude",
    "direction",
    "seed_state",
)
"""The facts that tell of a slot."""

WORDS: dict[str, tuple[str, ...]] = {
    "outcome": ("ok", "raised", "unavailable", "crashed", "timed_out", "skipped"),
    **dict.fromkeys(SLOTS, SLOT_VALUES),
    "normalised_by": ("batch", "moving", "sample", "unmasked_batch", "neither", "not_applicable"),
    "input_gradient": (
        "through_batch_statistics", "through_sample_statistics", "through_unmasked_batch_statistics",
        "through_kernel", "elementwise", "statistics_held_constant", "zero", "none", "other",
    ),
    "variance_estimator": (
        "biased", "unbiased", "unbiased_twice",
        "unmasked_biased", "unmasked_unbiased", "unmasked_unbiased_twice", "other",
    ),
    "stochastic": _YES_NO,
    "dropped_unit": ("element", "channel"),
    "expected_output": ("kept", "shifted"),
    "inference_output": _YES_NO,
}  # fmt: skip
"""The values of the facts that are words; every one of them may also be `undecided` or `unstable`."""

NUMBERS = (
    "update_rate",
    "next_update_rate",
    "updates_per_step",
    "epsilon",
    "output_scale",
    "trainable_weights",
    "non_trainable_weights",
    "regularisation_losses",
)
"""The facts that are numbers (or a word: `other`, `undecided`, `unstable`)."""

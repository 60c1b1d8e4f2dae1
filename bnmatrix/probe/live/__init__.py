"""Whole models: the user's own, alive in this process, and what real training steps do to their layers.

`parts` of a framework say which layers a model has and which tensors are a layer's own; `taps` see from
within a call what normalised its output; `audit` makes the steps and records, without judging anything.

The pytest plugin, which holds live models itself, uses the same parts.
"""

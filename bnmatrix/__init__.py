"""Measure what `training` and `trainable` really do to a layer in one step."""

__version__ = "0.1.0"

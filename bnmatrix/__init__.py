"""Measure what `training` and `trainable` really do to a layer in one step."""

from typing import TYPE_CHECKING, Any

from bnmatrix.errors import BnmatrixError

if TYPE_CHECKING:
    from bnmatrix.api import check, convert, diff, load, run

__version__ = "0.1.0"

__all__ = ["BnmatrixError", "check", "convert", "diff", "load", "run"]


def __getattr__(name: str) -> Any:
    """The functions of `api`, imported when they are asked for: `bnmatrix --help` needs none of them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from bnmatrix import api

    return getattr(api, name)

"""Pages and files of a matrix or a difference: one module a format, all over the same structs.

`folding` and `wording` hold what the formats share, as plain data and plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from bnmatrix.comparison import Diff
    from bnmatrix.matrix import Matrix
    from bnmatrix.timeline import Timeline

    Result: TypeAlias = Matrix | Diff | Timeline

FORMATS = ("table", "json", "csv", "markdown")

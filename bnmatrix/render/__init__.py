"""Pages and files of a matrix or a difference: one module a format, all over the same structs.

`folding` and `wording` hold what the formats share, as plain data and plain text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from bnmatrix.audit.auditing import Audit
    from bnmatrix.bisect import Bisection
    from bnmatrix.checked import Check
    from bnmatrix.claims import Claims
    from bnmatrix.comparison import Diff
    from bnmatrix.converted import Conversion
    from bnmatrix.explaining import Explanation
    from bnmatrix.matrix import Matrix
    from bnmatrix.timeline import Timeline

    Result: TypeAlias = (
        Matrix | Diff | Timeline | Bisection | Check | Explanation | Audit | Claims | Conversion
    )

FORMATS = ("table", "json", "csv", "markdown")

CHECK_FORMATS = (*FORMATS, "junit", "sarif", "github")
"""Of a check also what CI systems read."""

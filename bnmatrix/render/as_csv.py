"""CSV: the rows of a result, under a heading."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING

from bnmatrix.audit.auditing import Audit
from bnmatrix.converted import Conversion
from bnmatrix.explaining import Explanation
from bnmatrix.rows import rows

if TYPE_CHECKING:
    from bnmatrix.render import Result


def text(result: Result) -> str:
    """The result as CSV."""
    stream = StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    assert not isinstance(result, (Explanation, Audit, Conversion))  # no tables of cells
    heading, entries = rows(result)
    writer.writerow(heading)
    writer.writerows(entries)
    return stream.getvalue()

"""Pages on a terminal, in a text file, or as a picture: the same lines, laid out for where they go.

Colour only on a terminal; `NO_COLOR` and `FORCE_COLOR` are honoured (by rich); signs are ASCII where
the encoding or the terminal takes no others.
"""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, TextIO

from rich.console import Console

from bnmatrix.comparison import Diff, Likened
from bnmatrix.matrix import Matrix
from bnmatrix.render.layout import View, one_below_another, show

if TYPE_CHECKING:
    from bnmatrix.render import Result

PICTURE_WIDTH = 80


def view(result: Result, expand: bool = False) -> View:
    """The page of a result."""
    # What only one of them needs is not loaded for the others.
    if isinstance(result, Matrix):
        from bnmatrix.render import run_page

        pages = [run_page.page(result, expand)]
        if isinstance(result, Likened):
            from bnmatrix.render import diff_page

            pages += [diff_page.page(diff, expand) for diff in result.likeness]
        return one_below_another(pages)
    if isinstance(result, Diff):
        from bnmatrix.render import diff_page

        return diff_page.page(result, expand)
    from bnmatrix.checked import Check

    if isinstance(result, Check):
        from bnmatrix.render import check_page

        return check_page.page(result, expand)
    from bnmatrix.explaining import Explanation

    if isinstance(result, Explanation):
        from bnmatrix.render import explain_page

        return explain_page.page(result, expand)
    from bnmatrix.audit.auditing import Audit

    if isinstance(result, Audit):
        from bnmatrix.render import audit_page

        return audit_page.page(result, expand)
    from bnmatrix.claims import Claims

    if isinstance(result, Claims):
        from bnmatrix.render import claims_page

        return claims_page.page(result, expand)
    from bnmatrix.converted import Conversion

    if isinstance(result, Conversion):
        from bnmatrix.render import convert_page

        return convert_page.page(result, expand)
    from bnmatrix.render import bisect_page, timeline_page
    from bnmatrix.timeline import Timeline

    if isinstance(result, Timeline):
        return timeline_page.page(result, expand)
    return bisect_page.page(result, expand)


def write(result: Result, stream: TextIO, expand: bool = False) -> None:
    """Print the page to `stream`, as wide as the terminal is."""
    show(view(result, expand), Console(file=stream, highlight=False, markup=False, emoji=False))


class _Utf8(StringIO):
    encoding = "utf-8"


def text(result: Result, expand: bool = False) -> str:
    """The page as text for a UTF-8 file."""
    stream = _Utf8()
    write(result, stream, expand)
    return stream.getvalue()


def svg(result: Result, title: str) -> str:
    """The page as a picture, the same for the same result."""
    console = Console(
        record=True,
        file=_Utf8(),
        width=PICTURE_WIDTH,
        force_terminal=True,
        color_system="truecolor",
        highlight=False,
        markup=False,
        emoji=False,
        _environ={},
    )
    show(view(result), console)
    return console.export_svg(title=title, unique_id="bnmatrix")

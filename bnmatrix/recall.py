"""A check that found nothing is answered at once while nothing is different.

The answer is kept in the store. Its key covers every byte of the baseline, the place of every target as
results have it (code, environment, processor, device, variables), the sources of what compares, the
configuration, and where there are layers of the user's own the code of the project. What changed, was
accepted, flickers or could not be run is never kept: it is found each time.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bnmatrix import __version__
from bnmatrix.checked import Compared
from bnmatrix.comparison import Diff
from bnmatrix.configuration import Configuration
from bnmatrix.errors import BnmatrixError
from bnmatrix.matrix import FAULTS, TargetMatrix
from bnmatrix.measurement import Options, device_of, place_of
from bnmatrix.own_layers import project
from bnmatrix.placement import code_of, place
from bnmatrix.records import Records, place_key
from bnmatrix.target import parse

SOURCES = ("axes.py", "baseline.py", "checked.py", "checking.py", "comparison.py", "matrix.py", "recall.py")


_OWN = re.compile(r'"([^\W\d]\w*)[\w.]*:[^\W\d]')
"""The top-level module of a layer of the user's own, where a cell or a selection names one."""


class _Outline(msgspec.Struct, frozen=True):
    """As much of a baseline as tells whose answer is looked for."""

    targets: dict[str, msgspec.Raw]
    accepted: list[msgspec.Raw]


class Answer(msgspec.Struct, frozen=True):
    """What a check found: {target: what differs}."""

    diffs: dict[str, Diff]

    def compared(self) -> list[Compared]:
        """The same for `checked.check`. The cells are left out: nothing of them is to be told."""
        return [
            Compared(name=name, old=_empty(name, diff), new=_empty(name, diff), diff=diff)
            for name, diff in self.diffs.items()
        ]

    def cells(self) -> int:
        """How many it is about."""
        return sum(diff.summary.same + diff.summary.not_comparable for diff in self.diffs.values())


def _empty(name: str, diff: Diff) -> TargetMatrix:
    side = diff.new
    return TargetMatrix(
        target=name, framework=side.framework, versions=side.versions, python=side.python, device=side.device,
        cells=[],
    )  # fmt: skip


def key(file: Path, only: Sequence[str], options: Options, configured: Configuration) -> bytes | None:
    """The key of the answer to a check; None where there can be none, or not without the package index."""
    try:
        data = file.read_bytes()
        outline = msgspec.json.decode(data, type=_Outline)
        if outline.accepted:
            return None
        placements = [place(parse(name), options.wishes, from_index=False) for name in outline.targets]
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError, BnmatrixError):
        return None  # whoever reads the file says what is wrong
    digest = hashlib.blake2b(digest_size=16)
    for placement in placements:
        if placement is None:
            return None
        digest.update(place_key(place_of(placement, device_of(placement.target, options))))
    told = [__version__, sorted(only), configured, sorted(outline.targets)]
    digest.update(msgspec.json.encode(told, order="deterministic"))
    for source in SOURCES:
        digest.update(hashlib.blake2b((Path(__file__).parent / source).read_bytes()).digest())
    digest.update(hashlib.blake2b(data).digest())
    # The file spells characters out; whoever wrote it otherwise is looked at as it stands.
    text = re.sub(r"\\u([0-9a-fA-F]{4})", lambda found: chr(int(found[1], 16)), data.decode(errors="replace"))
    modules = tuple(sorted(set(_OWN.findall(text))))
    if modules:
        code = project().digest
        if code is None:
            return None
        digest.update(code.encode())
        for placement in filter(None, placements):
            digest.update(code_of(placement, modules, options.wishes).encode())
    return digest.digest()


def find(records: Records, wanted: bytes) -> Answer | None:
    """The answer that is known."""
    found: Answer | None = records.answer(wanted, Answer)
    return found


def keep(records: Records, wanted: bytes, compared: Sequence[Compared]) -> None:
    """Keep an answer, if it is one to be kept."""
    for target in compared:
        diff = target.diff
        if (
            diff.changes
            or diff.unstable
            or diff.one_sided
            or any(cell.outcome in FAULTS for cell in target.new.cells)
        ):
            return
    records.keep_answer(wanted, Answer({target.name: target.diff for target in compared}))

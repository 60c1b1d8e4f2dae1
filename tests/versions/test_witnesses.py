"""A witness of every change of both catalogues: `diff --witness` writes it once it told its sides apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bnmatrix.comparison import Condition
from bnmatrix.witness.handing import file_name
from tests.versions.releases import bnmatrix, need
from tests.witness.catalogue import cell_of, entries


@pytest.mark.versions
@pytest.mark.timeout(1800)
@entries
def test_the_witness_separates_its_two_sides(entry: dict[str, Any], tmp_path: Path) -> None:
    need(entry["old"], entry["new"])
    cell, facts = cell_of(entry).id, (entry["fact"], entry["was"], entry["is"])
    done = bnmatrix("diff", entry["old"], entry["new"], "--cell", cell, "--witness", str(tmp_path))
    fact, was, now = facts
    shown = Condition(fact=fact, old=was, new=now, when={}, ids=[cell], cells=1, severity="semantic")
    path = tmp_path / file_name(shown, [])
    assert path.exists(), done.stderr
    assert entry["old"] in path.read_text(encoding="utf-8")

"""The answer to a check is known only while nothing is different that it rests on."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bnmatrix import recall, records
from bnmatrix.accepted import Accepted
from bnmatrix.baseline import Baseline, Selected, text
from bnmatrix.checked import Compared
from bnmatrix.comparison import compare
from bnmatrix.configuration import Configuration
from bnmatrix.matrix import CellResult
from bnmatrix.measurement import Options
from bnmatrix.store import Store
from tests.tables import cell, target

pytest.importorskip("torch")

CELLS = [cell("batch_norm", gamma="updated"), cell("batch_norm rank=5", "unavailable", "there is none")]

KNOWN = Accepted(fact="gamma", old="updated", new="absent", reason="so", owner="me")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "bnmatrix.lock"
    path.write_text(text(baseline(CELLS)), encoding="utf-8")
    return path


def baseline(cells: list[CellResult], name: str = "torch", accepted: tuple[Accepted, ...] = ()) -> Baseline:
    return Baseline(
        schema_version=1,
        bnmatrix="",
        seed=0,
        selection=Selected(),
        targets=[target(cells, name)],
        accepted=list(accepted),
    )


def compared(new: list[CellResult]) -> Compared:
    before, after = target(CELLS, "torch"), target(new, "torch")
    return Compared(name="torch", old=before, new=after, diff=compare(before, after, ""))


def key(file: Path, *only: str, tolerances: dict[str, float] | None = None, **options: str) -> bytes | None:
    return recall.key(file, only, Options(**options), Configuration(tolerances=tolerances or {}))  # type: ignore[arg-type]


def test_the_key_is_another_where_anything_is(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [key(file), key(file, "torch"), key(file, tolerances={"epsilon": 0.1}), key(file, device="auto")]
    other = [msgspec.structs.replace(CELLS[0], facts={"gamma": "unchanged"}), CELLS[1]]
    for content in (baseline(other), baseline(CELLS, "torch:cpu")):
        file.write_text(text(content), encoding="utf-8")
        keys.append(key(file))
    file.write_text(text(baseline(CELLS)), encoding="utf-8")
    assert key(file) == keys[0]
    monkeypatch.setattr(records, "code", lambda: {"common": "of another make", "layers": {}})
    records.place_key.cache_clear()
    keys.append(key(file))
    records.place_key.cache_clear()
    assert None not in keys
    assert len(set(keys)) == len(keys)


def test_there_is_none_for_what_cannot_be_answered(file: Path) -> None:
    assert key(file.parent / "none.lock") is None
    for content in (text(baseline(CELLS, accepted=(KNOWN,))), "{", text(baseline(CELLS, "production"))):
        file.write_text(content, encoding="utf-8")
        assert key(file) is None


@pytest.mark.parametrize(
    ("new", "kept"),
    [
        (CELLS, True),
        ([cell("batch_norm", gamma="unchanged"), CELLS[1]], False),
        ([cell("batch_norm", "timed_out"), CELLS[1]], False),
        ([cell("batch_norm", "crashed"), CELLS[1]], False),
        (
            [cell("batch_norm", gamma="unstable", measured={"unstable": {"gamma": {"rate": 0.5}}}), CELLS[1]],
            False,
        ),
    ],
    ids=["the same", "changed", "timed out", "crashed", "unstable"],
)
def test_only_an_answer_without_a_change_is_kept(new: list[CellResult], kept: bool, tmp_path: Path) -> None:
    store = Store.open(tmp_path / "store")
    found = compared(new)
    recall.keep(records.Records(store), b"k" * 16, [found])
    answer = recall.find(records.Records(store), b"k" * 16)
    assert recall.find(records.Records(store, refresh=True), b"k" * 16) is None
    store.close()
    assert (answer is not None) is kept
    if answer is not None:
        assert answer.cells() == 2
        assert [each.diff for each in answer.compared()] == [found.diff]


@pytest.mark.parametrize("layer", ["norms:Norm", "ünï.code:Norm", "norms:Norm(axis=1)"])
def test_an_answer_about_a_layer_of_ones_own_rests_on_its_code(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layer: str
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = []
    for cells in (CELLS, [cell(f"{layer} training=true", gamma="updated")]):
        written = text(baseline(cells))
        for content in (
            written,
            written.encode("ascii", "backslashreplace")
            .decode()
            .replace("\\xfc", "\\u00fc")
            .replace("\\xef", "\\u00ef"),
        ):
            file.write_text(content, encoding="utf-8")
            before = key(file)
            (tmp_path / "norms.py").write_text(f"# {len(keys)}" * (1 + len(keys)))
            keys.append((before, key(file)))
    assert [one == other for one, other in keys] == [True, True, False, False]

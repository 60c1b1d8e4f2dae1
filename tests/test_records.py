"""A result is known again exactly where nothing that could change it has changed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bnmatrix import records
from bnmatrix.axes import parse_id
from bnmatrix.layers import layers
from bnmatrix.matrix import CellResult
from bnmatrix.records import Header, Place, Records, cell_key, code
from bnmatrix.store import Store

PLACE = Place("torch", None, "cpu", "isolated abc", (("A", "1"),))
CELL = parse_id("batch_norm training=true")
GIVEN = {"state": {"gamma": [1.0]}, "options": {}}
HEADER = Header({"torch": "1.0.0"}, "3.7.16", "cpu")


def result(outcome: str = "ok") -> CellResult:
    return CellResult(
        id=CELL.id,
        axes=CELL.axes,
        outcome=outcome,
        facts={"gamma": "updated"},
        measured={"rate": float("nan")},
        seconds=0.1,
    )


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A copy of the package's sources, to be changed."""
    source = Path(records.__file__).parent
    return Path(shutil.copytree(source, tmp_path / "bnmatrix", ignore=shutil.ignore_patterns("__pycache__")))


def changed(package: Path, file: str, old: str, new: str) -> set[str]:
    """What has another digest once `old` is `new` in a file."""
    before = code(package)
    code.cache_clear()
    path = package / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    after = code(package)
    code.cache_clear()
    assert before["layers"].keys() == after["layers"].keys() >= layers().keys()
    return {name for name in before["layers"] if before["layers"][name] != after["layers"][name]} | (
        {"common"} if before["common"] != after["common"] else set()
    )


@pytest.mark.parametrize(
    ("file", "old", "new", "what"),
    [
        ("probe/layers.json", "no beta", "without beta", {"batch_norm"}),
        ("probe/adapters/keras_layers.py", '"num_heads": 2', '"num_heads": 3', {"multi_head_attention"}),
        ("probe/adapters/torch_layers.py", '_norm("GroupNorm"', '_norm("GroupNormal"', {"group_norm"}),
        ("probe/adapters/torch_layers.py", '{"affine": False}', '{"affine": None}', {"common"}),
        ("probe/experiment.py", "RATE = 1.0", "RATE = 0.5", {"common"}),
        ("judge/closed_forms.py", "import", "import ", {"common"}),
        ("settling.py", "MOST = 5", "MOST = 6", {"common"}),
        ("render/wording.py", "import", "import ", set()),
    ],
)
def test_a_change_of_the_code_reaches_the_layers_that_it_is_about(
    package: Path, file: str, old: str, new: str, what: set[str]
) -> None:
    assert changed(package, file, old, new) == what


def test_everything_that_could_change_a_result_is_in_its_key(monkeypatch: pytest.MonkeyPatch) -> None:
    def key(place: Place = PLACE, cell=CELL, seed: int = 0, given=None) -> bytes:
        return cell_key(place, cell, seed, given)

    others = [
        key(Place("tf2", None, "cpu", "isolated abc", (("A", "1"),))),
        key(Place("torch", "jax", "cpu", "isolated abc", (("A", "1"),))),
        key(Place("torch", None, "cuda:0", "isolated abc", (("A", "1"),))),
        key(Place("torch", None, "cpu", "isolated abd", (("A", "1"),))),
        key(Place("torch", None, "cpu", "isolated abc", (("A", "2"),))),
        key(cell=parse_id("batch_norm training=false")),
        key(seed=1),
        key(given=GIVEN),
    ]
    records.place_key.cache_clear()
    monkeypatch.setenv("LD_LIBRARY_PATH", "/elsewhere")
    others.append(key())
    records.place_key.cache_clear()
    monkeypatch.delenv("LD_LIBRARY_PATH")
    monkeypatch.setattr(records, "machine", lambda device: ["another processor"])
    others.append(key())
    records.place_key.cache_clear()
    monkeypatch.undo()
    assert key() == key()
    assert len({key(), *others}) == len(others) + 1


def test_what_was_kept_is_known(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        Records(store).keep(PLACE, HEADER, CELL, 0, None, result())
    with Store.open(tmp_path) as store:
        header, found = Records(store).known(PLACE, [CELL, parse_id("dropout")], 0, None)
    assert header == HEADER
    assert found[CELL].facts == {"gamma": "updated"}
    assert set(found) == {CELL}


def test_to_refresh_is_to_look_nothing_up_and_to_replace(tmp_path: Path) -> None:
    with Store.open(tmp_path) as store:
        Records(store).keep(PLACE, HEADER, CELL, 0, None, result())
        refreshing = Records(store, refresh=True)
        assert refreshing.known(PLACE, [CELL], 0, None) == (None, {})
        refreshing.keep(PLACE, HEADER, CELL, 0, None, result("raised"))
    with Store.open(tmp_path) as store:
        _, found = Records(store).known(PLACE, [CELL], 0, None)
    assert found[CELL].outcome == "raised"


@pytest.mark.parametrize("outcome", ["crashed", "timed_out", "skipped"])
def test_a_fault_is_never_kept(tmp_path: Path, outcome: str) -> None:
    with Store.open(tmp_path) as store:
        Records(store).keep(PLACE, HEADER, CELL, 0, None, result(outcome))
    with Store.open(tmp_path) as store:
        assert Records(store).known(PLACE, [CELL], 0, None) == (None, {})

"""Which program is handed over: one that was seen to tell the sides apart, or none."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from bnmatrix.cli.measuring import means
from bnmatrix.comparison import Condition
from bnmatrix.runner.work import Guest
from bnmatrix.target import parse
from bnmatrix.witness import handing, trial
from bnmatrix.witness.handing import file_name, simplest_first, witness_of
from bnmatrix.witness.parts import NoProgram
from bnmatrix.witness.trial import End, separates, tried

OLD, NEW = parse("torch==1.5.1"), parse("torch==1.6.0")
NAMES = OLD.text, NEW.text


def condition(
    *ids: str, fact: str = "moving_mean", old: str = "updated", new: str = "unchanged"
) -> Condition:
    """What changed in the cells `ids`."""
    return Condition(fact=fact, old=old, new=new, when={}, ids=list(ids), cells=len(ids), severity="semantic")


def interpreter(folder: Path, name: str, script: str) -> Guest:
    """A guest whose interpreter is a script of the shell."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)
    return Guest("torch", "torch", python=str(path))


@pytest.fixture
def sides(tmp_path: Path) -> list[Guest]:
    """Two interpreters that end as a witness does on the old side and on the new."""
    return [
        interpreter(tmp_path, "old", 'echo "moving_mean: updated"; exit 0'),
        interpreter(tmp_path, "new", 'echo "moving_mean: unchanged"; exit 1'),
    ]


def test_the_simplest_cell_is_shown_first() -> None:
    ids = ["batch_norm rank=4 training=true", "batch_norm", "batch_norm training=true"]
    assert simplest_first(ids) == ["batch_norm", "batch_norm training=true", ids[0]]


def test_a_program_that_separates_is_handed_over(sides: list[Guest]) -> None:
    found = witness_of(condition("batch_norm training=true rank=4", "batch_norm"), OLD, NEW, sides, NAMES, 60)
    assert found.cell == "batch_norm"
    assert "torch.nn.BatchNorm1d" in found.text


def test_where_the_simplest_cell_has_no_program_the_next_is_taken(sides: list[Guest]) -> None:
    ids = ("batch_norm api=functional", "batch_norm rank=4 training=true")
    assert witness_of(condition(*ids), OLD, NEW, sides, NAMES, 60).cell == ids[1]


def test_a_program_that_does_not_separate_is_not_handed_over(sides: list[Guest]) -> None:
    with pytest.raises(
        NoProgram, match=r"it exited with 0 \(moving_mean: updated\) on torch==1.5.1 and exited"
    ):
        witness_of(condition("batch_norm"), OLD, NEW, [sides[0], sides[0]], NAMES, 60)


def test_a_real_program_on_one_release_does_not_separate_and_is_not_handed_over() -> None:
    pytest.importorskip("torch")
    here = [Guest("torch", "torch"), Guest("torch", "torch")]
    with pytest.raises(NoProgram, match=r"exited with 0 \(moving_mean: updated\).*exited with 0"):
        witness_of(condition("batch_norm training=true"), OLD, NEW, here, NAMES, 100)


def test_what_fails_before_it_shows_anything_is_no_witness() -> None:
    # Python's own status of an uncaught error is that of the new behaviour.
    ends = [End(0, "moving_mean: updated"), End(1, "ModuleNotFoundError: No module named 'torch'")]
    assert not separates(ends, "moving_mean")


def test_only_so_many_cells_are_tried(sides: list[Guest], monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def count(text: str, guests: list[Guest], timeout: float) -> list[End]:
        seen.append(text)
        return [End(2, ""), End(2, "")]

    monkeypatch.setattr(handing, "tried", count)
    ids = [f"batch_norm training=true rank={rank}" for rank in (2, 3, 4, 5)]
    with pytest.raises(NoProgram):
        witness_of(condition(*ids), OLD, NEW, sides, NAMES, 60)
    assert len(seen) == handing.TRIES


def test_two_frameworks_have_no_witness(sides: list[Guest]) -> None:
    with pytest.raises(NoProgram, match="one framework"):
        witness_of(condition("batch_norm"), OLD, parse("tf2"), sides, NAMES, 60)


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    guest = interpreter(tmp_path, "hangs", f"sleep 100 & echo $! > {pid}; wait")
    started = time.monotonic()
    (end,) = tried("", [guest], 1.0)
    assert end.status is None
    assert str(end) == "took too long"
    assert time.monotonic() - started < 10
    assert not _runs(int(pid.read_text()))


def test_an_interrupt_kills_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = tmp_path / "pid"
    guest = interpreter(tmp_path, "hangs", f"echo $$ > {pid}; exec sleep 100")

    def interrupted(process: subprocess.Popen[bytes], folder: Path, deadline: float) -> End:
        while not pid.exists() or not pid.read_text():
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(trial, "_end", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tried("", [guest], 60)
    assert not _runs(int(pid.read_text()))


def _runs(pid: int) -> bool:
    """Whether the process is there, and no zombie."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_files_are_named_by_what_they_show() -> None:
    estimator = condition("batch_norm", fact="variance_estimator", old="biased", new="unbiased")
    assert file_name(estimator, []) == "variance_estimator-biased-unbiased.py"
    assert file_name(estimator, ["variance_estimator-biased-unbiased.py"]).endswith("-2.py")
    warned = condition("batch_norm", fact="warnings", old="none", new="UserWarning: don't / do")
    assert file_name(warned, []) == "warnings-none-UserWarning_don_t_do.py"


def test_what_is_written_and_what_is_not_is_told(
    sides: list[Guest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from bnmatrix.cli import witnesses

    guests = dict(zip((OLD.text, NEW.text), sides, strict=True))
    monkeypatch.setattr(witnesses, "_guest", lambda target, means: guests[target.text])
    how = means(0, None, 60.0, None, None, True, False, False, False, False, False)
    asked = [condition("batch_norm"), condition("batch_norm api=functional", fact="moving_variance")]
    written = witnesses.hand_over(tmp_path, asked, OLD, NEW, how)
    assert [path.name for path in written] == ["moving_mean-updated-unchanged.py"]
    compile(written[0].read_text(encoding="utf-8"), "witness", "exec")
    said = capsys.readouterr().err
    assert f"in batch_norm: {written[0]}" in said
    assert "no witness of moving_variance updated -> unchanged: none is written for api=functional" in said

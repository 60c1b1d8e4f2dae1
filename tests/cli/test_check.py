"""`lock` and `check` on real torch: a change of what was held is found, accepted and forgotten."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bnmatrix.baseline import Baseline, load, text
from tests.cli.conftest import Run, environment

pytest.importorskip("torch")

LOCK = ("lock", "--framework", "torch", "--axis", "execution=call", "--axis", "rank=2", "--quiet")

CELL = "batch_norm trainable=false training=true"


@pytest.fixture
def locked(bnmatrix: Run, tmp_path: Path) -> Path:
    """A folder with a baseline of batch_norm, measured."""
    done = bnmatrix(*LOCK, "--layer", "batch_norm")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    return tmp_path / "bnmatrix.lock"


def doctored(file: Path, identity: str = CELL, **facts: Any) -> Baseline:
    """The baseline, as if the cell had been measured with these facts."""
    held = load(file)
    (target,) = held.targets
    cells = [
        msgspec.structs.replace(cell, facts={**cell.facts, **facts}) if cell.id == identity else cell
        for cell in target.cells
    ]
    made = msgspec.structs.replace(held, targets=[msgspec.structs.replace(target, cells=cells)])
    file.write_text(text(made), encoding="utf-8")
    return made


def test_nothing_changed(bnmatrix: Run, locked: Path) -> None:
    before = locked.read_bytes()
    done = bnmatrix("check")
    assert done.returncode == 0
    assert "nothing changed that was not accepted" in done.stdout
    assert "6 of 6 cells were known" in done.stderr
    assert locked.read_bytes() == before
    found = json.loads(bnmatrix("check", "--format", "json").stdout)
    assert found["schema_version"] == 1
    assert found["summary"] == {"same": 6, "changed": 0, "accepted": 0, "not_comparable": 0, "unstable": 0}
    assert not found["fails"]


def test_a_locked_project_is_locked_again_with_the_same_cells(bnmatrix: Run, locked: Path) -> None:
    before = locked.read_bytes()
    assert bnmatrix("lock").returncode == 0
    assert locked.read_bytes() == before


def test_what_a_new_baseline_no_longer_has_is_told(bnmatrix: Run, locked: Path) -> None:
    doctored(locked, moving_mean="unchanged")
    assert bnmatrix("check", "--accept", "--reason", "so", "--owner", "me").returncode == 0
    done = bnmatrix("lock", "--framework", "torch:cpu")
    assert done.returncode == 0
    assert "no longer in it: torch\n" in done.stderr
    assert "no longer listed: 1 accepted changes" in done.stderr
    assert load(locked).accepted == []


def test_a_change_is_found_accepted_and_forgotten(bnmatrix: Run, locked: Path) -> None:
    doctored(locked, moving_mean="unchanged", normalised_by="moving")
    done = bnmatrix("check", "--refresh")  # what was confirmed in another test is known to be so
    assert done.returncode == 1
    assert "✗ 2 changes" in done.stdout
    assert "[1" in done.stdout
    assert "changes again" in done.stderr or "change again" in done.stderr
    one = bnmatrix("check", "--accept", "--reason", "the upgrade", "--owner", "me", "--fact", "moving_mean")
    assert one.returncode == 1
    assert "✗ 1 change\n" in one.stdout
    other = bnmatrix("check", "--accept", "--reason", "as well", "--owner", "me", "--cell", CELL)
    assert other.returncode == 0, other.stdout
    assert bnmatrix("check").returncode == 0
    accepted = load(locked).accepted
    assert {(each.fact, tuple(each.cells), each.owner) for each in accepted} == {
        ("moving_mean", (), "me"),
        ("normalised_by", (CELL,), "me"),
    }
    assert all(each.targets == ["torch"] for each in accepted)

    past = [msgspec.structs.replace(each, expires=date.today() - timedelta(days=7)) for each in accepted]
    locked.write_text(text(msgspec.structs.replace(load(locked), accepted=past)), encoding="utf-8")
    done = bnmatrix("check")
    assert done.returncode == 1
    assert done.stdout.count("is past its date") == 2

    doctored(locked, moving_mean="updated", normalised_by="batch")
    done = bnmatrix("check")
    assert done.returncode == 1
    assert done.stdout.count("nothing changes so any more") == 2
    assert bnmatrix("check", "--forget").returncode == 0
    assert load(locked).accepted == []


def test_one_after_the_other_is_accepted_on_a_terminal(locked: Path) -> None:
    doctored(locked, moving_mean="unchanged", normalised_by="moving")
    ours, theirs = pty.openpty()
    os.write(ours, b"accept\nthe upgrade\nme\n2999-12-31\nskip\n")
    done = subprocess.run(
        [sys.executable, "-m", "bnmatrix", "check", "--accept"],
        cwd=locked.parent,
        env=environment(),
        stdin=theirs,
        stderr=theirs,
        stdout=subprocess.PIPE,
        timeout=100,
        check=False,
    )
    os.close(theirs)
    said = b""
    with contextlib.suppress(OSError):  # what Linux has at the end of it
        while more := os.read(ours, 100_000):
            said += more
    os.close(ours)
    assert done.returncode == 1
    (accepted,) = load(locked).accepted
    assert (accepted.reason, accepted.owner, accepted.expires) == ("the upgrade", "me", date(2999, 12, 31))
    assert b"accept, skip or quit" in said


def test_two_targets_are_compared_without_a_baseline(bnmatrix: Run, tmp_path: Path) -> None:
    cells = ("--cell", "batch_norm training=true", "--cell", "batch_norm training=false")
    same = bnmatrix("check", "--against", "torch", *cells)
    assert same.returncode == 0, same.stderr
    assert not list(tmp_path.iterdir())
    other = bnmatrix("check", "--against", "tf2", "--framework", "torch", *cells, "--format", "json")
    assert other.returncode == 1, other.stderr
    assert "normalised_by" not in {change["fact"] for change in json.loads(other.stdout)["changes"]}


def test_what_the_project_configures_is_locked_and_decides_what_fails(bnmatrix: Run, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.bnmatrix]\nframeworks = ["torch"]\nlayers = ["dropout"]\nbaseline = "held.lock"\n'
        'axes = { execution = ["call"], rank = ["2"] }\nfail-on = "semantic"\n'
        'severity = { mode_after = "ignored" }\n'
    )
    assert bnmatrix("lock").returncode == 0
    held = load(tmp_path / "held.lock")
    assert {cell.axes["layer"] for cell in held.targets[0].cells} == {"dropout"}
    doctored(tmp_path / "held.lock", "dropout training=true", output_scale=3.0, mode_after="no")
    done = bnmatrix("check")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("does not fail") >= 1
    doctored(tmp_path / "held.lock", "dropout training=true", stochastic="no")
    assert bnmatrix("check").returncode == 1


@pytest.mark.parametrize(
    ("configuration", "message"),
    [
        ('required-version = ">=99"', "asks for bnmatrix >=99"),
        ('required-version = ">=99"\nlayrs = 3', "asks for bnmatrix >=99"),
        ('required-version = "new"', "is not a range of versions"),
        ('layrs = ["dropout"]', "unknown field 'layrs'"),
        ('layers = "dropout"', "Expected `array`"),
        ('layers = ["dropuot"]', "unknown layer 'dropuot'"),
        ('fail-on = "sematic"', "unknown severity 'sematic'"),
        ('severity = { gama = "ignored" }', "unknown fact 'gama'"),
        ("tolerances = { update_rate = 2 }", "is not a share from 0 to 1"),
        ("tolerances = { gamma = 0.1 }", "unknown fact of degree 'gamma'"),
        ('coverage = "pairwse"', "unknown coverage 'pairwse'"),
    ],
)
def test_a_configuration_that_cannot_be_used(
    bnmatrix: Run, tmp_path: Path, configuration: str, message: str
) -> None:
    (tmp_path / "pyproject.toml").write_text(f"[tool.bnmatrix]\n{configuration}\n")
    done = bnmatrix("lock", "--framework", "torch")
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert not (tmp_path / "bnmatrix.lock").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("check",), "bnmatrix.lock: No such file"),
        (("check", "--baseline", "none.lock"), "none.lock: No such file"),
        (("check", "--reason", "x"), "go with --accept"),
        (("check", "--accept"), "--accept needs a reason"),
        (("check", "--accept", "--against", "torch", "--reason", "x"), "--accept writes into a baseline"),
        (("check", "--format", "junitt"), "unknown format 'junitt'"),
        (("check", "--accept", "--reason", "x", "--expires", "soon"), "'soon' is not a date"),
        (("check", "--accept", "--reason", "x", "--fact", "gama"), "unknown fact 'gama'"),
    ],
)
def test_options_that_make_no_sense(bnmatrix: Run, arguments: tuple[str, ...], message: str) -> None:
    done = bnmatrix(*arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_configuration_that_has_moved_on_is_told(bnmatrix: Run, locked: Path, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[tool.bnmatrix]\nframeworks = ["torch", "tf2"]\nlayers = ["dropout"]\n'
    )
    for _ in range(2):
        done = bnmatrix("check")
        assert done.returncode == 0
        assert "the configuration has the frameworks torch, tf2, the baseline torch" in done.stderr
        assert "selects other cells than the baseline" in done.stderr
    (tmp_path / "pyproject.toml").write_text('[tool.bnmatrix]\nlayers = ["dropuot"]\n')
    assert bnmatrix("check").returncode == 2


SLOW = "batch_norm training=true execution=compiled compiler=eager"


def test_what_takes_too_long_goes_into_no_baseline_and_forgets_nothing(bnmatrix: Run, tmp_path: Path) -> None:
    """Compiling takes longer than a tenth of a second."""
    hurried = ("--no-cache", "--timeout", "0.1")
    done = bnmatrix("lock", "--framework", "torch", "--cell", SLOW, *hurried)
    assert done.returncode == 3
    assert "bnmatrix.lock was not written: 1 of 1 cells of torch could not be measured" in done.stderr
    assert bnmatrix("lock", "--framework", "torch", "--cell", SLOW).returncode == 0
    file = tmp_path / "bnmatrix.lock"
    (identity,) = load(file).targets[0].by_id()
    doctored(file, identity, moving_mean="unchanged")
    assert bnmatrix("check", "--accept", "--reason", "so", "--owner", "me").returncode == 0
    done = bnmatrix("check", "--forget", *hurried)
    assert done.returncode == 3
    assert "there is nothing to forget" in done.stderr
    assert len(load(file).accepted) == 1


def test_a_fact_that_is_no_longer_decided_is_told(bnmatrix: Run, locked: Path) -> None:
    doctored(locked, "batch_norm training=true", kernel="updated")
    done = bnmatrix("check")
    assert done.returncode == 3
    assert "incomplete: 1 facts that the baseline has decided could not be" in done.stderr
    assert "? kernel in batch_norm training=true of torch, was updated" in done.stdout


def test_selectors_of_a_check_are_refused(bnmatrix: Run, locked: Path) -> None:
    done = bnmatrix("check", "--layer", "dropout")
    assert done.returncode == 2
    assert "are those of the baseline" in done.stderr
    done = bnmatrix("check", "--framework", "tf2")
    assert done.returncode == 2
    assert "the baseline has no target 'tf2'" in done.stderr
    assert bnmatrix("check", "--accept", "--reason", "x", "--change", "3").returncode == 2


def test_a_damaged_baseline_is_told_and_left_as_it_is(bnmatrix: Run, locked: Path) -> None:
    damaged = locked.read_text().replace('"gamma": "unchanged"', '"gamma": "updated"', 1)
    locked.write_text(damaged)
    for command in (("check",), ("lock",), ("check", "--accept", "--reason", "x")):
        done = bnmatrix(*command)
        assert done.returncode == 2, done.stderr
        assert "the line is not as it was written" in done.stderr
        assert locked.read_text() == damaged


def test_no_witness_is_handed_over_that_does_not_tell_the_sides_apart(
    bnmatrix: Run, locked: Path, tmp_path: Path
) -> None:
    """The torch that was locked is the one that is there: what the baseline says of it is not so."""
    doctored(locked, moving_mean="unchanged")
    done = bnmatrix("check", "--witness", "witnesses")
    assert done.returncode == 1
    assert "no witness of moving_mean unchanged -> updated" in done.stderr
    assert list((tmp_path / "witnesses").iterdir()) == []


def test_a_summary_of_the_job_is_written_unasked(bnmatrix: Run, locked: Path, tmp_path: Path) -> None:
    doctored(locked, moving_mean="unchanged")
    summary = tmp_path / "summary.md"
    done = bnmatrix("check", "--format", "github", env={"GITHUB_STEP_SUMMARY": str(summary)})
    assert done.returncode == 1
    assert done.stdout.startswith("::error ")
    assert "| moving_mean | unchanged | **updated** | 1 |" in summary.read_text()

"""Where things lie, and what is said where they cannot lie there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bnmatrix.environment import errors, places
from bnmatrix.errors import Exit


def test_it_is_the_folder_that_the_user_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("here", "~/here", str(tmp_path / "here")):
        monkeypatch.setenv("BNMATRIX_HOME", name)
        assert places.root() == tmp_path / "here"
    monkeypatch.setenv("BNMATRIX_HOME", "")
    assert places.root().name == "bnmatrix"


def test_what_can_be_no_folder_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    for name, why in ((str(tmp_path / "file"), "which is a file"), ("~nosuch/x", "there is no such user")):
        monkeypatch.setenv("BNMATRIX_HOME", name)
        with pytest.raises(errors.EnvironmentFailure) as raised:
            places.Settings()
        assert raised.value.message.startswith(f"BNMATRIX_HOME is {name}, ")
        assert why in raised.value.message
        assert raised.value.hint


@pytest.mark.parametrize(
    "command", ["env create torch==1.0.0 --offline", "env list", "run --framework torch==1.0.0"]
)
@pytest.mark.parametrize("home", ["file", "~nosuch/x"])
def test_the_program_says_so_too(home: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = subprocess.run(
        [sys.executable, "-m", "bnmatrix", *command.split()],
        env={**os.environ, "BNMATRIX_HOME": home, "PYTHONPATH": str(Path(places.__file__).parents[2])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (Exit.INCOMPLETE, "")
    said, hint = done.stderr.splitlines()
    assert (said.partition(", ")[0], hint) == (
        f"bnmatrix: BNMATRIX_HOME is {home}",
        "  let it name a folder",
    )


def test_whatever_lies_there_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    (tmp_path / "file").write_text("")
    (tmp_path / "link to a folder").symlink_to("folder")
    (tmp_path / "link to nothing").symlink_to("nothing")
    for name in ("link to a folder", "link to nothing", "file", "nothing"):
        places.delete(tmp_path / name)
    assert [each.name for each in tmp_path.iterdir()] == ["folder"]
    places.delete(tmp_path / "folder")
    assert list(tmp_path.iterdir()) == []

"""The summary of a job: appended to the file that GitHub names, no longer than GitHub takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnmatrix.cli import job_summary
from bnmatrix.cli.job_summary import CUT, MOST_BYTES, VARIABLE, append, fitting


def test_the_result_is_appended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.md"
    path.write_text("# before\n")
    monkeypatch.setenv(VARIABLE, str(path))
    append("## größe → 1\n\n")
    append("## second\n")
    assert path.read_text(encoding="utf-8") == "# before\n## größe → 1\n## second\n"


@pytest.mark.parametrize("value", [None, ""])
def test_elsewhere_nothing_happens(
    value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    append("## text")
    assert list(tmp_path.iterdir()) == []
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["", "nowhere/summary.md", "x" * 5000])
def test_a_file_that_cannot_be_written_is_told_and_no_failure(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(VARIABLE, str(tmp_path / name))
    append("## text")
    out, err = capsys.readouterr()
    assert out == ""
    assert "job summary" in err
    assert len(err.splitlines()) == 1


def test_a_long_result_is_cut_at_a_line_with_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.md"
    path.write_text("before\n")
    monkeypatch.setenv(VARIABLE, str(path))
    line = "| größe → | 1 |\n"
    append(line * (MOST_BYTES // 10))
    append(line * 10)
    written = path.read_bytes()
    assert MOST_BYTES - len(line.encode()) - len(CUT) < len(written) <= MOST_BYTES
    assert written.decode().endswith(f"{line.rstrip()}{CUT}")


@pytest.mark.parametrize("room", [*range(130), -5])
def test_what_fits_is_all_of_it_or_whole_lines_and_the_note(room: int) -> None:
    markdown = "one\ntwo\nthree\n" * 4
    told = fitting(markdown, room)
    assert len(told) <= max(room, 0)
    if told and told != markdown.encode():
        kept = told.decode().removesuffix(CUT)
        assert kept != told.decode()
        assert markdown.startswith(f"{kept}\n")


def test_the_limit_is_that_of_github() -> None:
    assert job_summary.MOST_BYTES == 1_048_576

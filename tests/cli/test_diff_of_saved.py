"""`bnmatrix diff` of saved matrices: exit codes, formats, selectors, terminals. No framework."""

from __future__ import annotations

import csv
import json
from io import StringIO
from pathlib import Path

import jsonschema
import pytest

from bnmatrix.render import as_json
from tests.cli.conftest import Run

pytestmark = pytest.mark.usefixtures("saved")


def test_a_change_is_exit_code_1(bnmatrix: Run) -> None:
    done = bnmatrix("diff", "tf1.json", "tf2.json")
    assert done.returncode == 1
    assert done.stdout.startswith("tf1 → tf2\n")
    assert done.stderr == ""


def test_no_difference_is_exit_code_0(bnmatrix: Run) -> None:
    done = bnmatrix("diff", "tf2.json", "tf2.json")
    assert done.returncode == 0
    assert "no difference" in done.stdout


def test_json_fits_the_schema(bnmatrix: Run) -> None:
    done = bnmatrix("diff", "tf2.json", "torch.json", "--format", "json")
    assert done.returncode == 1
    jsonschema.validate(json.loads(done.stdout), as_json.schema("diff"))


def test_csv_has_a_row_for_each_change(bnmatrix: Run) -> None:
    changes = json.loads(bnmatrix("diff", "tf2.json", "torch.json", "--format", "json").stdout)["changes"]
    rows = list(
        csv.DictReader(StringIO(bnmatrix("diff", "tf2.json", "torch.json", "--format", "csv").stdout))
    )
    assert [(row["id"], row["fact"]) for row in rows] == [
        (change["id"], change["fact"]) for change in changes
    ]


def test_markdown_is_a_table(bnmatrix: Run) -> None:
    assert (
        "| where | fact | old | new | cells |"
        in bnmatrix("diff", "tf1.json", "tf2.json", "--format", "markdown").stdout
    )


def test_of_several_targets_one_is_named(bnmatrix: Run) -> None:
    unnamed = bnmatrix("diff", "all.json", "tf2.json")
    assert unnamed.returncode == 2
    assert "all.json has 3 targets: tf1, tf2, torch" in unnamed.stderr
    assert "all.json#tf1" in unnamed.stderr
    assert bnmatrix("diff", "all.json#tf2", "tf2.json").returncode == 0
    assert bnmatrix("diff", "all.json#tf3", "tf2.json").returncode == 2


def test_selectors_cut_saved_matrices_down(bnmatrix: Run) -> None:
    arguments = ("diff", "tf2.json", "torch.json", "--format", "json")
    all_ids = {change["id"] for change in json.loads(bnmatrix(*arguments).stdout)["changes"]}
    some = json.loads(bnmatrix(*arguments, "--axis", "execution=call", "--axis", "rank=4").stdout)
    assert {change["axes"]["rank"] for change in some["changes"]} == {"4"}
    assert {change["id"] for change in some["changes"]} < all_ids
    one = json.loads(bnmatrix(*arguments, "--cell", "batch_norm training=true trainable=false").stdout)
    assert {change["id"] for change in one["changes"]} == {"batch_norm trainable=false training=true"}


def test_what_was_not_saved_cannot_be_selected(bnmatrix: Run) -> None:
    assert bnmatrix("diff", "tf2.json", "torch.json", "--layer", "dropout").returncode == 5


def test_expand_lists_every_cell(bnmatrix: Run) -> None:
    short, long = (bnmatrix("diff", "tf1.json", "tf2.json", *more).stdout for more in ([], ["--expand"]))
    identity = "batch_norm trainable=false training=true"
    assert identity not in short
    assert identity in long


def test_output_goes_to_a_file_whole(bnmatrix: Run, tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    path.write_text("old")
    path.chmod(0o640)
    done = bnmatrix("diff", "tf1.json", "tf2.json", "--format", "json", "--output", "out.json")
    assert done.returncode == 1
    assert done.stdout == ""
    assert json.loads(path.read_text())["schema_version"] == 1
    assert path.stat().st_mode & 0o777 == 0o640
    assert not [left for left in tmp_path.iterdir() if left.name.startswith(".out")]


def test_any_name_that_the_system_takes_will_do(bnmatrix: Run, tmp_path: Path) -> None:
    name = "x" * 250
    assert bnmatrix("diff", "tf2.json", "tf2.json", "--output", name).returncode == 0
    assert "no difference" in (tmp_path / name).read_text(encoding="utf-8")


def test_a_table_in_a_file_has_no_colour(bnmatrix: Run, tmp_path: Path) -> None:
    bnmatrix("diff", "tf1.json", "tf2.json", "--output", "out.txt")
    assert "\x1b" not in (tmp_path / "out.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", ["40", "80", "120", "1"])
def test_a_page_is_as_wide_as_the_terminal(columns: str, bnmatrix: Run) -> None:
    done = bnmatrix("diff", "tf1.json", "tf2.json", env={"COLUMNS": columns})
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    if columns != "1":
        assert max(map(len, done.stdout.splitlines())) <= int(columns)


TERMINALS = {
    "a pipe has no colour": ({}, False),
    "FORCE_COLOR brings it": ({"FORCE_COLOR": "1"}, True),
    "NO_COLOR alone changes nothing": ({"NO_COLOR": "1"}, False),
}


@pytest.mark.parametrize("terminal", TERMINALS)
def test_colour(terminal: str, bnmatrix: Run) -> None:
    env, coloured = TERMINALS[terminal]
    assert ("\x1b[" in bnmatrix("diff", "tf1.json", "tf2.json", env=env).stdout) is coloured


@pytest.mark.parametrize(
    "env", [{"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}], ids=["ascii", "latin-1"]
)
def test_an_encoding_without_the_signs_gets_ascii(env: dict[str, str], bnmatrix: Run) -> None:
    done = bnmatrix("diff", "tf1.json", "tf2.json", env=env)
    assert done.returncode == 1
    assert done.stdout.isascii()
    assert "* batch" in done.stdout
    assert "tf1 -> tf2" in done.stdout

"""Mistakes on the command line: a clear message, what to do next, the documented exit code, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnmatrix.placement import Wishes, installed
from tests.cli.conftest import Run

MISTAKES = {
    "an unknown framework": (
        ["run", "--framework", "tf3"],
        2,
        "unknown framework 'tf3'",
        "did you mean 'tf2'?",
    ),
    "an unknown layer": (["run", "--layer", "batchnorm"], 2, "unknown layer 'batchnorm'", "'batch_norm'"),
    "an unknown axis": (["run", "--axis", "ranks=2"], 2, "unknown axis 'ranks'", "'rank'"),
    "an unknown value": (
        ["run", "--axis", "rank=9"],
        2,
        "unknown value of axis rank '9'",
        "known: 2, 3, 4, 5",
    ),
    "an axis without values": (["run", "--axis", "rank"], 2, "--axis 'rank'", "write rank=2,3,4,5"),
    "an unknown scenario": (
        ["run", "--scenario", "cor"],
        2,
        "unknown scenario 'cor'",
        "did you mean 'core'?",
    ),
    "a scenario that is not there": (
        ["run", "--scenario", "./no.toml"],
        2,
        "cannot read the scenario no.toml",
        "",
    ),
    "an unknown format": (["run", "--format", "jsn"], 2, "unknown format 'jsn'", "did you mean 'json'?"),
    "an unknown device": (["run", "--device", "tpu"], 2, "unknown device 'tpu'", "cuda:0"),
    "a cell that does not read": (["run", "--cell", "batch_norm frozen"], 2, "'frozen'", ""),
    "a cell beside a layer": (
        ["run", "--cell", "batch_norm", "--layer", "dense"],
        2,
        "whole cells",
        "leave --layer",
    ),
    "an unknown command": (["rum"], 2, "No such command 'rum'", "bnmatrix --help"),
    "an unknown option": (["run", "--framwork", "tf2"], 2, "--framwork", "bnmatrix run --help"),
    "a number that is none": (["run", "--jobs", "many"], 2, "--jobs", "bnmatrix run --help"),
    "a missing argument": (["diff", "tf2"], 2, "Missing argument 'NEW'", "bnmatrix diff --help"),
    "an unknown list": (["list", "layer"], 2, "unknown list 'layer'", "did you mean 'layers'?"),
    "a saved matrix that is not there": (["diff", "no.json", "no.json"], 2, "cannot read no.json", ""),
    "an output in no folder": (["run", "--output", "no/where"], 2, "cannot write no/where", ""),
    "an output that is a folder": (["run", "--output", "."], 2, "is a directory", "name a file"),
    "an output called a folder": (["run", "--output", "no/"], 2, "no/: it is a directory", "name a file"),
    "an output without a name": (["run", "--output", ""], 2, "--output is empty", "name a file"),
    "an output of a name too long": (["run", "--output", "x" * 300], 2, "name too long", ""),
    "a seed too large": (["run", "--seed", "4294967290"], 2, "--seed", "bnmatrix run --help"),
    "a timeout that never ends": (["run", "--timeout", "inf"], 2, "from 0.1 to 86400", ""),
    "a timeout of years": (["run", "--timeout", "1e9"], 2, "from 0.1 to 86400", ""),
    "a timeout that is no number": (["run", "--timeout", "nan"], 2, "from 0.1 to 86400", ""),
    "a timeout too short": (["run", "--timeout", "0"], 2, "from 0.1 to 86400", ""),
    "a cell that contradicts itself": (
        ["run", "--cell", "batch_norm layer=dense"],
        2,
        "both layer=batch_norm and layer=dense",
        "one value",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_a_line_and_a_hint(mistake: str, bnmatrix: Run) -> None:
    arguments, code, message, hint = MISTAKES[mistake]
    done = bnmatrix(*arguments)
    assert done.returncode == code
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) <= 2
    assert lines[0].startswith("bnmatrix: ")
    assert message in lines[0]
    assert hint in (lines[1] if len(lines) > 1 else "")


SCENARIOS = {
    "malformed TOML": ('title = "x"\n[[product]\n', "scenario.toml", "line 2"),
    "an unknown field": (
        'title = "x"\ntitel = "y"\n[[product]]\n',
        "scenario.toml:2",
        "did you mean 'title'?",
    ),
    "an unknown axis": ('title = "x"\n[[product]]\nrnk = 2\n', "scenario.toml:3", "did you mean 'rank'?"),
    "an unknown value": (
        'title = "x"\n[[product]]\nexecution = "fti"\n',
        "scenario.toml:3",
        "did you mean 'fit'?",
    ),
    "no product": ('title = "x"\n', "scenario.toml", "[[product]]"),
}


@pytest.mark.parametrize("mistake", SCENARIOS)
def test_a_mistake_in_a_scenario_names_its_place(mistake: str, bnmatrix: Run, tmp_path: Path) -> None:
    text, place, says = SCENARIOS[mistake]
    (tmp_path / "scenario.toml").write_text(text)
    done = bnmatrix("run", "--scenario", "scenario.toml")
    assert done.returncode == 2
    assert place in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


NOTHING = {
    "training under fit": (
        ["--axis", "execution=fit", "--axis", "training=true"],
        "only training=default exists",
    ),
    "what the scenario excludes": (["--scenario", "less.toml"], "the scenario excludes it"),
}


@pytest.mark.skipif(not installed(Wishes()), reason="no framework is installed")
@pytest.mark.parametrize("selection", NOTHING)
def test_nothing_selected_has_a_code_of_its_own(selection: str, bnmatrix: Run, tmp_path: Path) -> None:
    (tmp_path / "less.toml").write_text(
        'title = "less"\n[[product]]\ntraining = true\nexclude = [{training = [true, "default"]}]\n'
    )
    arguments, why = NOTHING[selection]
    done = bnmatrix("run", *arguments)
    assert done.returncode == 5
    said, hint = done.stderr.splitlines()
    assert "no cell of" in said
    assert why in hint


MATRICES = {
    "not JSON": ("{", "is not a saved matrix"),
    "something else": ("[]", "is not a saved matrix"),
    "another version": ('{"schema_version": 99}', "schema version 99"),
    "a field of another kind": (
        '{"schema_version": 1, "bnmatrix": "0", "targets": 3}',
        "is not a saved matrix",
    ),
    "a version in words": (
        '{"schema_version": "1", "bnmatrix": "0", "targets": []}',
        "Expected `int`, got `str` - at `$.schema_version`",
    ),
    "no version": ("{}", "schema_version"),
    "too deep": ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "is not a saved matrix"),
}


@pytest.mark.parametrize("mistake", MATRICES)
def test_a_file_that_is_no_matrix_is_told_as_such(mistake: str, bnmatrix: Run, tmp_path: Path) -> None:
    text, says = MATRICES[mistake]
    (tmp_path / "m.json").write_text(text)
    done = bnmatrix("diff", "m.json", "m.json")
    assert done.returncode == 2
    assert "m.json" in done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_that_may_not_be_written_is_left_as_it_is(bnmatrix: Run, saved: Path) -> None:
    kept = saved / "kept"
    kept.mkdir()
    (kept / "file").write_text("old")
    done = bnmatrix("diff", "tf1.json", "tf2.json", "--output", "kept/file/below")
    assert done.returncode == 2
    assert (kept / "file").read_text() == "old"

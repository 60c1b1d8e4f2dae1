"""`bnmatrix bisect` as a user runs it: what is refused, and the release that is installed."""

from __future__ import annotations

import json

import jsonschema
import pytest

from bnmatrix.placement import Wishes, installed_version
from bnmatrix.render import as_json
from bnmatrix.target import parse
from tests.cli.conftest import Run

TORCH = installed_version(parse("torch"), Wishes())
HERE = TORCH[0].partition("+")[0] if TORCH else ""
CELL = ("--cell", "batch_norm training=true trainable=false")

needs_torch = pytest.mark.skipif(not TORCH, reason="torch is not installed here")


@pytest.mark.parametrize(
    ("arguments", "says", "hint"),
    [
        (["torch", "1.10.2..1.4.0"], "1.10.2 is later than 1.4.0", "1.4.0..1.10.2"),
        (["torch", "1.4.0"], "'1.4.0' is not of the form OLD..NEW", "write bnmatrix bisect torch"),
        (["torch", "1.4.0.."], "'1.4.0..' is not of the form OLD..NEW", "write bnmatrix bisect torch"),
        (["torch", "1.4.0..1.5.0..1.6.0"], "is not of the form OLD..NEW", "write bnmatrix bisect torch"),
        (["torch", "1.4.0...1.5.0"], "'.1.5.0' is not a version", "write bnmatrix bisect torch"),
        (["torch", "new..old"], "'new' is not a version", "write bnmatrix bisect torch"),
        (["torch==1.4.0", "1.4.0..1.5.0"], "torch==1.4.0 has a version already", "which releases"),
        (["troch", "1.4.0..1.5.0"], "'troch'", "torch"),
        (["torch", "1.4.0..1.5.0", "--fact", "gama"], "unknown fact 'gama'", "gamma"),
        (["torch", "1.4.0..1.5.0", "--every", "day"], "unknown --every 'day'", "minor"),
        (["torch", "1.4.0..1.5.0", "--scenario", "tf1_example"], "numbers of its own", ""),
    ],
)
def test_what_cannot_be_searched_is_said_at_once(
    arguments: list[str], says: str, hint: str, bnmatrix: Run
) -> None:
    done = bnmatrix("bisect", *arguments, "--offline")
    assert done.returncode == 2
    assert says in done.stderr
    assert hint in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_range_of_which_nothing_is_here_is_exit_code_5(bnmatrix: Run) -> None:
    done = bnmatrix("bisect", "torch", "1.4.0..1.5.0", "--offline")
    assert done.returncode == 5
    assert "no release of torch from 1.4.0 to 1.5.0 is known" in done.stderr


@needs_torch
def test_a_release_does_not_differ_from_itself(bnmatrix: Run) -> None:
    arguments = ("bisect", "torch", f"{HERE}..{HERE}", "--offline", *CELL)
    done = bnmatrix(*arguments)
    assert done.returncode == 0, done.stderr
    assert f"torch {HERE}" in done.stdout.splitlines()[0]
    assert "do not differ" in done.stdout
    again = bnmatrix(*arguments, "--format", "json")
    found = json.loads(again.stdout)
    jsonschema.validate(found, as_json.schema("bisect"))
    assert (found["total"], found["measured"], found["changes"]) == (1, 1, [])


@needs_torch
def test_ahead_of_time_it_tells_of_both_ends(bnmatrix: Run) -> None:
    done = bnmatrix("bisect", "torch", f"{HERE}..{HERE}", "--offline", "--dry-run", *CELL)
    assert done.returncode == 0
    assert f"torch=={HERE}" in done.stdout


@needs_torch
def test_cells_that_say_nothing_at_the_ends_are_exit_code_5(bnmatrix: Run) -> None:
    done = bnmatrix("bisect", "torch", f"{HERE}..{HERE}", "--offline", "--cell", "renorm")
    assert done.returncode == 2
    unavailable = ("--cell", "batch_norm training=true context=reloaded variant=renorm")
    done = bnmatrix("bisect", "torch", f"{HERE}..{HERE}", "--offline", *unavailable)
    assert done.returncode == 5
    assert "no cell could be compared" in done.stderr

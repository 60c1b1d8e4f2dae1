"""A finding is told at the requirement that was bumped, at its line of the baseline, or in the baseline."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bnmatrix import baseline as baselines
from bnmatrix.baseline import Baseline, Selected
from bnmatrix.check_places import differing, names, places
from bnmatrix.checked import Check, Sides
from tests.render import checks, miniature


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "ml"
    folder.mkdir()
    (folder / "requirements.txt").write_text("numpy==2.4.6\ntensorflow==2.21.0\n")
    monkeypatch.chdir(folder)
    return folder


def locked(check: Check, project: Path) -> Check:
    """`check`, with its accepted changes written into a real baseline."""
    baseline = Baseline(
        schema_version=baselines.SCHEMA_VERSION,
        bnmatrix="0.1.0",
        seed=0,
        selection=Selected(),
        targets=[miniature.tf2()],
        accepted=[answer.accepted for answer in check.expectations],
    )
    path = project / "bnmatrix.lock"
    path.write_text(baselines.text(baseline), encoding="utf-8")
    return replace(check, baseline=path.name)


def test_a_target_whose_package_was_bumped_is_at_its_requirement(project: Path) -> None:
    found = places(checks.full(), project)
    place = found.of_target["tf2"]
    assert (place.file, place.line, place.package) == ("ml/requirements.txt", 2, "tensorflow")


def test_a_target_that_is_as_it_was_has_no_requirement(project: Path) -> None:
    assert "torch" not in places(checks.full(), project).of_target


def test_an_accepted_change_is_at_its_own_line_of_the_baseline(project: Path) -> None:
    check = locked(checks.full(), project)
    found = places(check, project)
    lines = (project / "bnmatrix.lock").read_text(encoding="utf-8").splitlines()
    assert len({place.line for place in found.of_expectation.values()}) == len(check.expectations)
    for number, answer in enumerate(check.expectations):
        place = found.of_expectation[number]
        assert place.file == "ml/bnmatrix.lock"
        assert answer.accepted.fact in lines[place.line - 1]
        assert answer.accepted.reason in lines[place.line - 1]


def test_the_rest_is_in_the_baseline(project: Path) -> None:
    place = places(locked(checks.full(), project), project).otherwise
    assert place is not None
    assert (place.file, place.line) == ("ml/bnmatrix.lock", 1)


def test_without_a_baseline_it_is_where_the_project_is_told_of(project: Path) -> None:
    check = replace(checks.full(), baseline=None)
    assert places(check, project).otherwise is None
    (project / "pyproject.toml").write_text("")
    place = places(check, project).otherwise
    assert place is not None
    assert place.file == "ml/pyproject.toml"


def test_a_baseline_that_is_not_there_is_no_reason_to_fail(project: Path) -> None:
    found = places(replace(checks.full(), baseline="nowhere/bnmatrix.lock"), project)
    assert found.of_expectation == {}
    (project / "bnmatrix.lock").write_bytes(b'{"fact": \xff}\n{\n' + b"{" * 100_000)
    assert places(checks.full(), project).of_expectation == {}


def test_findings_call_a_target_what_the_baseline_does() -> None:
    full = checks.full()
    old, new = checks.side("production"), checks.side("tf2==2.21.0")
    sides = {"old": Sides(targets=[old]), "new": Sides(targets=[new])}
    assert names(replace(full, **sides)) == ["production"]
    assert names(replace(full, baseline=None, **sides)) == ["tf2==2.21.0"]


def test_packages_that_come_and_go_differ_too() -> None:
    old, new = checks.side("tf2", a="1", b="1", c="1"), checks.side("tf2", b="1", c="2", d="1")
    assert differing(old, new) == {"a": ("1", None), "c": ("1", "2"), "d": (None, "1")}


def test_the_lines_are_found_among_many_cells(project: Path) -> None:
    check = locked(checks.full(), project)
    text = (project / "bnmatrix.lock").read_bytes()
    assert msgspec.json.decode(text)["targets"]["tf2"]["count"] > 10
    assert len(places(check, project).of_expectation) == 4

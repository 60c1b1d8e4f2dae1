"""The plugin as pytest loads it: by its entry point, in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import bnmatrix

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["numpy", "msgspec", "typer", "rich", "torch", "tensorflow", "bnmatrix.testing", "bnmatrix.api"]


@pytest.fixture(autouse=True)
def installed(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found as an installed package is, whether it is or not: by the entry points of pyproject.toml."""
    named = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    folder = pytester.mkdir("site") / "bnmatrix-0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: bnmatrix\nVersion: 0\n")
    lines = [f"{name} = {module}" for name, module in named.items()]
    (folder / "entry_points.txt").write_text("\n".join(["[pytest11]", *lines]))
    package = Path(bnmatrix.__file__).parents[1]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder.parent), str(package)]))
    monkeypatch.delenv("PYTEST_ADDOPTS", raising=False)


def test_a_run_that_does_not_use_it_imports_nothing_for_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(f"""
        import sys

        def test_light(pytestconfig):
            assert pytestconfig.pluginmanager.has_plugin("bnmatrix")
            assert "bnmatrix.pytest_plugin" in sys.modules
            assert [name for name in {HEAVY!r} if name in sys.modules] == []
    """)
    done = pytester.runpytest_subprocess("-p", "no:hypothesispytest", "-p", "no:syrupy", "-W", "error")
    done.assert_outcomes(passed=1)


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_without(pytestconfig):
            assert not pytestconfig.pluginmanager.has_plugin("bnmatrix")

        def test_with(bnmatrix):
            raise AssertionError
    """)
    done = pytester.runpytest_subprocess("-p", "no:bnmatrix")
    done.assert_outcomes(passed=1, errors=1)
    done.stdout.fnmatch_lines(["*fixture 'bnmatrix' not found*"])


def test_the_fixture_gives_the_assertions_and_failures_are_short(pytester: pytest.Pytester) -> None:
    pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")
    pytester.makepyfile("""
        import torch
        from torch import nn

        def model():
            made = nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 2))
            made[0].requires_grad_(False)
            return made

        def test_good(bnmatrix):
            bnmatrix.assert_trains(model(), "1", input=torch.randn(4, 3))

        def test_bad(bnmatrix):
            bnmatrix.assert_frozen(model(), "0", input=torch.randn(4, 3))

        def test_no_match(bnmatrix):
            bnmatrix.assert_frozen(model(), "bn", input=torch.randn(4, 3))
    """)
    done = pytester.runpytest_subprocess()
    done.assert_outcomes(passed=1, failed=2)
    done.stdout.fnmatch_lines(
        [
            "E *AssertionError: 0 is not frozen: in 2 steps (by hand, SGD)",
            "E *running_mean *moved by up to *",
            "E *although requires_grad=False: it was called with module.training=True*",
            "E *CannotTell: no layer and no parameter matches 'bn'",
        ]
    )
    done.stdout.no_fnmatch_line("*__tracebackhide__*")
    assert "not_frozen(" not in done.stdout.str()

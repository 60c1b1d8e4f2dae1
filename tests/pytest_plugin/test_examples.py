"""The examples of the documentation run, as a test suite that has them."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="no CPU build of torch here: make test says so")

import bnmatrix.testing

README = Path(__file__).resolve().parents[2] / "README.md"


def examples() -> dict[str, str]:
    """Blocks of Python that use the assertions."""
    documented = inspect.cleandoc(bnmatrix.testing.__doc__ or "")
    found = {"the docstring": "\n".join(re.findall(r"^    (.*)$|^$", documented, re.MULTILINE))}
    blocks = re.findall(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    told = [block for block in blocks if "bnmatrix.testing" in block or "assert_frozen" in block]
    return found | {f"README {number}": block for number, block in enumerate(told, 1)}


@pytest.mark.parametrize("name", examples())
def test_an_example_runs(name: str, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    code = examples()[name]
    assert "def test_" in code
    monkeypatch.setenv("PYTHONPATH", str(README.parent))
    pytester.makepyfile(code)
    done = pytester.runpytest_subprocess()
    outcomes = done.parseoutcomes()
    assert outcomes.pop("passed", 0) == code.count("def test_")
    assert not outcomes

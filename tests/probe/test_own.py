"""A layer of the user's own in a probe: how it is found and made, and what is said where it is not."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from bnmatrix.probe import own
from bnmatrix.probe.adapters import Unavailable

SHAPE = (6, 4)


class Base:
    def __init__(self, dtype: str = "float32", trainable: bool = True) -> None:
        self.given = (dtype, trainable)


class Open(Base):
    def __init__(self, features: int, **rest: Any) -> None:
        super().__init__(**rest)
        self.features = features


class Closed(Base):
    def __init__(self, *, rate: float, units: int = 7) -> None:
        super().__init__()
        self.rate, self.units = rate, units


def test_what_cannot_be_done_without_is_given() -> None:
    assert own.Own(Open, "Open")(SHAPE).features == 4
    assert own.Own(Open, "Open", [9])(SHAPE).features == 9
    made = own.Own(Closed, "Closed")(SHAPE)
    assert (made.rate, made.units) == (0.5, 7)
    assert own.Own(Closed, "Closed", (), {"rate": 0.1})(SHAPE).rate == 0.1
    assert own.Own(lambda channels: [channels], "a lambda")(SHAPE) == [4]


def test_of_several_open_arguments_it_says_what_to_write() -> None:
    with pytest.raises(Unavailable, match=r"Two wants the arguments a, b: write Two\(a=\.\.\.,b=\.\.\.\)"):
        own.Own(lambda a, b: None, "Two")(SHAPE)


def test_what_a_constructor_takes() -> None:
    for factory, taken in ((Open, True), (Closed, False), (lambda **rest: None, False)):
        assert own.Own(factory, "it").takes("trainable") == taken
    assert own.Own(Open, "Open")(SHAPE, trainable=False).given == ("float32", False)


def said(name: str, folder: Path) -> dict[str, Any]:
    module, _, cls = name.partition(":")
    return {"module": module, "name": cls, "arguments": [], "keywords": {}, "path": [str(folder)]}


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing", r"ModuleNotFoundError: No module named 'nothing' \(\w+.py, line 1\)"),
        ("def f(:", r"SyntaxError: invalid syntax \(\w+.py, line 1\)"),
        ("x = 1\n\nraise SystemExit(3)", r"SystemExit: 3 \(\w+.py, line 3\)"),
        ("class Other: pass", r"\.py\) has no Layer: it has Other"),
        ("Layer = 3", "is a int, no class"),
    ],
)  # fmt: skip
def test_a_class_that_cannot_be_had_is_unavailable(
    source: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    module = f"users_{abs(hash(source))}"
    (tmp_path / f"{module}.py").write_text(source)
    for _ in range(2):  # the second time it is known
        with pytest.raises(Unavailable, match=reason):
            own.load(said(f"{module}:Layer", tmp_path))


def test_the_project_comes_before_what_is_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "users_norms.py").write_text("class Outer:\n    class Layer:\n        pass\n")
    made = own.load(said("users_norms:Outer.Layer", tmp_path))
    assert type(made(SHAPE)).__qualname__ == "Outer.Layer"
    assert sys.path[0] == str(tmp_path)

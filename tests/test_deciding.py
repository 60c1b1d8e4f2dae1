"""The line at which two runs part is the one that decides."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bnmatrix.deciding import decisions, is_same, short
from bnmatrix.explaining import sentences
from bnmatrix.probe.adapters import Bench
from bnmatrix.probe.tracing import MOST_LINES, Tracer, files_of, trace
from bnmatrix.runner.messages import Trace

BASE = """
class Base:
    def keep(self):
        if self.trainable:
            return 1
        return 0

    def noise(self):
        if self.other:
            return 1
        return 0
"""

LAYER = '''
from traced_base import Base

calls = 0


class Layer(Base):
    """A layer."""

    def __init__(self, training, trainable, other=False):
        if training:
            self.training = True
        self.training, self.trainable, self.other = training, trainable, other

    def step(self):
        self.mode()
        found = 0
        if self.training and self.trainable:
            r"""a text that stands alone"""
            found = 1
        self.keep()
        self.noise()
        self.count()
        return found

    def mode(self):
        if self.training:
            found = "batch"
        else:
            found = "moving"
        return found

    def count(self):
        global calls
        calls += 1
        if calls % 2:
            return 1
        return 0
'''

Traced = Callable[..., Trace]


@pytest.fixture
def traced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traced]:
    """The trace of a step of the layer above, made with these arguments."""
    (tmp_path / "traced_base.py").write_text(BASE)
    (tmp_path / "traced_layer.py").write_text(LAYER)
    monkeypatch.syspath_prepend(str(tmp_path))
    module: Any = importlib.import_module("traced_layer")

    class OneBench(Bench):
        def __init__(self, *arguments: bool) -> None:
            self.layer = module.Layer(*arguments)
            self.layer.step()

    yield lambda *arguments: msgspec.convert(trace(lambda: OneBench(*arguments)), Trace)
    for name in ("traced_layer", "traced_base"):
        sys.modules.pop(name)


def lines(own: Trace, other: Trace, axis: str) -> list[tuple[str, str, str, str]]:
    found = decisions(own, other, axis, "false")
    return [(Path(each.file).name, each.text, each.here, each.there) for each in found]


def test_each_line_that_decides_is_found_with_where_it_leads(traced: Traced) -> None:
    both = "if self.training and self.trainable:"
    assert lines(traced(True, True), traced(False, True), "training") == [
        ("traced_layer.py", both, "found = 1", "self.keep()"),
        ("traced_layer.py", "if self.training:", 'found = "batch"', 'found = "moving"'),
    ]
    assert lines(traced(True, True), traced(True, False), "trainable") == [
        ("traced_layer.py", both, "found = 1", "self.keep()"),
        ("traced_base.py", "if self.trainable:", "return 1", "return 0"),
    ]


def test_what_decides_nothing_has_no_lines(traced: Traced) -> None:
    """A setting that is not looked at, what differs from time to time, and accounts kept by a base."""
    assert lines(traced(False, True), traced(False, True), "training") == []
    assert lines(traced(False, True, True), traced(False, True, False), "training") == []


def test_the_same_lines_are_those_of_the_class_itself(traced: Traced) -> None:
    assert is_same(traced(False, True), traced(False, True))
    assert is_same(traced(False, True, True), traced(False, True, False))  # an account that a base keeps
    assert not is_same(traced(True, True), traced(False, True))
    assert not is_same(traced(True, True), traced(True, False))
    own = traced(True, True)
    only_made = msgspec.structs.replace(own, calls=own.calls[:1], again=own.again[:1])
    assert own.calls[0].function == "__init__"
    assert not is_same(only_made, only_made)  # what it does was run as other code: that says nothing
    missing = msgspec.structs.replace(own, calls=own.calls[:-1], again=own.again[:-1])
    assert not is_same(own, missing)


def test_a_trace_tells_the_class_and_where_its_bases_lie(traced: Traced) -> None:
    found = traced(True, True)
    assert [Path(file).name for file in found.files] == ["traced_layer.py", "traced_base.py"]
    assert found.doc == "A layer."
    assert [call.function for call in found.calls] == ["__init__", "step", "mode", "keep", "noise", "count"]
    assert sys.gettrace() is None or "Tracer" not in repr(sys.gettrace())


def test_a_loop_fills_no_memory(tmp_path: Path) -> None:
    code = compile("for i in range(10_000):\n    x = i\n", str(tmp_path / "loop.py"), "exec")
    tracer = Tracer([str(tmp_path / "loop.py")])
    before = sys.gettrace()
    sys.settrace(tracer.called)
    try:
        exec(code, {})
    finally:
        sys.settrace(before)
    assert [len(call["lines"]) for call in tracer.calls] == [MOST_LINES]


def test_the_functions_that_torch_computes_with_are_part_of_a_layer() -> None:
    torch = pytest.importorskip("torch")
    names = [Path(file).name for file in files_of(torch.nn.BatchNorm2d)]
    assert names == ["batchnorm.py", "functional.py", "module.py"]


def test_a_file_is_named_from_where_packages_lie() -> None:
    assert short("/x/lib/python3.11/site-packages/keras/src/a.py") == "keras/src/a.py"
    assert short("/elsewhere/a.py") == "/elsewhere/a.py"


DOC = """Layer that normalizes its inputs.

Importantly, it works differently during training (i.e.
when using `fit()`). It has arguments:

Example:

>>> layer(training=True)

**About setting `trainable = False`:** since 2.0 it
is run in inference mode.

- axis: The axis.
"""


def test_of_documentation_what_speaks_of_training_is_quoted() -> None:
    assert sentences(DOC) == [
        "About setting `trainable = False`: since 2.0 it is run in inference mode.",
        "Importantly, it works differently during training (i.e. when using `fit()`).",
    ]

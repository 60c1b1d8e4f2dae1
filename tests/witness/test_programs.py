"""What a program looks like: short, and in need of nothing but numpy and the framework."""

from __future__ import annotations

import ast
import sys
from typing import Any

import pytest

from bnmatrix.axes import parse_id
from bnmatrix.target import parse
from bnmatrix.witness.parts import NoProgram
from bnmatrix.witness.program import programs
from tests.witness.catalogue import cell_of, entries

FRAMEWORKS = {"numpy", "torch", "tensorflow", "keras", "tf_keras", "jax"}

TARGETS = pytest.mark.parametrize("target", ["torch", "tf2", "tf_keras", "keras[torch]", "keras[jax]", "tf1"])


def written(target: str, cell: str, fact: str, old: str | int, new: str | int) -> str:
    """The first program of them."""
    known = parse(target)
    return programs(known.framework, known.backend, parse_id(cell), fact, old, new, ("old", "new"))[0]


@entries
def test_every_change_of_the_catalogue_has_a_short_program(entry: dict[str, Any]) -> None:
    target, sides = parse(entry["old"]), (entry["old"], entry["new"])
    texts = programs(
        target.framework, target.backend, cell_of(entry), entry["fact"], entry["was"], entry["is"], sides
    )
    for text in texts:
        assert len(text.splitlines()) < 60
        tree = ast.parse(text, feature_version=(3, 6))
        imported = {
            (node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
        }
        assert imported <= FRAMEWORKS | sys.stdlib_module_names
        said = ast.get_docstring(tree) or ""
        assert all(word in said for word in (*sides, entry["fact"], cell_of(entry).id))


@TARGETS
def test_a_program_is_written_for_each_framework(target: str) -> None:
    text = written(target, "batch_norm training=true trainable=false", "moving_mean", "updated", "unchanged")
    assert "BatchNorm" in text
    assert max(map(len, text.splitlines())) <= 110


@pytest.mark.parametrize(
    ("target", "cell", "why"),
    [
        ("torch", "batch_norm training=true execution=compiled exported_as=onnx", "exported_as=onnx"),
        ("tf2", "batch_norm training=true rank=3 mask=padded", "mask=padded"),
        ("torch", "batch_norm training=true api=functional", "api=functional"),
        ("tf2", "batch_norm training=true context=stateless", "stateless"),
    ],
)
def test_what_a_program_does_not_care_for_is_not_ignored(target: str, cell: str, why: str) -> None:
    with pytest.raises(NoProgram, match=why):
        written(target, cell, "moving_mean", "updated", "unchanged")


def test_only_what_the_fact_needs_is_written() -> None:
    cell = "batch_norm training=true"
    assert "backward" not in written("torch", cell, "moving_mean", "updated", "unchanged")
    assert "backward" in written("torch", cell, "gamma", "updated", "unchanged")
    assert "keras.Model" not in written("tf2", cell, "moving_mean", "updated", "unchanged")


def test_a_crash_is_watched_from_another_process() -> None:
    text = written("torch", "batch_norm training=true batch=empty", "outcome", "crashed", "ok")
    assert "subprocess" in text

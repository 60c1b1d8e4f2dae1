"""Layers of the user's own by name: how they are written, and what their results rest on."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnmatrix import own_layers
from bnmatrix.axes import as_like, as_own, make_cell, parse_id
from bnmatrix.errors import UsageError
from bnmatrix.measurement import Plan, project_of
from bnmatrix.own_layers import as_sent, project, written
from bnmatrix.records import Place, cell_key
from bnmatrix.selection import cells_of, select
from bnmatrix.target import FAMILIES, parse

WORDS = st.text("ab =,:()'\"[]{}", max_size=6)
LITERALS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), WORDS
    ),
    lambda some: st.one_of(
        st.lists(some, max_size=3), st.tuples(some, some), st.dictionaries(WORDS, some, max_size=2)
    ),
    max_leaves=6,
)


def texts_in(value: object) -> list[str]:
    """All text that a literal holds."""
    if isinstance(value, str):
        return [value]
    parts = [*value, *value.values()] if isinstance(value, dict) else value
    return [text for part in parts for text in texts_in(part)] if isinstance(parts, (list, tuple)) else []


@given(st.lists(LITERALS, max_size=3), st.dictionaries(st.sampled_from(["axis", "eps"]), LITERALS))
def test_arguments_arrive_as_they_were_written(given_: list[object], named: dict[str, object]) -> None:
    parts = [*map(repr, given_), *(f"{key} = {value!r}" for key, value in named.items())]
    try:
        text = written(f"a.b:C({', '.join(parts)})")
    except UsageError:  # white space within a text
        assert any(" " in each for each in texts_in([given_, named]))
        return
    assert not any(" " in each for each in texts_in([given_, named]))
    assert not any(character.isspace() for character in text)
    assert written(text) == text
    assert parse_id(f"{text} rank=4").axes["layer"] == text
    sent = as_sent(text, ("/here",))
    assert (sent["module"], sent["name"], sent["path"]) == ("a.b", "C", ["/here"])
    assert [ast.literal_eval(each) for each in sent["arguments"]] == given_
    assert {key: ast.literal_eval(each) for key, each in sent["keywords"].items()} == named


@pytest.mark.parametrize(
    "text",
    ["a:", ":B", "a:B:C", "a:B(", "a:B(1", "a:B(x)", "a:B(**{})", "a:B()()", "1a:B"],
)
def test_what_names_no_layer_is_refused(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        written(text)
    assert repr(text) in caught.value.message
    assert "package.module:Class" in str(caught.value.hint)


def test_what_names_a_cell_is_one_word() -> None:
    with pytest.raises(UsageError, match="the argument 'two words' has white space in it"):
        written("a:B('two words')")
    assert written("a:Ünïcode( note = 'é☃' )") == "a:Ünïcode(note='é☃')"


def test_a_cell_of_ones_own_is_examined_as_another() -> None:
    cell = make_cell({"layer": "lstm", "training": "true"})
    own = as_own(cell, "a:B")
    assert own.id == "a:B like=lstm training=true"
    assert as_like(own) == cell
    assert parse_id(own.id) == own


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
@pytest.mark.parametrize("how", [{}, {"coverage": "pairwise"}, {"full": True, "axis": ["rank=2,4"]}])
def test_a_layer_of_ones_own_has_the_cells_of_what_it_is_like(family: object, how: dict[str, object]) -> None:
    def chosen(layer: str, *axis: str) -> list[str]:
        options = {**how, "axis": [*how.get("axis", ()), *axis]}  # type: ignore[misc]
        selection = select([layer], None, options.pop("axis"), None, None, **options)  # type: ignore[arg-type]
        return [cell.id for cell in cells_of(selection, family, selection.scenarios)]  # type: ignore[arg-type]

    own = chosen("a:B", "like=layer_norm")
    assert own
    assert all(parse_id(each).axes["variant"] == "default" for each in own)
    assert all(parse_id(each).axes["api"] in ("default", "keras") for each in own)
    if "coverage" not in how:  # a covering set of fewer values is another
        there = set(chosen("layer_norm"))
        assert {as_like(parse_id(each)).id for each in own} <= there


def test_like_goes_with_a_layer_of_ones_own_only() -> None:
    with pytest.raises(UsageError, match="--like says which layer one of your own"):
        select(["dropout"], None, ["like=dropout"], None, None)
    with pytest.raises(UsageError, match="unknown layer 'batchnorm'"):
        select(["a:B"], None, ["like=batchnorm"], None, None)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a package in src, and the working directory below it."""
    (tmp_path / "src" / "package").mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src" / "package" / "layers.py").write_text("x = 1\n")
    (tmp_path / "examples").mkdir()
    monkeypatch.chdir(tmp_path / "examples")
    return tmp_path


def test_a_project_is_searched_from_where_one_stands(root: Path) -> None:
    assert project().path == (str(root / "examples"), str(root), str(root / "src"))


def test_without_a_projects_file_the_working_directory_is_all(tmp_path: Path) -> None:
    found = project(tmp_path)
    assert found.path[0] == str(tmp_path)
    assert str(tmp_path.parent) not in found.path


def test_results_rest_on_all_code_of_the_project(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = [project().digest]
    for name in ("src/package/layers.py", "src/package/helper.py", "examples/beside.py", "native.so"):
        (root / name).write_text("y = 22\n")
        digests.append(project().digest)
    assert len(set(digests)) == len(digests)
    for name in ("notes.txt", ".hidden/x.py", ".venv/x.py", "environment/x.py", "__pycache__/x.py"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / "environment" / "pyvenv.cfg").parent.mkdir(exist_ok=True)
        (root / "environment" / "pyvenv.cfg").touch()
        (root / name).write_text("z = 3\n")
        assert project().digest == digests[-1], name
    outside = root.parent / f"{root.name}-outside"
    outside.mkdir()
    (outside / "linked.py").write_text("")
    (root / "link").symlink_to(outside)
    (outside / "loop").symlink_to(outside)
    digests.append(project().digest)
    (outside / "linked.py").write_text("m = 1\n")
    assert len({*digests, project().digest}) == len(digests) + 1
    monkeypatch.setattr(own_layers, "MOST_FILES", 3)
    assert project().digest is None


def test_only_results_of_ones_own_layers_rest_on_it() -> None:
    place = Place("torch", None, "cpu", "here", ())
    for text, same in (("batch_norm", True), ("a:B", False)):
        cell = parse_id(text)
        assert (cell_key(place, cell, 0, None, "one") == cell_key(place, cell, 0, None, "two")) == same


def test_a_shipped_example_is_looked_for_among_the_examples_alone(tmp_path: Path) -> None:
    layer = "bnmatrix.examples.yolov4:BatchNormalization"
    sent = as_sent(layer, (str(tmp_path),))
    assert (sent["module"], sent["name"], sent["path"]) == (
        "yolov4", "BatchNormalization", [str(own_layers.EXAMPLES)],
    )  # fmt: skip
    assert as_sent("yolov4:BatchNormalization", (str(tmp_path),))["path"] == [str(tmp_path)]


def test_results_of_shipped_examples_do_not_rest_on_the_project(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    shipped = parse_id("bnmatrix.examples.yolov4:BatchNormalization training=true")
    plan = Plan(parse("tf2"), (shipped,))
    assert project_of([plan]) == own_layers.examples()
    assert project_of([Plan(parse("tf2"), (shipped, parse_id("mine:Norm")))]) == project(root)
    assert project_of([Plan(parse("tf2"), (parse_id("batch_norm"),))]) is None

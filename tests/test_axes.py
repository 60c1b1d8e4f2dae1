"""Ids are stable, readable and the same for every target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bnmatrix.axes import AXES, make_cell, parse_id
from bnmatrix.errors import UsageError
from bnmatrix.layers import layers

OWN = ("package.module:Class", "layers:Norm(0.5,axis=[1,-1],name='it=is')")

REST = st.fixed_dictionaries(
    {
        name: st.sampled_from(sorted(axis.values))
        for name, axis in AXES.items()
        if name not in ("layer", "like")
    }
)
LAYERS = st.one_of(
    st.tuples(st.sampled_from(sorted(layers())), st.just("none")),
    st.tuples(st.sampled_from(OWN), st.sampled_from(sorted(layers()))),
)
CHOICES = st.builds(lambda pair, rest: {"layer": pair[0], "like": pair[1], **rest}, LAYERS, REST)

IDS = {
    "batch_norm trainable=false training=true": {"trainable": "false", "training": "true"},
    "batch_norm": {},
    "batch_norm execution=fit": {"execution": "fit", "context": "model"},
    "batch_norm context=model": {"context": "model"},
    "batch_norm context=direct execution=fit": {"execution": "fit", "context": "direct"},
    "lstm": {"layer": "lstm", "rank": "3"},
    "conv rank=4": {"layer": "conv", "rank": "4"},
    "package.module:Class": {"layer": "package.module:Class", "like": "batch_norm", "rank": "2"},
    "package.module:Class like=lstm": {"layer": "package.module:Class", "like": "lstm", "rank": "3"},
    "dropout dtype=mixed_float16 rank=5": {"layer": "dropout", "rank": "5", "dtype": "mixed_float16"},
}


@pytest.mark.parametrize("identity", IDS)
def test_an_id_names_what_is_not_at_its_default(identity: str) -> None:
    cell = make_cell(IDS[identity])
    assert cell.id == identity
    assert cell.axes == {**cell.axes, **IDS[identity]}


@given(CHOICES)
def test_an_id_leads_back_to_its_cell(axes: dict[str, str]) -> None:
    assert parse_id(make_cell(axes).id) == make_cell(axes)


@given(CHOICES)
def test_two_cells_of_one_id_are_one(axes: dict[str, str]) -> None:
    cell = make_cell(axes)
    assert set(cell.axes) == set(AXES)
    assert parse_id(" ".join(f"{axis}={value}" for axis, value in axes.items())) == cell


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("batchnorm", "unknown layer 'batchnorm'", "batch_norm"),
        ("batch_norm trainning=true", "unknown axis 'trainning'", "training"),
        ("batch_norm training=yes", "unknown value of axis training 'yes'", "known: true, false, default"),
        ("batch_norm rank=7", "unknown value of axis rank '7'", "known: 2, 3, 4, 5"),
        ("batch_norm true", "'true' in the cell id 'batch_norm true' is not of the form axis=value", None),
        ("", "a cell id is empty", "an id reads"),
        ("batch_norm like=dense", "like=dense does not go with batch_norm", "package.module:Class"),
        ("a:B like=none", "like=none does not go with a:B", "package.module:Class"),
        ("a:B(c training=true", "'a:B(c' names no layer", "package.module:Class"),
        ("a:B(c)", "the arguments of 'a:B(c)' are no literals", "package.module:Class"),
        (
            "batch_norm rank=2 rank=4",
            "the cell id 'batch_norm rank=2 rank=4' says both rank=2 and rank=4",
            "one value",
        ),
        (
            "batch_norm layer=dense",
            "the cell id 'batch_norm layer=dense' says both layer=batch_norm and layer=dense",
            "one value",
        ),
    ],
)
def test_a_mistake_names_the_nearest_word(text: str, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_id(text)
    assert caught.value.message == message
    assert (hint is None) == (caught.value.hint is None)
    assert hint is None or hint in (caught.value.hint or "")


def test_every_layer_has_a_rank_at_which_its_default_cell_makes_sense() -> None:
    for name, layer in layers().items():
        assert make_cell({"layer": name}).axes["rank"] in {str(rank) for rank in layer.ranks}

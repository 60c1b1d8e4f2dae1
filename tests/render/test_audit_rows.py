"""How the layers of large models become few rows: names as torch and the applications of Keras have them."""

from __future__ import annotations

import pytest

from bnmatrix.render.audit_rows import rows
from tests.render.audits import layer

FOLDED = {
    "blocks in a list": (["body.0.norm", "body.1.norm"], {"body.*.norm": 2}),
    "stages of blocks": (["c2_block1_1_bn", "c2_block2_1_bn", "c3_block1_2_bn"], {"c*_block*_*_bn": 3}),
    "a letter after the number": (["block1a_bn", "block2a_bn", "block2b_bn"], {"block*_bn": 3}),
    "numbers that all share": (["b0.block1_bn", "b0.block2_bn"], {"b0.block*_bn": 2}),
    "a point in a name": (["net_1.00_32.bn_1", "net_1.00_32.bn_2"], {"net_1.00_32.bn_*": 2}),
    "dimensions": (["conv2d_1", "conv2d_12"], {"conv2d_*": 2}),
    "the first without a number": (["conv2d", "conv2d_1", "conv2d_2"], {"conv2d": 1, "conv2d_*": 2}),
    "other words": (["block1_up_BN", "block1_down_BN"], {"block1_up_BN": 1, "block1_down_BN": 1}),
}  # fmt: skip


@pytest.mark.parametrize("name", FOLDED)
def test_layers_alike_but_for_numbers_are_one_row(name: str) -> None:
    paths, expected = FOLDED[name]
    assert {row.path: len(row.layers) for row in rows([layer(path, "Norm") for path in paths])} == expected


def test_of_too_many_rows_those_in_one_part_are_put_together() -> None:
    layers = [layer(f"base.stage{stage}.{word}", "Norm") for stage in (1, 2) for word in "abcdefgh"]
    assert {row.path: len(row.layers) for row in rows(layers, most=9)} == {
        f"base.stage*.{word}": 2 for word in "abcdefgh"
    }
    assert {row.path: len(row.layers) for row in rows(layers, most=4)} == {"base.stage*.*": 16}

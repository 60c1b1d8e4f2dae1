"""Scenario files: what they select, and what is said of a mistake in one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bnmatrix import scenario, scenario_file
from bnmatrix.errors import UsageError
from bnmatrix.layers import layers
from bnmatrix.target import FAMILIES

GOOD = """
title = "t"
[[product]]
training = [true, false]
rank = [2, 4]
exclude = [{training = true, rank = 4}]
[[expect]]
says = "s"
where = {training = true}
facts = {normalised_by = "batch"}
"""

MISTAKES = {
    "an unknown field": (GOOD.replace("says", "sayz"), 8, "unknown field of [[expect]] 'sayz'", "says"),
    "an unknown axis": (
        GOOD.replace("rank = [2", "rang = [2"),
        5,
        "unknown field of [[product]] 'rang'",
        "rank",
    ),
    "an unknown value": (GOOD.replace("[2, 4]", "[2, 9]"), 5, "unknown value of axis rank '9'", "2, 3, 4, 5"),
    "an unknown fact": (
        GOOD.replace("normalised_by", "normalized_by"),
        10,
        "unknown field of facts",
        "normalised_by",
    ),
    "an unknown framework": ('frameworks = ["tf9"]' + GOOD, 1, "unknown framework 'tf9'", "tf"),
    "no product": ('title = "t"', None, "at least one [[product]]", ""),
    "an expectation of nothing": (
        GOOD.replace('facts = {normalised_by = "batch"}', ""),
        7,
        "needs `says`, and",
        "",
    ),
    "a misspelt word of a fact": (
        GOOD.replace('"batch"', '"bacth"'),
        10,
        "unknown value of the fact",
        "batch",
    ),
    "a fact of no value": (GOOD.replace('"batch"', "[]"), 10, "needs at least one value", ""),
    "a number that is none": (
        GOOD.replace("normalised_by", "update_rate"),
        10,
        "is a number, not 'batch'",
        "",
    ),
    "measured in words": (GOOD + 'measured = "x"', None, "measured must be a table", ""),
    "measured of an unknown slot": (GOOD + "measured = {gamam = [1.0]}", 11, "'gamam'", "gamma"),
    "measured that is not finite": (GOOD + "measured = {gamma = [nan]}", 11, "must be a list of numbers", ""),
    "no value of an axis": (GOOD.replace("[2, 4]", "[]"), 5, "rank needs at least one value", ""),
    "no title": (GOOD.replace('"t"', '""'), None, "a scenario needs a title", ""),
    "a framework that is a table": ("frameworks = [{a = 1}]" + GOOD, None, "unknown framework", ""),
    "ragged input": (GOOD + "[given]\ninput = [[1.0], [1.0, 2.0]]", 12, "lists of equal length", ""),
    "input of words": (GOOD + '[given]\ninput = [["a"]]', 12, "no finite number", ""),
    "input that is not finite": (GOOD + "[given]\ninput = [[inf]]", 12, "no finite number", ""),
    "input of dates": (GOOD + "[given]\ninput = [[1979-05-27]]", None, "", ""),
    "state of the wrong size": (GOOD + "[given.state]\ngamma = [1.0]", 12, "gamma has 1 values", ""),
    "state of an unknown slot": (GOOD + "[given.state]\ngamam = [1.0]", 12, "unknown slot", "gamma"),
    "an unknown option": (GOOD + "[given.options]\nmomentun = 0.9", 12, "unknown option", "momentum"),
    "a number of 5000 digits": (GOOD.replace("4]", "9" * 5000 + "]"), None, "is not TOML", ""),
    "brackets without end": ("a = " + "[" * 3000, None, "is not TOML", ""),
    "malformed TOML": ("title = ", None, "is not TOML", ""),
    "an unknown coverage": ('coverage = "pairs"' + GOOD, 1, "unknown coverage 'pairs'", "pairwise"),
    "a when without an if": (GOOD + "[[product.when]]\nrank = 2", 11, "needs an `if`", "execution"),
    "a when of an unknown field": (
        GOOD + "[[product.when]]\niff = {rank = 2}",
        12,
        "unknown field of [[product.when]] 'iff'",
        "if",
    ),
    "a when of an unknown value": (
        GOOD + "[[product.when]]\nif = {rank = 2}\nmask = 'full'",
        13,
        "unknown value of axis mask 'full'",
        "none",
    ),
    "a when that says nothing": (GOOD + "[[product.when]]\nif = {rank = 2}", 11, "needs an axis", ""),
    "a when of its own condition": (
        GOOD + "[[product.when]]\nif = {rank = 2}\nrank = 4",
        11,
        "cannot change rank: it is in `if`",
        "",
    ),
    "a when that is one table": (
        GOOD.replace("[[expect]]", "when = {rank = 2}\n[[expect]]"),
        7,
        "[[product.when]]",
        "",
    ),
    "a table for a list": (GOOD.replace("[[expect]]", "[expect]"), 7, "[[expect]]", ""),
}


def write(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_product_is_every_combination_less_what_is_excluded(tmp_path: Path) -> None:
    found = scenario.cells(scenario_file.load(write(tmp_path, GOOD)), FAMILIES["tf2"])
    assert [cell.id for cell in found] == [
        "batch_norm training=true", "batch_norm training=false", "batch_norm rank=4 training=false",
    ]  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_file_line_and_what_was_meant(mistake: str, tmp_path: Path) -> None:
    text, line, message, hint = MISTAKES[mistake]
    path = write(tmp_path, text)
    with pytest.raises(UsageError) as caught:
        scenario_file.load(path)
    told = f"{caught.value.message} ({caught.value.hint})"
    for part in (str(path), message, hint):
        assert part in told
    assert line is None or f"{path}:{line}: " in told


def test_a_scenario_that_is_not_there_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        scenario_file.find("cor")
    assert "core" in (caught.value.hint or "")


@pytest.mark.parametrize("name", scenario_file.names())
def test_a_shipped_scenario_is_valid_and_selects_cells_wherever_it_speaks_of(name: str) -> None:
    found = scenario_file.find(name)
    assert found.title
    for framework in found.frameworks or FAMILIES:
        assert scenario.cells(found, FAMILIES[framework])
        for expectation in found.expect:
            if not expectation.frameworks or framework in expectation.frameworks:
                selected = scenario.cells(found, FAMILIES[framework])
                assert any(scenario.matches(cell.axes, expectation.where) for cell in selected), (
                    expectation.says
                )


def test_a_scenario_is_narrowed_to_what_the_target_has() -> None:
    executions = {
        framework: {cell.axes["execution"] for cell in scenario.cells(scenario_file.find("core"), family)}
        for framework, family in FAMILIES.items()
    }
    assert executions["torch"] == {"call", "graph", "inference_mode"}
    assert executions["tf2"] == {"call", "graph", "fit", "train_on_batch", "evaluate", "predict"}
    assert "call_without_updates" in executions["tf1"]


def test_what_is_asked_for_by_name_is_kept() -> None:
    found = scenario.cells(
        scenario_file.find("core"), FAMILIES["torch"], overrides={"execution": ("traced",)}
    )
    assert {cell.axes["execution"] for cell in found} == {"traced"}


def test_every_layer_can_be_run_through_the_core_scenario() -> None:
    core = scenario_file.find("core")
    for name, layer in layers().items():
        ranks = {int(cell.axes["rank"]) for cell in scenario.cells(core, FAMILIES["tf2"], (name,))}
        assert ranks
        assert ranks <= set(layer.ranks)


WHEN = """
title = "t"
[[product]]
training = [true, false]
execution = ["call", "fit"]
[[product.when]]
if = {execution = "call", training = true}
optimizer = ["none", "adam"]
[[product.when]]
if = {execution = "fit"}
training = "default"
trainable = [true, false]
"""


def test_values_may_hang_on_others(tmp_path: Path) -> None:
    found = scenario.cells(scenario_file.load(write(tmp_path, WHEN)), FAMILIES["tf2"])
    assert sorted(cell.id for cell in found) == [
        "batch_norm execution=fit",
        "batch_norm execution=fit trainable=false",
        "batch_norm optimizer=adam training=true",
        "batch_norm training=false",
        "batch_norm training=true",
    ]


def test_of_several_that_match_the_last_counts(tmp_path: Path) -> None:
    more = WHEN + '[[product.when]]\nif = {training = true}\noptimizer = "sgd"\n'
    found = scenario.cells(scenario_file.load(write(tmp_path, more)), FAMILIES["tf2"])
    assert {cell.axes["optimizer"] for cell in found if cell.axes["training"] == "true"} == {"sgd"}


def test_a_path_may_hang_on_the_execution(tmp_path: Path) -> None:
    text = WHEN.replace("trainable = [true, false]", 'context = ["model", "pinned_false"]')
    found = scenario.cells(scenario_file.load(write(tmp_path, text)), FAMILIES["tf2"])
    assert {(cell.axes["execution"], cell.axes["context"]) for cell in found} == {
        ("call", "direct"), ("fit", "model"), ("fit", "pinned_false"),
    }  # fmt: skip


def test_values_asked_for_by_name_hang_on_nothing(tmp_path: Path) -> None:
    loaded = scenario_file.load(write(tmp_path, WHEN))
    found = scenario.cells(loaded, FAMILIES["tf2"], overrides={"optimizer": ("sgd",), "execution": ("call",)})
    assert {cell.axes["optimizer"] for cell in found} == {"sgd"}


def test_a_scenario_may_ask_for_a_covering_set(tmp_path: Path) -> None:
    text = 'title = "t"\ncoverage = "pairwise"\n[[product]]\ntraining = [true, false]\n'
    text += 'dtype = ["float32", "float64", "float16"]\nrank = [2, 4]\nexecution = ["call", "graph"]\n'
    loaded = scenario_file.load(write(tmp_path, text))
    pairs = scenario.cells(loaded, FAMILIES["tf2"])
    every = scenario.cells(loaded, FAMILIES["tf2"], coverage="product")
    assert 6 <= len(pairs) < len(every) == 24
    assert set(pairs) < set(every)

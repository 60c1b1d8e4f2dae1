"""JSON is what the published schemas say, and the schemas are what the structs say."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from bnmatrix.comparison import compare
from bnmatrix.matrix import load
from bnmatrix.render import as_json
from tests.render import (
    audits,
    checks,
    claimed,
    conversions,
    explanations,
    miniature,
    miniature_bisection,
    miniature_timeline,
)

EXAMPLES = {
    "run": lambda: miniature.matrix(miniature.tf2(), miniature.torch(), miniature.tf1(), expectations=True),
    "diff": lambda: compare(miniature.tf1(), miniature.torch(), "0.1.0"),
    "timeline": miniature_timeline.history,
    "bisect": miniature_bisection.two_changes,
    "check": checks.full,
    "explain": explanations.of_cell,
    "claims": claimed.several,
    "audit": audits.with_findings,
    "convert": conversions.partly,
}


@pytest.mark.parametrize("kind", [*as_json.TYPES, as_json.CONFIGURATION])
def test_the_published_schema_is_not_stale(kind: str) -> None:
    written = as_json.schema_file(kind).read_text(encoding="utf-8")
    assert written == as_json.schema_text(kind), "make docs writes it anew"


@pytest.mark.parametrize("kind", [*as_json.TYPES, as_json.CONFIGURATION])
def test_the_schema_is_one(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(as_json.schema(kind))


@pytest.mark.parametrize("kind", as_json.TYPES)
def test_what_is_printed_fits_the_schema(kind: str) -> None:
    jsonschema.validate(json.loads(as_json.text(EXAMPLES[kind]())), as_json.schema(kind))


@pytest.mark.parametrize("kind", as_json.TYPES)
def test_the_version_of_the_schema_comes_first(kind: str) -> None:
    assert next(iter(json.loads(as_json.text(EXAMPLES[kind]())))) == "schema_version"


@pytest.mark.parametrize("kind", as_json.TYPES)
def test_a_schema_refuses_what_is_something_else(kind: str) -> None:
    broken = json.loads(as_json.text(EXAMPLES[kind]()))
    broken.pop("schema_version")
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, as_json.schema(kind))


def test_a_saved_run_reads_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    matrix = EXAMPLES["run"]()
    path.write_text(as_json.text(matrix), encoding="utf-8")
    assert load(path) == matrix

"""JSON: exactly the structs, and the schemas that describe it.

The schemas are generated from the structs and lie in `bnmatrix/schemas/`; a test fails where they are stale,
`make docs` writes them anew.
"""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bnmatrix.audit.auditing import Audit
from bnmatrix.bisect import Bisection
from bnmatrix.checked import Check
from bnmatrix.claims import Claims
from bnmatrix.comparison import Diff, Likened
from bnmatrix.configuration import Configuration
from bnmatrix.converted import Conversion
from bnmatrix.explaining import Explanation
from bnmatrix.matrix import dump
from bnmatrix.timeline import Timeline

if TYPE_CHECKING:
    from bnmatrix.render import Result

FOLDER = Path(__file__).parent.parent / "schemas"

TYPES: dict[str, type[msgspec.Struct]] = {
    "run": Likened,
    "diff": Diff,
    "timeline": Timeline,
    "bisect": Bisection,
    "check": Check,
    "explain": Explanation,
    "audit": Audit,
    "claims": Claims,
    "convert": Conversion,
}

CONFIGURATION = "configuration"
"""What is read, and has a schema as well."""


def text(result: Result) -> str:
    """The result as indented JSON."""
    return dump(result).decode()


def schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of what the command `kind` prints, other fields allowed; or of the configuration."""
    is_read = kind == CONFIGURATION
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "[tool.bnmatrix]" if is_read else f"what `bnmatrix {kind} --format json` prints",
        **_tidy(msgspec.json.schema(Configuration if is_read else TYPES[kind])),
    }


def _tidy(schema: Any) -> Any:
    """The same with docstrings as they read: not every release of msgspec takes their indentation away."""
    if isinstance(schema, dict):
        return {
            key: inspect.cleandoc(value) if key == "description" and isinstance(value, str) else _tidy(value)
            for key, value in schema.items()
        }
    return [_tidy(each) for each in schema] if isinstance(schema, list) else schema


def schema_file(kind: str) -> Path:
    """Where the published schema of `kind` lies."""
    return FOLDER / f"{kind}.schema.json"


def schema_text(kind: str) -> str:
    """The published schema's text."""
    return dump(schema(kind)).decode()

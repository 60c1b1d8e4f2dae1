"""What a project tells bnmatrix: in its pyproject.toml, or without `tool.bnmatrix` in a bnmatrix.toml.

    [tool.bnmatrix]
    required-version = ">=0.1"
    frameworks = ["tf2", "production"]
    layers = ["batch_norm", "dropout"]
    axes = { execution = ["call", "fit"] }
    fail-on = "numeric"
    severity = { warnings = "ignored" }
    tolerances = { update_rate = 0.01 }

    [tool.bnmatrix.targets.production]
    target = "tf2==2.15.1"

The files are looked for in the working directory, then in the folders above it, up to the first that has such
a table; where both say something, bnmatrix.toml has the say. The schema is published with the package.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import msgspec

from bnmatrix import __version__
from bnmatrix.comparison import DEGREES, SEVERITIES
from bnmatrix.errors import UsageError, unknown

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_FILES = {"bnmatrix.toml": (), "pyproject.toml": ("tool", "bnmatrix")}

IGNORED = "ignored"
"""A severity that a project may give a fact: its changes are told, and never fail."""


def _told(description: str, words: Sequence[str] = ()) -> msgspec.Meta:
    """What the schema says of a field, and of the words that it takes."""
    return msgspec.Meta(description=description, extra_json_schema={"enum": list(words)} if words else None)


class Named(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A target of the project's own."""

    target: Annotated[str, _told("what it is: tf2==2.15.1")]
    python: Annotated[str | None, _told("a version, or the path of an interpreter")] = None
    packages: Annotated[list[str], _told("further pins: numpy<1.25")] = []
    variables: Annotated[dict[str, str], _told("environment variables of its probe")] = {}


class Audited(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What `bnmatrix audit` takes where its options say nothing."""

    model: Annotated[str | None, _told("package.module:factory, file.py:factory, or a saved model")] = None
    framework: Annotated[str | None, _told("a target; without it the current environment")] = None
    args: Annotated[list[str], _told("arguments of the factory: classes=10")] = []
    input: Annotated[str | None, _told("module:function that returns a batch, or (batch, target)")] = None
    input_shape: Annotated[list[str], _told("of an input that is made up: 8,3,64,64")] = []
    execution: Annotated[str | None, _told("fit, train_on_batch or by_hand")] = None
    optimizer: Annotated[str | None, _told("of torch: sgd, momentum, weight_decay, adam, adamw, rmsprop")] = (
        None
    )
    steps: Annotated[int, _told("2 or more")] = 2
    expect: Annotated[dict[str, str], _told('{pattern: "frozen" or "trains"}')] = {}
    strict: Annotated[bool, _told("fail where something is found")] = False


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """The table. What is selected is what `bnmatrix lock` measures."""

    required_version: Annotated[
        str | None,
        _told("the versions of bnmatrix that understand the rest, which is read after this: >=0.1"),
    ] = None
    frameworks: Annotated[list[str], _told("targets; without any: every framework that is installed")] = []
    layers: Annotated[list[str], _told("layers, all, or the project's own: package.module:Class")] = []
    scenarios: Annotated[list[str], _told("scenarios; without any: core")] = []
    axes: Annotated[dict[str, list[str]], _told("{axis: values}, in place of the scenarios'")] = {}
    coverage: Annotated[str | None, _told("product, pairwise, threewise or full")] = None
    cells: Annotated[list[str], _told("ids of cells, in place of layers, scenarios, axes and coverage")] = []
    baseline: Annotated[str, _told("the file of the baseline, from where this is written")] = "bnmatrix.lock"
    fail_on: Annotated[str, _told("the least severity of a change that fails a check", SEVERITIES)] = (
        "descriptive"
    )
    severity: Annotated[
        dict[str, str], _told(f"{{fact: severity}}: {', '.join(SEVERITIES)}, or {IGNORED}, which never fails")
    ] = {}
    tolerances: Annotated[
        dict[str, float], _told(f"{{fact: share of its value that it may differ by}}: {', '.join(DEGREES)}")
    ] = {}
    claims: Annotated[list[str], _told("files of claims of the project's own, beside the shipped ones")] = []
    targets: Annotated[dict[str, Named], _told("names for targets of the project's own")] = {}
    audit: Annotated[Audited, _told("the project's model, for `bnmatrix audit`")] = Audited()


class Table(msgspec.Struct, frozen=True):
    """What one file says."""

    file: Path
    entries: dict[str, Any]


@cache
def tables(start: Path) -> tuple[Table, ...]:
    """What the nearest files say, the one that has the say first. Raises UsageError."""
    for folder in (start, *start.parents):
        found = []
        for name, place in _FILES.items():
            path = folder / name
            entries = _table(path, place) if path.is_file() else None
            if entries is not None:
                _check_version(path, entries)
                found.append(Table(path, entries))
        if found:
            return tuple(found)
    return ()


def _table(path: Path, place: tuple[str, ...]) -> dict[str, Any] | None:
    """The table in the file; None where it has none."""
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from error
    for key in place:
        if key not in data:
            return None
        data = data[key]
        if not isinstance(data, dict):
            raise UsageError(f"{path}: {key} must be a table")
    return dict(data)


def _check_version(path: Path, entries: dict[str, Any]) -> None:
    """Raise UsageError where a file asks for another bnmatrix: this one may not understand the rest."""
    wanted = entries.get("required-version")
    if wanted is None:
        return
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        if SpecifierSet(str(wanted)).contains(__version__, prereleases=True):
            return
    except InvalidSpecifier as error:
        raise UsageError(
            f"{path}: required-version {wanted!r} is not a range of versions", 'write ">=0.1"'
        ) from error
    raise UsageError(f"{path} asks for bnmatrix {wanted}, this is {__version__}", "install such a one")


def configuration() -> tuple[Configuration, Path]:
    """What the project says, checked in full, and its folder (the working directory, where it says nothing).

    Raises UsageError.
    """
    here = Path.cwd()
    found = tables(here)
    entries: dict[str, Any] = {}
    for table in reversed(found):
        _check_fields(table)
        entries.update(table.entries)
    files = " and ".join(str(table.file) for table in found)
    try:
        made = msgspec.convert(entries, Configuration)
    except msgspec.ValidationError as error:
        raise UsageError(f"{files}: {error}", "the README tells what may stand there") from error
    _check_words(made, files)
    from bnmatrix.named_targets import names

    names()  # says what is wrong with one
    return made, found[0].file.parent if found else here


def _check_fields(table: Table) -> None:
    known = msgspec.structs.fields(Configuration)
    for key in table.entries:
        if key not in (names := [field.encode_name for field in known]):
            raise unknown("field", key, names, f"{table.file}: ")


def _check_words(made: Configuration, files: str) -> None:
    """Raise UsageError for a word that means nothing, naming the nearest."""
    from bnmatrix.facts import FACTS

    if made.fail_on not in SEVERITIES:
        raise unknown("severity", made.fail_on, SEVERITIES, f"{files}: fail-on: ")
    for fact, severity in made.severity.items():
        if fact not in FACTS:
            raise unknown("fact", fact, list(FACTS), f"{files}: severity: ")
        if severity not in (*SEVERITIES, IGNORED):
            raise unknown("severity", severity, (*SEVERITIES, IGNORED), f"{files}: severity of {fact}: ")
    for fact, share in made.tolerances.items():
        if fact not in DEGREES:
            raise unknown("fact of degree", fact, DEGREES, f"{files}: tolerances: ")
        if not 0 <= share < 1:
            raise UsageError(f"{files}: the tolerance {share} of {fact} is not a share from 0 to 1")

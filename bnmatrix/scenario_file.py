"""Scenario files: where they lie, how they are written, and what is said of a mistake in one.

A scenario is TOML:

    title = "..."            question = "..."
    source = "..."           where the question comes from
    frameworks = ["tf1"]     the targets it is about; any, where none is named

    coverage = "pairwise"    of each product and layer as few cells as hold every pair of values that it has;
                             or "threewise", every three; "product", every combination, where nothing is said

    [[product]]              cells: every combination of these values, every other axis at its default ...
    training = [true, false]
    execution = ["call", "fit"]
    exclude = [{training = true, rank = 4}]           ... less those that match one of these

    [[product.when]]         where a combination of the product above matches `if`, an axis has other values:
    if = {execution = "fit"}                          in place of the product's, or of its default; so values
    optimizer = ["none", "adam"]                      are added under a condition, or limited. Of several that
                                                      match, the last one counts

    [given]                  the reader's own numbers in place of generated ones (optional)
    input = [[...]]                                    or {shape = [6, 784]}: numbers of this shape
    state = {gamma = [...]}
    options = {momentum = 0.99}

    [[expect]]               what somebody says of the cells that match `where`
    says = "..."
    frameworks = ["tf2"]
    where = {training = true, trainable = false}
    facts = {normalised_by = "moving"}                 a list: any of these
    measured = {moving_mean = [0.0325, ...]}           state after the first step, within 1e-6 relative
    sizes = {gamma = 784}                              how many values a slot has
    source = "..."
"""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path
from typing import Any

import msgspec

from bnmatrix.axes import AXES, check_value
from bnmatrix.coverage import COVERAGES
from bnmatrix.errors import UsageError, unknown
from bnmatrix.facts import FACTS, NUMBERS, SLOTS, WORDS
from bnmatrix.scenario import Expectation, Given, Product, Scenario, Values, When
from bnmatrix.target import FAMILIES

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PER_CHANNEL = ("gamma", "beta", "moving_mean", "moving_variance")
OPTIONS = ("momentum", "epsilon", "rate", "units")
CHANNELS = 4
"""Of generated inputs."""
MOST_NUMBERS = 100_000
"""Of an input that is made."""
SAYS_NOTHING = ("undecided", "unstable")


def folder() -> Path:
    """Where the shipped scenarios lie: in the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "scenarios"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "scenarios"


def names() -> list[str]:
    """The shipped scenarios, `core` first."""
    found = sorted(path.stem for path in folder().glob("*.toml"))
    return sorted(found, key=lambda name: name != "core")


def find(name: str) -> Scenario:
    """The shipped scenario `name`, or the one in the file of that path. Raises UsageError."""
    path = Path(name)
    if path.suffix == ".toml" or path.parent != Path("."):
        return load(path)
    if name not in names():
        raise unknown("scenario", name, names())
    return load(folder() / f"{name}.toml")


def load(path: Path) -> Scenario:
    """Read and validate a scenario file. Raises UsageError that names file, line and nearest match."""
    text, data = read(path, "the scenario")
    return Reader(path, text).scenario(data)


def read(path: Path, what: str) -> tuple[str, dict[str, Any]]:
    """The text of a TOML file, and what it says. Raises UsageError."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot read {what} {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text: {error.reason}") from error
    try:
        return text, tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib's own error is one; so is a number of 5000 digits
        raise UsageError(f"{path} is not TOML: {error}") from error


class Reader:
    """Turns parsed TOML into a `Scenario`; remembers the text, to name the line of a mistake."""

    def __init__(self, path: Path, text: str) -> None:
        self.path = path
        self.lines = text.splitlines()

    def where(self, word: str) -> str:
        """'file:line: ' of the first line that has `word` as a key or a value, comments apart."""
        sought = re.compile(rf"(?<![\w.-]){re.escape(word)}(?![\w.-])")
        for number, line in enumerate(self.lines, 1):
            if sought.search(line.partition("#")[0]):
                return f"{self.path}:{number}: "
        return f"{self.path}: "

    def fields(self, data: Any, struct: type[msgspec.Struct] | tuple[str, ...], what: str) -> dict[str, Any]:
        """`data`, if it is a table that has only known fields."""
        if not isinstance(data, dict):
            raise UsageError(f"{self.path}: {what} must be a table")
        known = struct if isinstance(struct, tuple) else struct.__struct_fields__
        for key in data:
            if key not in known:
                raise unknown(f"field of {what}", key, tuple(known), self.where(key))
        return data

    def scenario(self, data: dict[str, Any]) -> Scenario:
        known = ("title", "question", "source", "frameworks", "coverage", "product", "given", "expect")
        self.fields(data, known, "the scenario")
        if not data.get("title") or not data.get("product"):
            raise UsageError(f"{self.path}: a scenario needs a title and at least one [[product]]")
        return Scenario(
            name=self.path.stem,
            title=self.text(data, "title"),
            question=self.text(data, "question"),
            source=self.text(data, "source"),
            frameworks=self.frameworks(data),
            coverage=self.coverage(data),
            products=tuple(self.product(entry) for entry in self.tables(data, "product")),
            given=self.given(data["given"]) if "given" in data else None,
            expect=tuple(self.expectation(entry) for entry in self.tables(data, "expect")),
        )

    def tables(self, data: dict[str, Any], field: str, path: str | None = None) -> list[Any]:
        found = data.get(field, [])
        if not isinstance(found, list):
            raise UsageError(f"{self.where(field)}{field} is written [[{path or field}]], as often as needed")
        return found

    def text(self, data: dict[str, Any], field: str) -> str:
        found = data.get(field, "")
        if not isinstance(found, str):
            raise UsageError(f"{self.where(field)}{field} must be text")
        return found

    def frameworks(self, data: dict[str, Any]) -> tuple[str, ...]:
        found = data.get("frameworks", [])
        if not isinstance(found, list):
            raise UsageError(f"{self.where('frameworks')}frameworks must be a list")
        for name in found:
            if not isinstance(name, str) or name not in FAMILIES:
                raise unknown("framework", str(name), list(FAMILIES), self.where(str(name)))
        return tuple(found)

    def coverage(self, data: dict[str, Any]) -> str:
        found = data.get("coverage", "product")
        if not isinstance(found, str) or found not in COVERAGES:
            raise unknown("coverage", str(found), list(COVERAGES), self.where("coverage"))
        return found

    def product(self, data: Any) -> Product:
        self.fields(data, ("exclude", "when", *AXES), "[[product]]")
        exclude = data.get("exclude", [])
        if not isinstance(exclude, list):
            raise UsageError(f"{self.where('exclude')}exclude must be a list of tables")
        return Product(
            self.axes(data),
            tuple(self.selection(entry, "exclude") for entry in exclude),
            tuple(self.when(entry) for entry in self.tables(data, "when", "product.when")),
        )

    def when(self, data: Any) -> When:
        what = "[[product.when]]"
        self.fields(data, ("if", *AXES), what)
        is_headed = any("product.when" in line for line in self.lines)
        at = self.where("product.when" if is_headed else "when")
        if not data.get("if"):
            raise UsageError(f"{at}{what} needs an `if`", 'write if = {execution = "fit"}')
        condition, values = self.selection(data["if"], "if"), self.axes(data)
        if not values:
            raise UsageError(f"{at}{what} needs an axis and its values beside `if`")
        for axis in values:
            if axis in condition or axis == "layer":
                why = "it is in `if`" if axis in condition else "a product is made for each layer"
                raise UsageError(f"{at}{what} cannot change {axis}: {why}")
        return When(condition, values)

    def axes(self, data: dict[str, Any]) -> Values:
        """{axis: values} of what is said of axes."""
        return {axis: self.values(axis, found) for axis, found in data.items() if axis in AXES}

    def selection(self, data: Any, what: str) -> Values:
        """{axis: values} of a `where`, an `if` or an `exclude`."""
        return self.axes(self.fields(data, tuple(AXES), what))

    def values(self, axis: str, found: Any) -> tuple[str, ...]:
        words = as_words(found)
        if not words:
            raise UsageError(f"{self.where(axis)}{axis} needs at least one value")
        for word in words:
            check_value(axis, word, self.where(word))
        return words

    def given(self, data: Any) -> Given:
        self.fields(data, Given, "[given]")
        if isinstance(data.get("input"), dict):
            data = {**data, "input": self.made(data["input"])}
        try:
            given = msgspec.convert(data, Given)
        except msgspec.ValidationError as error:
            raise UsageError(f"{self.where('given')}[given]: {error}") from error
        channels = CHANNELS
        if given.input is not None:
            channels = _rectangle(given.input, f"{self.where('input')}[given] input")[-1]
        for slot, numbers in given.state.items():
            if slot not in SLOTS:
                raise unknown("slot", slot, SLOTS, self.where(slot))
            size = len(numbers) if isinstance(numbers, list) else channels
            if slot in PER_CHANNEL and size != channels:
                raise UsageError(f"{self.where(slot)}{slot} has {size} values, the input {channels} channels")
        for option in given.options:
            if option not in OPTIONS:
                raise unknown("option", option, OPTIONS, self.where(option))
        return given

    def made(self, data: dict[str, Any]) -> Any:
        """An input of the shape that is told: numbers of which no two channels have the same."""
        shape = self.fields(data, ("shape",), "input").get("shape")
        sizes = shape if isinstance(shape, list) else []
        if not 2 <= len(sizes) <= 5 or not all(type(size) is int and size > 0 for size in sizes):
            raise UsageError(f"{self.where('shape')}shape is 2 to 5 whole numbers", "write shape = [6, 784]")
        if math.prod(sizes) > MOST_NUMBERS:
            raise UsageError(f"{self.where('shape')}the input has more than {MOST_NUMBERS} numbers")
        return _filled(sizes, 0)

    def expectation(self, data: Any) -> Expectation:
        self.fields(data, Expectation, "[[expect]]")
        facts = self.fields(data.get("facts", {}), tuple(FACTS), "facts")
        measured = self.fields(data.get("measured", {}), SLOTS, "measured")
        sizes = self.sizes(data)
        if not data.get("says") or not (facts or measured or sizes):
            raise UsageError(f"{self.where('expect')}an [[expect]] needs `says`, and `facts` or `measured`")
        return Expectation(
            says=self.text(data, "says"),
            where=self.selection(data.get("where", {}), "where"),
            facts={name: self.fact(name, found) for name, found in facts.items()},
            measured={slot: self.numbers(slot, found) for slot, found in measured.items()},
            sizes=sizes,
            frameworks=self.frameworks(data),
            source=self.text(data, "source") or None,
        )

    def sizes(self, data: dict[str, Any]) -> dict[str, int]:
        """How many values slots have."""
        found = self.fields(data.get("sizes", {}), SLOTS, "sizes")
        for slot, size in found.items():
            if type(size) is not int:
                raise UsageError(f"{self.where(slot)}the size of {slot} must be a whole number")
        return found

    def fact(self, name: str, found: Any) -> tuple[str, ...]:
        """The values that a fact may have, each one that it can have."""
        words = as_words(found)
        if not words:
            raise UsageError(f"{self.where(name)}{name} needs at least one value")
        for word in words:
            if name in WORDS and word not in (*WORDS[name], *SAYS_NOTHING):
                raise unknown(f"value of the fact {name}", word, WORDS[name], self.where(word))
            if name in NUMBERS and not is_number(word) and word not in ("other", *SAYS_NOTHING):
                raise UsageError(f"{self.where(word)}{name} is a number, not {word!r}")
        return words

    def numbers(self, slot: str, found: Any) -> list[float]:
        """What a slot is to read, one finite number for each of its values."""
        if isinstance(found, list) and found and all(is_finite(each) for each in found):
            return [float(each) for each in found]
        raise UsageError(f"{self.where(slot)}{slot} must be a list of numbers")


def _filled(sizes: list[int], before: int) -> Any:
    """Nested lists of these sizes, each number from its place."""
    if not sizes:
        return before * 0.37 % 5
    return [_filled(sizes[1:], before * sizes[0] + number) for number in range(sizes[0])]


def _rectangle(found: Any, what: str) -> tuple[int, ...]:
    """The shape of nested lists of finite numbers. Raises UsageError where it has none."""
    if not isinstance(found, list):
        if not is_finite(found):
            raise UsageError(f"{what} holds {found!r}, which is no finite number")
        return ()
    shapes = {_rectangle(each, what) for each in found}
    if len(shapes) != 1:
        raise UsageError(f"{what} must be lists of equal length, and not empty")
    return (len(found), *shapes.pop())


def is_finite(value: object) -> bool:
    """Whether a TOML value is a number other than inf and nan."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def is_number(word: str) -> bool:
    """Whether a word reads as a finite number."""
    try:
        return math.isfinite(float(word))
    except ValueError:
        return False


def as_words(found: Any) -> tuple[str, ...]:
    """A TOML value, or a list of them, as texts."""
    return tuple(as_text(value) for value in (found if isinstance(found, list) else [found]))


def as_text(value: object) -> str:
    """A TOML value as the text that axes and facts are written in: true, 2, 0.01, fit."""
    return str(value).lower() if isinstance(value, bool) else str(value)

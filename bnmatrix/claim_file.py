"""Files of claims: how they are written, which there are, and what is said of a mistake in one.

A file of claims is TOML. It holds what is said, to the letter; what is so is measured:

    [[claim]]
    id = "frozen-is-inference"
    says = "..."             the statement
    source = "..."           who makes it, and where
    about = { frameworks = ["tf2"], layers = ["batch_norm"] }    what it speaks of; without it, of everything

    scenario = "..."         cells and given numbers of this scenario, by its name or file ...
    [[claim.product]]        ... and those of products, as a scenario has them (`scenario_file.py`)
    [claim.given]            numbers in place of generated ones, and of those of the scenario

    [[claim.expect]]         what it says of the cells that match `where`, as a scenario has it; with `says`
                             alone the scenario's own expectation of these words. Without any: all of those

    [[claim.answer]]         what there is to say where the cells of a target show all of this; every answer
    says = "..."             that is met is told
    shown = [
        {where = {training = true}, facts = {output_scale = 4}},
        {where = {layer = "mine:Norm"}, same_as = "batch_norm"},     they are as those of this layer
    ]

    [[claim.model]]          a whole model that it is about as well
    says = "..."
    factory = "bnmatrix.examples.fine_tuning:mobilenet"              a function that makes it, compiled
    execution = "fit"        how its steps are made; also train_on_batch
    steps = 2
    expect = {"*_norm" = {moving_mean = "unchanged"}}                {pattern of layers: facts}

Beside the shipped ones there are those of the files that a project names: `claims = ["claims.toml"]` in its
table [tool.bnmatrix].
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from bnmatrix.axes import COMPILING
from bnmatrix.claim import Answer, Claim, ModelPart, Shown
from bnmatrix.errors import UsageError, nearest, unknown
from bnmatrix.facts import FACTS
from bnmatrix.scenario import Expectation, Scenario
from bnmatrix.scenario_file import Reader, find, read
from bnmatrix.target import FAMILIES

SHIPPED = Path(__file__).parent / "claims.toml"

FIELDS = (
    "id", "says", "source", "about", "scenario", "coverage", "product", "given", "expect", "answer", "model",
)  # fmt: skip

_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")

_FACTORY = re.compile(r"[^\W\d][\w.]*:[^\W\d]\w*")


def every(files: Sequence[str] = ()) -> list[Claim]:
    """The shipped claims, those of the project's files, and those of `files`. Raises UsageError."""
    from bnmatrix.configuration import configuration

    configured, folder = configuration()
    paths = [SHIPPED, *(folder / name for name in configured.claims), *map(Path, files)]
    found: dict[str, Claim] = {}
    for path in dict.fromkeys(each.absolute() for each in paths):
        for claim in load(path):
            if claim.id in found:
                raise UsageError(f"{path}: there is another claim {claim.id}", "give it an id of its own")
            found[claim.id] = claim
    return list(found.values())


def chosen(ids: Sequence[str], files: Sequence[str]) -> list[Claim]:
    """The claims of these ids; of `files` where none is named, and all without a file. Raises UsageError."""
    known = {claim.id: claim for claim in every(files)}
    for name in ids:
        if name not in known:
            raise unknown("claim", name, list(known))
    if ids:
        return [known[name] for name in dict.fromkeys(ids)]
    if files:
        return [claim for name in dict.fromkeys(files) for claim in load(Path(name))]
    return list(known.values())


def load(path: Path) -> list[Claim]:
    """The claims of a file. Raises UsageError that names file, line and nearest match."""
    text, data = read(path, "the claims")
    return _Reader(path, text).claims(data)


class _Reader(Reader):
    """Turns parsed TOML into claims; a mistake is looked for in the lines of the claim that has it."""

    within: range | None = None

    def where(self, word: str) -> str:
        if self.within is not None:
            sought = re.compile(rf"(?<![\w.-])(claim\.)?{re.escape(word)}(?![\w.-])")
            for number in self.within:
                if sought.search(self.lines[number].partition("#")[0]):
                    return f"{self.path}:{number + 1}: "
            return f"{self.path}:{self.within.start + 1}: "
        return super().where(word)

    @contextmanager
    def of_claim(self, number: int) -> Iterator[None]:
        """In which lines the claim of this number is, where it is written under a heading."""
        begins = [at for at, line in enumerate(self.lines) if line.strip().startswith("[[claim]]")]
        ends = [*begins[1:], len(self.lines)]
        self.within = range(begins[number], ends[number]) if number < len(begins) else None
        yield
        self.within = None

    def claims(self, data: dict[str, Any]) -> list[Claim]:
        self.fields(data, ("claim",), "a file of claims")
        found: dict[str, Claim] = {}
        for number, entry in enumerate(self.tables(data, "claim")):
            with self.of_claim(number):
                claim = self.claim(entry)
                if claim.id in found:
                    raise UsageError(f"{self.where('id')}there is another claim {claim.id}")
                found[claim.id] = claim
        if not found:
            raise UsageError(f"{self.path} has no [[claim]]")
        return list(found.values())

    def claim(self, data: Any) -> Claim:
        self.fields(data, FIELDS, "[[claim]]")
        for field in ("id", "says", "source"):
            if not self.text(data, field):
                raise UsageError(f"{self.where('claim')}a [[claim]] needs id, says and source")
        if not _ID.fullmatch(data["id"]):
            raise UsageError(f"{self.where('id')}the id {data['id']!r} is not written in-small-letters")
        about = self.fields(data.get("about", {}), ("frameworks", "layers"), "about")
        models = tuple(self.model(entry) for entry in self.tables(data, "model", "claim.model"))
        scenario = self.cells_of(data)
        if not (scenario.products or models):
            raise UsageError(f"{self.where('id')}the claim {data['id']} has nothing that measures it",
                             "a scenario, [[claim.product]] or [[claim.model]]")  # fmt: skip
        return Claim(
            id=data["id"],
            says=data["says"],
            source=data["source"],
            frameworks=self.about_frameworks(about),
            layers=self.values("layer", about["layers"]) if "layers" in about else (),
            scenario=scenario,
            answers=tuple(self.answer(entry) for entry in self.tables(data, "answer", "claim.answer")),
            models=models,
        )

    def about_frameworks(self, about: dict[str, Any]) -> tuple[str, ...]:
        """What is spoken of: frameworks, also such as are none of bnmatrix's, but none misspelt."""
        found = about.get("frameworks", list(FAMILIES))
        if not isinstance(found, list) or not found or not all(isinstance(name, str) for name in found):
            raise UsageError(f"{self.where('frameworks')}frameworks must be a list of names")
        for name in found:
            if name not in FAMILIES and nearest(name, list(FAMILIES)):
                raise unknown("framework", name, list(FAMILIES), self.where(name))
        return tuple(found)

    def cells_of(self, data: dict[str, Any]) -> Scenario:
        """What measures the claim, and what the claim says of it."""
        named = self.text(data, "scenario")
        base = self.base(named) if named else Scenario(name="", title="", products=())
        products = tuple(self.product(entry) for entry in self.tables(data, "product", "claim.product"))
        expect = tuple(
            self.said(entry, base) for entry in self.tables(data, "expect", "claim.expect")
        ) or tuple(base.expect)
        if (base.products or products) and not expect:
            raise UsageError(f"{self.where('id')}the claim {data['id']} needs a [[claim.expect]]")
        return Scenario(
            name=data["id"],
            title=data["says"],
            products=base.products + products,
            coverage=self.coverage(data) if "coverage" in data else base.coverage,
            given=self.given(data["given"]) if "given" in data else base.given,
            expect=expect,
        )

    def base(self, name: str) -> Scenario:
        """The scenario that is named: a shipped one, or a file beside this one."""
        return find(str(self.path.parent / name) if name.endswith(".toml") else name)

    def said(self, data: Any, base: Scenario) -> Expectation:
        """An expectation: in full, or one of the scenario's by its words."""
        self.fields(data, Expectation, "[[claim.expect]]")
        if not set(data) <= {"says", "frameworks"}:
            return self.expectation(data)
        words = self.text(data, "says")
        known = {each.says: each for each in base.expect}
        if words not in known:
            raise unknown("expectation of the scenario", words, list(known), self.where("expect"))
        frameworks = self.frameworks(data) or known[words].frameworks
        return msgspec.structs.replace(known[words], frameworks=frameworks)

    def answer(self, data: Any) -> Answer:
        self.fields(data, Answer, "[[claim.answer]]")
        shown = self.tables(data, "shown", "claim.answer.shown")
        if not self.text(data, "says") or not shown:
            raise UsageError(f"{self.where('answer')}a [[claim.answer]] needs says and shown")
        return Answer(data["says"], tuple(self.shown(entry) for entry in shown))

    def shown(self, data: Any) -> Shown:
        self.fields(data, Shown, "shown")
        facts = self.fields(data.get("facts", {}), tuple(FACTS), "facts")
        sizes = self.sizes(data)
        same_as = self.text(data, "same_as") or None
        if bool(facts or sizes) == bool(same_as):
            raise UsageError(f"{self.where('shown')}an entry of shown needs facts, or same_as")
        if same_as is not None:
            self.values("layer", same_as)
        return Shown(
            where=self.selection(data.get("where", {}), "where"),
            facts={name: self.fact(name, found) for name, found in facts.items()},
            sizes=sizes,
            same_as=same_as,
        )

    def model(self, data: Any) -> ModelPart:
        self.fields(data, ModelPart, "[[claim.model]]")
        says, factory = self.text(data, "says"), self.text(data, "factory")
        expect = data.get("expect", {})
        if not says or not isinstance(expect, dict) or not expect:
            raise UsageError(f"{self.where('model')}a [[claim.model]] needs says, factory and expect")
        if not _FACTORY.fullmatch(factory):
            raise UsageError(f"{self.where('factory')}{factory!r} names no function", "module:function")
        execution, steps = self.text(data, "execution") or "fit", data.get("steps", 2)
        if execution not in COMPILING:
            raise unknown("execution of a model", execution, COMPILING, self.where("execution"))
        if type(steps) is not int or steps < 2:
            raise UsageError(f"{self.where('steps')}steps must be 2 or more")
        return ModelPart(
            says=says,
            factory=factory,
            execution=execution,
            steps=steps,
            expect={
                pattern: {
                    name: self.fact(name, found)
                    for name, found in self.fields(facts, tuple(FACTS), f"expect of {pattern}").items()
                }
                for pattern, facts in expect.items()
            },
        )

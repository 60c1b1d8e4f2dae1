"""Laws, conditions and answers in plain words: text without layout or colour, the same in every format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bnmatrix.comparison import Condition, Diff, NotComparable, Side, SideLaw
from bnmatrix.conditions import When
from bnmatrix.matrix import CellResult, Default, Law, TargetMatrix, Value
from bnmatrix.render.beneath import EXPECTED, Beneath

if TYPE_CHECKING:
    from bnmatrix.converted import Party
    from bnmatrix.explaining import ExplainedCell
    from bnmatrix.render.folding import Alike
    from bnmatrix.timeline import Release

HEADLINE = ("normalised_by", "stochastic")
"""Facts whose laws come first; then what moves, in the order of the facts."""

ASIDE = ("input_gradient", "inference_output")
"""Facts whose laws are told by `--expand` only: the table has them, or they follow from the others."""

MOST_PLACES = 3
"""In which an answer or a row is said to hold; of more, the widest."""

TWO_LINES = 150
"""Characters that places take at the most."""

FLAGS = {"training", "trainable"}

EMPTY: Mapping[str, Sequence[str]] = {}

MOVES = ("updated", "batch", "through_batch_statistics", "yes")
STAYS = ("unchanged", "moving", "elementwise", "no")
DOUBTFUL = ("undecided", "unstable")
"""Words that a page marks: something happens, nothing does, the measurement does not say."""

GLOSSARY = {
    "updated": "changed by one step",
    "unchanged": "not changed by it",
    "batch": "by this batch's statistics",
    "moving": "by the stored ones",
    "sample": "by each sample's statistics",
    "undecided": "the measurement does not tell",
    "unstable": "differs between identical runs",
}


@dataclass(frozen=True)
class Told:
    """A law in words: what it is about, the rule (`always` and `never` included), and where it holds."""

    facts: tuple[str, ...]
    value: Value
    rule: str
    when: str

    @property
    def subject(self) -> str:
        """`gamma, beta updated`"""
        return f"{', '.join(self.facts)} {number(self.value)}"

    @property
    def relation(self) -> str:
        """What stands between subject and rule."""
        return "" if self.rule in ("always", "never") else "<=>"

    def __str__(self) -> str:
        return " ".join(part for part in (self.subject, self.relation, self.rule, self.when) if part)


def number(value: Value) -> str:
    """A value as it is written: words as they are, numbers shortest."""
    return str(value).removesuffix(".0")


def condition(when: Mapping[str, Sequence[str]], but: Mapping[str, Sequence[str]] = EMPTY) -> str:
    """`training=true, execution=fit|predict, context not pinned_false`; empty where nothing is named.

    but: of some axes of `when`, the few values that it leaves out
    """
    return ", ".join(
        f"{axis} not {'|'.join(but[axis])}" if axis in but else f"{axis}={'|'.join(values)}"
        for axis, values in when.items()
    )


def where(conditions: Iterable[When]) -> str:
    """Several conditions, any of which will do."""
    return " or ".join(condition(entry) for entry in conditions if entry)


def context(when: Mapping[str, Sequence[str]], but: Mapping[str, Sequence[str]] = EMPTY) -> str:
    """A condition as the heading of a block: executions by their names alone. `call, graph at rank 4`

    but: of some axes of `when`, the few values that it leaves out
    """
    named = {
        axis: f"all but {enumerated(but[axis])}" if axis in but else enumerated(values)
        for axis, values in when.items()
    }
    executions = named["execution"] if "execution" in but else ", ".join(when.get("execution", ()))
    others = ", ".join(f"{axis} {words}" for axis, words in named.items() if axis != "execution")
    return " at ".join(part for part in (executions, others) if part)


def place(when: Mapping[str, Sequence[str]], but: Mapping[str, Sequence[str]] = EMPTY) -> str:
    """A condition as the end of a sentence: `(in call, at rank 4, at context all but shared)`"""
    parts = sorted(when.items(), key=lambda entry: entry[0] != "execution")
    words = []
    for axis, values in parts:
        named = f"all but {enumerated(but[axis])}" if axis in but else enumerated(values)
        words.append(f"{'in' if axis == 'execution' else f'at {axis}'} {named}")
    return f"({', '.join(words)})" if words else ""


def enumerated(words: Sequence[str]) -> str:
    """`fit, evaluate and predict`"""
    return " and ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def told(laws: Iterable[Law | SideLaw], aside: bool = False) -> list[Told]:
    """Laws in words, those together that differ in nothing but the fact; headlines first.

    `aside`: those that are left out of a short page as well.
    """
    joined: dict[tuple[Value, tuple[tuple[str, str], ...]], list[str]] = {}
    by_fact: dict[tuple[str, Value], list[tuple[str, str]]] = {}
    for law in laws:
        obvious = law.rule == "always" and EXPECTED.get(law.fact) == law.value
        if aside or (law.fact not in ASIDE and not obvious):
            by_fact.setdefault((law.fact, law.value), []).append((law.rule, place(law.when, law.but)))
    for (fact, value), rules in sorted(by_fact.items(), key=lambda entry: entry[0][0] not in HEADLINE):
        joined.setdefault((value, tuple(rules)), []).append(fact)
    found = [
        Told(tuple(facts), value, rule, when)
        for (value, rules), facts in joined.items()
        for rule, when in rules
    ]
    order = {law.facts: index for index, law in reversed(list(enumerate(found)))}
    return sorted(
        found,
        key=lambda law: (weight(law.facts), order[law.facts]),
    )


def widest(laws: Sequence[Told], most: int) -> tuple[list[Told], int]:
    """The first `most` laws of each subject, which are those of the most cells, and how many are left out."""
    counts: dict[str, int] = {}
    kept = []
    for law in laws:
        counts[law.subject] = counts.get(law.subject, 0) + 1
        if counts[law.subject] <= most:
            kept.append(law)
    return kept, len(laws) - len(kept)


def outcomes(results: Sequence[CellResult]) -> str:
    """`9732: 8100 ok, 1500 unavailable, 132 raised`; the most frequent first"""
    counts: dict[str, int] = {}
    for result in results:
        counts[result.outcome] = counts.get(result.outcome, 0) + 1
    each = sorted(counts.items(), key=lambda entry: -entry[1])
    return f"{len(results)}: {', '.join(f'{count} {outcome}' for outcome, count in each)}"


def weight(facts: Sequence[str]) -> tuple[bool, bool]:
    """Laws are sorted by this: headlines first, then what moves."""
    return facts[0] not in HEADLINE, "moving_mean" not in facts


def answer(laws: Sequence[Law]) -> list[tuple[str, list[tuple[list[str], str]]]]:
    """What each flag decides, from the laws that hold, and where if neither does elsewhere:

        [("trainable alone", [(["gamma", "beta"], "(in call)")]), ...]

    A fact counts for a flag where any of its rules names it; a fact that neither decides is left out.
    """
    named: dict[str, set[str]] = {}
    places: dict[str, str] = {}
    for fact in dict.fromkeys(law.fact for law in laws if law.fact not in ASIDE):
        own = [law for law in laws if law.fact == fact]
        naming = [law for law in own if set(law.rule.split()) & FLAGS]
        named[fact] = {word for law in naming for word in law.rule.split()} & FLAGS
        places[fact] = _places(naming) if len(naming) < len(own) else ""
    kinds = {
        "training alone": {"training"},
        "trainable alone": {"trainable"},
        "training and trainable together": {"training", "trainable"},
    }
    order = sorted(named, key=lambda fact: fact not in HEADLINE)
    found = []
    for kind, words in kinds.items():
        by_place: dict[str, list[str]] = {}
        for fact in order:
            if named[fact] == words:
                by_place.setdefault(places[fact], []).append(fact)
        if by_place:
            found.append((kind, [(facts, where) for where, facts in by_place.items()]))
    return found


def _places(laws: Sequence[Law]) -> str:
    """Where several laws hold, as the end of a sentence: `(in call and call_over_collection)`"""
    if all(set(law.when) == {"execution"} for law in laws):
        executions = dict.fromkeys(name for law in laws for name in law.when["execution"])
        return place({"execution": list(executions)})
    places, further = briefly(list(dict.fromkeys(place(law.when, law.but) for law in laws if law.when)))
    return " ".join([*places, f"and in {further_places(further)}"] if further else places)


def further_places(count: int) -> str:
    """`1 further place`"""
    return f"{count} further place{'s' if count > 1 else ''}"


def briefly(places: Sequence[str]) -> tuple[list[str], int]:
    """The places that two lines hold, one at least, and how many are left."""
    shown: list[str] = []
    for each in places:
        if sum(map(len, (*shown, each))) <= TWO_LINES:
            shown.append(each)
    shown = shown[:MOST_PLACES] or sorted(places, key=len)[:1]
    return shown, len(places) - len(shown)


def where_laws_range(cells: Sequence[CellResult]) -> str:
    """Of which executions laws can tell, where there are others: those in which training can be given."""
    ran = [cell for cell in cells if cell.outcome == "ok"]
    told = list(dict.fromkeys(c.axes["execution"] for c in ran if c.axes["training"] != "default"))
    others = {cell.axes["execution"] for cell in ran} - set(told)
    return f"(of {enumerated(told)}, where training can be given)" if told and others else ""


def default_acts(defaults: Sequence[Default]) -> str:
    """`training not given acts as false in call and graph; as true in fit`; empty where nothing is known."""
    groups: dict[str, list[str]] = {}
    for default in defaults:
        groups.setdefault(default.acts_as, []).append(default.execution)
    says = {
        "true": "acts as true in {}",
        "false": "acts as false in {}",
        "either": "makes no difference in {}",
        "neither": "acts as neither true nor false in {}",
    }
    return "; ".join(says.get(way, way + " in {}").format(enumerated(names)) for way, names in groups.items())


def beneath(fact: Beneath) -> str:
    """`variance_estimator biased (rank=2), unbiased (rank=4)`"""
    parts = [
        f"{number(value)} ({where(conditions)})" if where(conditions) else number(value)
        for value, conditions in fact.values
    ]
    return f"{fact.fact} {', '.join(parts)}"


def folded(alike: Iterable[Alike]) -> list[str]:
    """[`rank 2 = 4 but for variance_estimator`, `execution call = graph`]"""
    return [
        f"{each.axis} {' = '.join(each.values)}"
        + (f" but for {enumerated(each.but_for)}" if each.but_for else "")
        for each in alike
    ]


def following(fact: Beneath) -> list[str]:
    """[`elementwise where moving`, ..., `only in call and fit`] of a fact that follows a column."""
    parts = []
    for value, conditions in fact.values:
        texts = [
            enumerated(when[fact.follows]) if fact.follows in when else condition(when).replace("=", " ")
            for when in conditions
        ]
        parts.append(f"{value} where {' or '.join(texts)}")
    return [*parts, *([f"only in {enumerated(fact.only_in)}"] if fact.only_in else [])]


def versions(target: TargetMatrix | Side | Release | ExplainedCell | Party) -> list[str]:
    """`tensorflow 2.21.0`, ..., `Python 3.11.7`, `cpu`"""
    order = [*_PACKAGES, *(name for name in target.versions if name not in (*_PACKAGES, "numpy")), "numpy"]
    found = [f"{package} {target.versions[package]}" for package in order if package in target.versions]
    return [
        *found,
        *([f"Python {target.python}"] if target.python else []),
        *([target.device] if target.device else []),
    ]


_PACKAGES = ("tensorflow", "keras", "tf_keras", "torch", "jax")
"""In this order, whatever the order in which they were found or saved; numpy comes last."""


Sides = Sequence[tuple[str, Sequence[Law | SideLaw]]]
"""Who obeys which laws."""


def side_by_side(sides: Sides) -> list[tuple[str, list[tuple[str, Told]]]]:
    """The laws of several sides about the same thing: [("gamma, beta updated", [("tf2", a law), ...]), ...]

    Facts stand together where every side treats them alike. Only what two sides have laws about.
    """
    found: dict[tuple[str, Value], dict[str, list[Told]]] = {}
    for name, laws in sides:
        for law in told(laws):
            for fact in law.facts:
                found.setdefault((fact, law.value), {}).setdefault(name, []).append(law)
    joined: dict[tuple[Value, tuple[tuple[str, str, str], ...]], list[str]] = {}
    for (fact, value), by_side in found.items():
        if len(by_side) > 1:
            rules = tuple((name, law.rule, law.when) for name, laws in by_side.items() for law in laws)
            joined.setdefault((value, rules), []).append(fact)
    result = []
    for (value, _), facts in joined.items():
        by_side = found[facts[0], value]
        subject = Told(tuple(facts), value, "", "").subject
        result.append((subject, [(name, law) for name, laws in by_side.items() for law in laws]))
    return result


def agree(laws: Sequence[tuple[str, Told]]) -> bool:
    """Whether all sides obey the same."""
    by_side: dict[str, list[tuple[str, str]]] = {}
    for name, law in laws:
        by_side.setdefault(name, []).append((law.rule, law.when))
    return all(rules == next(iter(by_side.values())) for rules in by_side.values())


def by_place(conditions: Sequence[Condition]) -> list[list[Condition]]:
    """What changed in the same place, together."""
    grouped: dict[str, list[Condition]] = {}
    for entry in conditions:
        grouped.setdefault(condition(entry.when), []).append(entry)
    return list(grouped.values())


def ids(conditions: Iterable[Condition]) -> list[str]:
    """The cells of several conditions."""
    return list(dict.fromkeys(identity for entry in conditions for identity in entry.ids))


def by_change(conditions: Sequence[Condition]) -> list[tuple[str, Value, Value]]:
    """Changes, alike ones together: [("gamma, beta", "unchanged", "updated"), ...]"""
    joined: dict[tuple[Value, Value], list[str]] = {}
    for entry in conditions:
        joined.setdefault((entry.old, entry.new), []).append(entry.fact)
    return [(", ".join(facts), old, new) for (old, new), facts in joined.items()]


def counted(conditions: Sequence[Condition]) -> str:
    """`mode_after and warnings in 12 cells: --expand lists them`"""
    facts = list(dict.fromkeys(entry.fact for entry in conditions))
    return f"{enumerated(facts)} in {cells(len(ids(conditions)))}: --expand lists them"


def beyond_conventions(diff: Diff) -> list[Condition]:
    """The conditions that no convention has told already."""
    known = {(entry.name, entry.old, entry.new) for entry in diff.conventions}
    known |= {("next_update_rate", old, new) for name, old, new in known if name == "update_rate"}
    return [entry for entry in diff.conditions if (entry.fact, entry.old, entry.new) not in known]


def one_sided(condition: Condition) -> bool:
    """Whether one side has no such state at all."""
    return "absent" in (condition.old, condition.new)


def only_one_has(diff: Diff, conditions: Iterable[Condition]) -> list[str]:
    """[`only torch has num_batches_tracked`] of state that is absent on one side."""
    found: dict[str, dict[str, None]] = {}
    for entry in conditions:
        who = diff.new.target if entry.old == "absent" else diff.old.target
        found.setdefault(who, {})[entry.fact] = None
    return [f"only {who} has {enumerated(list(facts))}" for who, facts in found.items()]


def reasons(cells: Iterable[NotComparable]) -> list[tuple[str, list[str]]]:
    """Why cells cannot be compared, with their ids; the most frequent first."""
    grouped: dict[str, list[str]] = {}
    for entry in cells:
        grouped.setdefault(entry.reason or f"{entry.old}, {entry.new}", []).append(entry.id)
    return sorted(grouped.items(), key=lambda entry: -len(entry[1]))


def glossary(words: Iterable[Value]) -> list[tuple[str, str]]:
    """The meaning of those of `words` that need one, in a fixed order."""
    present = set(words)
    return [(word, meaning) for word, meaning in GLOSSARY.items() if word in present]


def cells(count: int, more: bool = False) -> str:
    """`1 cell`, `12 cells`; `12 more cells` than were told elsewhere."""
    return f"{count}{' more' if more else ''} {'cell' if count == 1 else 'cells'}"


def or_else(words: Iterable[str]) -> str:
    """`fit, or call at rank 4`"""
    return ", or ".join(word for word in words if word)

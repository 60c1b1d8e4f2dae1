"""Two layers side by side, under one combination of axes: options, weights, the proof, and what helps where
they part.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from bnmatrix.axes import AXES
from bnmatrix.comparison import disagree, reading
from bnmatrix.conversion import SCENARIOS, Question, Way, cell_of, told, ways
from bnmatrix.converted import (
    STATISTICS,
    Case,
    Cause,
    Compared,
    Option,
    Proof,
    Remedy,
    Stored,
    Weight,
    answer_of,
    badness,
)
from bnmatrix.courses import (
    ALIKE,
    Asked,
    Follow,
    Mend,
    compared,
    moved,
    transposition,
    values_a_channel,
    variance_factor,
    why_not,
)
from bnmatrix.matrix import FAULTS, CellResult, TargetMatrix
from bnmatrix.runner import Answer
from bnmatrix.runner.messages import Course, Observation

PASSING = ("num_batches_tracked", "seed_state")
"""Slots that one side may have alone: nothing is taken from the other for them."""

CORRECTIONS = {1: "N / (N - 1)", -1: "(N - 1) / N", 2: "(N / (N - 1))^2", -2: "((N - 1) / N)^2"}
"""What makes one of a biased, an unbiased and a twice corrected variance another; of N values a channel."""

CAUSES = (
    "normalised_by", "input_gradient", "epsilon", "variance_estimator", "update_rate", "next_update_rate",
    "updates_per_step", "gamma", "beta", "moving_mean", "moving_variance", "kernel",
    "recurrent_kernel", "bias",
)  # fmt: skip
"""Facts that tell why two layers part, in this order."""


def causes(source: CellResult, destination: CellResult) -> list[Cause]:
    """The facts in which the two differ, of those that tell why."""
    return [
        Cause(fact=fact, source=source.facts[fact], destination=destination.facts[fact])
        for fact in CAUSES
        if fact in source.facts
        and fact in destination.facts
        and disagree(reading(source, fact), reading(destination, fact))
    ]


class SideBySide:
    """One combination on its way."""

    def __init__(
        self,
        asked: Question,
        axes: dict[str, str],
        given: dict[str, float],
        source: TargetMatrix,
        destination: TargetMatrix,
        follow: Follow,
    ) -> None:
        self.asked, self.axes, self.given, self.follow = asked, axes, given, follow
        self.known = (source.by_id(), destination.by_id())
        self.targets = (asked.source, asked.destination)
        self.answers: dict[Asked, Answer] = {}

    def made(self) -> tuple[Case, bool]:
        """The case, and whether a course of it could not be run."""
        first = self._asked(0, SCENARIOS["training"]), self._asked(1, SCENARIOS["training"])
        self._run([self._asked(side, chosen) for chosen in SCENARIOS.values() for side in (0, 1)])
        codes = [None if course is None else course.code for course in map(self._course, first)]
        refused = self._refused(first)
        case = Case(
            axes=self.axes,
            source_code=codes[0],
            destination_code=codes[1],
            options=self._options(),
            weights=[] if refused else self._weights(first),
            proofs=[] if refused else [self._proof(name) for name in SCENARIOS],
            refused=refused,
        )
        return case, any(answer.outcome in FAULTS for answer in self.answers.values())

    def _asked(self, side: int, chosen: Mapping[str, str], mend: Mend | None = None) -> Asked:
        cell = cell_of(self.asked, self.targets[side], self.axes, chosen)
        options = self.given if side else self.asked.options
        return Asked(side, cell, tuple(options.items()), mend or Mend())

    def _fact(self, side: int, chosen: Mapping[str, str]) -> CellResult:
        return self.known[side][cell_of(self.asked, self.targets[side], self.axes, chosen).id]

    def _run(self, wanted: Sequence[Asked]) -> None:
        new = [each for each in dict.fromkeys(wanted) if each not in self.answers]
        if new:
            self.answers.update(self.follow(new))

    def _course(self, asked: Asked) -> Course | None:
        answer = self.answers.get(asked)
        if answer is None or answer.observation is None:
            return None
        return answer.observation.course

    def _observation(self, asked: Asked) -> Observation:
        observation = self.answers[asked].observation
        assert observation is not None
        return observation

    def _refused(self, first: tuple[Asked, Asked]) -> str | None:
        """Why there is nothing to hold side by side."""
        one, other = map(self._course, first)
        if one is None or other is None:
            lacking = first[0] if one is None else first[1]
            answer = self.answers.get(lacking)
            reason = self.known[lacking.side][lacking.cell.id].reason if answer is None else _why(answer)
            return f"{self.targets[lacking.side].text}: {reason}"
        return why_not(one, other, PASSING, [target.text for target in self.targets])

    # Options and weights.

    def _options(self) -> list[Option]:
        """Each that was measured at the source or given."""
        known = [told(self._fact(side, SCENARIOS["training"])) for side in (0, 1)]
        names = dict.fromkeys([*known[0], *self.asked.options])
        return [
            Option(
                name=name,
                source=known[0].get(name, self.asked.options.get(name, "undecided")),
                asked=self.given.get(name),
                destination=known[1].get(name, self.given.get(name)),
            )
            for name in names
        ]

    def _weights(self, first: tuple[Asked, Asked]) -> list[Weight]:
        slots = [self._observation(each).slots for each in first]
        courses = [course for course in map(self._course, first) if course is not None]
        found = []
        for slot in dict.fromkeys([*slots[0], *slots[1]]):
            stored = [
                Stored(
                    name=slots[side][slot].name,
                    shape=list(courses[side].stored[slot].shape),
                    dtype=slots[side][slot].dtype,
                )
                if slot in slots[side]
                else None
                for side in (0, 1)
            ]
            order = None
            if None not in stored and slot not in PASSING:
                order = transposition(*(course.stored[slot] for course in courses))
                order = None if order == sorted(order or ()) else order
            found.append(Weight(slot=slot, source=stored[0], destination=stored[1], transposed=order))
        return found

    # The proof.

    def _proof(self, name: str) -> Proof:
        scenario = SCENARIOS[name]
        direct = self._asked(0, scenario), self._asked(1, scenario)
        cells = self._fact(0, scenario), self._fact(1, scenario)
        found = Proof(
            scenario=name, source_cell=direct[0].cell.id, destination_cell=direct[1].cell.id,
            answer="not_compared",
        )  # fmt: skip
        reason = self._why_not_compared(direct, cells)
        if reason is not None:
            return msgspec.structs.replace(found, reason=reason)
        held = self._held(*direct)
        found = msgspec.structs.replace(found, answer=answer_of(held), compared=held)
        if found.answer == "equal":
            return found
        factor, values = self._factor(direct, cells, held)
        return msgspec.structs.replace(
            found,
            causes=causes(*cells),
            factor=factor,
            values=values,
            remedy=self._remedy(scenario, direct[0], held),
        )

    def _why_not_compared(
        self, asked: tuple[Asked, Asked], cells: tuple[CellResult, CellResult]
    ) -> str | None:
        for target, each, cell in zip(self.targets, asked, cells, strict=True):
            if cell.outcome != "ok":
                return f"{target.text}: {cell.outcome}, {cell.reason}"
            if cell.facts.get("stochastic") == "yes":
                return f"the output depends on chance in {target.text}: no two runs of it agree"
            if self._course(each) is None:
                return f"{target.text}: {_why(self.answers[each])}"
        return None

    def _held(self, source: Asked, destination: Asked) -> list[Compared]:
        one, other = self._course(source), self._course(destination)
        assert one is not None
        assert other is not None
        return compared(one, other, self.asked.layer, self.axes.get("dtype", AXES["dtype"].default))

    def _factor(
        self, direct: tuple[Asked, Asked], cells: tuple[CellResult, CellResult], held: Sequence[Compared]
    ) -> tuple[float | None, int | None]:
        """By how much the moving variance's updates part, where they part and the shares taken in do not."""
        rates = [cell.facts.get("update_rate") for cell in cells]
        parts = any(each.what == "moving_variance" and not each.is_equal for each in held)
        if not parts or not isinstance(rates[0], (int, float)) or isinstance(rates[1], (str, type(None))):
            return None, None
        if disagree(reading(cells[0], "update_rate"), reading(cells[1], "update_rate")):
            return None, None
        one, other = map(self._course, direct)
        assert one is not None
        assert other is not None
        return variance_factor(one, other, float(rates[0])), values_a_channel(one)

    def _remedy(
        self, scenario: Mapping[str, str], source: Asked, direct: Sequence[Compared]
    ) -> Remedy | None:
        """The first way in which everything agrees; else that in which most does, if all but statistics."""
        best: Remedy | None = None
        fewest = min(badness(direct), (1, 0))
        for way, mend, do in self._ways(scenario, source):
            asked = self._asked(1, way.chosen, mend)
            self._run([asked])
            if self._course(asked) is None:
                continue
            held = self._held(source, asked)
            if badness(held) < fewest:
                fewest = badness(held)
                best = Remedy(do=do, cell=asked.cell.id, answer=answer_of(held), compared=held)
            if fewest == (0, 0):
                break
        return best

    def _ways(
        self, scenario: Mapping[str, str], source: Asked
    ) -> Iterator[tuple[Way, Mend | None, list[str]]]:
        """What may be tried, the simplest first: other modes, then statistics that are mended."""
        tried = ways(scenario, self.targets[1].framework)
        self._run([self._asked(1, way.chosen) for way in tried])
        found = [way for way in tried if self._course(self._asked(1, way.chosen)) is not None]
        yield from ((way, None, list(way.do)) for way in found if way.do)
        for way in found:
            for mend, do in self._mends(source, self._asked(1, way.chosen)):
                yield way, mend, [*way.do, *do]

    def _mends(self, source: Asked, destination: Asked) -> Iterator[tuple[Mend, list[str]]]:
        """What can be done after each step about statistics that part."""
        one, other = self._course(source), self._course(destination)
        assert one is not None
        assert other is not None
        names = {slot: each.name for slot, each in self._observation(destination).slots.items()}
        moves = [slot for slot in STATISTICS if moved(other, slot) and not moved(one, slot)]
        if moves:
            yield (
                Mend(hold=tuple(moves)),
                [f"put {' and '.join(names[slot] for slot in moves)} back after each step"],
            )
        kept = self.given.get("momentum")
        if kept is None or not (moved(one, "moving_variance") and moved(other, "moving_variance")):
            return
        factor, values = variance_factor(one, other, 1.0 - kept), values_a_channel(one)
        for power, times in CORRECTIONS.items():
            correction = (values / (values - 1)) ** power if values > 1 else 1.0
            if factor is not None and abs(factor * correction - 1.0) <= ALIKE:
                name = names["moving_variance"]
                do = f"correct it after each step: {name} = {kept:g} old + ({name} - {kept:g} old) {times}"
                yield Mend(kept=kept, factor=correction), [do]


def _why(answer: Answer) -> str:
    """Why there is no course."""
    raised = answer.observation.exception if answer.observation is not None else None
    told = f"{raised.type}: {raised.message}" if raised is not None else answer.reason
    return f"{answer.outcome}, {told or 'no reason told'}"

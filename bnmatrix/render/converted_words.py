"""The sentences of a conversion, as plain text: what the page and Markdown share."""

from __future__ import annotations

from collections.abc import Sequence

from bnmatrix.converted import OF_STATISTICS, Compared, Conversion, Option, Proof, Remedy, Weight
from bnmatrix.render import wording

ANSWERS = {
    "equal": "equal",
    "equal_but_for": "equal but for",
    "different": "different",
    "not_compared": "not compared",
}


def option(told: Option, conversion: Conversion) -> str:
    """`epsilon 0.001, and so measured in torch`"""
    name = conversion.destination.target
    if told.asked is None:
        return (
            f"{told.name} {_number(told.source)} in {conversion.source.target}: no option follows from that"
        )
    made = f"{told.name} {_number(told.asked)}"
    if told.destination == told.asked or told.destination is None:
        return f"{made}, measured in both"
    return f"{made}, measured in {name}: {_number(told.destination)}"


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def weight(told: Weight, conversion: Conversion) -> str:
    """`weight = kernel.transpose(1, 0)  (3, 4) float32`"""
    source, destination = told.source, told.destination
    if source is None or destination is None:
        stored = source or destination
        assert stored is not None
        party = conversion.source if source is not None else conversion.destination
        return f"{stored.name}: only in {party.target}"
    order = f".transpose({', '.join(map(str, told.transposed))})" if told.transposed else ""
    shape = f"({', '.join(map(str, destination.shape))})"
    dtype = (
        destination.dtype if destination.dtype == source.dtype else f"{source.dtype} to {destination.dtype}"
    )
    return f"{destination.name} = {source.name}{order}  {shape} {dtype}"


def untold(weights: Sequence[Weight]) -> str | None:
    """What the measurement says nothing of."""
    for each in weights:
        if each.transposed and each.source is not None and each.source.shape.count(1) > 1:
            return f"{each.source.name} was of size 1 here: its spatial axes are taken in their order"
    return None


def answer(proof: Proof | Remedy) -> str:
    """`equal but for moving_variance`"""
    if proof.answer != "equal_but_for":
        return ANSWERS[proof.answer]
    parting = [each.what for each in proof.compared if not each.is_equal]
    slots = [what for what in parting if what != OF_STATISTICS[-1]] or parting
    return f"{ANSWERS[proof.answer]} {wording.enumerated(slots)}"


def evidence(proof: Proof | Remedy) -> str:
    """How far apart what agrees is, and what does not."""
    agreeing = [each for each in proof.compared if each.is_equal]
    parting = [each for each in proof.compared if not each.is_equal]
    parts = [f"{each.what} {_apart(each)} from step {each.parts_at} on" for each in parting[:3]]
    if len(parting) > 3:
        parts.append(f"{len(parting) - 3} more")
    if agreeing:
        worst = max(each.largest or 0.0 for each in agreeing)
        noun = "everything" if not parting else "the rest"
        within = f"within {worst:.1g} ({agreeing[0].allowed:.1g} is rounding)" if worst else "to the last bit"
        parts.append(f"{noun} {within}")
    return "; ".join(parts)


def _apart(compared: Compared) -> str:
    return "not comparable" if compared.largest is None else f"{compared.largest:.2g} apart"


def why(proof: Proof, conversion: Conversion) -> list[str]:
    """The facts that differ, and the factor."""
    number, here, there = wording.number, conversion.source.target, conversion.destination.target
    told = [
        f"{cause.fact}: {number(cause.source)} in {here}, {number(cause.destination)} in {there}"
        for cause in proof.causes
    ]
    if proof.factor is not None:
        of = f" (N = {proof.values} values a channel)" if proof.values else ""
        told.append(f"moving_variance takes in {proof.factor:g} times as much in {there}{of}")
    return told


def remedy(proof: Proof) -> str:
    """What is to be done, and how it then is."""
    if proof.remedy is None:
        return "nothing that was tried makes them equal"
    return f"{', and '.join(proof.remedy.do)}: then {answer(proof.remedy)}, {evidence(proof.remedy)}"


def rows(proof: Proof) -> list[list[str]]:
    """A heading, then for every quantity how far apart it is, how far with the remedy, what is rounding."""
    mended = {each.what: each for each in proof.remedy.compared} if proof.remedy else {}
    found = [
        ["largest relative difference", "as it is", *(["with the remedy"] if mended else []), "rounding"]
    ]
    for each in proof.compared:
        remedied = [_figure(mended[each.what]) if each.what in mended else ""] if mended else []
        found.append([each.what, _figure(each), *remedied, f"{each.allowed:.1g}"])
    return found


def _figure(compared: Compared) -> str:
    return "?" if compared.largest is None else f"{compared.largest:.1e}"


def case(axes: dict[str, str]) -> str:
    """`rank=2 dtype=float64`"""
    return " ".join(f"{axis}={value}" for axis, value in axes.items())


def verdict(conversion: Conversion) -> str:
    """All of it in a sentence."""
    if any(case.refused for case in conversion.cases):
        return "cannot be converted"
    proofs = [proof for case in conversion.cases for proof in case.proofs]
    if all(proof.answer == "equal" for proof in proofs):
        return "options and weights make them equal"
    left = [proof for proof in proofs if proof.answer != "equal"]
    if all(proof.remedy is not None and proof.remedy.answer == "equal" for proof in left):
        return "options and weights alone do not make them equal; what is told below does"
    return "they cannot be made equal in everything"

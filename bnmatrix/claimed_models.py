"""What a claim says of whole models, measured by an audit of each."""

from __future__ import annotations

from dataclasses import replace

from bnmatrix.audit.auditing import Audit, How, audit
from bnmatrix.audit.layers import AuditedLayer, named
from bnmatrix.audit.subject import subject_of
from bnmatrix.claim import ModelPart
from bnmatrix.errors import UsageError
from bnmatrix.measurement import Options
from bnmatrix.patterns import select
from bnmatrix.remeasuring import Tell
from bnmatrix.target import Target
from bnmatrix.verdicts import Deciding, Models

PATIENCE = 900.0
"""Seconds that a model may take at the least: a cell is given less."""


def measuring(options: Options, tell: Tell) -> Models:
    """What audits a model in a target's environment and says what decides; `tell` gets how far it is."""

    patient = replace(options, timeout=max(options.timeout, PATIENCE))

    def of_model(target: Target, part: ModelPart) -> list[Deciding]:
        tell(f"auditing {part.factory} in {target.text}")
        how = How(part.steps, execution=part.execution)
        return deciding(part, audit(subject_of(part.factory), how, target, patient))

    return of_model


def deciding(part: ModelPart, audited: Audit) -> list[Deciding]:
    """Each thing that is said of each tensor of the layers that are spoken of; one thing where no step was
    made."""
    if audited.outcome != "ok":
        return [
            Deciding(
                id=part.factory, says=part.says, fact="outcome", expected="ok", measured=audited.outcome,
                agrees=None, reason=audited.reason,
            )
        ]  # fmt: skip
    by_path = {layer.path: layer for layer in audited.layers}
    found = []
    for pattern, facts in part.expect.items():
        try:
            paths = select(named(audited.layers), [pattern])
        except UsageError:  # the model has no such layer here
            paths = {}
        for path in paths:
            found += [_one(part, by_path[path], fact, words) for fact, words in facts.items()]
    return [each for each in found if each.measured != "absent"]


def _one(part: ModelPart, layer: AuditedLayer, fact: str, words: tuple[str, ...]) -> Deciding:
    """What the steps did to a tensor, or a fact of the layer."""
    word = layer.facts.get(fact, "absent")
    if fact in layer.moved:
        word = "updated"
    elif fact in layer.still:
        word = "unchanged"
    return Deciding(
        id=f"{part.factory} {layer.path}", says=part.says, fact=fact, expected=" or ".join(words),
        measured=word, agrees=word in words,
    )  # fmt: skip

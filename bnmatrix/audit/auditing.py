"""`audit`: a model in its environment, real steps, and what they did to each of its layers."""

from __future__ import annotations

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec

from bnmatrix import __version__
from bnmatrix.audit import expected, findings, layers, remedies
from bnmatrix.audit.subject import EXAMPLE, Subject, as_sent, shapes_of, subject_of
from bnmatrix.configuration import configuration
from bnmatrix.errors import BnmatrixError, Exit, UsageError, unknown
from bnmatrix.matrix import SCHEMA_VERSION
from bnmatrix.measurement import Options, device_of
from bnmatrix.placement import place, ready
from bnmatrix.target import Target

if TYPE_CHECKING:
    from bnmatrix.runner import Answer
    from bnmatrix.runner.messages import AuditRecord

FEWEST_STEPS = 2
"""A weight that starts at zero holds back the gradients of others in the first step."""


@dataclass(frozen=True)
class How:
    """How the steps are made.

    input:     a function that returns the input, or None; shapes: of an input that is made up
    execution: fit, train_on_batch, by_hand, or None for what the model is made for
    optimizer: of torch, by name, where the factory gives none
    """

    steps: int = FEWEST_STEPS
    input: Subject | None = None
    shapes: Sequence[tuple[list[int], str]] = ()
    execution: str | None = None
    optimizer: str | None = None
    expect: Sequence[expected.Expectation] = field(default=())

    def __post_init__(self) -> None:
        """Raise UsageError for what shows too little."""
        if self.steps < FEWEST_STEPS:
            raise UsageError(
                f"{self.steps} step shows too little",
                f"make {FEWEST_STEPS} or more: a weight that starts at zero holds others back in the first",
            )


class Found(msgspec.Struct, frozen=True):
    """A finding in this model: the layers that show it, and what mends it there."""

    id: str
    name: str
    title: str
    why: str
    layers: list[str]
    says: str = ""
    code: str = ""


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What `bnmatrix audit --format json` prints.

    outcome: ok; refused (the question cannot be put) or raised (by the model), with the reason, a hint and
             the user's own line; crashed, timed_out
    how:     how the steps were made; source: where the input comes from
    losses:  of each step, None where it is not known
    seconds: {"made": importing the framework and making the model, "steps": making the steps}
    """

    schema_version: int
    bnmatrix: str
    subject: str
    target: str
    framework: str
    versions: dict[str, str]
    python: str
    device: str
    outcome: str
    how: str
    steps: int
    input: list[str]
    source: str
    losses: list[float | None]
    seconds: dict[str, float]
    layers: list[layers.AuditedLayer] = []
    findings: list[Found] = []
    expectations: list[expected.Answer] = []
    warnings: list[str] = []
    stage: str = ""
    reason: str | None = None
    hint: str | None = None
    place: str | None = None
    output: str = ""


OPTIMIZERS = ("sgd", "momentum", "weight_decay", "adam", "adamw", "rmsprop")

EXECUTIONS = ("fit", "train_on_batch", "by_hand")


@dataclass(frozen=True)
class Settings:
    """What is asked for, by options and by the project."""

    subject: Subject
    how: How
    framework: str | None
    strict: bool


def settings(
    what: str | None,
    arguments: Sequence[str] | None,
    given: str | None,
    shapes: Sequence[str] | None,
    execution: str | None,
    optimizer: str | None,
    steps: int | None,
    expect: Sequence[str] | None,
    trust: bool,
) -> Settings:
    """The options, and where they say nothing `[tool.bnmatrix.audit]`. Raises UsageError."""
    configured = configuration()[0].audit
    what = what if what is not None else configured.model
    if not what:
        raise UsageError("nothing is named to be audited", EXAMPLE)
    execution = execution or configured.execution
    optimizer = optimizer or configured.optimizer
    if execution is not None and execution not in EXECUTIONS:
        raise unknown("execution", execution, EXECUTIONS)
    if optimizer is not None and optimizer not in OPTIMIZERS:
        raise unknown("optimizer", optimizer, OPTIMIZERS)
    given = given or configured.input
    source = subject_of(given) if given else None
    if source is not None and source.kind == "saved":
        raise UsageError(f"--input {given} is no function", "write module:function or file.py:function")
    how = How(
        configured.steps if steps is None else steps,
        source,
        shapes_of(shapes or configured.input_shape),
        execution,
        optimizer,
        expected.parsed(expect or expected.by_config(configured.expect)),
    )
    subject = subject_of(what, arguments or configured.args, trust)
    return Settings(subject, how, configured.framework, configured.strict)


CURRENT = "the current environment"
"""The target of an audit that names none: whatever framework the model brings along."""


def audit(subject: Subject, how: How, target: Target | None, options: Options) -> Audit:
    """Audit `subject` in the environment of `target`, or in the current one. Raises BnmatrixError where there
    is none, and UsageError for an expectation that names nothing."""
    from bnmatrix.runner import Answer, Guest, ProbeFailed, Request, Runner

    python = _python(target, options)
    guest = Guest(
        target=target.text if target else CURRENT,
        framework="live",
        device=device_of(target, options) if target else options.device or "cpu",
        python=python,
        variables=target.probe_variables() if target else (),
        as_user=True,
    )
    asked = {
        "subject": as_sent(subject),
        "family": target.framework if target else "",
        "input": as_sent(how.input) if how.input else None,
        "shapes": [list(each) for each in how.shapes],
        "execution": how.execution,
        "optimizer": how.optimizer,
        "steps": how.steps,
        "seed": options.seed,
    }
    answer: Answer | None = None
    version = ""
    with Runner(jobs=1, timeout=options.timeout, restarts=0) as runner:
        runner.submit(guest, [Request({}, options.seed, audit=asked)])
        runner.start()
        for event in runner.results():
            if isinstance(event, ProbeFailed):
                raise _failed(event.message, event.hint)
            if isinstance(event, Answer):
                answer = event
            else:
                version = event.python
    assert answer is not None
    return _audited(subject, how, guest.target, guest.device, version, answer)


def _python(target: Target | None, options: Options) -> str:
    """The interpreter of the target, or of the current environment."""
    if target is None:
        return str(options.wishes.current(options.wishes.python).python)
    placement = place(target, options.wishes)
    assert placement is not None
    return ready(placement, options.wishes)


def _failed(message: str, hint: str | None) -> BnmatrixError:
    error = BnmatrixError(message, hint)
    error.exit_code = Exit.INCOMPLETE
    return error


def _audited(subject: Subject, how: How, target: str, device: str, python: str, answer: Answer) -> Audit:
    record = answer.audit
    if record is None:
        return Audit(
            schema_version=SCHEMA_VERSION, bnmatrix=__version__, subject=_shown(subject), target=target,
            framework="", versions={}, python=python or platform.python_version(), device=device,
            outcome=answer.outcome, how="", steps=how.steps, input=[], source="", losses=[], seconds={},
            reason=answer.reason, output=answer.output,
        )  # fmt: skip
    rows = findings.marked(layers.audited(record.layers, how.steps, record.outcome == "ok"))
    answers = expected.answered(how.expect, rows) if record.outcome == "ok" else []
    return Audit(
        schema_version=SCHEMA_VERSION,
        bnmatrix=__version__,
        subject=_shown(subject),
        target=target,
        framework=record.framework,
        versions=record.versions,
        python=python,
        device=device,
        outcome=record.outcome,
        how=record.how,
        steps=how.steps,
        input=record.input.shapes if record.input else [],
        source=record.input.source if record.input else "",
        losses=record.losses,
        seconds=record.seconds,
        layers=rows,
        findings=found(rows, record.framework),
        expectations=answers,
        warnings=_warnings(record),
        stage=record.stage,
        reason=record.reason,
        hint=record.hint,
        place=record.place,
    )


def found(rows: Sequence[layers.AuditedLayer], framework: str) -> list[Found]:
    """The findings of all rows, each once, with what mends it."""
    by_id: dict[str, list[str]] = {}
    for row in rows:
        for each in row.findings:
            by_id.setdefault(each, []).append(row.path)
    made = []
    for identity, paths in sorted(by_id.items()):
        finding = findings.findings()[identity]
        remedy = remedies.remedy_of(finding, framework, paths)
        told = (remedy.says, remedy.code) if remedy else ("", "")
        made.append(Found(identity, finding.name, finding.title, finding.why, paths, *told))
    return made


def error_of(audited: Audit) -> BnmatrixError:
    """Why there is no whole audit, with the user's own line and what to do next."""
    place = f" ({audited.place})" if audited.place else ""
    reason = audited.reason or audited.outcome
    if audited.outcome in ("crashed", "timed_out"):
        reason = f"the process of {audited.subject} was lost: {reason}"
    error = BnmatrixError(f"{reason}{place}", audited.hint)
    error.exit_code = exit_code(audited)
    return error


def fixes(audited: Audit) -> str:
    """What mends all that was found, as one text of Python."""
    if not audited.findings:
        return "# nothing was found\n"
    parts = []
    for each in audited.findings:
        head = f"# {each.id} {each.name}: {each.title}\n# {each.says}\n"
        parts.append(f"{head}{each.code}\n")
    return "\n".join(parts)


def exit_code(audited: Audit, strict: bool = False) -> Exit:
    """2 where the model cannot be audited as asked for, 3 where its process was lost, 1 where an expectation
    failed, or, if `strict`, something was found."""
    if audited.outcome in ("refused", "raised"):
        return Exit.USAGE
    if audited.outcome != "ok":
        return Exit.INCOMPLETE
    failed = any(each.answer == "failed" for each in audited.expectations)
    return Exit.CHANGED if failed or (strict and audited.findings) else Exit.DONE


def _shown(subject: Subject) -> str:
    return f"{subject.shown}:{subject.name}" if subject.name else subject.shown


def _warnings(record: AuditRecord) -> list[str]:
    texts: Mapping[str, None] = dict.fromkeys(f"{each.category}: {each.message}" for each in record.warnings)
    return list(texts)

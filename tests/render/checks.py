"""Checks made by hand: one with a finding of every kind, one in which all is well."""

from __future__ import annotations

from datetime import date

from bnmatrix.accepted import EXPIRED, MET, NOT_TRIED, UNMATCHED, Accepted, Answer
from bnmatrix.axes import make_cell
from bnmatrix.checked import (
    Check,
    CheckedChange,
    CheckedCondition,
    CheckedNotComparable,
    CheckedOneSided,
    CheckedUnstable,
    CheckSummary,
    Sides,
)
from bnmatrix.comparison import Side, severity
from bnmatrix.matrix import SCHEMA_VERSION, Value

BASELINE = "bnmatrix.lock"


def side(target: str, **versions: str) -> Side:
    return Side(
        target=target,
        framework=target.partition("=")[0],
        versions=versions,
        python="3.11.7",
        device="cpu",
    )


OLD = side("tf2", tensorflow="2.15.1", keras="2.15.0", numpy="1.26.4")
NEW = side("tf2", tensorflow="2.21.0", keras="3.12.1", numpy="2.4.6")
TORCH = side("torch", torch="2.13.0+cpu", numpy="2.4.6")

IDS = [make_cell({"training": training, "trainable": "false"}).id for training in ("true", "false")]
FITTED = make_cell({"execution": "fit"}).id


def change(
    fact: str, old: Value, new: Value, identity: str, accepted: int | None = None, target: str = "tf2"
) -> CheckedChange:
    return CheckedChange(
        target=target,
        id=identity,
        axes={"layer": "batch_norm"},
        fact=fact,
        old=old,
        new=new,
        severity=severity(fact),
        accepted=accepted,
    )


def condition(
    number: int,
    fact: str,
    old: Value,
    new: Value,
    ids: list[str],
    when: dict[str, list[str]] | None = None,
    fails: bool = True,
    target: str = "tf2",
) -> CheckedCondition:
    return CheckedCondition(
        number=number,
        target=target,
        fact=fact,
        old=old,
        new=new,
        when=when or {},
        ids=ids,
        cells=len(ids),
        severity=severity(fact),
        fails=fails,
    )


def accepted(fact: str, old: Value, new: Value, **more: object) -> Accepted:
    given = {"reason": "the head is trained anew anyway", "owner": "jo", **more}
    return Accepted(fact=fact, old=old, new=new, **given)  # type: ignore[arg-type]


def full() -> Check:
    """tf2 has changed in two ways, one was accepted; one acceptance has expired and one is not met."""
    known = accepted("moving_mean", "unchanged", "updated", when={"training": ["true"]})
    past = accepted("warnings", "none", "UserWarning: x", cells=[FITTED], expires=date(2026, 10, 1))
    gone = accepted("epsilon", 0.001, 1e-05, targets=["tf2"], owner="sam", reason="documented")
    other = accepted("gamma", "updated", "unchanged", targets=["keras[jax]"])
    return Check(
        schema_version=SCHEMA_VERSION,
        bnmatrix="0.1.0",
        baseline=BASELINE,
        old=Sides(targets=[OLD, TORCH]),
        new=Sides(targets=[NEW, TORCH]),
        summary=CheckSummary(same=30, changed=2, accepted=2, not_comparable=3, unstable=1),
        fails=True,
        changes=[
            *(change("gamma", "unchanged", "updated", identity) for identity in IDS),
            change("update_rate", 0.01, 1.0, FITTED),
            change("moving_mean", "unchanged", "updated", IDS[0], accepted=0),
            change("warnings", "none", "UserWarning: x", FITTED, accepted=1),
        ],
        conditions=[
            condition(1, "gamma", "unchanged", "updated", IDS, {"trainable": ["false"]}),
            condition(2, "update_rate", 0.01, 1.0, [FITTED], {"execution": ["fit"]}, fails=False),
        ],
        expectations=[
            Answer(accepted=known, status=MET, ids={"tf2": IDS[:1]}),
            Answer(accepted=past, status=EXPIRED, ids={"tf2": [FITTED]}),
            Answer(accepted=gone, status=UNMATCHED, ids={}),
            Answer(accepted=other, status=NOT_TRIED, ids={}),
        ],
        not_comparable=[
            CheckedNotComparable(
                id="batch_norm execution=evaluate",
                old="ok",
                new="timed_out",
                reason="tf2: no answer within 60 s",
                target="tf2",
                lost=True,
            ),
            CheckedNotComparable(
                id="batch_norm rank=5", old="unavailable", new="ok", reason="rank 5", target="tf2", lost=False
            ),
        ],
        unstable=[CheckedUnstable(id=FITTED, fact="beta", rate=0.3, target="torch")],
        laws=[],
        one_sided=[
            CheckedOneSided(
                id="batch_norm", fact="epsilon", old=1e-05, new="undecided", target="torch", lost=True
            )
        ],
    )


def green() -> Check:
    """Nothing changed."""
    return Check(
        schema_version=SCHEMA_VERSION,
        bnmatrix="0.1.0",
        baseline=BASELINE,
        old=Sides(targets=[TORCH]),
        new=Sides(targets=[TORCH]),
        summary=CheckSummary(same=36, changed=0, accepted=0, not_comparable=0, unstable=0),
        fails=False,
        changes=[],
        conditions=[],
        expectations=[],
        not_comparable=[],
        unstable=[],
        laws=[],
    )

"""Claims made by hand: a verdict of every kind, and a timeline."""

from __future__ import annotations

from bnmatrix.claims import Claimed, Claims, runs
from bnmatrix.timeline import Release
from bnmatrix.verdicts import Deciding, Verdict

STILL = "batch_norm trainable=false training=true"


def release(target: str, name: str, reason: str | None = None) -> Release:
    return Release(
        release=name, target=target, versions={} if reason else {"tensorflow": name}, python="3.11",
        device="cpu", reason=reason,
    )  # fmt: skip


def decided(
    identity: str, fact: str, measured: str, agrees: bool | None, reason: str | None = None
) -> Deciding:
    return Deciding(
        id=identity, says="it stands still", fact=fact, expected="unchanged", measured=measured,
        agrees=agrees, reason=reason or None,
    )  # fmt: skip


def holds(target: str) -> Verdict:
    cells = [decided(STILL, "gamma", "unchanged", True), decided(STILL, "beta", "unchanged", True)]
    return Verdict(target=target, verdict="holds", answer="gamma, beta unchanged", agree=1, cells=cells)


def partly(target: str) -> Verdict:
    against = [f"{STILL} rank={rank}" for rank in (3, 4, 5)]
    return Verdict(
        target=target, verdict="partly", answer="it moves at other ranks", agree=1, against=4,
        where=[{"rank": ["3", "4", "5"]}, {"execution": ["fit"]}],
        cells=[
            decided(STILL, "gamma", "unchanged", True),
            *(decided(each, fact, "updated", False) for each in against for fact in ("gamma", "beta")),
            decided(f"{STILL} execution=fit", "outcome", "raised", False,
                    "TypeError: a | is no * here. Another sentence"),
            decided(f"{STILL} mask=padded", "outcome", "unavailable", None, "it takes no mask"),
        ],
        not_tried=["of a model nothing moves (models:make): of whole models nothing is measured over time"],
    )  # fmt: skip


def several() -> Claims:
    """Two targets, and every verdict."""
    contradicted = Verdict(
        target="torch", verdict="contradicted", answer="gamma updated, not unchanged", against=1,
        cells=[decided(STILL, "gamma", "updated", False)],
    )  # fmt: skip
    untried = Verdict(
        target="lasagne", verdict="cannot be tried", answer="bnmatrix knows no framework lasagne"
    )
    incomplete = Verdict(target="torch", verdict="incomplete", answer="crashed: killed by signal 11")
    of = ["tf2", "torch"]
    return Claims(
        schema_version=1, bnmatrix="0.1.0", timeline=None,
        targets=[release("tf2==2.15.1", "2.15.1"), release("torch", "2.13.0")],
        claims=[
            Claimed(id="frozen-holds", says="a frozen layer holds", source="its documentation", frameworks=of,
                    verdicts=[holds("tf2==2.15.1"), contradicted]),
            Claimed(id="always-holds", says="at any rank, in any execution", source="a | colleague",
                    frameworks=of, verdicts=[partly("tf2==2.15.1"), incomplete]),
            Claimed(id="tags", says="tags decide", source="an answer of 2015", frameworks=["lasagne"],
                    verdicts=[untried]),
        ],
        silent=["tf1-example"],
    )  # fmt: skip


def over_releases() -> Claims:
    """A timeline: two releases agree, one could not be measured, one differs."""
    names = ["2.14.1", "2.15.1", "2.16.2", "2.21.0"]
    gone = Verdict(target="tf2==2.16.2", verdict="incomplete", answer="skipped: no such release")
    verdicts = [holds("tf2==2.14.1"), holds("tf2==2.15.1"), gone, partly("tf2==2.21.0")]
    return Claims(
        schema_version=1, bnmatrix="0.1.0", timeline="tf2",
        targets=[release(f"tf2=={name}", name, "no such release" if name == "2.16.2" else None)
                 for name in names],
        claims=[
            Claimed(id="frozen-holds", says="a frozen layer holds", source="its documentation",
                    frameworks=["tf2"], verdicts=verdicts, runs=runs(verdicts, names)),
        ],
    )  # fmt: skip

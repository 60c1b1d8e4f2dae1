"""Audits for the tests of pages, made of plain data."""

from __future__ import annotations

from bnmatrix.audit import auditing, findings
from bnmatrix.audit.auditing import Audit
from bnmatrix.audit.expected import Expectation, answered
from bnmatrix.audit.layers import AuditedLayer, Moved


def layer(path: str, kind: str, frozen: str = "no", **facts: str) -> AuditedLayer:
    """A layer with these facts; what `moved` is told by them."""
    told = {"frozen": frozen, "mode": "training", "parameters": "absent", "state": "absent", **facts}
    moved, still = {}, []
    for name, fact, parameter in (("weight", "parameters", True), ("running_mean", "state", False)):
        if told[fact] == "updated":
            moved[name] = Moved(0.0125, 1.5, 1.0, parameter)
        elif told[fact] == "unchanged":
            still.append(name)
    return AuditedLayer(path, kind, told, moved, still)


def blocks(count: int) -> list[AuditedLayer]:
    """A frozen backbone whose normalisations move, and a head."""
    found = []
    for number in range(count):
        path = f"backbone.block{number}"
        found += [
            layer(f"{path}.conv", "Conv2d", "yes", parameters="unchanged"),
            layer(f"{path}.norm", "BatchNorm2d", "yes", parameters="unchanged", state="updated",
                  normalised_by="batch", statistics="updated"),
        ]  # fmt: skip
    return [
        *found,
        layer("dropout", "Dropout", dropout="active"),
        layer("head", "Linear", parameters="updated", gradient="yes"),
    ]


def of(layers: list[AuditedLayer], **more: object) -> Audit:
    """The audit of these layers."""
    rows = findings.marked(layers)
    given: dict[str, object] = {
        "schema_version": 1, "bnmatrix": "0.1.0", "subject": "models.py:classifier",
        "target": auditing.CURRENT, "framework": "torch", "versions": {"torch": "2.13.0", "numpy": "2.4.6"},
        "python": "3.11.7", "device": "cpu", "outcome": "ok", "how": "train(), then by hand with SGD",
        "steps": 2, "input": ["4x3x64x64 float32"], "source": "guessed from its first layer, Conv2d",
        "losses": [0.5, 0.25], "seconds": {"made": 2.0, "steps": 0.5}, "layers": rows,
        "findings": auditing.found(rows, "torch"), **more,
    }  # fmt: skip
    return Audit(**given)  # type: ignore[arg-type]


def with_findings() -> Audit:
    """A large model, expected to be frozen."""
    rows = findings.marked(blocks(53))
    expected = [Expectation("backbone.*", "frozen"), Expectation("head", "trains")]
    return of(rows, expectations=answered(expected, rows))


def in_order() -> Audit:
    """A small one in which nothing is found."""
    return of([layer("norm", "BatchNorm2d", parameters="updated", state="updated", normalised_by="batch")])


def refused() -> Audit:
    """One whose step raised."""
    return of(
        [], outcome="raised", reason="the first step raised RuntimeError: shapes", hint="give another input",
        place="models.py, line 7", losses=[],
    )  # fmt: skip

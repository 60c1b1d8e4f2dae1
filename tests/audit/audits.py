"""Audits in this process, of factories at hand: the probe's code on models whose framework is imported."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from bnmatrix.audit import findings, layers
from bnmatrix.audit.layers import AuditedLayer
from bnmatrix.runner import messages
from tests.laboratory import probe


def recorded(factory: Callable[[], Any], **asked: Any) -> messages.AuditRecord:
    """What the probe records of the model that `factory` makes, sent through the protocol."""
    audit, subject = probe("live.audit"), probe("live.subject")
    audit.found_in = subject.found_in = lambda said: factory
    request = {
        "subject": {"kind": "module", "place": "here", "shown": "here", "name": "factory", "arguments": {},
                    "path": [], "trust": False},
        "family": "", "input": None, "shapes": [], "execution": None, "optimizer": None, "steps": 2,
        "seed": 0,
        **asked,
    }  # fmt: skip
    stream = io.BytesIO()
    probe("protocol").send(
        stream, {"type": "audited", "id": 0, "seconds": 0.0, "record": audit.audit(request)}
    )
    said = messages.later(stream.getvalue())
    assert isinstance(said, messages.Audited)
    return said.record


def audited(factory: Callable[[], Any], **asked: Any) -> list[AuditedLayer]:
    """The rows of the model that `factory` makes."""
    record = recorded(factory, **asked)
    rows = findings.marked(layers.audited(record.layers, asked.get("steps", 2), record.outcome == "ok"))
    assert rows, record.reason
    return rows


def found(factory: Callable[[], Any], **asked: Any) -> dict[str, list[str]]:
    """{finding: the layers that show it}."""
    shown: dict[str, list[str]] = {}
    for row in audited(factory, **asked):
        for each in row.findings:
            shown.setdefault(each, []).append(row.path)
    return shown

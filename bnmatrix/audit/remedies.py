"""What mends a finding, as code for the model that was audited."""

from __future__ import annotations

from collections.abc import Sequence

from bnmatrix.audit.findings import Finding, Remedy

MOST = 8
"""Layers that are listed one by one; of more, their names are put together by what they have in common."""


def remedy_of(finding: Finding, framework: str, paths: Sequence[str]) -> Remedy | None:
    """The remedy for these layers, or None where the finding does not occur in the framework."""
    remedy = finding.remedy.get(framework)
    if remedy is None:
        return None
    return Remedy(remedy.says, remedy.code.replace("{paths}", _list(paths)).rstrip())


def _list(paths: Sequence[str]) -> str:
    """A list of paths in Python, of one line where that is not long."""
    texts = [f'"{path}"' for path in paths]
    line = f"[{', '.join(texts)}]"
    if len(line) <= 80:
        return line
    return "[\n" + "".join(f"    {text},\n" for text in texts) + "]"

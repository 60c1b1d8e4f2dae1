"""Small timelines made by hand, from the cells of `miniature`: with one release of every awkward kind."""

from __future__ import annotations

from collections.abc import Callable

from msgspec.structs import replace

from bnmatrix.laws import laws
from bnmatrix.matrix import CellResult, TargetMatrix
from bnmatrix.timeline import Timeline, timeline
from tests.render import miniature

Change = Callable[[CellResult], CellResult]


def release(version: str, *changes: Change) -> TargetMatrix:
    """A release of tf2: the miniature one, changed."""
    made = miniature.tf2()
    cells = list(made.cells)
    for change in changes:
        cells = [change(cell) for cell in cells]
    return replace(
        made, target=f"tf2=={version}", versions={"tensorflow": version}, cells=cells, laws=laws(cells)
    )


def unmeasured(version: str, reason: str) -> TargetMatrix:
    """A release that had no environment."""
    skipped = [
        CellResult(
            id=cell.id, axes=cell.axes, outcome="skipped", facts={}, measured={}, seconds=0.0, reason=reason
        )
        for cell in miniature.tf2().cells
    ]
    empty: dict[str, str] = {}
    return replace(
        miniature.tf2(),
        target=f"tf2=={version}",
        versions=empty,
        python="",
        device="",
        cells=skipped,
        laws=[],
    )


def frozen_by_batch(cell: CellResult) -> CellResult:
    """Freezing does not switch to inference."""
    frozen = cell.axes["trainable"] == "false" and cell.axes["training"] == "true"
    return _with(cell, normalised_by="batch", input_gradient="through_batch_statistics") if frozen else cell


def unbiased(cell: CellResult) -> CellResult:
    """Rank 4 estimates the variance differently."""
    return _with(cell, variance_estimator="unbiased") if _updates(cell) and _at(cell, rank="4") else cell


def debiased(cell: CellResult) -> CellResult:
    """The first update replaces the statistics."""
    return _with(cell, update_rate=1.0, next_update_rate=0.5025) if _updates(cell) else cell


def no_graph(cell: CellResult) -> CellResult:
    """There is no `graph` to call."""
    return _not_ok(cell, "unavailable", "tf2 has no graph") if _at(cell, execution="graph") else cell


def fit_raises(cell: CellResult) -> CellResult:
    """`fit` raises at rank 4."""
    made = _not_ok(cell, "raised", "ValueError: fit() wants an image")
    return _with(made, exception="ValueError") if _at(cell, execution="fit", rank="4") else cell


def doubtful(cell: CellResult) -> CellResult:
    """Some cells cannot be decided, and some flicker."""
    if _at(cell, execution="call", rank="4", training="true"):
        return _with(cell, variance_estimator="undecided", normalised_by="undecided")
    if _at(cell, execution="predict"):
        flicker = {"unstable": {"normalised_by": {"rate": 0.3, "values": ["batch", "moving"]}}}
        return replace(_with(cell, normalised_by="unstable"), measured=flicker)
    return cell


def warns(cell: CellResult) -> CellResult:
    """A description that differs."""
    return _with(cell, warnings="UserWarning: freeze before compile")


def history() -> Timeline:
    """Eight releases: two laws change, numbers come and go, one has no environment, one says little."""
    return timeline(
        [
            release("2.0.4", frozen_by_batch, unbiased, no_graph),
            release("2.1.4", frozen_by_batch, unbiased, debiased, no_graph),
            release("2.2.3", frozen_by_batch, unbiased, debiased, no_graph, doubtful),
            unmeasured(
                "2.3.4", "tensorflow 2.3.4 has no wheel for any interpreter found; install Python 3.8"
            ),
            release("2.4.4", unbiased, warns, doubtful),
            release("2.5.3", fit_raises, warns),
            release("2.6.5", fit_raises),
            release("2.7.4"),
        ],
        "0.1.0",
    )


def steady() -> Timeline:
    """Nothing changes."""
    return timeline([release("2.6.5"), release("2.7.4")], "0.1.0")


def comes_and_goes() -> Timeline:
    """Only the middle one of three releases has a seed."""

    def seed(word: str) -> Change:
        return lambda cell: _with(cell, seed_state=word)

    words = {"2.5.3": "absent", "2.6.5": "updated", "2.7.4": "absent"}
    return timeline([release(version, seed(word)) for version, word in words.items()], "0.1.0")


def sixty() -> Timeline:
    """Sixty releases, of which each tenth is another."""
    changes: list[tuple[Change, ...]] = [(), (unbiased,), (frozen_by_batch,), (debiased, unbiased)]
    return timeline(
        [release(f"2.{number}.10", *changes[number // 10 % len(changes)]) for number in range(60)], "0.1.0"
    )


def pinned() -> Timeline:
    """One release beside several of another package, so that only the whole target tells them apart."""
    pins = ("3.0.5", "3.3.3", "3.5.0")
    return timeline(
        [release(f"2.18.1,keras=={pin}", *([unbiased] * (pin == "3.0.5"))) for pin in pins], "0.1.0"
    )


def nothing() -> Timeline:
    """Not one release could be measured."""
    return timeline([unmeasured("2.0.4", "no interpreter"), unmeasured("2.1.4", "no interpreter")], "0.1.0")


def _at(cell: CellResult, **axes: str) -> bool:
    return axes.items() <= cell.axes.items()


def _updates(cell: CellResult) -> bool:
    return "update_rate" in cell.facts


def _with(cell: CellResult, **facts: str | float) -> CellResult:
    return replace(cell, facts={**cell.facts, **facts})


def _not_ok(cell: CellResult, outcome: str, reason: str) -> CellResult:
    return replace(cell, outcome=outcome, facts={}, reason=reason)

"""Small bisections made by hand, from the releases of `miniature_timeline`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bnmatrix.bisect import Bisection, Search, bisection
from bnmatrix.comparison import compare
from bnmatrix.matrix import TargetMatrix
from bnmatrix.timeline import Release
from tests.render.miniature_timeline import Change, debiased, frozen_by_batch, release, unbiased


def bisected(
    releases: Sequence[TargetMatrix], among: str = "all", skipped: Mapping[int, str] | None = None
) -> Bisection:
    """What is found in `releases`, of which those in `skipped` could not be measured, for that reason."""
    reasons = skipped or {}
    ends = releases[0], releases[-1]
    search = Search(len(releases), ends, compare(*ends, "0.1.0"))
    tried = {0, len(releases) - 1}
    while wanted := search.next():
        column, ids = wanted
        tried.add(column)
        if column in reasons:
            search.skip(column)
        else:
            search.take(column, [cell for cell in releases[column].cells if cell.id in ids])
    named = {
        column: Release(
            release=releases[column].target.rpartition("==")[2],
            target=releases[column].target,
            versions={} if column in reasons else releases[column].versions,
            python="" if column in reasons else "3.11.7",
            device="" if column in reasons else "cpu",
            reason=reasons.get(column),
        )
        for column in tried
    }
    return bisection(search, "tf2", named, among, "0.1.0")


def two_changes() -> Bisection:
    """Frozen layers normalise by the batch until 2.5; the estimator changes where a release has no wheel."""
    releases = [release(f"2.{number}.0", frozen_by_batch) for number in range(5)]
    releases += [release(f"2.{number}.0") for number in range(5, 10)]
    releases += [release(f"2.{number}.0", unbiased) for number in range(10, 16)]
    return bisected(releases, skipped={9: "no wheel of tensorflow 2.9.0 fits linux-aarch64"})


def comes_back() -> Bisection:
    """The first update changes there and back again, which the search for another change happens to see."""
    changes: list[list[Change]] = []
    for number in range(20):
        changes.append([unbiased] if number >= 10 else [])
        changes[-1] += [debiased] if 4 <= number < 15 else []
    return bisected([release(f"2.{number}.0", *each) for number, each in enumerate(changes)], "here")


def nothing() -> Bisection:
    """The ends agree."""
    return bisected([release("2.0.0"), release("2.1.0", unbiased), release("2.2.0")], "minor")

"""Which releases a timeline is of."""

from __future__ import annotations

import pytest
from packaging.version import Version

from bnmatrix.errors import NothingSelectedError, UsageError
from bnmatrix.placement import Wishes
from bnmatrix.releases import _at, _is_between, releases


@pytest.mark.parametrize(
    ("framework", "text"),
    [
        ("tf2", "tf2==2.15.1"),
        ("keras[jax]", "keras[jax]==2.15.1"),
        ("keras[jax],numpy<2", "keras[jax]==2.15.1,numpy<2"),
        ("torch:cpu", "torch==2.15.1:cpu"),
    ],
)
def test_the_version_goes_to_the_framework(framework: str, text: str) -> None:
    assert _at(framework, "2.15.1") == text


@pytest.mark.parametrize(
    ("version", "first", "last", "is_between"),
    [
        ("2.15.1", "2.15", "2.15", True),  # every patch of it
        ("2.15.1", "2.15.1", "2.16", True),
        ("2.15.1", "2.15.2", None, False),
        ("2.16.0", None, "2.15", False),
        ("3.0", "2", "3", True),
    ],
)
def test_a_range_takes_in_its_last_release_with_every_patch(
    version: str, first: str | None, last: str | None, is_between: bool
) -> None:
    ends = [Version(end) if end else None for end in (first, last)]
    assert _is_between(Version(version), *ends) is is_between


@pytest.mark.parametrize(
    ("framework", "first", "last", "message"),
    [
        ("tf2==2.15.1", None, None, "has a version already"),
        ("torch", "2.0", "1.0", "--from 2.0 is later than --to 1.0"),
        ("torch", "newest", None, "--from 'newest' is not a version"),
        ("torch", None, "9" * 5000, "is not a version"),
    ],
)
def test_a_mistake_in_a_range(framework: str, first: str | None, last: str | None, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        releases(framework, first, last, minor=True, kept=True, wishes=Wishes())
    assert message in caught.value.message


def test_nothing_kept_is_nothing_selected() -> None:
    with pytest.raises(NothingSelectedError, match="no release of keras"):
        releases("keras", "2.0", "2.3", minor=True, kept=True, wishes=Wishes(offline=True))

"""What the index is asked, and how its answers are read."""

from __future__ import annotations

import re

import pytest

from bnmatrix.environment import errors, releases, uv
from bnmatrix.environment.index import candidates, condensed, failure, tags_of
from bnmatrix.environment.interpreters import Interpreter
from tests.environment.local_index import Index, Place


@pytest.fixture
def frame(index: Index) -> Index:
    """Eight releases of the package frame."""
    for number, version in enumerate(("0.9", "1.0", "1.0.1", "1.1", "1.2.0", "1.2.10", "2.0", "2.1rc1")):
        index.add(
            "frame", version, uploaded=f"2020-01-{number + 1:02}", python=">=3.9" if number > 3 else None
        )
    return index


def test_of_every_minor_release_the_newest_patch(frame: Index, place: Place) -> None:
    found = releases("frame", None, None, place.settings())
    assert [each.version for each in found] == ["0.9", "1.0.1", "1.1", "1.2.10", "2.0"]
    assert [each.uploaded and each.uploaded.day for each in found] == [1, 3, 4, 6, 7]


def test_all_final_releases(frame: Index, place: Place) -> None:
    found = releases("frame", None, None, place.settings(), minor=False)
    assert [each.version for each in found] == ["0.9", "1.0", "1.0.1", "1.1", "1.2.0", "1.2.10", "2.0"]


def test_releases_between_two(frame: Index, place: Place) -> None:
    found = releases("frame", "1.0.1", "1.2", place.settings())
    assert [each.version for each in found] == ["1.0.1", "1.1", "1.2.10"]
    with pytest.raises(errors.VersionNotFound):
        releases("frame", "3.0", "3.1", place.settings())


def test_the_page_of_a_package_is_fetched_once_for_all_of_them(frame: Index, place: Place) -> None:
    releases("frame", None, None, place.settings(), minor=False)
    assert frame.requests.count("/simple/frame/") <= 2


def test_a_release_for_newer_pythons_only_is_found(frame: Index, place: Place) -> None:
    (found,) = candidates("frame==2.0", place.settings())
    assert (found.version, found.lower) == ("2.0", (3, 9))


def test_a_release_for_newer_patches_of_the_oldest_python_is_found(index: Index, place: Place) -> None:
    index.add("frame", "1.0", python=">=3.6.2")
    (found,) = candidates("frame==1.0", place.settings())
    assert (found.version, found.lower) == ("1.0", (3, 6, 2))


def test_of_a_range_there_is_a_release_for_every_python(frame: Index, place: Place, own: Interpreter) -> None:
    found = candidates("frame", place.settings())
    assert found[0].version == "2.0"
    assert found[0].is_for(own)
    assert found[-1].version == "1.1"


def test_the_tags_in_the_name_of_a_wheel() -> None:
    assert tags_of("a-1.0-py2.py3-none-any.whl") == {"py2-none-any", "py3-none-any"}
    assert tags_of("a-1.0-2-cp37-cp37m-manylinux2010_x86_64.whl") == {"cp37-cp37m-manylinux2010_x86_64"}
    assert tags_of("a-1.0.tar.gz") == tags_of("nonsense.whl") == frozenset()


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("error: failed to write\n cause: No space left on device (os error 28)", errors.DiskFull),
        (
            "Network connectivity is disabled, but the requested data wasn't found in the cache",
            errors.NotHere,
        ),
        ("error: Failed to fetch: `https://a.invalid/simple/x/`\n cause: dns error", errors.Unreachable),
        ("cause: Because there is no version of x==9 and you require x==9, we", errors.VersionNotFound),
        ("cause: Because only x<=2 is available and you require x>2, we", errors.VersionNotFound),
        ("cause: Because x was not found in the package registry and", errors.VersionNotFound),
        ("error: something else", errors.UvFailed),
    ],
)
def test_what_uv_says_is_understood(said: str, kind: type[Exception], place: Place) -> None:
    error = failure(uv.Result(2, "", said), "x==9", place.settings())
    assert type(error) is kind
    assert "\n" not in error.message


def test_a_wall_of_text_is_condensed() -> None:
    said = "error: No solution found\n  cause: Because a depends on b<1 and " + "b, " * 300 + "\n\nhint: try"
    text = condensed(said)
    assert text.startswith("Because a depends on b<1")
    assert len(text) <= 304
    assert not re.search(r"hint|\n", text)

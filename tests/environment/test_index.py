"""What the index is asked, and how its answers are read."""

from __future__ import annotations

import re

import pytest

from bnmatrix.environment import errors, releases, resolve, uv
from bnmatrix.environment.index import candidates, condensed, failure, not_found, tags_of, timed
from bnmatrix.environment.interpreters import Interpreter
from tests.environment.local_index import Index, Place, forget, wanted


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


def test_an_extra_index_hides_nothing_of_the_first(
    frame: Index, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uv takes a release from one of them, be it the one with a single file of it, of unknown age."""
    extra = Index(times=False)
    extra.add("frame", "1.0", tag="cp39-cp39-linux_x86_64")
    extra.add("more", "1.0")
    monkeypatch.setenv("UV_INDEX", extra.start())
    monkeypatch.setattr(uv, "pip_settings", lambda: {"extra-index-url": ["none"]})
    forget()
    (found,) = timed("frame==1.0", place.settings())
    assert [wheel.name for wheel in found.wheels] == ["frame-1.0-py3-none-any.whl"]
    assert [each.version for each in releases("frame", "1.0", "1.1", place.settings())] == ["1.0.1", "1.1"]
    assert str(not_found("frame", "==3.0", place.settings()).hint) == "nearest: 2.0"
    extra.times = True
    uv.run("cache", "clean", "--quiet")
    assert len(timed("frame==1.0", place.settings())[0].wheels) == 2
    assert timed("more", place.settings())[0].version == "1.0"
    extra.stop()


def test_beside_a_local_version_the_public_one_is_near(frame: Index, place: Place) -> None:
    error = not_found("frame", "==1.0+cu999", place.settings())
    assert (error.message, error.hint) == ("frame has no release 1.0+cu999", "nearest: 1.0, 1.0.1")


JSON = "application/vnd.pypi.simple.v1+json"
UNREADABLE = {
    "401": ((401, "text/plain", b""), "401 Unauthorized"),
    "403": ((403, "text/plain", b""), "403 Forbidden"),
    "500": ((500, "text/plain", b""), "500 Internal Server Error"),
    "a page of something else": ((200, "text/html", b"<html>Welcome"), "names no file"),
    "half a page": ((200, JSON, b'{"files": ['), "not that of a package index"),
    "text": ((200, "text/plain", b"hello"), "not that of a package index"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_index_that_cannot_be_read_is_not_one_that_lacks_the_package(
    case: str, index: Index, place: Place, monkeypatch: pytest.MonkeyPatch, own: Interpreter
) -> None:
    answer, why = UNREADABLE[case]
    monkeypatch.setattr(index, "answer", lambda path: answer)
    with pytest.raises(errors.Unreachable, match=f"http://127.* cannot be read .*{why}"):
        resolve(wanted("frame==1.0"), place.settings())
    with pytest.raises(errors.Unreachable, match="cannot be read"):
        releases("frame", None, None, place.settings())


@pytest.mark.parametrize("address", ["notaurl", "file:///no/where"])
def test_an_index_that_is_not_there(
    address: str, index: Index, place: Place, monkeypatch: pytest.MonkeyPatch, own: Interpreter
) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", address)
    forget()
    with pytest.raises(errors.Unreachable, match=f"{address} cannot be read .there is no such folder"):
        resolve(wanted("frame==1.0"), place.settings())


def test_releases_without_upload_times(frame: Index, place: Place) -> None:
    frame.times = False
    with pytest.raises(errors.NoUploadTimes, match="frame: the index does not say when"):
        releases("frame", None, None, place.settings())


def test_what_was_not_there_at_the_time_is_told_with_the_time(
    frame: Index, place: Place, own: Interpreter
) -> None:
    frame.add("later", "1.0", uploaded="2023-01-01")
    with pytest.raises(errors.VersionNotFound, match=r"as of 2020-02-0\d there was no such later"):
        resolve(wanted("frame==1.0", "later"), place.settings())


def test_without_an_index_what_is_missing_is_not_blamed_on_one(
    frame: Index, place: Place, own: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uv, "pip_settings", lambda: {"no-index": ["1"]})
    forget()
    with pytest.raises(errors.VersionNotFound, match="frame is not in the folders of find-links"):
        resolve(wanted("frame==1.0"), place.settings())
    assert frame.requests == []

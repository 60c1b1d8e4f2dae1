"""The doctor says what is there, what is missing, for what that is needed, and how to mend it.

The index is one that uv reads, with three small packages.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from bnmatrix.environment import doctor, interpreters, uv
from bnmatrix.environment.doctor import Check, examine
from bnmatrix.environment.interpreters import Interpreter, Silent
from bnmatrix.environment.places import Settings
from bnmatrix.environment.resolution import how_to_install
from tests.environment.local_index import Index, forget

PLATFORM = next(
    tag.rpartition("-")[2]
    for tag in interpreters.ask(interpreters.own().executable).tags  # type: ignore[union-attr]
)

RELEASES = {
    # As it was: the newest Python of 1.15 is 3.7, of 2.3 3.8, of 2.10 3.10.
    ("tensorflow", "1.15.5"): [6, 7],
    ("tensorflow", "2.3.4"): [6, 7, 8],
    ("tensorflow", "2.10.1"): [8, 9, 10],
    ("tensorflow", "2.20.0"): [10, 11, 12, 13],
    ("torch", "1.0.0"): [6, 7],
    ("torch", "2.9.0"): [10, 11, 12, 13],
    ("keras", "3.9.0"): [],
}


def fill(index: Index) -> Index:
    """Put the releases into the index."""
    for (name, version), minors in RELEASES.items():
        for minor in minors:
            index.add(name, version, tag=tag_for(minor))
        if not minors:
            index.add(name, version)
    return index


def tag_for(minor: int) -> str:
    return f"cp3{minor}-cp3{minor}{'m' if minor < 8 else ''}-{PLATFORM}"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let there be the program's own interpreter and pretended ones of these minor versions."""

    def let(*minors: int, silent: tuple[Silent, ...] = ()) -> None:
        own = interpreters.ask(interpreters.own().base)
        assert own is not None
        found = [
            Interpreter(
                own.path, f"3.{minor}.1", "cpython", f"cp3{minor}", own.platform, own.libc, own.path, "PATH"
            )
            for minor in sorted(minors, reverse=True)
        ]
        monkeypatch.setattr(interpreters, "look", lambda root: (found, list(silent)))
        monkeypatch.setattr(interpreters, "find", lambda root: found)

    return let


def by_name(checks: list[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_a_missing_python_is_told_with_what_needs_it_and_how_to_get_it(
    index: Index, here: Callable[..., None], tmp_path: Path
) -> None:
    fill(index)
    here(6, 10, 11)
    found = by_name(examine(Settings(root=tmp_path / "root")))
    assert found["Python 3.11"].state == "ok"
    assert "3.11.1 PATH" in found["Python 3.11"].what
    # What 3.7 and 3.8 are for, 3.6 serves, too; 3.10 serves the rest.
    for minor in (7, 8, 9, 12, 13):
        assert found[f"Python 3.{minor}"] == Check(f"Python 3.{minor}", "ok", "none found, and none needed")


def test_what_none_of_those_there_are_fits_is_named(
    index: Index, here: Callable[..., None], tmp_path: Path
) -> None:
    fill(index)
    here(11)
    found = by_name(examine(Settings(root=tmp_path / "root")))
    assert found["Python 3.7"].state == "warning"
    assert found["Python 3.7"].what.endswith("fits tensorflow>=1.15.5,<2.3.4 and torch>=1.0.0")
    assert found["Python 3.7"].mend == how_to_install("3.7")
    assert found["Python 3.8"].what.endswith("fits tensorflow>=2.3.4,<2.10.1")
    assert found["Python 3.10"].state == "warning"
    assert found["Python 3.13"].state == "ok"


TIMES = {
    "all have one": (doctor.PACKAGES, "ok", "says when they were uploaded"),
    "one has none": (("tensorflow", "keras"), "warning", "when torch came, it does not say"),
    "none has one": ((), "problem", "when tensorflow and keras and torch came, it does not say"),
}


@pytest.mark.parametrize("case", TIMES)
def test_an_index_is_asked_for_upload_times(
    case: str, index: Index, here: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed, state, what = TIMES[case]
    page = type(index)._page
    monkeypatch.setattr(Index, "_page", lambda self, name: page(replace(self, times=name in timed), name))
    fill(index)
    here(*doctor.MINORS)
    check = by_name(examine(Settings(root=tmp_path / "root")))["index"]
    assert (check.state, what in check.what) == (state, True)
    assert "tensorflow 2.20.0" in check.what
    assert bool(check.mend) == (state != "ok")


def test_an_index_out_of_reach_is_a_problem_and_no_time_is_lost_on_it(
    index: Index, here: Callable[..., None], tmp_path: Path
) -> None:
    index.stop()
    here(11)
    found = by_name(examine(Settings(root=tmp_path / "root")))
    assert found["index"].state == "problem"
    assert "/simple/" in found["index"].what
    assert "CPU torch" not in found
    assert found["Python 3.7"].what == "none found; what needs it, the index would know"


def test_offline_the_index_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, here: Callable[..., None], tmp_path: Path
) -> None:
    here(11)
    called = []
    monkeypatch.setattr(
        uv, "run", lambda *arguments, **_: called.append(arguments) or uv.Result(0, "uv 1.0", "")
    )
    found = by_name(examine(Settings(root=tmp_path, offline=True)))
    assert found["index"].what == "not asked: offline"
    assert {arguments[0] for arguments in called} <= {"--version", "cache"}


def own_minor() -> int:
    return interpreters.own().version.split(".")[1].isdigit() and int(
        interpreters.own().version.split(".")[1]
    )


def test_a_torch_without_gpu_packages_is_found_among_the_find_links(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interpreters, "_places", lambda: iter([(interpreters.own().base, "current")]))
    fill(index)
    index.add("torch", "2.9.5", tag=tag_for(own_minor()), needs=["nvidia-cublas"])
    index.add("nvidia_cublas", "1.0")
    check = by_name(examine(Settings(root=tmp_path / "root")))["CPU torch"]
    assert check.state == "warning"
    assert "torch 2.9.5" in check.what
    assert "PIP_FIND_LINKS" in check.mend

    build = Index().add("torch", "2.8.0+cpu", tag=tag_for(own_minor()))
    links = tmp_path / "links"
    links.mkdir()
    (links / build.name).write_bytes(build.content)
    monkeypatch.setenv("UV_FIND_LINKS", str(links))
    forget()
    found = by_name(examine(Settings(root=tmp_path / "root")))
    assert found["CPU torch"].state == "ok"
    assert "torch 2.8.0+cpu" in found["CPU torch"].what
    assert found["find-links"] == Check("find-links", "ok", f"{links} with 1 file")


def offline(root: Path) -> dict[str, Check]:
    return by_name(examine(Settings(root=root, offline=True)))


def test_an_interpreter_that_says_nothing_is_told(here: Callable[..., None], tmp_path: Path) -> None:
    here(11, silent=(Silent("/usr/bin/python3.9", "ended with code 1"),))
    check = offline(tmp_path)["interpreter"]
    assert check.state == "warning"
    assert check.what == "/usr/bin/python3.9 ended with code 1"


def test_a_folder_that_cannot_be_written_is_a_problem(here: Callable[..., None], tmp_path: Path) -> None:
    here(11)
    (tmp_path / "file").write_text("")
    check = offline(tmp_path / "file" / "below")["folder"]
    assert check.state == "problem"
    assert "BNMATRIX_HOME" in check.mend
    assert offline(tmp_path / "new")["folder"].state == "ok"


@pytest.mark.parametrize(("free", "state"), [(0.5e9, "problem"), (3e9, "warning"), (30e9, "ok")])
def test_little_room_is_told(
    free: float, state: str, here: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(11)
    usage = type("usage", (), {"free": free})
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path))
    forget()
    assert offline(tmp_path)["disk"].state == state
    forget()


def test_without_uv_nothing_works(
    here: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here(11)
    monkeypatch.setattr(uv, "executable", lambda: str(tmp_path / "uv"))
    found = by_name(examine(Settings(root=tmp_path)))
    assert found["uv"].state == "problem"
    assert "pip install" in found["uv"].mend
    assert "index" not in found

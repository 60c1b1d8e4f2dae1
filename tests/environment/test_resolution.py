"""What is wanted becomes a lock: of its time, with what the user named, for the newest Python that fits."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import msgspec
import pytest

from bnmatrix.environment import (
    Lock,
    interpreters,
    kept_releases,
    known,
    make,
    repair,
    resolution,
    resolve,
    uv,
)
from bnmatrix.environment.errors import (
    ContradictoryPins,
    EnvironmentFailure,
    NoInterpreter,
    NotHere,
    NoUploadTimes,
    NoWheel,
    Unreachable,
    VersionNotFound,
)
from bnmatrix.environment.interpreters import Interpreter
from bnmatrix.errors import Exit, UsageError
from tests.environment.local_index import Index, Place, forget, wanted


@pytest.fixture
def frame(index: Index, own: Interpreter) -> Index:
    """An index with the package frame, which came out in three releases, and what it needs."""
    for version, uploaded in (("1.0", "2020-01-01"), ("1.1", "2020-06-01"), ("2.0", "2022-01-01")):
        index.add("frame", version, uploaded=uploaded, needs=["numbers-lib"])
    index.add("numbers_lib", "1.0", uploaded="2019-06-01")
    index.add("numbers_lib", "1.1", uploaded="2020-01-20")
    index.add("numbers_lib", "2.0", uploaded="2020-03-01")
    return index


def test_the_rest_is_of_the_releases_time_with_some_weeks_of_grace(frame: Index, place: Place) -> None:
    lock = resolve(wanted("frame==1.0", "numbers-lib"), place.settings())
    assert lock.packages == {"frame": "1.0", "numbers-lib": "1.1"}
    assert lock.as_of == "2020-01-31"


def test_the_rest_is_of_today_where_nothing_is_named(frame: Index, place: Place) -> None:
    lock = resolve(wanted("frame", "numbers-lib"), place.settings())
    assert lock.packages == {"frame": "2.0", "numbers-lib": "2.0"}
    assert lock.as_of is None


def test_the_lock_says_the_interpreter_and_the_sizes(frame: Index, place: Place, own: Interpreter) -> None:
    lock = resolve(wanted("frame==1.0"), place.settings())
    assert (lock.python, lock.interpreter) == (own.version, own.path)
    content = frame.projects["frame"]["frame-1.0-py3-none-any.whl"].content
    assert lock.sizes["frame"] == len(content)


def test_a_size_that_the_index_does_not_tell_is_asked_of_the_server(index: Index, place: Place) -> None:
    from bnmatrix.environment.sizes import sizes

    file = index.add("frame", "1.0")
    address = uv.environment()["UV_DEFAULT_INDEX"].removesuffix("/simple")
    wheels = [{"url": f"{address}/files/frame/{name}"} for name in (file.name, "gone-1.0-py3-none-any.whl")]
    packages = [{"name": "frame", "wheels": wheels[:1]}, {"name": "gone", "wheels": wheels[1:]}]
    assert sizes(packages, ["py3-none-any"]) == {"frame": len(file.content)}


def test_what_was_named_overrides_what_others_demand_of_it(frame: Index, place: Place) -> None:
    frame.add("frame", "3.0", uploaded="2023-01-01", needs=["numbers-lib<2"])
    plain = resolve(wanted("frame==3.0", "numbers-lib"), place.settings())
    assert plain.packages["numbers-lib"] == "1.1"
    lock = resolve(wanted("frame==3.0", "numbers-lib==2.0"), place.settings())
    assert lock.packages["numbers-lib"] == "2.0"


def test_of_several_that_are_named_the_latest_tells_the_time(frame: Index, place: Place) -> None:
    lock = resolve(wanted("frame==1.0", "numbers-lib==2.0"), place.settings())
    assert lock.as_of == "2020-03-31"


def test_a_fixed_version_is_resolved_once(frame: Index, place: Place) -> None:
    first = resolve(wanted("frame==1.0"), place.settings())
    asked = len(frame.requests)
    again = resolve(wanted("frame==1.0"), place.settings())
    assert again == first == known(wanted("frame==1.0"), place.settings())
    assert len(frame.requests) == asked > 0


def test_of_a_range_the_newest_is_looked_up_each_time(frame: Index, place: Place) -> None:
    ranged = wanted("frame>=1.0,<2")
    assert resolve(ranged, place.settings()).packages["frame"] == "1.1"
    assert known(ranged, place.settings()) is None
    frame.add("frame", "1.2", uploaded="2020-09-01")
    uv.run("cache", "clean", "--quiet")
    lock = resolve(ranged, place.settings())
    assert lock.packages["frame"] == "1.2"
    exact = resolve(wanted("frame==1.2"), place.settings())
    assert (exact.key, exact.path) == (lock.key, lock.path)
    assert kept_releases(wanted("frame"), place.settings()) == ["1.1", "1.2"]


def test_offline_the_newest_that_is_here_stands_for_a_range(frame: Index, place: Place) -> None:
    for version in ("1.1", "1.0"):
        resolve(wanted(f"frame=={version}"), place.settings())
    frame.stop()
    offline = place.settings(offline=True)
    assert resolve(wanted("frame>=1.0"), offline).packages["frame"] == "1.1"
    assert resolve(wanted("frame<1.1"), offline).packages["frame"] == "1.0"
    with pytest.raises(NotHere, match=r"frame>1\.1 is not here"):
        resolve(wanted("frame>1.1"), offline)


def test_offline_an_unknown_release_is_not_here(frame: Index, place: Place) -> None:
    with pytest.raises(NotHere, match="--offline fetches nothing") as raised:
        resolve(wanted("frame==1.0"), place.settings(offline=True))
    assert raised.value.exit_code == Exit.INCOMPLETE
    assert frame.requests == []


def test_the_key_does_not_depend_on_the_place(frame: Index, place: Place, tmp_path: Path) -> None:
    first = resolve(wanted("frame==1.0"), place.settings())
    elsewhere = Place(tmp_path / "other")
    assert resolve(wanted("frame==1.0"), elsewhere.settings()).key == first.key
    frame.add("frame", "1.0", uploaded="2020-01-01", modules={"frame/__init__.py": "other = 1\n"})
    shutil.rmtree(place.root)
    uv.run("cache", "clean", "--quiet")
    assert resolve(wanted("frame==1.0"), place.settings()).key != first.key


def test_a_damaged_lock_is_made_again(frame: Index, place: Place) -> None:
    lock = resolve(wanted("frame==1.0"), place.settings())
    path = Path(lock.path)
    path.write_bytes(path.read_bytes()[:-20])
    assert known(wanted("frame==1.0"), place.settings()) is None
    assert resolve(wanted("frame==1.0"), place.settings()) == lock


def test_a_lock_whose_interpreter_is_gone_is_not_known(
    frame: Index, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = resolve(wanted("frame==1.0"), place.settings())
    path = Path(lock.path)
    path.write_text(path.read_text().replace(lock.interpreter, "/gone/python"))
    assert known(wanted("frame==1.0"), place.settings()) is None
    assert resolve(wanted("frame==1.0"), place.settings()).interpreter == lock.interpreter


# Which Python


def older(own: Interpreter, minor: int) -> Interpreter:
    """As if it were an older Python."""
    return msgspec.structs.replace(own, version=f"3.{minor}.1", abi=f"cp3{minor}")


def test_the_newest_python_that_a_wheel_fits_is_taken(
    index: Index, place: Place, own: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    minor = own.release[1]
    newer = msgspec.structs.replace(own, version=f"3.{minor + 1}.0", abi=f"cp3{minor + 1}", path="/newer")
    monkeypatch.setattr(interpreters, "find", lambda root: [newer, own, older(own, minor - 1)])
    for each in (minor, minor - 1):
        index.add("frame", "1.0", tag=f"cp3{each}-cp3{each}-{own.tags[0].split('-')[2]}")
    lock = resolve(wanted("frame==1.0"), place.settings())
    assert lock.python == own.version


def test_a_python_for_which_a_dependency_must_be_built_is_left_out(
    index: Index, place: Place, own: Interpreter
) -> None:
    index.add("frame", "1.0", needs=["compiled", "pure"])
    index.add_source("pure", "1.0")  # has no wheels at all: then it is built
    index.add_source("compiled", "1.0")
    index.add("compiled", "1.0", tag=f"cp36-cp36m-{own.tags[0].split('-')[2]}")
    with pytest.raises(EnvironmentFailure, match=r"compiled==1\.0 has no wheel for Python"):
        resolve(wanted("frame==1.0"), place.settings())
    index.add("compiled", "1.0", tag=own.tags[0])
    uv.run("cache", "clean", "--quiet")
    assert resolve(wanted("frame==1.0"), place.settings()).packages["pure"] == "1.0"


def test_a_release_older_than_every_python_is_met_where_the_first_was_served(
    index: Index, place: Place, own: Interpreter
) -> None:
    """Its own time has only sources of what has wheels by now."""
    index.add_source("frame", "1.0", uploaded="2015-08-13")
    index.add_source("numbers_lib", "0.9", uploaded="2015-03-01")
    index.add_source("pure", "0.7", uploaded="2015-03-26")
    index.add_source("pure", "0.8", uploaded="2016-04-21")
    index.add_source("pure", "0.9", uploaded="2024-03-20")
    for version, uploaded in (("1.0", "2021-12-31"), ("1.1", "2022-01-15"), ("1.2", "2022-03-01")):
        index.add("numbers_lib", version, uploaded=uploaded, tag=own.tags[0])
    lock = resolve(wanted("frame==1.0", "pure", "numbers-lib"), place.settings())
    assert lock.packages == {"frame": "1.0", "pure": "0.8", "numbers-lib": "1.1"}
    assert lock.as_of == "2022-01-30"


def test_of_pythons_that_are_too_new_the_one_that_was_served_first_is_taken(
    index: Index, place: Place, own: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = older(own, own.release[1] - 1)
    served = {own.version: "2023-10-02", old.version: "2022-10-24"}
    monkeypatch.setattr(interpreters, "find", lambda root: [own, old])
    monkeypatch.setattr(
        resolution.index,
        "first_wheel",
        lambda requirement, interpreter, settings: datetime.fromisoformat(
            f"{served[interpreter.version]}T00:00:00+00:00"
        ),
    )
    index.add_source("frame", "1.0", uploaded="2015-08-13")
    index.add_source("numbers_lib", "0.9", uploaded="2015-03-01")
    lock = resolve(wanted("frame==1.0", "numbers-lib"), place.settings())
    assert (lock.python, lock.as_of) == (old.version, "2022-11-23")


def test_what_never_had_a_wheel_delays_nothing(index: Index, place: Place, own: Interpreter) -> None:
    index.add("frame", "1.0", uploaded="2020-01-01")
    index.add_source("pure", "1.0", uploaded="2020-01-20")
    index.add_source("pure", "2.0", uploaded="2020-03-01")
    index.add("numbers_lib", "1.0", uploaded="2019-06-01", tag=own.tags[0])
    lock = resolve(wanted("frame==1.0", "pure", "numbers-lib"), place.settings())
    assert (lock.packages["pure"], lock.as_of) == ("1.0", "2020-01-31")


def test_a_release_for_another_python_names_those_it_is_for(
    index: Index, place: Place, own: Interpreter
) -> None:
    for minor in (6, 7):
        index.add("frame", "1.0", tag=f"cp3{minor}-cp3{minor}m-{own.tags[0].split('-')[2]}")
    with pytest.raises(NoInterpreter) as raised:
        resolve(wanted("frame==1.0"), place.settings())
    here = ".".join(map(str, own.release))
    message = f"frame==1.0 has wheels for Python 3.6 to 3.7 ({own.platform}); found here: {here}"
    assert raised.value.message == message
    assert raised.value.hint == "install one, for instance `pyenv install 3.7`"


def test_a_release_for_another_platform_says_so(index: Index, place: Place, own: Interpreter) -> None:
    index.add("frame", "1.0", tag="cp37-cp37m-win_amd64")
    with pytest.raises(NoWheel, match=r"no wheel for .*; it has some for win_amd64"):
        resolve(wanted("frame==1.0"), place.settings())


def test_the_python_that_was_asked_for_is_taken(frame: Index, place: Place, own: Interpreter) -> None:
    for python in (own.path, own.version, ".".join(map(str, own.release))):
        assert resolve(wanted("frame==1.0", python=python), place.settings()).python == own.version
    with pytest.raises(NoInterpreter, match=r"no Python 3\.1 was found"):
        resolve(wanted("frame==1.0", python="3.1"), place.settings())


def test_pins_that_exclude_each_other_are_named(index: Index, place: Place, own: Interpreter) -> None:
    system = own.tags[0].split("-")[2]
    index.add("frame", "1.0", tag=f"cp37-cp37m-{system}")
    index.add("other", "2.0", python=">=3.10")
    with pytest.raises(ContradictoryPins) as raised:
        resolve(wanted("frame==1.0", "other==2.0"), place.settings())
    assert raised.value.exit_code == Exit.USAGE
    assert "frame==1.0 and other==2.0 exclude each other" in raised.value.message
    assert "3.7, the other for 3.10 or newer" in raised.value.message


# What the index has


def test_of_a_missing_release_the_nearest_are_named(frame: Index, place: Place) -> None:
    with pytest.raises(VersionNotFound) as raised:
        resolve(wanted("frame==1.5"), place.settings())
    assert raised.value.exit_code == Exit.USAGE
    assert (raised.value.message, raised.value.hint) == ("frame has no release 1.5", "nearest: 1.1, 2.0")
    with pytest.raises(VersionNotFound, match="that is >=7") as raised:
        resolve(wanted("frame>=7"), place.settings())
    assert raised.value.hint == "the newest is 2.0"


def test_an_unknown_package_is_no_release(frame: Index, place: Place) -> None:
    with pytest.raises(VersionNotFound, match="the index has no unheard-of"):
        resolve(wanted("unheard-of==1.0"), place.settings())


def test_an_index_without_upload_times_says_so(frame: Index, place: Place) -> None:
    frame.times = False
    with pytest.raises(NoUploadTimes, match="does not say when") as raised:
        resolve(wanted("frame==1.0"), place.settings())
    assert raised.value.exit_code == Exit.INCOMPLETE
    assert raised.value.hint


def test_an_index_out_of_reach_is_named(frame: Index, place: Place) -> None:
    address = uv.environment()["UV_DEFAULT_INDEX"]
    frame.stop()
    with pytest.raises(Unreachable) as raised:
        resolve(wanted("frame==1.0"), place.settings())
    assert address in raised.value.message
    assert "--offline" in str(raised.value.hint)


def test_a_build_for_the_cpu_among_find_links_is_taken(
    index: Index, place: Place, own: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no upload time, so what its release on the index has counts; what it needs is of today."""
    index.add("torch", "1.0", uploaded="2020-01-01", needs=["nvidia-lib", "numbers-lib"])
    index.add("nvidia_lib", "1.0")
    index.add("numbers_lib", "1.0", uploaded="2019-06-01")
    index.add("numbers_lib", "2.0", uploaded="2021-03-01")
    index.add("frame", "1.0", uploaded="2020-01-01")
    index.add("packaging", "1.0")
    links = tmp_path / "links"
    links.mkdir()
    build = Index().add("torch", "1.0+cpu", needs=["numbers-lib"], tag=own.tags[0])
    (links / build.name).write_bytes(build.content)
    monkeypatch.setenv("UV_FIND_LINKS", str(links))
    forget()
    pinned = resolve(wanted("torch==1.0"), place.settings())
    assert pinned.packages == {"torch": "1.0+cpu", "numbers-lib": "1.0"}
    assert pinned.as_of == "2020-01-31"
    beside = resolve(wanted("frame==1.0", "torch", "numbers-lib"), place.settings())
    assert beside.packages["torch"] == "1.0+cpu"
    assert beside.packages["numbers-lib"] == "2.0"


def test_a_file_of_the_users_own_needs_no_time(
    index: Index, place: Place, own: Interpreter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build = Index().add("nightly", "3.0.dev1")
    (tmp_path / build.name).write_bytes(build.content)
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    forget()
    lock = resolve(wanted("nightly==3.0.dev1"), place.settings())
    assert (lock.packages, lock.as_of) == ({"nightly": "3.0.dev1"}, None)


# Mending


def test_a_module_that_was_missing_is_added_as_of_the_same_time_once(frame: Index, place: Place) -> None:
    frame.add("extra", "1.0", uploaded="2019-01-01", needs=["numbers-lib"])
    frame.add("extra", "9.0", uploaded="2024-01-01")
    lock = resolve(wanted("frame==1.0"), place.settings())
    mended = repair(lock, "extra.inner", place.settings())
    assert mended.packages == {**lock.packages, "extra": "1.0"}
    assert mended.key != lock.key
    assert known(wanted("frame==1.0"), place.settings()) == mended
    assert repair(lock, "extra.inner", place.settings()) == mended  # another process, a moment later
    with pytest.raises(EnvironmentFailure, match=r"extra\.inner is missing, though extra was added"):
        repair(mended, "extra.inner", place.settings())
    import subprocess

    python = make(mended, place.settings())
    code = "import extra, frame; print(extra.__version__, frame.__version__)"
    assert subprocess.run([python, "-c", code], capture_output=True, text=True).stdout == "1.0 1.0\n"


def test_a_module_whose_package_is_there_cannot_be_mended(frame: Index, place: Place) -> None:
    lock = resolve(wanted("frame==1.0"), place.settings())
    with pytest.raises(EnvironmentFailure, match="is missing, though frame is there"):
        repair(lock, "frame.inner", place.settings())


def test_a_module_that_no_package_brings_changes_nothing(frame: Index, place: Place) -> None:
    lock = resolve(wanted("frame==1.0"), place.settings())
    with pytest.raises(VersionNotFound):
        repair(lock, "unheard_of", place.settings())
    assert known(wanted("frame==1.0"), place.settings()) == lock


def test_pkg_resources_comes_from_an_older_setuptools_in_place_of_the_newer(
    frame: Index, place: Place
) -> None:
    frame.add("setuptools", "69.0", uploaded="2019-01-01", modules={"pkg_resources/__init__.py": "a = 1\n"})
    frame.add("setuptools", "82.0", uploaded="2019-02-01")
    lock = resolve(wanted("frame==1.0", "setuptools"), place.settings())
    assert lock.packages["setuptools"] == "82.0"
    assert repair(lock, "pkg_resources", place.settings()).packages["setuptools"] == "69.0"


def test_known_is_asked_without_uv_or_packaging(
    frame: Index, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock: Lock = resolve(wanted("frame==1.0"), place.settings())

    def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(uv, "run", never)
    monkeypatch.setattr(resolution.Wanted, "parsed", never)
    assert known(wanted("frame==1.0"), place.settings()) == lock


@pytest.mark.parametrize("version", ["foo", "../../etc", "9" * 5000, "9" * 200])
def test_what_is_no_version_is_the_users_mistake(version: str, frame: Index, place: Place) -> None:
    with pytest.raises(UsageError, match="is not a version") as raised:
        resolve(wanted(f"frame==={version}"), place.settings())
    assert len(raised.value.message) < 200
    assert frame.requests == []


def test_a_note_that_cannot_be_written_is_told(
    index: Index, tmp_path: Path, own: Interpreter, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()

    def refuse(*_arguments: object, **_options: object) -> str:
        raise Unreachable("no way")

    monkeypatch.setattr(resolution._Resolution, "compiled", refuse)
    asked = resolution._Resolution(wanted("torch"), Place(tmp_path / "file").settings())
    with pytest.raises(EnvironmentFailure, match="cannot write"):
        asked._from_pytorch(own, ["torch"], [], None, ())


def test_why_a_chosen_interpreter_is_none_is_told(index: Index, place: Place, tmp_path: Path) -> None:
    index.add("frame", "1.0")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho broken; exit 3\n")
    broken.chmod(0o755)
    with pytest.raises(UsageError, match="it ended with code 3: broken"):
        resolve(wanted("frame==1.0", python=str(broken)), place.settings())

"""An environment is whole or not there, whatever happens while it is made or after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bnmatrix.environment import (
    Lock,
    environments,
    errors,
    is_made,
    isolated,
    make,
    prune,
    remove,
    repair,
    resolve,
    uv,
)
from bnmatrix.environment.interpreters import Interpreter
from bnmatrix.errors import Exit
from tests.environment.local_index import Index, Place, until, wanted

CHILD = """
import sys
from pathlib import Path
from bnmatrix.environment import Settings, lock, make
settings = Settings(root=Path(sys.argv[1]), tell=lambda text: print(text, flush=True))
print(make(lock.load(Path(sys.argv[2])), settings), flush=True)
"""
"""Makes the environment of a lock in a process of its own."""


@pytest.fixture
def lock(index: Index, own: Interpreter, place: Place) -> Lock:
    """Of the package frame, which needs another."""
    index.add("frame", "1.0", uploaded="2020-01-01", needs=["numbers-lib"], ballast=3_000_000)
    index.add("numbers_lib", "1.0")
    index.add("extra", "1.0")
    return resolve(wanted("frame==1.0"), place.settings())


def says(python: str, code: str = "import frame; print(frame.__version__, frame.__file__)") -> str:
    return subprocess.run(
        [python, "-I", "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def start(lock: Lock, place: Place) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(place.root), lock.path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(isolated.__file__).parents[2])},
    )


def unfinished(place: Place) -> list[Path]:
    return list((place.root / "environments").glob(".*.unfinished"))


def test_what_is_made_is_what_was_locked(lock: Lock, place: Place) -> None:
    python = make(lock, place.settings())
    version, file = says(python).split()
    assert version == "1.0"
    assert Path(file).is_relative_to(isolated.folder_of(lock, place.settings()))
    assert list(Path(file).parent.glob("__pycache__/*.pyc"))
    assert place.told == [
        f"frame==1.0: Python {lock.python}, 2 packages as of 2020-01-31, up to 3 MB to fetch"
    ]


def test_what_is_there_is_not_made_again(
    lock: Lock, place: Place, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_made(lock, place.settings())
    python = make(lock, place.settings())
    index.stop()

    def never(*_arguments: object, **_options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(uv, "run", never)
    assert is_made(lock, place.settings())
    assert make(lock, place.settings()) == python


def test_two_locks_with_the_same_packages_share_one(lock: Lock, place: Place) -> None:
    ranged = resolve(wanted("frame>=0.5"), place.settings())
    assert make(ranged, place.settings()) == make(lock, place.settings())
    assert len(environments(place.settings())) == 1


# Damage


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda inside: (inside / "frame/__init__.py").unlink(), "frame/__init__.py is missing"),
        (lambda inside: (inside / "frame/__init__.py").write_text("a = 1"), "frame/__init__.py has changed"),
        (lambda inside: (inside / "frame/added.py").write_text("a = 1"), "files were added"),
        (lambda inside: (inside.parents[2] / "bin/python").unlink(), "its interpreter .* is gone"),
        (lambda inside: (inside.parents[2] / isolated.STAMP).unlink(), "it was never finished"),
        (lambda inside: (inside.parents[2] / isolated.STAMP).write_text("{"), "it was never finished"),
    ],
)
def test_a_damaged_one_is_made_again_and_says_why(
    lock: Lock, place: Place, damage: object, told: str
) -> None:
    import re

    python = make(lock, place.settings())
    inside = next(Path(python).parents[1].glob("lib/python*/site-packages"))
    # Hard links: what is written to would change in uv's cache as well.
    for path in inside.glob("frame/*.py"):
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
    isolated_stamp(Path(python).parents[1], lock)
    place.told.clear()
    assert callable(damage)
    damage(inside)
    assert not is_made(lock, place.settings())
    assert make(lock, place.settings()) == python
    assert re.search(f"its environment was damaged: {told}.*; making it again", place.told[0])
    assert says(python).startswith("1.0")


def isolated_stamp(folder: Path, lock: Lock) -> None:
    """Stamp it as it is now."""
    stamp = msgspec.json.decode((folder / isolated.STAMP).read_bytes(), type=isolated.Stamp)
    files, digest = isolated.fingerprint(folder)
    stamp = msgspec.structs.replace(stamp, files=files, fingerprint=digest)
    (folder / isolated.STAMP).write_bytes(msgspec.json.encode(stamp))
    assert isolated._fault(folder, lock.key) is None


# Several at once, and interruption


def test_two_processes_make_one(lock: Lock, place: Place, index: Index) -> None:
    index.delay = 1.5
    uv.run("cache", "clean", "--quiet")
    asked = len(index.requests)
    first, second = start(lock, place), start(lock, place)
    (said, errors_1), (also_said, errors_2) = first.communicate(timeout=60), second.communicate(timeout=60)
    assert (first.returncode, second.returncode) == (0, 0), errors_1 + errors_2
    assert said.splitlines()[-1] == also_said.splitlines()[-1]
    assert (said + also_said).count("to fetch") == 1
    assert (said + also_said).count("waiting for another process") == 1
    assert sum(path.endswith("frame-1.0-py3-none-any.whl") for path in index.requests[asked:]) == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_one_is_not_there_and_is_made_the_next_time(
    lock: Lock, place: Place, index: Index, number: signal.Signals
) -> None:
    index.delay = 5.0
    uv.run("cache", "clean", "--quiet")
    asked = len(index.requests)
    child = start(lock, place)
    until(lambda: any(path.startswith("/files/") for path in index.requests[asked:]))
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    installers = [int(each) for each in children.read_text().split()] if children.exists() else []
    child.send_signal(number)
    child.communicate(timeout=20)
    assert child.returncode != 0
    assert not is_made(lock, place.settings())
    assert environments(place.settings()) == [] or number == signal.SIGKILL
    if number == signal.SIGINT:
        until(lambda: not any(Path(f"/proc/{each}").exists() for each in installers))
        assert unfinished(place) == []
    index.delay = 0.0
    assert says(make(lock, place.settings())).startswith("1.0")
    # uv itself outlives the one that was killed, and may go on in the folder that was taken from it.
    until(lambda: not any(Path(f"/proc/{each}").exists() for each in installers))
    prune(place.settings())
    assert unfinished(place) == []
    assert is_made(lock, place.settings())


def test_ctrl_c_ends_what_other_threads_wait_for(index: Index, own: Interpreter, place: Place) -> None:
    import threading

    index.add("frame", "1.0")
    index.delay = 30.0
    stopped: list[uv.Stopped] = []

    def install() -> None:
        target = str(place.root / "target")
        try:
            uv.run("pip", "install", "--python", own.path, "--target", target, "frame")
        except uv.Stopped as error:
            stopped.append(error)

    thread = threading.Thread(target=install)
    thread.start()
    until(lambda: any(path.startswith("/files/") for path in index.requests))
    uv.stop()
    thread.join(5)
    assert stopped


# What cannot be


def test_another_file_than_the_locked_one_is_refused(lock: Lock, place: Place, index: Index) -> None:
    index.add(
        "frame",
        "1.0",
        uploaded="2020-01-01",
        needs=["numbers-lib"],
        modules={"frame/__init__.py": "evil = 1"},
    )
    uv.run("cache", "clean", "--quiet")
    with pytest.raises(errors.EnvironmentFailure, match=r"mismatch for `frame==1\.0`") as raised:
        make(lock, place.settings())
    assert len(raised.value.message) < 400
    assert environments(place.settings()) == []


def test_more_than_is_fetched_without_asking_is_refused(lock: Lock, place: Place) -> None:
    uv.run("cache", "clean", "--quiet")
    large = msgspec.structs.replace(lock, sizes={"frame": 4_100_000_000})
    with pytest.raises(errors.TooLarge) as raised:
        make(large, place.settings())
    assert raised.value.exit_code == Exit.INCOMPLETE
    assert (raised.value.message, raised.value.hint) == (
        "frame==1.0: would fetch 4.1 GB",
        "--yes fetches them",
    )
    assert make(large, place.settings(yes=True))


def test_what_is_in_the_cache_already_is_not_too_large(lock: Lock, place: Place) -> None:
    make(lock, place.settings())
    remove(isolated.folder_of(lock, place.settings()), place.settings())
    large = msgspec.structs.replace(lock, sizes={"frame": 4_100_000_000})
    assert make(large, place.settings())


def test_gpu_packages_are_told_of(lock: Lock, place: Place) -> None:
    packages = {**lock.packages, "torch": "2.9.0", "nvidia-lib": "1.0", "triton": "3"}
    fat = msgspec.structs.replace(lock, packages=packages, sizes={"torch": 900_000_000})
    make(fat, place.settings())
    assert any("no build of torch for the CPU is within reach" in told for told in place.told)
    assert any("2 GPU packages" in told for told in place.told)


def test_offline_it_is_made_of_what_is_here(lock: Lock, place: Place, index: Index) -> None:
    make(lock, place.settings())
    remove(isolated.folder_of(lock, place.settings()), place.settings())
    asked = len(index.requests)
    assert says(make(lock, place.settings(offline=True))).startswith("1.0")
    assert len(index.requests) == asked
    remove(isolated.folder_of(lock, place.settings()), place.settings())
    uv.run("cache", "clean", "--quiet")
    with pytest.raises(errors.NotHere, match="not all of its packages are here"):
        make(lock, place.settings(offline=True))
    assert environments(place.settings()) == []


def test_what_is_in_the_cache_is_not_fetched_again(lock: Lock, place: Place, index: Index) -> None:
    make(lock, place.settings())
    remove(isolated.folder_of(lock, place.settings()), place.settings())
    asked = len(index.requests)
    make(lock, place.settings())
    assert [path for path in index.requests[asked:] if path.startswith("/files/")] == []


def test_a_full_disk_leaves_what_was_there(lock: Lock, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    before = make(lock, place.settings())
    other = repair(lock, "extra", place.settings())
    said = "error: Failed to install: frame\n  cause: No space left on device (os error 28)"
    monkeypatch.setattr(uv, "run", lambda *_arguments, **_options: uv.Result(2, "", said))
    with pytest.raises(errors.DiskFull) as raised:
        make(other, place.settings())
    assert raised.value.exit_code == Exit.INCOMPLETE
    assert "env prune" in str(raised.value.hint)
    assert [each.folder for each in environments(place.settings())] == [str(Path(before).parents[1])]
    assert is_made(lock, place.settings())


def test_a_folder_that_cannot_be_written_is_named(lock: Lock, place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    elsewhere = Place(tmp_path / "file" / "home")
    with pytest.raises(errors.EnvironmentFailure, match=r"cannot write .*file/home"):
        make(lock, elsewhere.settings())


def test_an_interpreter_that_was_replaced_by_another_is_noticed(lock: Lock, place: Place) -> None:
    old = msgspec.structs.replace(lock, python="3.9.99")
    with pytest.raises(errors.EnvironmentFailure, match=rf"was Python 3\.9\.99 and is {lock.python} now"):
        make(old, place.settings())
    assert environments(place.settings()) == []
    assert resolve(wanted("frame==1.0"), place.settings()).python == lock.python


# Looking after them


def test_they_are_listed_with_what_they_hold(lock: Lock, place: Place) -> None:
    make(lock, place.settings())
    (kept,) = environments(place.settings())
    assert kept.stamp is not None
    assert (kept.stamp.label, kept.stamp.packages, kept.fault) == ("frame==1.0", lock.packages, None)
    assert kept.size > 3_000_000


def test_pruning_removes_what_is_of_no_use_and_nothing_else(
    lock: Lock, place: Place, index: Index, own: Interpreter
) -> None:
    settings = place.settings()
    make(lock, settings)
    mended = repair(lock, "extra", settings)
    good = make(mended, settings)
    index.add("damaged", "1.0")
    damaged = resolve(wanted("damaged==1.0"), settings)
    python = Path(make(damaged, settings))
    next(python.parents[1].glob("lib/*/site-packages/damaged/__init__.py")).unlink()
    left = isolated.folder_of(lock, settings).with_name(".frame-1.0-0123456789ab.77.unfinished")
    (left / "bin").mkdir(parents=True)
    gone = Path(resolve(wanted("numbers-lib==1.0"), settings).path)
    gone.write_text(gone.read_text().replace(own.path, "/gone/python"))
    removed = {each.name: each.why for each in prune(settings)}
    assert removed == {
        isolated.folder_of(lock, settings).name: "no target leads to it any more",
        isolated.folder_of(damaged, settings).name: "damaged/__init__.py is missing",
        left.name: "it was never finished",
        gone.name: "its interpreter /gone/python is gone",
    }
    assert [each.folder for each in environments(settings)] == [str(Path(good).parents[1])]
    assert prune(settings) == []


def test_what_is_being_made_is_not_pruned(lock: Lock, place: Place, index: Index) -> None:
    index.delay = 2.0
    uv.run("cache", "clean", "--quiet")
    child = start(lock, place)
    until(lambda: unfinished(place))
    assert prune(place.settings()) == []
    said, problems = child.communicate(timeout=30)
    assert child.returncode == 0, problems
    assert says(said.splitlines()[-1]).startswith("1.0")

"""An environment is whole or not there, whatever happens while it is made or after."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
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
from bnmatrix.environment import lock as locks
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
    modules = {"frame/__init__.py": "__version__ = '1.0'\n", "frame/libframe.so.9.0": ""}
    index.add(
        "frame", "1.0", uploaded="2020-01-01", needs=["numbers-lib"], modules=modules, ballast=3_000_000
    )
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


def replace_by_a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("")


def replace_by_a_link(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.symlink_to("/no/where")


def rewrite(path: Path, content: bytes) -> None:
    """As another file: hard links would change in uv's cache as well."""
    path.unlink()
    path.write_bytes(content)


def make_older(stamp: Path) -> None:
    stamp.write_text(stamp.read_text().replace(f'"{isolated.FORMAT}:', '"'))


SITE = f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "a module is gone": (
        lambda here: (here / SITE / "frame/__init__.py").unlink(),
        "frame/__init__.py is missing",
    ),
    "a module is another": (
        lambda here: rewrite(here / SITE / "frame/__init__.py", b"a = 1"),
        "frame/__init__.py has changed",
    ),
    "a module was added": (
        lambda here: (here / SITE / "frame/added.py").write_text("a = 1"),
        "files were added, removed or touched",
    ),
    "a link leads nowhere": (
        lambda here: (here / SITE / "frame/gone.py").symlink_to("/no/where"),
        "files were added, removed or touched",
    ),
    "a link leads to itself": (
        lambda here: (here / SITE / "frame/gone.py").symlink_to("gone.py"),
        "files were added, removed or touched",
    ),
    "a name that is no UTF-8": (
        lambda here: Path(os.fsdecode(bytes(here / SITE / "frame") + b"/\xff.py")).write_text(""),
        "files were added, removed or touched",
    ),
    "a versioned library is gone": (
        lambda here: (here / SITE / "frame/libframe.so.9.0").unlink(),
        "frame/libframe.so.9.0 is missing",
    ),
    "the record is no text": (
        lambda here: rewrite(here / SITE / "frame-1.0.dist-info/RECORD", b"\xff\xfe,,1\n"),
        "frame-1.0.dist-info/RECORD cannot be read",
    ),
    "the record tells no sizes": (
        lambda here: rewrite(here / SITE / "frame-1.0.dist-info/RECORD", b"frame/__init__.py,,much\n"),
        "frame-1.0.dist-info/RECORD cannot be read",
    ),
    "the record has no columns": (
        lambda here: rewrite(here / SITE / "frame-1.0.dist-info/RECORD", b"frame\n\0\n"),
        "frame-1.0.dist-info/RECORD cannot be read",
    ),
    "the metadata are gone": (
        lambda here: shutil.rmtree(here / SITE / "frame-1.0.dist-info"),
        "files were added, removed or touched",
    ),
    "a file of the metadata is gone": (
        lambda here: (here / SITE / "frame-1.0.dist-info/METADATA").unlink(),
        "frame-1.0.dist-info/METADATA is missing",
    ),
    "something is run at the start": (
        lambda here: (here / SITE / "added.pth").write_text("import frame"),
        "files were added, removed or touched",
    ),
    "the packages are gone": (
        lambda here: replace_by_a_file(here / SITE),
        "files were added, removed or touched",
    ),
    "it is no environment": (lambda here: (here / "pyvenv.cfg").unlink(), "pyvenv.cfg is missing"),
    "the interpreter is gone": (lambda here: (here / "bin/python").unlink(), "its interpreter .* is gone"),
    "the stamp is gone": (lambda here: (here / isolated.STAMP).unlink(), "it was never finished"),
    "the stamp is cut": (lambda here: (here / isolated.STAMP).write_text("{"), "it was never finished"),
    "the stamp is no text": (
        lambda here: (here / isolated.STAMP).write_bytes(b'{"key": "\xff\xfe"}'),
        "it was never finished",
    ),
    "the stamp is an older one": (
        lambda here: make_older(here / isolated.STAMP),
        "it was made by another version of bnmatrix",
    ),
    "a file is in its place": (replace_by_a_file, "a file is in its place"),
    "a link is in its place": (replace_by_a_link, "a file is in its place"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_one_is_listed_and_pruned_or_made_again_and_says_why(
    lock: Lock, place: Place, damage: str
) -> None:
    inflict, told = DAMAGES[damage]
    settings = place.settings()
    python = make(lock, settings)
    folder = Path(python).parents[1]
    inflict(folder)
    assert not is_made(lock, settings)
    (kept,) = environments(settings)
    assert (kept.folder, re.fullmatch(told, str(kept.fault)) is not None) == (str(folder), True)
    place.told.clear()
    assert make(lock, settings) == python
    assert re.fullmatch(f"frame==1.0: its environment is made again: {told}", place.told[0])
    assert says(python).startswith("1.0")
    inflict(folder)
    assert [(each.name, re.fullmatch(told, each.why) is not None) for each in prune(settings)] == [
        (folder.name, True)
    ]
    assert environments(settings) == []


def test_each_can_be_removed_however_damaged(lock: Lock, place: Place) -> None:
    settings = place.settings()
    folder = isolated.folder_of(lock, settings)
    for inflict, _ in DAMAGES.values():
        make(lock, settings)
        inflict(folder)
        remove(folder, settings)
        assert not os.path.lexists(folder)


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
    assert raised.value.hint == f"without {lock.path} it would be resolved anew"
    assert environments(place.settings()) == []
    assert locks.load(Path(lock.path)) == lock


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


def test_an_interpreter_that_is_none_any_more_is_noticed(lock: Lock, place: Place, tmp_path: Path) -> None:
    (tmp_path / "python").write_text("root:x:0:0:root:/root:/bin/bash\n")
    pylock = locks.text_of(Path(lock.path))
    wrong = locks.dump(
        msgspec.structs.replace(lock, interpreter=str(tmp_path / "python")), pylock, Path(lock.path)
    )
    with pytest.raises(errors.EnvironmentFailure, match=r"python was Python \S+ and is none now") as raised:
        make(wrong, place.settings())
    assert raised.value.hint == "run it again"
    assert environments(place.settings()) == []
    assert resolve(wanted("frame==1.0"), place.settings()).interpreter == lock.interpreter


LOCK_DAMAGES: dict[str, Callable[[str], str]] = {
    "another hash": lambda text: re.sub(r'sha256 = "\w{8}', 'sha256 = "00000000', text),
    "what is no TOML": lambda text: f"[[[\n{text}",
    "a cut": lambda text: text[: len(text) // 4] + text[len(text) // 3 :],
}


@pytest.mark.parametrize("damage", LOCK_DAMAGES)
def test_a_damaged_lock_is_resolved_anew(lock: Lock, place: Place, damage: str) -> None:
    path = Path(lock.path)
    path.write_text(LOCK_DAMAGES[damage](path.read_text()))
    again = resolve(wanted("frame==1.0"), place.settings())
    assert again == lock
    assert says(make(again, place.settings())).startswith("1.0")


def test_a_lock_from_before_there_were_digests_is_as_good(lock: Lock, place: Place, index: Index) -> None:
    path = Path(lock.path)
    path.write_text(re.sub(r',"digest":"\w+"', "", path.read_text()))
    index.stop()
    assert resolve(wanted("frame==1.0"), place.settings()) == msgspec.structs.replace(lock, digest="")


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


def test_what_is_being_made_is_not_removed(lock: Lock, place: Place, index: Index) -> None:
    index.delay = 2.0
    uv.run("cache", "clean", "--quiet")
    child = start(lock, place)
    until(lambda: unfinished(place))
    for folder in (*unfinished(place), isolated.folder_of(lock, place.settings())):
        with pytest.raises(errors.InUse, match="is being made by another process") as raised:
            remove(folder, place.settings())
        assert raised.value.exit_code == Exit.INCOMPLETE
    said, problems = child.communicate(timeout=30)
    assert child.returncode == 0, problems
    assert says(said.splitlines()[-1]).startswith("1.0")


@pytest.mark.parametrize("way", ["remove", "prune"])
def test_the_guard_stays_for_who_waits_for_it(lock: Lock, place: Place, way: str) -> None:
    settings = place.settings()
    folder = isolated.folder_of(lock, settings)
    make(lock, settings)
    guard = folder.with_name(f".{folder.name}.lock")
    before = guard.stat().st_ino
    if way == "remove":
        remove(folder, settings)
    else:
        (folder / isolated.STAMP).unlink()
        assert prune(settings)
    assert not folder.exists()
    assert guard.stat().st_ino == before


def test_what_was_made_meanwhile_is_not_pruned(
    lock: Lock, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = place.settings()
    stamp = isolated.folder_of(lock, settings) / isolated.STAMP
    make(lock, settings)
    content = stamp.read_bytes()
    stamp.unlink()
    alone = isolated._alone

    def later(folder: Path, waits: Callable[[], None]) -> object:
        stamp.write_bytes(content)  # by another process, just before
        return alone(folder, waits)

    monkeypatch.setattr(isolated, "_alone", later)
    assert prune(settings) == []
    assert is_made(lock, settings)


def test_odd_things_among_the_locks_are_pruned(lock: Lock, place: Place) -> None:
    settings = place.settings()
    (settings.locks / "pylock.folder.toml" / "deep").mkdir(parents=True)
    (settings.locks / "pylock.link.toml").symlink_to("/no/where")
    (settings.locks / "pylock.binary.toml").write_bytes(b"\xff")
    removed = {each.name: each.why for each in prune(settings)}
    names = [f"pylock.{each}.toml" for each in ("folder", "link", "binary")]
    assert removed == dict.fromkeys(names, "cannot be read")
    assert list(settings.locks.iterdir()) == [Path(lock.path)]

"""Interpreters are found where they lie, asked once, and tell which wheels fit."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import msgspec
import packaging.tags
import pytest

from bnmatrix.environment import interpreters
from bnmatrix.environment.interpreters import Interpreter, Silent, ask, find, look, platform_tags
from bnmatrix.errors import UsageError

OWN = interpreters.own()


@pytest.fixture(autouse=True)
def nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No interpreter but the program's own: an empty home and path."""
    for name in ("PYENV_ROOT", "CONDA_PREFIX", "CONDA_EXE", "MAMBA_ROOT_PREFIX", "UV_PYTHON_INSTALL_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "home" / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def pretend(path: Path, says: str) -> Path:
    """A script at `path`; what it `says` is shell."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho $$ >>{path}.asked\n{says}\n")
    path.chmod(0o755)
    return path


def pretend_version(path: Path, version: str, base: Path | None = None) -> Path:
    """A script that answers as an interpreter of that version would."""
    answer = msgspec.structs.replace(OWN, version=version, base=str(base or path))
    text = interpreters._SIGN + json.dumps(msgspec.to_builtins(answer))
    return pretend(path, f"echo '{text}'")


def times_asked(path: Path) -> int:
    return len(Path(f"{path}.asked").read_text().splitlines())


def others(found: list[Interpreter]) -> list[tuple[str, str, str]]:
    return [(one.path, one.version, one.source) for one in found if one.source != "current"]


def test_the_programs_own_is_found_and_is_no_virtual_environment(tmp_path: Path) -> None:
    (own,) = find(tmp_path)
    assert own.source == "current"
    assert os.path.realpath(own.path) == os.path.realpath(OWN.base)
    asked = "import sys; print(sys.prefix == sys.base_prefix, *sys.version_info[:3])"
    said = subprocess.run([own.path, "-I", "-c", asked], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["True", *own.version.split(".")]


def test_interpreters_are_found_wherever_they_lie_and_the_newest_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    on_path = pretend_version(tmp_path / "bin" / "python3.7", "3.7.16")
    pyenv = pretend_version(home / ".pyenv" / "versions" / "3.10.13" / "bin" / "python3", "3.10.13")
    conda = pretend_version(home / "miniconda3" / "envs" / "old" / "bin" / "python3", "3.6.15")
    uv = pretend_version(home / "data" / "uv" / "python" / "cpython-3.9.1" / "bin" / "python3", "3.9.1")
    listed = pretend_version(tmp_path / "elsewhere" / "bin" / "python3", "3.8.2")
    (home / ".conda").mkdir()
    (home / ".conda" / "environments.txt").write_text(f"{tmp_path / 'elsewhere'}\n/no/where\n")
    root = pretend_version(tmp_path / "root" / "versions" / "3.5.0" / "bin" / "python3", "3.5.0")
    found = find(tmp_path)
    assert others(found) == [
        (str(pyenv), "3.10.13", "pyenv"),
        (str(uv), "3.9.1", "uv"),
        (str(listed), "3.8.2", "conda"),
        (str(on_path), "3.7.16", "PATH"),
        (str(conda), "3.6.15", "conda"),
    ]
    monkeypatch.setenv("PYENV_ROOT", str(root.parents[3]))
    newer = pretend_version(root.parents[3] / "versions" / "3.11.0" / "bin" / "python3", "3.11.0")
    assert [path for path, _, source in others(find(tmp_path)) if source == "pyenv"] == [str(newer)]


def test_what_is_not_released_yet_comes_last(tmp_path: Path) -> None:
    pretend_version(tmp_path / "bin" / "python3.20", "3.20.0a2")
    pretend_version(tmp_path / "bin" / "python3.7", "3.7.1")
    assert [version for _, version, _ in others(find(tmp_path))] == ["3.7.1", "3.20.0a2"]


def test_an_interpreter_of_many_names_is_one(tmp_path: Path) -> None:
    real = pretend_version(tmp_path / "opt" / "python", "3.8.1")
    (tmp_path / "bin").mkdir()
    for name in ("python3.8", "python3", "python"):
        (tmp_path / "bin" / name).symlink_to(real)
    environment = pretend_version(
        tmp_path / "home" / ".conda" / "envs" / "a" / "bin" / "python3", "3.8.1", real
    )
    assert [version for _, version, _ in others(find(tmp_path))] == ["3.8.1"]
    assert times_asked(environment) == 1


def test_shims_of_pyenv_are_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shim = pretend(tmp_path / "home" / ".pyenv" / "shims" / "python3.7", "exit 127")
    monkeypatch.setenv("PATH", str(shim.parent))
    assert look(tmp_path) == (find(tmp_path), [])
    assert not Path(f"{shim}.asked").exists()


MUTE = {
    "prints something else": ("echo hello", "did not say what it is"),
    "fails": ("echo no version is set >&2; exit 126", "code 126: no version is set"),
    "prints half an answer": (f"echo '{interpreters._SIGN}{{}}'", "did not say what it is"),
    "prints without end": ("exec yes", "did not say within"),
    "hangs": ("exec sleep 1000", "did not say within"),
    "hangs in a child that holds the output": ("sleep 1000 & wait", "did not say within"),
    "leaves a child that holds the output": ("sleep 1000 & exit 1", "code 1"),
}


@pytest.mark.parametrize("case", MUTE)
def test_what_says_nothing_sensible_is_skipped_and_told(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    does, why = MUTE[case]
    monkeypatch.setattr(interpreters, "PATIENCE", 0.5)
    mute = pretend(tmp_path / "bin" / "python3.9", does)
    good = pretend_version(tmp_path / "bin" / "python3.8", "3.8.1")
    started = time.monotonic()
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path / "bin"), "/usr/bin", "/bin")))
    monkeypatch.setattr(interpreters, "_NAMES", ["python3.9", "python3.8"])
    found, silent = look(tmp_path)
    assert time.monotonic() - started < 5
    assert (str(good), "3.8.1", "PATH") in others(found)
    assert [one.path for one in silent] == [str(mute)]
    assert why in silent[0].why
    (process,) = Path(f"{mute}.asked").read_text().split()
    if shutil.which("ps") is None:
        pytest.skip("no ps to see by that nothing is left running")
    listed = subprocess.run(["ps", "-A", "-o", "pgid=,stat="], capture_output=True, text=True, check=True)
    left = [line.split()[1] for line in listed.stdout.splitlines() if line.split()[0] == process]
    assert all(state.startswith("Z") for state in left)  # ended, and some init never looks


def test_python_2_is_nothing_to_tell_about(tmp_path: Path) -> None:
    pretend(tmp_path / "bin" / "python", "echo 'Unknown option: -I' >&2; exit 2")
    assert others(look(tmp_path)[0]) == []
    assert look(tmp_path)[1] == []


def test_what_is_no_program_is_told(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").write_bytes(b"\x7fELF but cut off")
    (tmp_path / "bin" / "python3").chmod(0o755)
    assert look(tmp_path)[1] == [
        Silent(str(tmp_path / "bin" / "python3"), "does not start: Exec format error")
    ]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that are asked, as they are."""
    asked: list[str] = []
    ask_now = interpreters._ask_now

    def count(paths: list[str]) -> object:
        asked.extend(paths)
        return ask_now(paths)

    monkeypatch.setattr(interpreters, "_ask_now", count)
    return asked


@pytest.fixture
def copied(tmp_path: Path) -> str:
    """A virtual environment that has a copy of the interpreter."""
    venv.EnvBuilder(symlinks=False, with_pip=False).create(tmp_path / "copied")
    return str(tmp_path / "copied" / "bin" / "python")


def test_each_is_asked_once(copied: str, counted: list[str], tmp_path: Path) -> None:
    first = ask(copied, tmp_path)
    assert first is not None
    assert ask(copied, tmp_path) == first
    assert counted == [copied]


def test_it_is_asked_anew_when_it_has_changed(copied: str, counted: list[str], tmp_path: Path) -> None:
    ask(copied, tmp_path)
    os.utime(copied, (1, 1))
    ask(copied, tmp_path)
    settings = tmp_path / "copied" / "pyvenv.cfg"
    settings.write_text(settings.read_text().replace("= false", "= true"))
    os.utime(settings, (1, 1))
    assert interpreters.answer_of(copied, tmp_path) == interpreters.answer_of(copied)
    assert counted == [copied] * 4


@pytest.mark.parametrize("damage", [b"", b"{", b'{"host": 1}', b"\xff\xfe", b"[]"])
def test_a_damaged_memory_is_ignored_and_written_anew(
    damage: bytes, copied: str, counted: list[str], tmp_path: Path
) -> None:
    (tmp_path / interpreters.MEMORY).write_bytes(damage)
    assert ask(copied, tmp_path) == ask(copied, tmp_path)
    assert counted == [copied]


def test_what_another_machine_remembered_does_not_count(
    copied: str, counted: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(copied, tmp_path)
    monkeypatch.setattr(interpreters, "_host", lambda: "Linux riscv64 glibc 2.99")
    ask(copied, tmp_path)
    assert counted == [copied] * 2


def test_a_folder_that_cannot_be_written_is_no_matter(copied: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert ask(copied, tmp_path / "file" / "below") is not None


def test_one_that_said_nothing_is_left_alone_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mute = pretend(tmp_path / "bin" / "python3.9", "exit 1")
    assert look(tmp_path)[1] == look(tmp_path)[1] != []
    assert times_asked(mute) == 1
    monkeypatch.setattr(interpreters, "FORGET", 0.0)
    look(tmp_path)
    assert times_asked(mute) == 2


def test_a_script_is_asked_each_time_for_it_may_answer_otherwise(tmp_path: Path) -> None:
    shim = pretend_version(tmp_path / "bin" / "python3", "3.7.1")
    find(tmp_path)
    answers = shim.read_text()
    shim.write_text(answers.replace("3.7.1", "3.7.2"))
    os.utime(shim, ns=(shim.stat().st_atime_ns, shim.stat().st_mtime_ns))
    assert [version for _, version, _ in others(find(tmp_path))] == ["3.7.2"]


def test_a_virtual_environment_answers_with_its_base(copied: str, tmp_path: Path) -> None:
    found = ask(copied)
    assert found is not None
    assert found.path == copied
    assert os.path.realpath(found.base) == os.path.realpath(OWN.base)
    linked = tmp_path / "linked"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(linked)
    nested = ask(str(linked / "bin" / "python"))
    assert nested is not None
    assert os.path.realpath(nested.base) == os.path.realpath(OWN.base)


def test_a_base_that_is_gone_is_not_offered(tmp_path: Path) -> None:
    pretend_version(tmp_path / "bin" / "python3", "3.7.1", base=tmp_path / "gone")
    assert others(find(tmp_path)) == []


def test_what_the_working_directory_holds_is_not_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "platform.py").write_text("raise SystemExit('stray')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ask(sys.executable) is not None


def test_its_own_tags_are_those_that_packaging_tells() -> None:
    own = ask(sys.executable)
    assert own is not None
    assert sorted(own.tags) == sorted(map(str, packaging.tags.sys_tags()))
    assert own.tags[0].startswith(f"{packaging.tags.interpreter_name()}")


def of(version: str, abi: str, platform: str, libc: str, implementation: str = "cpython") -> tuple[str, ...]:
    return Interpreter("/p", version, implementation, abi, platform, libc, "/p", "PATH").tags


def test_tags_of_an_old_python() -> None:
    tags = of("3.7.16", "cp37m", "linux-x86_64", "glibc 2.17")
    assert "cp37-cp37m-manylinux2010_x86_64" in tags
    assert "cp37-cp37m-manylinux_2_17_x86_64" in tags
    assert "cp37-cp37m-manylinux_2_18_x86_64" not in tags
    assert "cp36-abi3-manylinux1_x86_64" in tags
    assert not any(tag.startswith(("cp37-cp37-", "cp38")) for tag in tags)
    assert tags.index("cp37-cp37m-manylinux_2_17_x86_64") < tags.index("py3-none-any")


def test_tags_of_other_builds() -> None:
    assert "cp313-cp313-linux_x86_64" not in of("3.13.0", "cp313t", "linux-x86_64", "glibc 2.36")
    assert "cp313-cp313t-linux_x86_64" in of("3.13.0", "cp313t", "linux-x86_64", "glibc 2.36")
    assert {"cp311-cp311d-linux_x86_64", "cp311-cp311-linux_x86_64"} <= set(
        of("3.11.0", "cp311d", "linux-x86_64", "glibc 2.36")
    )
    assert "pp310-pypy310_pp73-linux_x86_64" in of(
        "3.10.13", "pypy310_pp73", "linux-x86_64", "glibc 2.36", "pypy"
    )


PLATFORMS = {
    ("linux-aarch64", "glibc 2.28"): ("manylinux_2_17_aarch64", "manylinux_2_12_aarch64"),
    ("linux-x86_64", "musl 1.2"): ("musllinux_1_1_x86_64", "manylinux_2_17_x86_64"),
    ("linux-i686", "glibc 2.36"): ("manylinux1_i686", "manylinux1_x86_64"),
    ("linux-x86_64", ""): ("linux_x86_64", "manylinux1_x86_64"),
    ("darwin-arm64", "macos 14.5"): ("macosx_12_0_arm64", "macosx_15_0_arm64"),
    ("darwin-x86_64", "macos 10.15.7"): ("macosx_10_9_x86_64", "macosx_11_0_x86_64"),
    ("darwin-arm64", "macos 11"): ("macosx_11_0_universal2", "macosx_12_0_universal2"),
}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_platforms_that_fit_and_that_do_not(platform: tuple[str, str]) -> None:
    fits, does_not = PLATFORMS[platform]
    tags = list(platform_tags(*platform))
    assert fits in tags
    assert does_not not in tags


OLD = sorted(Path(os.path.expanduser("~/.pyenv/versions")).glob("3.[67].*/bin/python"))


@pytest.mark.skipif(not OLD, reason="pyenv has no Python 3.6 or 3.7 here")
@pytest.mark.parametrize("python", OLD, ids=lambda python: python.parents[1].name)
def test_a_real_old_interpreter_says_what_it_is(python: Path) -> None:
    found = ask(str(python))
    assert found is not None
    assert found.version == python.parents[1].name
    assert found.abi.endswith("m")
    assert found.source in ("pyenv", "PATH")  # the home is another one here


def test_choose_takes_the_newest_of_a_version(tmp_path: Path) -> None:
    pretend_version(tmp_path / "bin" / "python3.7", "3.7.16")
    assert interpreters.choose("3.1", tmp_path) is None
    chosen = interpreters.choose("3.7", tmp_path)
    assert chosen is not None
    assert chosen.version == "3.7.16"


@pytest.mark.parametrize("version", ["x.y", "3", "banana", ""])
def test_one_that_says_a_version_that_is_none_is_left_out(tmp_path: Path, version: str) -> None:
    path = pretend_version(tmp_path / "bin" / "python3.7", version)
    found, silent = look(tmp_path)
    assert others(found) == []
    assert silent == [Silent(str(path), f"says that its version is {version!r}")]
    memory = tmp_path / "interpreters.json"  # as an earlier release of ours has kept it
    kept = json.loads(memory.read_text())
    sound = next(each["answer"] for each in kept["kept"].values() if each["answer"])
    kept["kept"][str(path)] |= {"answer": {**sound, "version": version}, "why": ""}
    path.write_bytes(b"\x7fELF")
    status = path.stat()
    kept["kept"][str(path)]["stamp"] = [status.st_mtime_ns, status.st_size, 0]
    memory.write_text(json.dumps(kept))
    assert others(find(tmp_path)) == []


def test_why_one_is_of_no_use_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interpreters, "PATIENCE", 0.5)
    broken = pretend(tmp_path / "broken", "echo it is broken; exit 3")
    hangs = pretend(tmp_path / "hangs", "/bin/sleep 60")
    for path, why in ((broken, "it ended with code 3: it is broken"), (hangs, "it did not say within")):
        with pytest.raises(UsageError, match=f"{path} is no Python 3.6 or later: {why}"):
            interpreters.answer_of(str(path), tmp_path)


def test_a_shim_stands_for_the_version_of_its_name(tmp_path: Path) -> None:
    pyenv = tmp_path / "home" / ".pyenv"
    shim = pretend(pyenv / "shims" / "python3.7", "exit 127")
    pretend_version(pyenv / "versions" / "3.8.1" / "bin" / "python3", "3.8.1")
    with pytest.raises(UsageError, match="it ended with code 127"):
        interpreters.answer_of(str(shim), tmp_path)
    pretend_version(pyenv / "versions" / "3.7.16" / "bin" / "python3", "3.7.16")
    assert interpreters.answer_of(str(shim), tmp_path).version == "3.7.16"

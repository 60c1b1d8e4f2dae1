"""The current environment: which it is, what is in it, and what makes it another one."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from bnmatrix.environment import interpreters
from bnmatrix.environment.current import Current, current
from bnmatrix.errors import UsageError


@pytest.fixture(autouse=True)
def nothing_active(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """No environment is active, and bnmatrix's folder is a new one."""
    monkeypatch.setenv("BNMATRIX_HOME", str(tmp_path_factory.mktemp("home")))
    for name in ("VIRTUAL_ENV", "CONDA_PREFIX", "CONDA_DEFAULT_ENV"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty virtual environment."""
    folder = tmp_path_factory.mktemp("made") / "made"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    return folder


def of(*folders: Path, version: str = "3.11.7") -> Current:
    """An environment that keeps its packages in `folders`."""
    return Current("/python", version, "cpython", "linux-x86_64", folders)


def write(path: Path, text: str = "", changed: int = 1000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    os.utime(path, (changed, changed))
    return path


# Which it is


def test_without_anything_else_it_is_the_programs_own_and_no_process_is_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    found = current()
    assert found.python == sys.executable
    assert found.version == ".".join(map(str, sys.version_info[:3]))
    assert found == current(sys.executable)


def test_an_active_environment_goes_before_the_programs_own(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONDA_PREFIX", str(made))
    assert current().python == str(made / "bin" / "python")
    monkeypatch.setenv("VIRTUAL_ENV", sys.prefix)
    assert current().python == sys.executable
    assert current(str(made)).python == str(made / "bin" / "python")


def test_condas_base_is_nobodys_choice(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONDA_PREFIX", str(made))
    monkeypatch.setenv("CONDA_DEFAULT_ENV", "base")
    assert current().python == sys.executable


def test_another_environment_has_its_own_packages(made: Path) -> None:
    (folder,) = current(str(made)).site_packages
    assert folder.is_relative_to(made)


@pytest.mark.parametrize("spelling", ["folder", "path", "relative", "command"])
def test_an_interpreter_may_be_named_in_several_ways(
    spelling: str, made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(made.parent)
    monkeypatch.setenv("PATH", str(made / "bin"))
    ways = {"folder": str(made), "path": str(made / "bin" / "python"), "relative": "made/bin/python"}
    assert current(ways.get(spelling, "python")).python == str(made / "bin" / "python")


def test_an_interpreter_may_be_named_by_its_version(tmp_path: Path) -> None:
    version = interpreters.own().version
    assert current(version, tmp_path).version == version
    with pytest.raises(UsageError, match=r"no Python 3\.99") as error:
        current("3.99", tmp_path)
    assert "env doctor" in str(error.value.hint)


MISTAKES = {
    "nothing": ("no/where", "there is no Python at no/where"),
    "no Python": ("/bin/ls", "/bin/ls is no Python 3.6 or later"),
    "an empty folder": (".", "there is no Python at ."),
    "no command": ("pythonn", "there is no Python at pythonn"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_no_interpreter_is_said_so(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    python, says = MISTAKES[mistake]
    with pytest.raises(UsageError, match=re.escape(says)) as error:
        current(python)
    assert error.value.hint


def test_an_active_environment_that_is_gone_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match="gone has no Python") as error:
        current()
    assert "VIRTUAL_ENV" in str(error.value.hint)


# What is in it


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_the_distributions_are_those_that_the_standard_library_finds() -> None:
    found = current()
    folders = [str(folder) for folder in found.site_packages]
    expected = {normalised(each.name): each.version for each in metadata.distributions(path=folders)}
    assert expected
    assert found.distributions() == expected


def test_packages_of_the_system_are_part_of_an_environment_that_sees_them(tmp_path: Path) -> None:
    base = interpreters.own().base
    listing = "from importlib import metadata as m; print(*{d.metadata['Name'] for d in m.distributions()})"
    seen = {}
    for system in (False, True):
        folder = tmp_path / str(system)
        venv.EnvBuilder(symlinks=True, with_pip=False, system_site_packages=system).create(folder)
        python = str(folder / "bin" / "python")
        said = subprocess.run([python, "-I", "-c", listing], capture_output=True, text=True, check=True)
        found = current(python)
        assert set(found.distributions()) == {normalised(name) for name in said.stdout.split()}
        seen[system] = found
    assert not seen[False].distributions()
    if not subprocess.run([base, "-I", "-c", "import pip"], capture_output=True, check=False).returncode:
        assert seen[True].has_module("pip")
        assert not seen[False].has_module("pip")


def test_names_of_metadata_old_and_new(tmp_path: Path) -> None:
    for name in (
        "torch-2.13.0+cpu.dist-info",
        "Keras_Applications-1.0.8.dist-info",
        "zope.interface-5.0-py3.7-linux-x86_64.egg-info",
        "h5py-2.10.0-py3.7.egg-info",
    ):
        (tmp_path / name).mkdir()
    write(tmp_path / "old.egg-info", "Metadata-Version: 1.0\nName: old\nVersion: 0.3\n")
    write(tmp_path / "checkout.egg-info" / "PKG-INFO", "Name: checkout\nVersion: 4.5.dev0\n")
    write(tmp_path / "easy-install.pth", "./egged-1.2-py3.7.egg\n")
    (tmp_path / "egged-1.2-py3.7.egg").mkdir()
    assert of(tmp_path).distributions() == {
        "torch": "2.13.0+cpu",
        "keras-applications": "1.0.8",
        "zope-interface": "5.0",
        "h5py": "2.10.0",
        "old": "0.3",
        "checkout": "4.5.dev0",
        "egged": "1.2",
    }


def test_the_first_of_two_folders_wins(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / str(number) / f"numpy-{number}.0.dist-info").mkdir(parents=True)
    assert of(tmp_path / "2", tmp_path / "1").distributions() == {"numpy": "2.0"}


def test_a_module_is_a_package_a_file_or_a_library(tmp_path: Path) -> None:
    write(tmp_path / "keras" / "__init__.py")
    write(tmp_path / "six.py")
    write(tmp_path / "wrapt.cpython-311-x86_64-linux-gnu.so")
    write(tmp_path / "left" / "over.txt")
    write(tmp_path / "torch-2.0.dist-info" / "METADATA")
    found = of(tmp_path)
    assert [
        name for name in ("keras", "six", "wrapt", "left", "torch", "ker", "os") if found.has_module(name)
    ] == [
        "keras",
        "six",
        "wrapt",
    ]


# An editable install lies elsewhere, and is told of in one of these ways.


def by_path(site: Path, source: Path) -> None:
    write(site / "__editable__.keras-9.pth", f"# where it is\n{source}\n")


def by_relative_path(site: Path, source: Path) -> None:
    write(site / "keras.pth", os.path.relpath(source, site))


def by_hook(site: Path, source: Path) -> None:
    write(site / "__editable__.keras-9.pth", "import __editable___keras_9_finder; __editable__.install()")
    mapping = f"MAPPING: dict[str, str] = {{'keras': {str(source / 'keras')!r}}}\nNAMESPACES = {{}}\n"
    write(site / "__editable___keras_9_finder.py", f"import sys\n{mapping}")


def by_url(site: Path, source: Path) -> None:
    told = {"url": source.as_uri(), "dir_info": {"editable": True}}
    write(site / "keras-9.dist-info" / "direct_url.json", json.dumps(told))


EDITABLE: list[Callable[[Path, Path], None]] = [by_path, by_relative_path, by_hook, by_url]


@pytest.mark.parametrize("way", EDITABLE)
def test_the_source_of_an_editable_install_counts(way: Callable[[Path, Path], None], tmp_path: Path) -> None:
    site = tmp_path / "site"
    source = tmp_path / "my checkout"
    code = write(source / "keras" / "layers" / "core.py", "x = 1")
    write(source / "keras" / "__init__.py")
    site.mkdir()
    assert not of(site).has_module("keras")
    way(site, source)
    assert of(site).has_module("keras")
    before = of(site).fingerprint(("keras",))
    assert of(site).fingerprint(("keras",)) == before
    write(code, "x = 2", changed=2000)
    assert of(site).fingerprint(("keras",)) != before


def test_a_damaged_hook_or_metadata_is_as_none(tmp_path: Path) -> None:
    write(tmp_path / "__editable___keras_9_finder.py", "MAPPING = {open('x')}\nMAPPING = {'keras': 3}\n")
    write(tmp_path / "keras-9.dist-info" / "direct_url.json", "[1]")
    write(tmp_path / "torch-9.dist-info" / "direct_url.json", "{")
    write(tmp_path / "bad.pth", "/no/where\n\0\nimport nothing\n")
    assert not of(tmp_path).has_module("keras")


# What makes it another one


def change_and_put_the_time_back(path: Path) -> None:
    time.sleep(0.02)  # the clock of inodes ticks every few milliseconds
    write(path, "x = 2")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Site-packages with a framework in it."""
    folder = tmp_path / "site"
    write(folder / "tensorflow" / "__init__.py")
    write(folder / "tensorflow" / "python" / "layers.py", "x = 1")
    write(folder / "tensorflow" / "python" / "_ops.so")
    write(folder / "tensorflow" / "libtensorflow_framework.so.2")
    write(folder / "tensorflow" / "include" / "eigen" / "array.h")
    write(folder / "tensorflow_core" / "__init__.py")
    write(folder / "other" / "__init__.py")
    write(folder / "tensorflow-2.0.dist-info" / "METADATA")
    return folder


def fingerprint(site: Path) -> str:
    return of(site).fingerprint(("tensorflow", "torch"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "a file was patched in place": lambda site: write(site / "tensorflow/python/layers.py", "x = 2", 2000),
    "a file grew, and has its old time": lambda site: write(site / "tensorflow/python/layers.py", "x = 10"),
    "a file has its old size and time": lambda site: change_and_put_the_time_back(
        site / "tensorflow/python/layers.py"
    ),
    "a file was added": lambda site: write(site / "tensorflow/python/new.py"),
    "a file is gone": lambda site: (site / "tensorflow/python/layers.py").unlink(),
    "a library was built anew": lambda site: write(site / "tensorflow/python/_ops.so", "", 2000),
    "a versioned library": lambda site: write(site / "tensorflow/libtensorflow_framework.so.2", "", 2000),
    "the part of it that lies beside it": lambda site: write(site / "tensorflow_core/__init__.py", "", 2000),
    "a package called include": lambda site: write(site / "tensorflow/include/__init__.py"),
    "a distribution was added": lambda site: (site / "numpy-1.0.dist-info").mkdir(),
    "a distribution was upgraded": lambda site: (site / "tensorflow-2.0.dist-info").rename(
        site / "tensorflow-2.1.dist-info"
    ),
    "the other module appeared": lambda site: write(site / "torch/__init__.py"),
    "something is run at the start": lambda site: write(site / "sitecustomize.py", "import os"),
    "something else is run at the start": lambda site: write(site / "patch.pth", "import os"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_makes_it_another_environment(change: str, site: Path) -> None:
    before = fingerprint(site)
    CHANGES[change](site)
    assert fingerprint(site) != before


NO_CHANGES: dict[str, Callable[[Path], object]] = {
    "byte code": lambda site: write(site / "tensorflow/python/__pycache__/layers.cpython-311.pyc"),
    "a header": lambda site: write(site / "tensorflow/include/eigen/matrix.h"),
    "data": lambda site: write(site / "tensorflow/python/data.json"),
    "a module that is not asked for": lambda site: write(site / "other/__init__.py", "x", 2000),
    "a link that leads nowhere": lambda site: (site / "tensorflow/gone.py").symlink_to("/no/where"),
    "a link in a loop": lambda site: (site / "tensorflow/python/loop").symlink_to(site / "tensorflow"),
}


@pytest.mark.parametrize("change", NO_CHANGES)
def test_what_changes_no_result_changes_nothing(change: str, site: Path) -> None:
    before = fingerprint(site)
    NO_CHANGES[change](site)
    assert fingerprint(site) == before


def test_files_behind_a_link_count(site: Path, tmp_path: Path) -> None:
    elsewhere = write(tmp_path / "cache" / "core.py")
    (site / "tensorflow" / "linked").symlink_to(elsewhere.parent)
    before = fingerprint(site)
    write(elsewhere, "", 2000)
    assert fingerprint(site) != before


def test_another_interpreter_makes_another_environment(site: Path) -> None:
    assert of(site).fingerprint(()) != of(site, version="3.11.8").fingerprint(())


def test_where_it_lies_makes_no_difference(site: Path, tmp_path: Path) -> None:
    before = fingerprint(site)
    assert before == fingerprint(site.rename(tmp_path / "moved"))


def test_another_link_to_its_files_makes_no_difference(site: Path, tmp_path: Path) -> None:
    """uv makes one for every environment with the same package."""
    module = site / "tensorflow" / "__init__.py"
    os.link(module, tmp_path / "in uv's cache")
    before = fingerprint(site)
    time.sleep(0.02)
    os.link(module, tmp_path / "in another environment")
    assert fingerprint(site) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_an_error_and_not_an_empty_one(site: Path) -> None:
    (site / "tensorflow" / "python").chmod(0)
    with pytest.raises(UsageError, match="cannot read"):
        fingerprint(site)
    (site / "tensorflow" / "python").chmod(0o700)

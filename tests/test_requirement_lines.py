"""The line of the requirement that was bumped is found in whatever file it is; and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bnmatrix.requirement_lines import find, in_repository

TENSORFLOW = {"tensorflow": ("2.15.1", "2.21.0")}
KERAS = {"tf_keras": ("2.15.0", "2.21.0"), "keras": ("2.15.0", "3.12.1")}
TORCH = {"torch": ("2.1.0", "2.13.0+cpu")}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "ml"
    folder.mkdir()
    return folder


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


FILES = {
    "requirements.txt": ("numpy\n# tensorflow==2.21.0\ntensorflow==2.21.0 --hash=sha256:0\n", TENSORFLOW, 3),
    "requirements-dev.in": ("-r base.txt\n\nTensorflow_CPU[and-cuda] >= 2.21 ; python_version > '3'\n",
                            TENSORFLOW, 3),
    "dev-requirements.txt": ("tf-keras~=2.21.0\n", KERAS, 1),
    "constraints.txt": ("keras==3.12.*\n", KERAS, 1),
    "requirements/base.txt": ("x\ntorch @ https://host.example/torch-2.13.0%2Bcpu-cp311-x.whl\n", TORCH, 2),
    "requirements/gpu.in": ("https://host.example/cpu/torch-2.13.0%2Bcpu-cp311-x.whl\n", TORCH, 1),
    "environment.yml": ("dependencies:\n  - python=3.11\n  - conda-forge::pytorch=2.13.0=cpu_0\n", TORCH, 3),
    "environment.yaml": ("dependencies:\n  - pip:\n    - 'tensorflow-macos==2.21.0'\n", TENSORFLOW, 3),
    "setup.cfg": ("[metadata]\nname = x\n[options]\ninstall_requires =\n    numpy\n    tensorflow==2.21.0\n",
                  TENSORFLOW, 6),
    "setup.py": ("import torch\nsetup(\n    install_requires=['numpy', 'torch>=2.13']\n)\n", TORCH, 3),
    "Pipfile": ("[packages]\nnumpy = '*'\ntensorflow = {version = '==2.21.0'}\n", TENSORFLOW, 3),
    "pixi.toml": ("[workspace]\nname = 'keras'\n[dependencies]\npytorch = '==2.13.0'\n", TORCH, 4),
    "bnmatrix.toml": ("layers = ['x']\n[targets.mine]\ntarget = 'tf2==2.21.0'\n", TENSORFLOW, 3),
    "uv.lock": ('[[package]]\nname = "tensorflow"\nsource = {}\nversion = "2.21.0"\n', TENSORFLOW, 4),
    "poetry.lock": ('[[package]]\nname = "keras"\nversion = "3.12.1"\n', KERAS, 3),
    "pylock.toml": ('[[packages]]\nname = "torch"\nversion = "2.13.0+cpu"\n', TORCH, 3),
    "Pipfile.lock": ('{"default": {\n"tf-keras": {\n"hashes": [],\n"version": "==2.21.0"\n}}}\n', KERAS, 4),
    "conda-lock.yml": ("package:\n- name: pytorch\n  version: 2.13.0\n", TORCH, 3),
}  # fmt: skip


def test_what_a_file_takes_in_is_looked_through_once(project: Path) -> None:
    write(
        project, "requirements.txt", "-r pins/base.txt\n--constraint=pins/missing.txt\n-r requirements.txt\n"
    )
    write(project, "pins/base.txt", "numpy\n-c ../pins/limits.txt  # upper ones\n")
    write(project, "pins/limits.txt", "-r base.txt\ntensorflow==2.21.0\n")
    (place,) = find(project, TENSORFLOW)
    assert (place.file, place.line) == ("ml/pins/limits.txt", 2)


@pytest.mark.parametrize("name", FILES)
def test_the_line_is_found(project: Path, name: str) -> None:
    text, packages, line = FILES[name]
    write(project, name, text)
    place = find(project, packages)[0]
    assert (place.file, place.line) == (f"ml/{name}", line)
    assert place.text == text.splitlines()[line - 1].strip()
    assert place.package in packages


PYPROJECT = """
[project]
name = "torch"
description = "trains torch models"
keywords = ["torch", "keras"]
dependencies = [
    "numpy",
    "torch-geometric==2.13.0",
    "torch>=2.13,<3",  # since 2024
]

[project.optional-dependencies]
old = ["keras==2.15.0"]

[dependency-groups]
new = ["keras[extra]==3.12.1; python_version > '3'"]

[tool.poetry.dependencies]
tensorflow = "^2.21"

[tool.uv.sources]
torch = { index = "pytorch-cpu" }

[[tool.mypy.overrides]]
module = ["torch", "tensorflow"]
"""


@pytest.mark.parametrize(
    ("packages", "lines"), [(TORCH, [9]), (KERAS, [16, 13]), (TENSORFLOW, [19])], ids=["torch", "keras", "tf"]
)
def test_a_pyproject_is_read_under_the_headings_of_requirements(
    project: Path, packages: dict[str, tuple[str, str]], lines: list[int]
) -> None:
    write(project, "pyproject.toml", PYPROJECT)
    assert [place.line for place in find(project, packages)] == lines


def test_the_line_that_names_the_new_release_comes_first(project: Path) -> None:
    write(project, "pyproject.toml", '[project]\ndependencies = ["tensorflow>=2.10"]\n')
    write(project, "uv.lock", '[[package]]\nname = "tensorflow"\nversion = "2.21.0"\n')
    assert [place.file for place in find(project, TENSORFLOW)] == ["ml/uv.lock", "ml/pyproject.toml"]


def test_a_requirement_comes_before_a_lock_file(project: Path) -> None:
    write(project, "requirements.txt", "tensorflow==2.21\n")
    write(project, "Pipfile.lock", '{\n"tensorflow": {\n"version": "==2.21.0"\n}}\n')
    assert [place.file for place in find(project, TENSORFLOW)] == ["ml/requirements.txt", "ml/Pipfile.lock"]


def test_the_build_of_a_release_is_that_release(project: Path) -> None:
    write(project, "requirements-a.txt", "torch==2.1.0\n")
    write(project, "requirements-b.txt", "torch==2.13.0\n")
    assert find(project, TORCH)[0].file == "ml/requirements-b.txt"


def test_the_framework_comes_before_what_it_stands_on(project: Path) -> None:
    write(project, "requirements.txt", "numpy==2.4.6\nkeras>=3\ntensorflow>=2\n")
    packages = {"numpy": ("1.26.4", "2.4.6"), "keras": ("2.15.0", "3.12.1"), **TENSORFLOW}
    assert [place.package for place in find(project, packages)] == ["tensorflow", "keras", "numpy"]


@pytest.mark.parametrize(
    "line",
    ["torch-geometric==2.13.0", "pytorch-lightning==2.13.0", "# torch==2.13.0", "-e ./torch", "xtorch"],
)
def test_another_package_is_not_taken_for_it(project: Path, line: str) -> None:
    write(project, "requirements.txt", f"{line}\n")
    assert find(project, TORCH) == []


def test_a_target_without_a_release_is_no_requirement(project: Path) -> None:
    write(project, "pyproject.toml", '[tool.bnmatrix]\nframeworks = ["tf2", "tf1==1.15.5"]\n')
    assert find(project, TENSORFLOW) == []


def test_virtual_environments_and_other_folders_are_left_alone(project: Path) -> None:
    for folder in (".venv", "venv", "node_modules", "requirements/deeper"):
        write(project, f"{folder}/requirements.txt", "torch==2.13.0\n")
    assert find(project, TORCH) == []


UNREADABLE = {
    "binary": b"torch==2.13.0\n\0\1\2",
    "huge": b"torch==2.13.0\n" + b"#" * 9_000_000,
    "of one line": b"torch==2.13.0 " + b"x" * 5_000,
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_nobody_looks_at_has_no_line(project: Path, kind: str) -> None:
    write(project, "requirements.txt", UNREADABLE[kind])
    assert find(project, TORCH) == []


def test_what_cannot_be_read_is_no_reason_to_fail(project: Path) -> None:
    (project / "requirements.txt").mkdir()
    (project / "constraints.txt").symlink_to(project / "nowhere")
    os.mkfifo(project / "pyproject.toml")
    (project / "requirements").symlink_to(project)
    assert find(project, TORCH) == []
    assert find(project / "nowhere", TORCH) == []


def test_a_file_of_another_encoding_is_read_as_far_as_it_can_be(project: Path) -> None:
    write(project, "requirements.txt", "größe\r\ntorch==2.13.0\r\n".encode("latin-1"))
    write(project, "constraints.txt", "torch==2.13.0\r\n".encode("utf-16"))
    write(project, "dev-requirements.txt", "torch==2.13.0\n".encode("utf-8-sig"))
    assert sorted(place.line for place in find(project, TORCH)) == [1, 1, 2]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_file_makes_it_fail(project: Path, data: st.DataObject) -> None:
    signs = st.sampled_from([*"[]{}=\"'#;:,.-<>~^@/\\ \t\r\n\0é", "torch", "version", "name", "2.13.0", "=="])
    name = data.draw(st.sampled_from(list(FILES)))
    write(project, name, data.draw(st.binary() | st.lists(signs).map("".join)))
    versions = data.draw(st.sampled_from(["2.13.0", "2.13.0+cpu", "not a version", "", None]))
    for place in find(project, {"torch": ("2.1.0", versions)}):
        assert place.line >= 1
    (project / name).unlink()


def test_a_file_is_named_from_the_root_of_its_repository(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(project)
    assert in_repository(Path("bnmatrix.lock")) == "ml/bnmatrix.lock"
    assert in_repository(project / ".." / "bnmatrix.lock") == "bnmatrix.lock"


def test_without_a_repository_it_is_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert in_repository(tmp_path / "a" / "b.txt") == "a/b.txt"
    assert in_repository(Path("/elsewhere/b.txt")) == "/elsewhere/b.txt"

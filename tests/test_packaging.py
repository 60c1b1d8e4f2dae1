"""The wheel works in an empty environment, far from the checkout, and brings no framework along."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = {"jax", "keras", "tensorflow", "tf-keras", "tf_keras", "torch"}

pytestmark = pytest.mark.timeout(300)


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    result = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, ROOT, cwd=folder)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def empty_environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment that holds the wheel and what it requires."""
    folder = tmp_path_factory.mktemp("elsewhere") / "environment"
    run(sys.executable, "-m", "venv", folder, cwd=folder.parent)
    run(folder / "bin" / "python", "-m", "pip", "install", "--quiet", wheel, cwd=folder.parent)
    return folder / "bin"


def test_wheel_carries_scenarios_and_data_files(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    scenarios = {f"bnmatrix/scenarios/{file.name}" for file in (ROOT / "scenarios").glob("*.toml")}
    data = {
        str(file.relative_to(ROOT))
        for pattern in ("*.json", "*.toml", "*.py", "py.typed")
        for file in (ROOT / "bnmatrix").rglob(pattern)
    }
    assert scenarios
    assert scenarios | data <= names
    assert {name.split("/")[0] for name in names if ".dist-info" not in name} == {"bnmatrix"}


def test_wheel_requires_no_framework_unless_asked(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (path,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(path).decode())
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    always = {r.name for r in requirements if r.marker is None or r.marker.evaluate({"extra": ""})}
    assert always
    assert not always & FRAMEWORKS
    assert {"all", "tensorflow", "tf1", "torch"} <= set(metadata.get_all("Provides-Extra", []))


def test_program_works_in_an_empty_environment(empty_environment: Path, tmp_path: Path) -> None:
    text = (ROOT / "bnmatrix" / "__init__.py").read_text().split("__version__ = ")[1]
    version = ast.literal_eval(text.splitlines()[0])
    assert version in run(empty_environment / "bnmatrix", "--version", cwd=tmp_path)
    assert "core" in run(empty_environment / "bnmatrix", "list", "scenarios", cwd=tmp_path)


@pytest.mark.parametrize(
    "file", sorted((ROOT / "bnmatrix" / "probe").rglob("*.py")), ids=lambda file: file.stem
)
def test_probe_is_written_in_python_3_6(file: Path) -> None:
    tree = ast.parse(file.read_text(), feature_version=(3, 6))
    futures = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    assert not any(node.module == "__future__" for node in futures), "annotations came with Python 3.7"

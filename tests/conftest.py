"""What every test has: a home of its own for environments and known results, none of the user's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest_plugins = "pytester"

ACTIVE = ("VIRTUAL_ENV", "CONDA_PREFIX")


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """$BNMATRIX_HOME of all processes of the session, and the tests' own environment as the current one."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "bnmatrix-home"
    folder.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BNMATRIX_HOME", os.environ.get("BNMATRIX_TEST_HOME", str(folder)))
        for name in ACTIVE:
            patch.delenv(name, raising=False)
        yield folder

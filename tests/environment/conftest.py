"""An index and a folder of the test's own; uv with a cache of the test's own, looking nowhere else."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bnmatrix.environment import interpreters, uv
from bnmatrix.environment.interpreters import Interpreter
from tests.environment.local_index import Index, Place, forget


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path / "home")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Index]:
    """The only index there is."""
    here = Index()
    for name in ("UV_FIND_LINKS", "UV_INDEX", "UV_EXTRA_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(uv, "pip_settings", dict)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UV_DEFAULT_INDEX", here.start())
    forget()
    yield here
    here.stop()
    forget()


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> Interpreter:
    """The only interpreter there is."""
    found = interpreters.ask(sys.executable)
    assert found is not None
    monkeypatch.setattr(interpreters, "find", lambda root: [found])
    return found

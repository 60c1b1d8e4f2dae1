"""The pytest plugin: a fixture, and nothing else. It is imported at the start of every pytest run, so it
imports nothing that a run without it would not.
"""

from __future__ import annotations

from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def bnmatrix() -> ModuleType:
    """`bnmatrix.testing`: assert_frozen, assert_trains and assert_behaves_like."""
    import bnmatrix.testing

    return bnmatrix.testing

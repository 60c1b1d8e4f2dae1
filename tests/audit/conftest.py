"""What every audit in this process needs."""

from __future__ import annotations

import sys

import pytest

from tests.laboratory import adapter


@pytest.fixture(scope="module", autouse=True)
def tensorflow_as_all_tests_need_it() -> None:
    """Its threads are set before it is first used, or an adapter in this process cannot set them."""
    if "tensorflow" in sys.modules:
        adapter("tf2")

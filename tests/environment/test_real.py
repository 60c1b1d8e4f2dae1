"""A real release of long ago, from the real index."""

from __future__ import annotations

import subprocess

import pytest

from bnmatrix.environment import Wanted, interpreters, known, make, resolve
from tests.environment.local_index import Place

OLD = Wanted("tf1==1.15.5", ("tensorflow==1.15.5", "numpy"), ("tensorflow",))


@pytest.mark.versions
@pytest.mark.timeout(600)
def test_tensorflow_1_15_with_the_numpy_of_its_time(place: Place) -> None:
    found = {each.release for each in interpreters.find(place.root)}
    if not found & {(3, 6), (3, 7)}:
        pytest.skip("TensorFlow 1.15.5 needs Python 3.6 or 3.7, and none is here")
    lock = resolve(OLD, place.settings())
    assert lock.as_of == "2021-02-05"
    assert known(OLD, place.settings()) == lock
    assert lock.size > 100_000_000
    python = make(lock, place.settings())
    code = "import tensorflow, numpy; print(tensorflow.__version__, numpy.__version__)"
    said = subprocess.run(
        [python, "-I", "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["1.15.5", "1.18.5"]

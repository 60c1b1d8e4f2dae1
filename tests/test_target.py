"""Targets are written as pip users write requirements."""

from __future__ import annotations

import pytest

from bnmatrix.errors import UsageError
from bnmatrix.target import check_installed, parse

TEXTS = {
    "tf2": ("tf2", None, "", None),
    "tf2==2.15.1": ("tf2", None, "==2.15.1", None),
    "tf2>=2.10,<2.16": ("tf2", None, ">=2.10,<2.16", None),
    "keras": ("keras", "tensorflow", "", None),
    "keras[jax]==3.8.0": ("keras", "jax", "==3.8.0", None),
    "torch:cuda": ("torch", None, "", "cuda"),
    "torch:cuda:0": ("torch", None, "", "cuda:0"),
    "torch==1.12.1:cpu": ("torch", None, "==1.12.1", "cpu"),
}

MISTAKES = {
    "tf3": ("unknown framework 'tf3'", "did you mean 'tf"),
    "pytorch": ("unknown framework 'pytorch'", "did you mean 'torch'?"),
    "": ("unknown framework ''", "known: tf1"),
    "keras[theano]": ("keras[theano]: unknown backend 'theano'", "did you mean 'tensorflow'"),
    "torch[jax]": ("torch[jax]: torch has no backends", "only keras does"),
    "tf2==": ("tf2==: '==' is not a version specifier", "write for instance"),
    "torch:tpu": ("unknown device 'tpu'", "a device reads"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_target_is_framework_backend_versions_device(text: str) -> None:
    target = parse(text)
    assert (target.framework, target.backend, target.versions, target.device) == TEXTS[text]


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_a_target_says_what_to_write(text: str) -> None:
    message, hint = MISTAKES[text]
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")


def test_a_version_is_understood_and_not_here_yet() -> None:
    with pytest.raises(UsageError, match="not here yet") as caught:
        check_installed(parse("tf2==2.15.1"))
    assert (caught.value.hint or "").endswith(": tf2")


@pytest.mark.parametrize(
    ("text", "missing", "hint"),
    [
        ("torch", {"torch"}, "pip install torch    (or: pip install 'bnmatrix[torch]')"),
        ("tf1", {"tf_keras"}, "pip install tf_keras    (or: pip install 'bnmatrix[tf1]')"),
        ("keras[jax]", {"jax"}, "pip install jax"),
        ("keras[jax]", {"keras", "jax"}, "pip install keras jax"),
    ],
)
def test_a_target_that_is_not_installed_says_how_to_install_it(
    text: str, missing: set[str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in missing else name)
    with pytest.raises(UsageError, match="no module") as caught:
        check_installed(parse(text))
    assert caught.value.hint == hint

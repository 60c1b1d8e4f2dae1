"""Targets are written as pip users write requirements."""

from __future__ import annotations

import pytest

from bnmatrix.errors import UsageError
from bnmatrix.target import how_to_install, parse

TENSORFLOW = "tensorflow"

# text: framework, backend, pins, device
TEXTS = {
    "tf2": ("tf2", None, {}, None),
    "tf2==2.15.1": ("tf2", None, {TENSORFLOW: "==2.15.1"}, None),
    "tf1==1.12.*": ("tf1", None, {TENSORFLOW: "==1.12.*"}, None),
    "tf2>=2.10,<2.16": ("tf2", None, {TENSORFLOW: "<2.16,>=2.10"}, None),
    "tf2 >= 2.10, < 2.16": ("tf2", None, {TENSORFLOW: "<2.16,>=2.10"}, None),
    "tf1>=1.12": ("tf1", None, {TENSORFLOW: "<2,>=1.12"}, None),  # never the embedded one in silence
    "tf2<2.5": ("tf2", None, {TENSORFLOW: "<2.5,>=2"}, None),
    "tf1>=2.4": ("tf1", None, {TENSORFLOW: ">=2.4"}, None),
    "tf_keras==2.17.0": ("tf_keras", None, {"tf-keras": "==2.17.0"}, None),
    "keras": ("keras", "tensorflow", {}, None),
    "keras[jax]==3.8.0": ("keras", "jax", {"keras": "==3.8.0"}, None),
    "torch:cuda": ("torch", None, {}, "cuda"),
    "torch:cuda:0": ("torch", None, {}, "cuda:0"),
    "torch==1.12.1:cpu": ("torch", None, {"torch": "==1.12.1"}, "cpu"),
    "tf2==2.18.1 keras==3.5.0": ("tf2", None, {TENSORFLOW: "==2.18.1", "keras": "==3.5.0"}, None),
    "tf2==2.18.1,keras==3.5.0:cpu": ("tf2", None, {TENSORFLOW: "==2.18.1", "keras": "==3.5.0"}, "cpu"),
    "tf2>=2.10,<2.16,numpy<2": ("tf2", None, {TENSORFLOW: "<2.16,>=2.10", "numpy": "<2"}, None),
    "tf2,TensorFlow_CPU==2.15.1": ("tf2", None, {"tensorflow-cpu": "==2.15.1"}, None),
    "lasagne": ("lasagne", None, {}, None),
    "lasagne==0.1": ("lasagne", None, {"lasagne": "==0.1"}, None),
    "lasagne<0.2": ("lasagne", None, {"lasagne": "<0.2"}, None),
    "lasagne==0.1,theano==0.8.2,numpy<1.14": (
        "lasagne",
        None,
        {"lasagne": "==0.1", "theano": "==0.8.2", "numpy": "<1.14"},
        None,
    ),
    "tf2==2.22.0rc1": ("tf2", None, {TENSORFLOW: "==2.22.0rc1"}, None),
}

MISTAKES = {
    "tf3": ("unknown framework 'tf3'", "did you mean 'tf"),
    "pytorch": ("unknown framework 'pytorch'", "did you mean 'torch'?"),
    "": ("unknown framework ''", "known: tf1"),
    "keras[theano]": ("keras[theano]: unknown backend 'theano'", "did you mean 'tensorflow'"),
    "torch[jax]": ("torch[jax]: torch has no backends", "only keras does"),
    "tf2==": ("tf2==: '==' is not a version specifier", "write for instance"),
    "torch:tpu": ("unknown device 'tpu'", "a device reads"),
    "torch=1.4.0": ("torch=1.4.0: '=1.4.0' is not a version specifier", "torch==1.4.0"),
    "tensorflow==2.15.1": ("unknown framework 'tensorflow'", "write tf2==2.15.1"),
    "tf2==1.15.5": ("tf2==1.15.5: tf2 is tensorflow 2 or later", "write tf1==1.15.5"),
    "keras[jax]==2.2.4": ("keras[jax]==2.2.4: keras[jax] is keras 3 or later", "older ones are not examined"),
    "keras[]": ("'keras[]' is not a target", "a target reads"),
    "torch==1.0.0,": ("'torch==1.0.0,' is not a target", "a target reads"),
    "torch==" + "9" * 5000: ("a target of 5007 characters: torch==" + "9" * 33 + "...", "a target reads"),
    "keras==1.2.2": ("keras==1.2.2: keras is keras 2 or later", "older ones are not examined"),
    "tf2==2.15.1,==2.14": (
        "tf2==2.15.1,==2.14: nothing is tensorflow==2.14 and ==2.15.1 at once",
        "leave one of them out",
    ),
    "tf2==2.15.1,keras==three": (
        "tf2==2.15.1,keras==three: 'keras==three' is not a requirement",
        "write keras==3.5.0",
    ),
    "tf2,keras[jax]": ("tf2,keras[jax]: 'keras[jax]' is more than a package and its version", "write keras"),
}


@pytest.mark.parametrize("text", TEXTS)
def test_a_target_is_framework_backend_packages_device(text: str) -> None:
    target = parse(text)
    assert (target.framework, target.backend, dict(target.pins), target.device) == TEXTS[text]


@pytest.mark.parametrize(
    ("text", "requirements"),
    [
        ("tf2", ("tensorflow>=2", "numpy")),
        ("tf1", ("tensorflow>=2", "tf-keras", "numpy")),
        ("tf1==1.15.5", ("tensorflow==1.15.5", "numpy")),
        ("tf_keras==2.17.0", ("tf-keras==2.17.0", "tensorflow", "numpy")),
        ("keras[torch]==3.3.3", ("keras==3.3.3", "torch", "numpy")),
        ("keras[jax]==3.0.5", ("keras==3.0.5", "jax", "numpy", "jaxlib")),
        ("keras==2.1.3,numpy<1.17", ("keras==2.1.3", "tensorflow", "numpy<1.17")),
        ("tf2,tensorflow-cpu==2.15.1", ("tensorflow-cpu==2.15.1", "numpy")),
        ("tf2==2.18.1 keras==3.5.0", ("tensorflow==2.18.1", "numpy", "keras==3.5.0")),
        ("lasagne==0.1", ("lasagne==0.1", "theano", "numpy")),
    ],
)
def test_an_environment_of_its_own_holds_what_it_names_and_what_it_needs(
    text: str, requirements: tuple[str, ...]
) -> None:
    assert parse(text).requirements() == requirements


def test_what_was_given_a_version_is_named() -> None:
    assert parse("keras[jax]==3.8.0,jax,numpy<2").named == ("keras", "numpy")


def test_what_came_to_an_end_is_named_without_a_version_too() -> None:
    """So it is taken as of its newest release, not with what there is today."""
    assert parse("lasagne").named == ("lasagne",)
    assert parse("lasagne,theano==0.8.2").named == ("lasagne", "theano")
    assert parse("torch").named == parse("tf2").named == ()


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_in_a_target_says_what_to_write(text: str) -> None:
    message, hint = MISTAKES[text]
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.message == message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "missing", "command"),
    [
        ("torch", ["torch"], "pip install torch    (or: pip install 'bnmatrix[torch]')"),
        ("tf1", ["tf_keras"], "pip install tf_keras    (or: pip install 'bnmatrix[tf1]')"),
        ("keras[jax]", ["jax"], "pip install jax"),
        ("keras[jax]", ["keras", "jax"], "pip install keras jax"),
    ],
)
def test_how_to_install_what_is_missing(text: str, missing: list[str], command: str) -> None:
    assert how_to_install(parse(text), missing) == command

"""What a target is and how its text is parsed: a framework, maybe its version, a backend, a device.

    tf2    tf2==2.15.1    keras[jax]==3.8.0    torch:cuda    torch==1.12.1:cpu

`keras` means `keras[tensorflow]`. The device belongs to the target, never to a cell.
"""

from __future__ import annotations

import importlib.util
import re
from dataclasses import dataclass

from packaging.specifiers import InvalidSpecifier, SpecifierSet

from bnmatrix.axes import COMPILING
from bnmatrix.errors import UsageError, unknown

KERAS_EXECUTIONS = ("call", "graph", *COMPILING)


@dataclass(frozen=True)
class Family:
    """A framework that bnmatrix can speak to, whatever its version.

    packages:   what must be installed for it, as module names
    extra:      the extra of bnmatrix that brings them
    apis:       its values of the axis `api`; `default` is the first
    executions: its values of the axis `execution`
    variables:  environment variables its probe needs
    """

    name: str
    meaning: str
    packages: tuple[str, ...]
    extra: str
    apis: tuple[str, ...]
    executions: tuple[str, ...]
    variables: tuple[tuple[str, str], ...] = ()


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="tf1",
            meaning="tf.compat.v1 with tf_keras, in a session",
            packages=("tensorflow", "tf_keras"),
            extra="tf1",
            apis=("default", "keras", "contrib"),
            executions=("call", "call_without_updates", "call_over_collection", *COMPILING),
            variables=(("TF_USE_LEGACY_KERAS", "1"),),
        ),
        Family(
            name="tf2",
            meaning="tf.keras as TensorFlow brings it",
            packages=("tensorflow",),
            extra="tensorflow",
            apis=("default",),
            executions=KERAS_EXECUTIONS,
            variables=(("KERAS_BACKEND", "tensorflow"),),
        ),
        Family(
            name="tf_keras",
            meaning="Keras 2 beside TensorFlow, as the package tf_keras",
            packages=("tensorflow", "tf_keras"),
            extra="tf1",
            apis=("default",),
            executions=KERAS_EXECUTIONS,
            # As documented for it: parts of tf_keras reach for tf.keras, and must find themselves.
            variables=(("TF_USE_LEGACY_KERAS", "1"),),
        ),
        Family(
            name="keras",
            meaning="Keras 3 on a backend of its own: keras[tensorflow], keras[torch], keras[jax]",
            packages=("keras",),
            extra="tensorflow",
            apis=("default",),
            executions=KERAS_EXECUTIONS,
        ),
        Family(
            name="torch",
            meaning="torch.nn",
            packages=("torch",),
            extra="torch",
            apis=("default", "functional"),
            executions=("call", "inference_mode"),
        ),
    )
}

BACKENDS = ("tensorflow", "torch", "jax")

_TEXT = re.compile(
    r"(?P<framework>[A-Za-z0-9_.-]*?)(?:\[(?P<backend>[^\]]*)\])?(?P<versions>[=<>~!][^:]*)?(?::(?P<device>.*))?"
)
_DEVICE = re.compile(r"cpu|gpu|auto|cuda(:\d+)?")


@dataclass(frozen=True)
class Target:
    """A parsed target. `text` is what the user wrote; `versions` the specifiers, empty for the installed."""

    text: str
    framework: str
    backend: str | None
    versions: str
    device: str | None

    @property
    def family(self) -> Family:
        """The framework, whatever its version."""
        return FAMILIES[self.framework]

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that must be there."""
        return self.family.packages + ((self.backend,) if self.backend else ())


def parse(text: str) -> Target:
    """The target that `text` names; UsageError for an unknown framework, backend, version or device."""
    match = _TEXT.fullmatch(text.strip())
    if not match:
        raise UsageError(
            f"{text!r} is not a target", "a target reads: tf2, tf2==2.15.1, keras[jax], torch:cuda"
        )
    framework, backend, device = match["framework"], match["backend"], match["device"]
    if framework not in FAMILIES:
        raise unknown("framework", framework or text, list(FAMILIES))
    if framework == "keras":
        backend = backend or "tensorflow"
        if backend not in BACKENDS:
            raise unknown("backend", backend, BACKENDS, f"{text}: ")
    elif backend is not None:
        raise UsageError(f"{text}: {framework} has no backends", "only keras does: keras[torch], keras[jax]")
    versions = (match["versions"] or "").strip()
    try:
        SpecifierSet(versions)
    except InvalidSpecifier as error:
        raise UsageError(
            f"{text}: {versions!r} is not a version specifier", "write for instance tf2==2.15.1"
        ) from error
    return Target(
        text.strip(), framework, backend, versions, check_device(device) if device is not None else None
    )


def check_device(device: str) -> str:
    """`device`, if it is the name of one. Raises UsageError."""
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}", "a device reads: cpu, gpu, cuda:0 or auto")
    return device


def check_installed(target: Target) -> None:
    """Raise UsageError, saying how to install it, unless the current environment has what `target` needs."""
    if target.versions:
        raise UsageError(
            f"{target.text}: frameworks other than the installed ones are not here yet",
            f"leave the version out to examine the installed one: {target.text.replace(target.versions, '')}",
        )
    missing = [module for module in target.modules if importlib.util.find_spec(module) is None]
    if missing:
        raise UsageError(
            f"{target.text} is not installed here: no module {', '.join(missing)}",
            how_to_install(target, missing),
        )


def how_to_install(target: Target, missing: list[str]) -> str:
    """The command that brings the `missing` modules; the extra too, where it brings all of them."""
    command = f"pip install {' '.join(missing)}"
    if not set(missing) <= set(target.family.packages):
        return command
    return f"{command}    (or: pip install 'bnmatrix[{target.family.extra}]')"


def installed() -> list[Target]:
    """Every target that the current environment has, at its installed version.

    `keras[tensorflow]` is left out where `tf2` is the same Keras on the same backend.
    """
    candidates = [parse(name) for name in FAMILIES if name != "keras"]
    candidates += [parse(f"keras[{backend}]") for backend in BACKENDS if backend != "tensorflow"]
    return [
        target
        for target in candidates
        if all(importlib.util.find_spec(module) is not None for module in target.modules)
    ]

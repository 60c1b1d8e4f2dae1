"""What a target is and how its text is parsed, in the syntax of requirements.

    tf2                          the installed one
    tf1==1.15.5   tf1==1.12.*    a release; the newest of a range: tf2>=2.10,<2.16
    keras[jax]==3.8.0            `keras` means `keras[tensorflow]`
    tf2==2.18.1,keras==3.5.0     further packages follow, after a comma or a space, with a version if need be
    torch==1.12.1:cpu            the device comes last; it belongs to the target and never selects a build
    production                   a name of the user's own: see `named_targets.py`

The version is that of the package that the framework comes in: tensorflow, tf-keras, keras, torch, lasagne.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from bnmatrix.axes import AXES, COMPILING
from bnmatrix.errors import UsageError, unknown

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

Values = Mapping[str, tuple[str, ...]]
"""{axis: values}"""


def _without(axis: str, *values: str) -> tuple[str, ...]:
    return tuple(value for value in AXES[axis].values if value not in values)


_TORCH_CONTEXTS = ("converted", "converted_back", "functional_call", "data_parallel", "averaged")

_KERAS: Values = {
    "api": ("default",),
    "freeze": _without("freeze", "between_backward_and_step"),
    "freeze_on": _without("freeze_on", "first_variable"),
    "data_format": ("default", "channels_first"),
    "execution": ("call", "graph", "compiled", *COMPILING, "exported"),
    "compiler": ("eager",),
    "mode_set": ("before",),
    "optimizer": tuple(value for value in AXES["optimizer"].values if not value.endswith("_zeroed")),
    "context": _without("context", *_TORCH_CONTEXTS),
    "checkpoint": ("default",),
}
_TF1: Values = {
    **_KERAS,
    "api": ("default", "keras", "contrib"),
    "execution": ("call", "call_without_updates", "call_over_collection", *COMPILING),
    "context": _without("context", *_TORCH_CONTEXTS, "stateless", "checkpointed"),
}
_TF_LAYERS: Values = {
    "api": ("default", "contrib"),
    "execution": ("call", "call_without_updates", "call_over_collection"),
    "context": ("direct", "shared"),
    "outer": ("functional",),
    "depth": ("1",),
    "saved_as": ("default",),
    "mask": ("none",),
}
"""There are no models of them."""

_TORCH: Values = {
    "api": ("default", "functional"),
    "freeze": _without("freeze", "constructor", "before_compile"),
    "freeze_on": ("layer", "parent", "variables"),
    "data_format": ("default", "channels_last"),
    "execution": (
        "call", "graph", "traced", "compiled", "exported", "no_grad", "inference_mode",
    ),
    "context": (
        "direct", "model", "pinned_false", "pinned_true", "frozen_parent", "thawed_parent", "shared",
        "reloaded", "cloned", "checkpointed", *_TORCH_CONTEXTS,
    ),
    "outer": ("functional",),
    "saved_as": ("default", "weights"),
}  # fmt: skip

_LASAGNE: Values = {
    "api": ("default",),
    "freeze": ("before_build", "after_compile", "after_first_step", "recompiled"),
    "freeze_on": _without("freeze_on", "parent"),
    "dtype": ("float32", "float64", "float16"),
    "data_format": ("default",),
    "mask": ("none",),
    "execution": ("call",),
    "compiler": ("eager",),
    "exported_as": ("default",),
    "mode_set": ("before",),
    "optimizer": ("none", "sgd", "momentum", "adam", "rmsprop"),
    "context": ("direct", "model"),
    "outer": ("functional",),
    "depth": ("1",),
    "saved_as": ("default",),
    "checkpoint": ("default",),
}


@dataclass(frozen=True)
class Family:
    """A framework that bnmatrix can speak to, whatever its version.

    package:    the distribution whose version is that of the framework
    from_:      the oldest version of it that the name means
    packages:   what must be installed for it, as module names
    extra:      the extra of bnmatrix that brings them; none where no Python of today can have them
    values:     its values of the axes of which it does not have all; the default is the first
    parts:      values that go together, where not all do: each a narrower choice of `values`
    variables:  environment variables its probe needs
    ended:      there will be no release that today's packages fit: also without a version the newest is taken
                with what there was in its time
    """

    name: str
    meaning: str
    package: str
    from_: str
    packages: tuple[str, ...]
    extra: str | None
    values: Values
    parts: tuple[Values, ...] = (MappingProxyType({}),)
    variables: tuple[tuple[str, str], ...] = ()
    ended: bool = False


FAMILIES = {
    family.name: family
    for family in (
        Family(
            name="tf1",
            meaning="TensorFlow 1: the real one at its versions, else tf.compat.v1 with tf_keras",
            package="tensorflow",
            from_="1",
            packages=("tensorflow", "tf_keras"),
            extra="tf1",
            values=_TF1,
            parts=(_TF_LAYERS, {"api": ("keras",)}),
            variables=(("TF_USE_LEGACY_KERAS", "1"),),
        ),
        Family(
            name="tf2",
            meaning="tf.keras as TensorFlow brings it",
            package="tensorflow",
            from_="2",
            packages=("tensorflow",),
            extra="tensorflow",
            values=_KERAS,
            variables=(("KERAS_BACKEND", "tensorflow"),),
        ),
        Family(
            name="tf_keras",
            meaning="Keras 2 beside TensorFlow, as the package tf_keras",
            package="tf-keras",
            from_="2",
            packages=("tensorflow", "tf_keras"),
            extra="tf1",
            values=_KERAS,
            # As documented for it: parts of tf_keras reach for tf.keras, and must find themselves.
            variables=(("TF_USE_LEGACY_KERAS", "1"),),
        ),
        Family(
            name="keras",
            meaning="the package keras: Keras 3 on a backend of its own, older ones on TensorFlow",
            package="keras",
            from_="2",
            packages=("keras",),
            extra="tensorflow",
            values=_KERAS,
        ),
        Family(
            name="torch",
            meaning="torch.nn",
            package="torch",
            from_="1",
            packages=("torch",),
            extra="torch",
            values=_TORCH,
        ),
        Family(
            name="lasagne",
            meaning="Lasagne on Theano, both of their time",
            package="lasagne",
            from_="0",
            packages=("lasagne", "theano"),
            extra=None,
            values=_LASAGNE,
            ended=True,
        ),
    )
}

BACKENDS = ("tensorflow", "torch", "jax")

CHOSEN_BACKENDS, CHOSEN_FROM = ("torch", "jax"), "3"
"""Backends that Keras has from that version on."""

TWINS = {
    "tensorflow": ("tensorflow-cpu", "tensorflow-gpu", "tensorflow-intel", "tf-nightly", "tf-nightly-cpu"),
    "keras": ("keras-nightly",),
    "tf-keras": ("tf-keras-nightly",),
}
"""Distributions that hold the same modules under another name."""


def version_of(package: str, versions: Mapping[str, str]) -> str | None:
    """The version of a distribution, or of its twin, among those that are there; None where there is none."""
    return next((versions[each] for each in (package, *TWINS.get(package, ())) if each in versions), None)


_UNTWINNED = {twin: name for name, twins in TWINS.items() for twin in twins}

_FIRST = re.compile(
    r"(?P<framework>[A-Za-z0-9_.-]*?)(?:\[(?P<backend>[^\]]*)\])?(?P<versions>[=<>~!@].*)?", re.DOTALL
)
_DEVICE = re.compile(r"cpu|gpu|auto|cuda(:\d+)?")
LONGEST = 300
"""Characters of a target."""

_EXAMPLES = "a target reads: tf2, tf2==2.15.1, keras[jax], torch:cuda"


@dataclass(frozen=True)
class Target:
    """A parsed target.

    text:      what the user wrote
    pins:      (distribution, specifiers) of the packages that were named, the framework's own first if it was
    python:    the interpreter that a named target asks for: a path or a version
    variables: environment variables that a named target sets
    """

    text: str
    framework: str
    backend: str | None = None
    device: str | None = None
    pins: tuple[tuple[str, str], ...] = ()
    python: str | None = None
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def family(self) -> Family:
        """The framework, whatever its version."""
        return FAMILIES[self.framework]

    @property
    def modules(self) -> tuple[str, ...]:
        """The modules that must be there."""
        return self.family.packages + ((self.backend,) if self.backend else ())

    @property
    def named(self) -> tuple[str, ...]:
        """The distributions that were given a version: what others demand of them does not count."""
        own = (self.family.package,) if self.family.ended else ()
        return tuple(dict.fromkeys((*own, *(name for name, versions in self.pins if versions))))

    def requirements(self) -> tuple[str, ...]:
        """What an environment of its own must hold, as requirements; the framework's own package first."""
        pinned = {_UNTWINNED.get(name, name): name + versions for name, versions in self.pins}
        if not pinned and self.family.package == "tensorflow":
            pinned = {"tensorflow": "tensorflow>=2"}  # whatever old one may lie about
        wanted = [self.family.package, *map(canonical, self.modules), "numpy", *pinned]
        if self.backend == "jax":
            wanted.append("jaxlib")  # some releases of jax do not ask for it and need it all the same
        if self.framework == "tf1" and self.pins:
            # Many a release of TensorFlow brings its Keras itself; where it does not, that shows at import.
            wanted = [name for name in wanted if name != "tf-keras" or name in pinned]
        return tuple({name: pinned.get(name, name) for name in wanted}.values())

    def probe_variables(self) -> tuple[tuple[str, str], ...]:
        """The environment variables of its probe, the user's last."""
        backend = {"KERAS_BACKEND": self.backend} if self.backend else {}
        return tuple({**dict(self.family.variables), **backend, **dict(self.variables)}.items())


def parse(text: str) -> Target:
    """The target that `text` names; UsageError for an unknown framework, backend, version or device."""
    written = " ".join(text.split())
    if len(written) > LONGEST:
        raise UsageError(f"a target of {len(written)} characters: {written[:40]}...", _EXAMPLES)
    if "[]" in written or written.endswith(","):
        raise UsageError(f"{text!r} is not a target", _EXAMPLES)
    tight = re.sub(r"\s*(===|==|!=|<=|>=|~=|<|>|,)\s*", r"\1", written)
    # A further package begins with a letter, a further specifier with an operator.
    named, colon, device = tight.partition(":")
    first, *others = re.split(r"[ ,](?=[A-Za-z])", named)
    match = _FIRST.fullmatch(first)
    if not match:
        raise UsageError(f"{text!r} is not a target", _EXAMPLES)
    framework, backend, versions = match["framework"], match["backend"], match["versions"] or ""
    if framework in ("tf", "tensorflow"):
        raise UsageError(f"unknown framework {framework!r}", f"write tf2{versions}, or tf1 for TensorFlow 1")
    if framework in FAMILIES:
        target = _of_family(written, framework, backend, versions)
    else:
        target = _of_name(text, framework, backend, versions)
    if colon:
        target = replace(target, device=check_device(device))
    pins = (*target.pins, *(_pin(written, other) for other in others))
    return replace(target, text=written, pins=_merged(written, pins))


def _of_family(text: str, framework: str, backend: str | None, versions: str) -> Target:
    if framework == "keras":
        backend = backend or "tensorflow"
        if backend not in BACKENDS:
            raise unknown("backend", backend, BACKENDS, f"{text}: ")
    elif backend is not None:
        raise UsageError(f"{text}: {framework} has no backends", "only keras does: keras[torch], keras[jax]")
    family = FAMILIES[framework]
    pins: tuple[tuple[str, str], ...] = ()
    if versions:
        specifiers = _within(family, backend, text, _specifiers(text, versions, framework))
        pins = ((family.package, str(specifiers)),)
    return Target(text, framework, backend, pins=pins)


def _within(family: Family, backend: str | None, text: str, specifiers: SpecifierSet) -> SpecifierSet:
    """`specifiers`, less the versions that the family's name does not mean. Raises UsageError."""
    oldest, name = family.from_, family.name
    if backend in CHOSEN_BACKENDS:
        oldest, name = CHOSEN_FROM, f"{name}[{backend}]"
    exact = [each.version for each in specifiers if each.operator.startswith("==")]
    for version in exact:
        if version[:1].isdigit() and _major(version) < int(oldest):
            raise UsageError(
                f"{text}: {name} is {family.package} {oldest} or later",
                f"write tf1=={version}" if name == "tf2" else "older ones are not examined",
            )
    if family.name == "tf1" and not exact and not any(_major(each.version) > 1 for each in specifiers):
        specifiers &= "<2"  # a range means real releases; the embedded tf1 of a later one must be named
    has_lower = exact or any(each.operator in (">", ">=", "~=") for each in specifiers)
    return specifiers if has_lower or int(oldest) < 2 else specifiers & f">={oldest}"


def _of_name(text: str, name: str, backend: str | None, versions: str) -> Target:
    """A target of the user's own name."""
    from bnmatrix.named_targets import find

    found = find(name)
    if found is None:
        from bnmatrix.named_targets import names

        raise unknown("framework", name or text, [*FAMILIES, *names()])
    entry, file = found
    if backend or versions:
        raise UsageError(f"{text}: {name} has its version in {file}", f"write it as it is: {name}")
    if find(re.split(r"[^\w-]", entry.target, maxsplit=1)[0]):
        raise UsageError(f"{file}: the target of {name} is a name itself", _EXAMPLES)
    target = parse(entry.target)
    pins = (*target.pins, *(_pin(f"{file}: {name}", package) for package in entry.packages))
    return replace(target, pins=pins, python=entry.python, variables=tuple(entry.variables.items()))


def _pin(text: str, requirement: str) -> tuple[str, str]:
    """(distribution, specifiers) of a further package."""
    from packaging.requirements import InvalidRequirement, Requirement

    try:
        found = Requirement(requirement)
    except InvalidRequirement as error:
        raise UsageError(f"{text}: {requirement!r} is not a requirement", "write keras==3.5.0") from error
    if found.url or found.marker or found.extras:
        raise UsageError(
            f"{text}: {requirement!r} is more than a package and its version", "write keras==3.5.0"
        )
    return canonical(found.name), str(found.specifier)


def _merged(text: str, pins: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """One pin a package. Raises UsageError where an exact version is outside of what else is asked of it."""
    together: dict[str, str] = {}
    for name, versions in pins:
        together[name] = ",".join(filter(None, (together.get(name), versions)))
    for name, versions in together.items():
        specifiers = _specifiers(text, versions, name)
        for each in specifiers:
            exact = each.operator in ("==", "===") and not each.version.endswith(".*")
            if exact and not specifiers.contains(each.version, prereleases=True):
                raise UsageError(
                    f"{text}: nothing is {name}{versions.replace(',', ' and ')} at once",
                    "leave one of them out",
                )
    return tuple(together.items())


def _specifiers(text: str, versions: str, example: str) -> SpecifierSet:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(versions)
    except InvalidSpecifier as error:
        raise UsageError(
            f"{text}: {versions!r} is not a version specifier",
            f"write for instance {example}=={versions.strip('=<>~! ') or '2.15.1'}",
        ) from error


def _major(version: str) -> int:
    return int(re.match(r"(\d*)", version)[1] or 0)  # type: ignore[index]


def canonical(name: str) -> str:
    """The normalised name of a distribution."""
    return re.sub(r"[-_.]+", "-", name).lower()


def check_device(device: str) -> str:
    """`device`, if it is the name of one. Raises UsageError."""
    if not _DEVICE.fullmatch(device):
        raise UsageError(f"unknown device {device!r}", "a device reads: cpu, gpu, cuda:0 or auto")
    return device


def how_to_install(target: Target, missing: list[str]) -> str:
    """The command that brings the `missing` modules; the extra too, where it brings all of them."""
    command = f"pip install {' '.join(missing)}"
    if not target.family.extra or not set(missing) <= set(target.family.packages):
        return command
    return f"{command}    (or: pip install 'bnmatrix[{target.family.extra}]')"


def candidates() -> list[Target]:
    """Every target without a version. `keras[tensorflow]` is left out where `tf2` is the same Keras."""
    found = [parse(name) for name in FAMILIES if name != "keras"]
    return found + [parse(f"keras[{backend}]") for backend in BACKENDS if backend != "tensorflow"]

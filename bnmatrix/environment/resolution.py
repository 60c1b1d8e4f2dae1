"""From what is wanted to a lock: which interpreter, as of when, and which packages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from bnmatrix.environment import index, lock, uv
from bnmatrix.environment.errors import (
    ContradictoryPins,
    EnvironmentFailure,
    NoInterpreter,
    NotHere,
    NoUploadTimes,
    NoWheel,
    Unreachable,
    UvFailed,
    VersionNotFound,
)
from bnmatrix.environment.kept import Wanted, is_exact, is_python, known, name_of, path_of
from bnmatrix.environment.lock import Lock
from bnmatrix.environment.places import Settings, writing
from bnmatrix.errors import BnmatrixError

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from packaging.requirements import Requirement

    from bnmatrix.environment.index import Candidate
    from bnmatrix.environment.interpreters import Interpreter

GRACE = timedelta(days=30)
"""After the upload of a release: what it needs often follows."""

BUILD_REQUIREMENTS = ("setuptools", "wheel")
"""Those of our day build what is old; those of its day do not know what is asked of them now."""

GPU_PACKAGE = re.compile(r"(nvidia|cuda|rocm|triton|pytorch-triton)\b")

PROBING = {"UV_HTTP_RETRIES": "0", "UV_HTTP_CONNECT_TIMEOUT": "3", "UV_HTTP_TIMEOUT": "10"}
"""For an index that may be out of reach."""

FORGET = 3600.0
"""Seconds until PyTorch's own index is tried again."""


def resolve(wanted: Wanted, settings: Settings) -> Lock:
    """The lock for it: the one kept from before where versions are fixed, else what the index has now."""
    kept = known(wanted, settings)
    if kept is not None:
        return kept
    if settings.offline:
        raise NotHere(f"{wanted.label} is not here, and --offline fetches nothing", "try without --offline")
    return _Resolution(wanted, settings).lock()


def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(8)


@dataclass
class _Resolution:
    """One question to the index."""

    wanted: Wanted
    settings: Settings
    extra: tuple[str, ...] = ()
    pool: ThreadPoolExecutor = field(default_factory=_pool)

    def lock(self) -> Lock:
        try:
            return self._lock()
        except KeyboardInterrupt:
            self.pool.shutdown(wait=False, cancel_futures=True)
            uv.stop()
            raise
        finally:
            self.pool.shutdown(wait=False, cancel_futures=True)

    def _lock(self) -> Lock:
        looking = self.pool.submit(self._interpreters)
        self.pool.submit(uv.default_index)  # needed in the end
        requirements = {each.name: each for each in self.wanted.parsed()}
        pinned = {name: requirements[name] for name in self.wanted.named if name in requirements}
        cpu_builds = self.pool.submit(self._cpu_builds, requirements.get("torch"))
        listed = dict(zip(pinned, index.together(self._listing, pinned.values()), strict=True))
        interpreters = looking.result()
        builds = cpu_builds.result()

        suited = _suited(interpreters, list(listed.values()))
        if not suited:
            raise self._none_fits(interpreters, listed)
        chosen = _chosen(suited[0], list(listed.values()))
        exact = {each.name: each for each in chosen}
        if any(not is_exact(str(pinned[name].specifier)) for name in pinned):
            return self._resolve_exactly(exact)
        before = self._time(suited[0], chosen)
        others = [each for name, each in requirements.items() if name not in pinned and name != "torch"]
        if all(_is_pure(each) for each in chosen):
            suited, before = self._suited_for(others, before, suited)
        return self._compiled(requirements, suited, before, builds)

    # Interpreters

    def _interpreters(self) -> list[Interpreter]:
        from bnmatrix.environment import interpreters

        chosen = self.wanted.python
        if chosen is None:
            return interpreters.find(self.settings.root)
        if re.fullmatch(r"\d+(\.\d+){0,2}", chosen):
            found = [
                each for each in interpreters.find(self.settings.root) if is_python(each.version, chosen)
            ]
            if not found:
                raise NoInterpreter(
                    f"{self.wanted.label}: no Python {chosen} was found", how_to_install(chosen)
                )
            return found
        answer = interpreters.answer_of(chosen, self.settings.root)  # raises with the reason if there is none
        one = interpreters.ask(chosen, self.settings.root) or interpreters.ask(
            answer.executable, self.settings.root
        )
        return [one] if one is not None else []

    def _none_fits(
        self, interpreters: Sequence[Interpreter], listed: Mapping[str, list[Candidate]]
    ) -> BnmatrixError:
        """Why none fits: the pins exclude each other, the platform has no wheel, or a Python is missing."""
        platform = interpreters[0].platform if interpreters else None
        wheels = {
            name: set().union(*(each.pythons(platform) for each in found))
            for name, found in listed.items()
            if any(each.wheels for each in found)
        }
        for name, pythons in wheels.items():
            if not pythons:
                systems = sorted(_systems(listed[name]))
                return NoWheel(
                    f"{self._pin(name)} has no wheel for {platform}; it has some for {', '.join(systems)}",
                    "choose another release, or run it on such a machine",
                )
        for name, pythons in wheels.items():
            for other, others in wheels.items():
                if not pythons & others:
                    return ContradictoryPins(
                        f"{self._pin(name)} and {self._pin(other)} exclude each other: the one is for Python "
                        f"{_span(pythons)}, the other for {_span(others)}",
                        "choose versions of the same time",
                    )
        needed = set.intersection(*wheels.values()) if wheels else set()
        unfit = next((each for each in interpreters if each.release in needed), None)
        if unfit is not None:
            return NoWheel(
                f"{' and '.join(map(self._pin, wheels))}: no wheel fits {unfit.implementation} "
                f"{unfit.version} on {unfit.platform} ({unfit.libc})",
                "choose another release, or run it on another system",
            )
        here = ", ".join(dict.fromkeys(_minor(each.release) for each in interpreters)) or "none"
        named = next((name for name in wheels if wheels[name] == needed), next(iter(listed)))
        if self.wanted.python:
            here = f"{here} (as was asked)"
        return NoInterpreter(
            f"{self._pin(named)} has wheels for Python {_span(needed)} ({platform}); found here: {here}",
            self._remedy(needed),
        )

    def _remedy(self, needed: set[tuple[int, int]]) -> str | None:
        if self.wanted.python:
            return "leave the choice of the interpreter out, or choose one of those"
        return how_to_install(_minor(max(needed))) if needed and max(needed)[1] < 39 else None

    def _pin(self, name: str) -> str:
        return next(each for each in self.wanted.requirements if name_of(each) == name)

    # The index

    def _listing(self, requirement: Requirement) -> list[Candidate]:
        """What the index has of a package that was given a version; first what has an upload time."""
        text = str(requirement)
        try:
            return index.timed(text, self.settings)
        except (UvFailed, VersionNotFound, ContradictoryPins, NoUploadTimes):
            pass
        try:
            return index.candidates(text, self.settings, before=None)
        except VersionNotFound as error:
            raise index.not_found(requirement.name, str(requirement.specifier), self.settings) from error

    def _time(self, interpreter: Interpreter, chosen: Sequence[Candidate]) -> datetime | None:
        """The time to travel to, or None to stay."""
        times: list[datetime] = []
        for candidate in chosen:
            fitting = [wheel.uploaded for wheel in candidate.fitting(interpreter)] or [candidate.uploaded]
            known = [time for time in fitting if time is not None]
            if not known and any(wheel.local for wheel in candidate.wheels):
                return None  # the user's own file, of any time
            if not known:
                raise index.without_times(f"{candidate.name}=={candidate.version}")
            times.append(min(known))
        return max(times) + GRACE if times else None

    def _resolve_exactly(self, chosen: Mapping[str, Candidate]) -> Lock:
        """The newest of a range was found: the rest is as if the user had written it."""
        requirements = tuple(
            f"{name_of(each)}=={chosen[name_of(each)].version}" if name_of(each) in chosen else each
            for each in self.wanted.requirements
        )
        return resolve(replace(self.wanted, requirements=requirements), self.settings)

    def _suited_for(
        self, others: Sequence[Requirement], before: datetime | None, interpreters: list[Interpreter]
    ) -> tuple[list[Interpreter], datetime | None]:
        """The interpreters that the unpinned rest has wheels for, and the time to travel to: a pure package
        tells nothing of them.

        A release may be older than all of them: then only sources are there of what has wheels by now. The
        interpreter that was served first is the nearest to it, and the time is that from which on it was.
        """

        def wheels(requirement: Requirement) -> list[Candidate]:
            try:
                return index.candidates(str(requirement), self.settings, before=_stamp(before))
            except EnvironmentFailure:
                return []

        listings = [found for found in index.together(wheels, others) if found]
        suited = _suited(interpreters, listings)
        wheeled = all(any(each.wheels for each in found) for found in listings)
        if before is None or (suited and wheeled):
            return suited or interpreters, before

        def served(interpreter: Interpreter) -> datetime | None:
            """Since when there is a wheel for it of each of the others that has any."""
            firsts = [index.first_wheel(each, interpreter, self.settings) for each in others]
            return max((time for time in firsts if time is not None), default=None)

        since = list(zip(interpreters, index.together(served, interpreters), strict=True))
        ready = [each for each, time in since if each in suited and (time is None or time <= before)]
        later = [(time, each) for each, time in since if time is not None]
        if ready or not later:
            return ready or suited or interpreters, before
        time, nearest = min(later, key=lambda pair: pair[0])
        return [nearest], max(before, time + GRACE)

    # torch

    def _cpu_builds(self, requirement: Requirement | None) -> list[Candidate]:
        """The builds of torch for the CPU in the sources that are configured."""
        if requirement is None or not self.wanted.cpu or "+" in str(requirement.specifier):
            return []
        variables = uv.environment()
        sources: list[tuple[tuple[str, ...], dict[str, str]]] = []
        if variables.get("UV_FIND_LINKS"):
            sources.append((("--no-index",), {}))
        for name in index.EXTRA:
            for place in variables.get(name, "").split():
                url = place.split("=", 1)[1] if re.match(r"[\w-]+=", place) else place
                none = dict.fromkeys((*index.EXTRA, "UV_FIND_LINKS"), "")
                sources.append(((), {**none, "UV_DEFAULT_INDEX": url}))

        def look(source: tuple[tuple[str, ...], dict[str, str]]) -> list[Candidate]:
            options, changed = source
            try:
                found = index.candidates(
                    str(requirement), self.settings, *options, variables=changed, before=None
                )
            except BnmatrixError:
                return []
            return [each for each in found if each.version.endswith("+cpu")]

        builds = [each for found in index.together(look, sources) for each in found]
        return sorted(builds, key=lambda each: index.version_of(each.version), reverse=True)

    # The resolution itself

    def _compiled(
        self,
        requirements: Mapping[str, Requirement],
        suited: list[Interpreter],
        before: datetime | None,
        builds: list[Candidate],
    ) -> Lock:
        failures: list[BnmatrixError] = []
        torch = requirements.get("torch")
        attempts = [(each, build) for build in builds for each in suited if build.is_for(each)][:1]
        for interpreter, build in [*attempts, *((each, None) for each in suited)]:
            try:
                return self._on(interpreter, build, torch, before)
            except (UvFailed, VersionNotFound, ContradictoryPins, NoUploadTimes, _Unsuited) as error:  # noqa: PERF203
                failures.append(error)
        real = [each for each in failures if not isinstance(each, _Unsuited)]
        raise (real or failures)[0]

    def _on(
        self,
        interpreter: Interpreter,
        build: Candidate | None,
        torch: Requirement | None,
        before: datetime | None,
    ) -> Lock:
        """The lock on this interpreter."""
        texts = {name_of(each): each for each in self.wanted.requirements}
        exempt = [*BUILD_REQUIREMENTS, *self.wanted.named]
        overrides = [texts[name] for name in self.wanted.named if name in texts]
        if build is not None:
            texts["torch"] = f"torch=={build.version}"
            overrides = [each for each in overrides if name_of(each) != "torch"] + [texts["torch"]]
        if torch is not None and "torch" not in self.wanted.named:
            if len(texts) > 2:
                texts.setdefault("packaging", "packaging")  # Keras imports it there, and nothing requires it
            if before is not None:
                alone = self.compiled(interpreter, [texts["torch"]], [], None, ())
                exempt += [each["name"] for each in lock.parse(alone)]
        wanted = [*texts.values(), *self.extra]
        plain = self.pool.submit(self.compiled, interpreter, wanted, overrides, before, tuple(exempt))
        pylock = None
        elsewhere = torch is not None and build is None and self.wanted.cpu
        if elsewhere and interpreter.platform.startswith("linux"):
            pylock = self._from_pytorch(interpreter, wanted, overrides, before, tuple(exempt))
        if pylock is None:
            pylock = plain.result()
        packages = lock.parse(pylock)
        self._check_sources(packages, interpreter, before)
        return self._written(pylock, packages, interpreter, before)

    def compiled(
        self,
        interpreter: Interpreter,
        requirements: Sequence[str],
        overrides: Sequence[str],
        before: datetime | None,
        exempt: Sequence[str],
        *options: str,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        """uv's own lock."""

        def waiting(seconds: float) -> None:
            self.settings.tell(f"{self.wanted.label}: resolving, {seconds:.0f} s")

        import tempfile

        with tempfile.TemporaryDirectory(prefix="bnmatrix-") as folder:
            arguments = ["--python", interpreter.path, *options]
            if overrides:
                file = Path(folder, "overrides.txt")
                file.write_text("\n".join(overrides) + "\n", encoding="utf-8")
                arguments += ["--overrides", str(file)]
            if before is not None:
                arguments += index.travel(_stamp(before))
                for name in dict.fromkeys(exempt):
                    arguments += ["--exclude-newer-package", f"{name}=false"]
            result = uv.run(
                *("pip", "compile", "-", "--format", "pylock.toml", "--quiet", "--no-header", *arguments),
                stdin="\n".join(requirements),
                offline=self.settings.offline,
                variables=variables,
                waiting=waiting,
            )
        if result.status:
            raise index.failure(result, self.wanted.label, self.settings)
        return result.output

    def _from_pytorch(
        self,
        interpreter: Interpreter,
        wanted: Sequence[str],
        overrides: Sequence[str],
        before: datetime | None,
        exempt: tuple[str, ...],
    ) -> str | None:
        """uv's lock with the CPU build of PyTorch's own index, whose address uv knows, if it has one."""
        import time

        note = self.settings.root / "pytorch-index-out-of-reach"
        try:
            if time.time() - note.stat().st_mtime < FORGET:
                return None
        except OSError:
            pass
        if uv.no_index():
            return None
        try:
            return self.compiled(
                interpreter,
                wanted,
                overrides,
                before,
                (*exempt, "torch"),
                "--torch-backend",
                "cpu",
                variables=PROBING,
            )
        except EnvironmentFailure as error:
            if isinstance(error, Unreachable):
                with writing(note):
                    note.parent.mkdir(parents=True, exist_ok=True)
                    note.touch()
            return None

    def _check_sources(
        self, packages: Sequence[Mapping[str, Any]], interpreter: Interpreter, before: datetime | None
    ) -> None:
        """Raise _Unsuited where a package must be built here that has wheels for other Pythons."""

        def unsuited(package: Mapping[str, Any]) -> str | None:
            pin = f"{package['name']}=={package['version']}"
            try:
                found = index.candidates(pin, self.settings, before=None, asked=True)
            except BnmatrixError:
                return None
            pythons = set().union(*(each.pythons(interpreter.platform) for each in found))
            return pin if pythons else None

        sources = [each for each in packages if not each.get("wheels") and each.get("sdist")]
        for pin in index.together(unsuited, sources):
            if pin is not None:
                raise _Unsuited(
                    f"{self.wanted.label}: {pin} has no wheel for Python {interpreter.version}",
                    "another Python may have one",
                )

    def _written(
        self,
        pylock: str,
        packages: list[dict[str, Any]],
        interpreter: Interpreter,
        before: datetime | None,
    ) -> Lock:
        made = Lock(
            label=self.wanted.label,
            requirements=self.wanted.requirements,
            named=self.wanted.named,
            python=interpreter.version,
            interpreter=interpreter.path,
            as_of=f"{before:%Y-%m-%d}" if before else None,
            **_contents(packages, interpreter),
        )
        return lock.dump(made, _indexed(pylock), path_of(self.wanted, self.settings))


def _contents(packages: list[dict[str, Any]], interpreter: Interpreter) -> dict[str, Any]:
    """What a Lock says of its packages."""
    from bnmatrix.environment.sizes import sizes

    machine = (interpreter.implementation, interpreter.version, interpreter.abi, interpreter.platform)
    return {
        "packages": {each["name"]: str(each.get("version", "")) for each in packages},
        "sizes": sizes(packages, interpreter.tags),
        "key": lock.key_of(packages, machine),
    }


def _indexed(pylock: str) -> str:
    url = uv.default_index()
    return lock.with_index(pylock, url) if url else pylock


_DISTRIBUTIONS = {
    "PIL": "pillow",
    "distutils": "setuptools<70",
    "pkg_resources": "setuptools<70",
    "yaml": "pyyaml",
}
"""Modules that are not named as what brings them."""


def repair(old: Lock, module: str, settings: Settings) -> Lock:
    """The lock with what brings a module that was missing at import, as of the same time. Once per module."""
    import tempfile

    from bnmatrix.environment import interpreters

    path = Path(old.path)
    current = lock.load(path)
    if current is not None and current.key != old.key and module in current.modules:
        return msgspec.structs.replace(current, label=old.label)  # another process was faster
    what = module.partition(".")[0]
    requirement = _DISTRIBUTIONS.get(what, what)
    if module in old.modules:
        raise EnvironmentFailure(
            f"{old.label}: the module {module} is missing, though {requirement} was added for it",
            "name the package that brings it beside the target",
        )
    interpreter = interpreters.ask(old.interpreter, settings.root)
    if interpreter is None:
        raise EnvironmentFailure(f"{old.label}: {old.interpreter} is gone", "run it again")
    settings.tell(f"{old.label}: the module {what} is missing; adding {requirement}")
    wanted = Wanted(f"{requirement} for {old.label}", (requirement,), ())
    before = datetime.fromisoformat(f"{old.as_of}T23:59:59+00:00") if old.as_of else None
    with tempfile.TemporaryDirectory(prefix="bnmatrix-") as folder:
        file = Path(folder, "excludes.txt")  # what is there stays as it is
        others = (name for name in old.packages if name != name_of(requirement))
        file.write_text("\n".join(others), encoding="utf-8")
        added = _Resolution(wanted, settings).compiled(
            interpreter, [requirement], [], before, BUILD_REQUIREMENTS, "--excludes", str(file)
        )
    pylock = lock.merged(lock.text_of(path), _indexed(added))
    contents = _contents(lock.parse(pylock), interpreter)
    if contents["key"] == old.key:
        raise EnvironmentFailure(
            f"{old.label}: the module {module} is missing, though {requirement} is there",
            "name the package that brings it beside the target",
        )
    return lock.dump(msgspec.structs.replace(old, modules=(*old.modules, module), **contents), pylock, path)


class _Unsuited(EnvironmentFailure):
    """Another interpreter may do."""


def _stamp(time: datetime | None) -> str:
    return index.EVER if time is None else f"{time:%Y-%m-%dT%H:%M:%SZ}"


def _suited(
    interpreters: Sequence[Interpreter], listings: Sequence[Sequence[Candidate]]
) -> list[Interpreter]:
    """The interpreters for which everything listed has a file, those for the newest versions first."""
    chosen = [(each, _chosen(each, listings)) for each in interpreters]
    fitting = [pair for pair in chosen if len(pair[1]) == len(listings)]
    # Stable: among equal versions the newest interpreter stays in front.
    fitting.sort(key=lambda pair: [index.version_of(each.version) for each in pair[1]], reverse=True)
    return [interpreter for interpreter, _ in fitting]


def _chosen(interpreter: Interpreter, listings: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """Of each listing the newest release for this interpreter."""
    chosen = []
    for found in listings:
        candidate = next((each for each in found if each.is_for(interpreter)), None)
        if candidate is not None:
            chosen.append(candidate)
    return chosen


def _is_pure(candidate: Candidate) -> bool:
    return all(tag.endswith("-none-any") for wheel in candidate.wheels for tag in wheel.tags)


def _systems(found: Sequence[Candidate]) -> set[str]:
    return {tag.split("-")[2] for each in found for wheel in each.wheels for tag in wheel.tags}


def _span(pythons: set[tuple[int, int]]) -> str:
    """`3.5 to 3.7`, `3.9 or newer`."""
    if not pythons:
        return "none"
    first, last = min(pythons), max(pythons)
    if last[1] >= 39:
        return f"{_minor(first)} or newer"
    return _minor(first) if first == last else f"{_minor(first)} to {_minor(last)}"


def _minor(release: tuple[int, ...]) -> str:
    return ".".join(map(str, release))


def how_to_install(python: str) -> str:
    """How a Python is had."""
    managed = tuple(map(int, python.split(".")[:2])) >= (3, 8)
    return f"install one, for instance `{'uv python install' if managed else 'pyenv install'} {python}`"

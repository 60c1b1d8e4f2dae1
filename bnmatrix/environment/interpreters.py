"""Which Python interpreters there are: on PATH, in pyenv, in conda, uv's own, and the program's own.

Each is asked once what it is, and what it answered is kept in `interpreters.json` with the time and size of
the file that answered. One that says nothing sensible is left alone for an hour, then asked again. A virtual
environment answers for the interpreter that it was made with.

The wheels that fit are told by `Interpreter.tags`: computed here, from what the interpreter said of itself,
for an old or foreign one has no `packaging` to compute them with.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

import msgspec

from bnmatrix.environment.errors import EnvironmentFailure
from bnmatrix.environment.places import write_atomically
from bnmatrix.errors import UsageError

MEMORY = "interpreters.json"

OLDEST = (3, 6)
"""The probe's syntax is that of Python 3.6."""

PATIENCE = 5.0
"""Seconds that an interpreter may take to say what it is."""

FORGET = 3600.0
"""Seconds until one that did not say what it is is asked again."""

AT_ONCE = 8

_SIGN = "what bnmatrix asked: "
"""Marks the answer: site customisation may print, too."""

_NAMES = [f"python3.{minor}" for minor in range(OLDEST[1], 40)] + ["python3", "python"]


def _release(version: str) -> tuple[int, int]:
    """(3, 7) of "3.7.16". Raises ValueError."""
    from packaging.version import Version

    numbers = Version(version).release
    if len(numbers) < 2:
        raise ValueError(version)
    return numbers[0], numbers[1]


class Answer(msgspec.Struct, frozen=True):
    """What an interpreter says of itself; what `describe` returns."""

    version: str
    implementation: str
    abi: str
    platform: str
    libc: str
    executable: str
    base: str
    site_packages: list[str]


class Interpreter(msgspec.Struct, frozen=True):
    """An interpreter that environments can be made with.

    version:        "3.7.16"
    implementation: "cpython"
    abi:            "cp37m", as wheels are tagged
    platform:       "linux-x86_64"
    libc:           "glibc 2.36", "musl 1.2"; on a Mac the release of the system: "macos 14.5"
    base:           of a virtual environment's the interpreter that it was made with, else `path` itself
    source:         current, PATH, pyenv, conda or uv
    """

    path: str
    version: str
    implementation: str
    abi: str
    platform: str
    libc: str
    base: str
    source: str

    @property
    def release(self) -> tuple[int, int]:
        """(3, 7)"""
        return _release(self.version)

    @property
    def tags(self) -> tuple[str, ...]:
        """The tags of wheels that fit, the preferred first: "cp37-cp37m-manylinux_2_17_x86_64"."""
        return _tags(self.release, self.implementation, self.abi, self.platform, self.libc)


class Silent(msgspec.Struct, frozen=True):
    """A file named like an interpreter that does not say what it is."""

    path: str
    why: str


class _Kept(msgspec.Struct, frozen=True):
    """What came of asking one file: its answer, or why there is none."""

    stamp: tuple[int, int, int]
    asked: float
    answer: Answer | None
    why: str


class _Memory(msgspec.Struct):
    """The file. `host`: what an answer depends on besides the interpreter; homes are shared by machines."""

    host: str
    kept: dict[str, _Kept] = {}


def find(root: Path) -> list[Interpreter]:
    """The interpreters there are, each once, the newest first."""
    return look(root)[0]


def look(root: Path) -> tuple[list[Interpreter], list[Silent]]:
    """The interpreters there are, the newest first, and the files that should be one and said nothing."""
    from packaging.version import Version

    sources = dict(_candidates())
    kept = _asked(list(sources), root)
    found: dict[str, Interpreter] = {}
    for path, source in sources.items():
        answer = kept[path].answer
        if answer is not None and os.path.exists(answer.base):
            found.setdefault(os.path.realpath(answer.base), _interpreter(answer.base, source, answer))

    def newest(one: Interpreter) -> tuple[bool, Version]:
        version = Version(one.version)
        return not version.is_prerelease, version

    silent = [Silent(path, kept[path].why) for path in sources if kept[path].why]
    return sorted(found.values(), key=newest, reverse=True), silent


def ask(path: str, root: Path | None = None) -> Interpreter | None:
    """What the interpreter at `path` is, or None if it is none of use; remembered below `root`, if given."""
    answer = _asked([path], root)[path].answer
    return None if answer is None else _interpreter(path, source_of(path), answer)


def answer_of(path: str, root: Path | None = None) -> Answer:
    """All that the interpreter at `path` says of itself. Raises UsageError with the reason.

    For a shim of pyenv whose version is not switched on, the interpreter that it stands for answers.
    """
    said = _asked([path], root)[path]
    if said.answer is not None:
        return said.answer
    version = re.fullmatch(r"python(\d+(\.\d+)*)", os.path.basename(path))
    if version and root is not None and os.path.normpath(os.path.dirname(path)) == _shims():
        stands_for = choose(version[1], root)
        if stands_for is not None:
            return answer_of(stands_for.path, root)
    reason = f": it {said.why}" if said.why else ""
    raise UsageError(
        f"{path} is no Python {'.'.join(map(str, OLDEST))} or later{reason}",
        "name the interpreter of an environment, as in --python .venv",
    )


def choose(version: str, root: Path) -> Interpreter | None:
    """The newest interpreter of that version: "3.7" or "3.7.16"."""
    return next((one for one in find(root) if f"{one.version}.".startswith(f"{version}.")), None)


def source_of(path: str) -> str:
    """Where an interpreter comes from, as far as its path tells."""
    real = os.path.realpath(path)
    if real == os.path.realpath(sys.executable):
        return "current"
    homes = {"pyenv": [_pyenv()], "uv": [_uv()], "conda": _condas()}
    for source, folders in homes.items():
        if any(real.startswith(os.path.realpath(folder) + os.sep) for folder in folders):
            return source
    return "PATH"


def describe() -> object:
    """What the running interpreter is. It is sent to others as text, hence the syntax of any Python 3."""
    import os
    import platform
    import site
    import struct
    import subprocess
    import sys
    import sysconfig

    release = "{}.{}".format(*sys.version_info)
    version = "{}.{}.{}".format(*sys.version_info)
    stage = {"alpha": "a", "beta": "b", "candidate": "rc"}.get(sys.version_info[3])
    if stage:
        version += stage + str(sys.version_info[4])

    if sys.implementation.name == "cpython":
        abi = "cp" + release.replace(".", "") + getattr(sys, "abiflags", "")
    else:
        abi = "_".join((sysconfig.get_config_var("SOABI") or "none").split("-")[:2])

    machine = sysconfig.get_platform().split("-", 1)[-1]
    libc = ""
    if sys.platform == "darwin":
        machine = platform.machine()
        libc = "macos " + platform.mac_ver()[0]
    elif sys.platform == "linux":
        if struct.calcsize("P") == 4:  # a kernel of 64 bits says so to everyone
            machine = {"x86_64": "i686", "aarch64": "armv8l"}.get(machine, machine)
        try:
            libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
        except (
            AttributeError,
            OSError,
            ValueError,
        ):  # not glibc; musl's loader says what it is when it is run
            with open("/proc/self/maps") as maps:
                loaders = [line.split()[-1] for line in maps if "/ld-musl-" in line]
            for loader in loaders[:1]:
                said = subprocess.Popen([loader], stderr=subprocess.PIPE).communicate()[1].decode()
                libc = "musl " + said.split("Version", 1)[-1].split()[0]

    prefix = getattr(sys, "real_prefix", sys.base_prefix)
    base = sys.executable
    if prefix != sys.prefix:
        for name in ("python" + release, "python3", "python", "pypy3"):
            base = os.path.join(prefix, "bin", name)
            if os.path.exists(base):
                break
        else:
            base = os.path.realpath(sys.executable)

    if hasattr(site, "getsitepackages"):
        folders = site.getsitepackages()
    else:  # what old releases of virtualenv put in its place
        folders = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    return {
        "version": version,
        "implementation": sys.implementation.name,
        "abi": abi,
        "platform": sys.platform + "-" + machine,
        "libc": libc,
        "executable": sys.executable,
        "base": base,
        "site_packages": [folder for folder in folders if os.path.isdir(folder)],
    }


@cache
def own() -> Answer:
    """What the program's own interpreter is, without another process."""
    return msgspec.convert(describe(), Answer)


def _interpreter(path: str, source: str, answer: Answer) -> Interpreter:
    return Interpreter(
        path=path,
        version=answer.version,
        implementation=answer.implementation,
        abi=answer.abi,
        platform=answer.platform,
        libc=answer.libc,
        base=answer.base,
        source=source,
    )


# Where they are


def _candidates() -> Iterator[tuple[str, str]]:
    """(path, source) of whatever may be an interpreter, no file twice."""
    seen = set()
    for path, source in _places():
        real = os.path.realpath(path)
        # An environment's link to an interpreter answers as that interpreter: one of them is enough.
        if real not in seen and os.path.isfile(real) and os.access(real, os.X_OK):
            seen.add(real)
            yield path, source


def _places() -> Iterator[tuple[str, str]]:
    yield own().base, "current"
    shims = _shims()
    for folder in os.environ.get("PATH", "").split(os.pathsep):
        # Shims do not answer for versions that are not switched on; pyenv's own folder tells of all.
        if os.path.isabs(folder) and os.path.normpath(folder) != shims:
            for name in _NAMES:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and not _is_placeholder(path):
                    yield path, "PATH"
    homes = [
        ("pyenv", [os.path.join(_pyenv(), "versions", "*")]),
        ("conda", [place for root in _condas() for place in (root, os.path.join(root, "envs", "*"))]),
        ("uv", [os.path.join(_uv(), "*")]),
    ]
    for source, patterns in homes:
        for pattern in patterns:
            for path in sorted(glob.glob(os.path.join(pattern, "bin", "python3"))):
                yield path, source


def _is_placeholder(path: str) -> bool:
    """A Mac's /usr/bin/python3 offers, in a window, to install a Python where there is none yet."""
    return (
        sys.platform == "darwin"
        and path.startswith("/usr/bin/")
        and not glob.glob("/Library/Developer/CommandLineTools/usr/bin/python3")
        and not glob.glob("/Applications/Xcode*.app")
    )


def _shims() -> str:
    return os.path.join(_pyenv(), "shims")


def _pyenv() -> str:
    return os.path.normpath(os.environ.get("PYENV_ROOT") or os.path.expanduser("~/.pyenv"))


def _uv() -> str:
    """Where uv keeps its interpreters; on a Mac, too."""
    data = os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share")
    return os.environ.get("UV_PYTHON_INSTALL_DIR") or os.path.join(data, "uv", "python")


def _condas() -> list[str]:
    """Prefixes of conda: of its installations and of environments that it keeps a list of."""
    found = [os.environ.get(name, "") for name in ("CONDA_PREFIX", "MAMBA_ROOT_PREFIX")]
    if program := os.environ.get("CONDA_EXE"):
        found.append(os.path.dirname(os.path.dirname(program)))
    with contextlib.suppress(OSError, UnicodeDecodeError):
        listed = Path(os.path.expanduser("~/.conda/environments.txt")).read_text(encoding="utf-8")
        found += [line.strip() for line in listed.splitlines()]
    usual = ("~/miniconda3", "~/anaconda3", "~/miniforge3", "~/mambaforge", "~/micromamba", "~/.conda")
    found += [*map(os.path.expanduser, usual), "/opt/conda"]
    return [prefix for prefix in dict.fromkeys(found) if os.path.isabs(prefix)]


# Asking them


def _asked(paths: Sequence[str], root: Path | None) -> dict[str, _Kept]:
    """What came of asking each of `paths`, now or before."""
    memory = _recall(root)
    now = time.time()
    known = {}
    for path in paths:
        kept = memory.kept.get(path)
        if kept is not None and _still_holds(kept, path, now):
            known[path] = kept
    new = [path for path in paths if path not in known]
    for start in range(0, len(new), AT_ONCE):
        some = new[start : start + AT_ONCE]
        for path, (answer, why) in _ask_now(some).items():
            known[path] = _Kept(_stamp(path), now, answer, why)
    if new and root is not None:
        memory.kept.update({path: known[path] for path in new})
        _keep(memory, root)
    return known


def _still_holds(kept: _Kept, path: str, now: float) -> bool:
    # What a script such as a shim answers depends on more than the script. The clock may have been set back.
    if kept.answer is None:
        fresh = 0 <= now - kept.asked < FORGET
    else:
        fresh = re.match(r"\d+\.\d", kept.answer.version) is not None
    return fresh and kept.stamp == _stamp(path) and not (kept.answer and _is_script(path))


def _ask_now(paths: Sequence[str]) -> dict[str, tuple[Answer | None, str]]:
    """(answer, why there is none) of each, all of them asked at the same time; none outlives the call."""
    import inspect

    code = f"{inspect.getsource(describe)}\nimport json\nprint({_SIGN!r} + json.dumps(describe()))"
    variables = {**os.environ, "SYSTEM_VERSION_COMPAT": "0"}  # old Pythons would take macOS 11 for 10.16
    variables.pop("__PYVENV_LAUNCHER__", None)
    processes: dict[str, subprocess.Popen[bytes]] = {}
    said: dict[str, tuple[Answer | None, str]] = {}
    until = time.monotonic() + PATIENCE
    try:
        for path in paths:
            try:
                processes[path] = subprocess.Popen(
                    [path, "-I", "-c", code],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    env=variables,
                    cwd="/",
                )
            except OSError as error:  # noqa: PERF203
                said[path] = None, f"does not start: {error.strerror}"
        for path, process in processes.items():
            if _ends(process, until):
                said[path] = _understood(_output(process), process.returncode)
            else:
                said[path] = None, f"did not say within {PATIENCE:.0f} s what it is"
            _end(process)
    finally:
        for path in processes.keys() - said.keys():
            _end(processes[path])
    return said


def _ends(process: subprocess.Popen[bytes], until: float) -> bool:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(max(0.0, until - time.monotonic()))
        return True
    return False


def _end(process: subprocess.Popen[bytes]) -> None:
    """End it, with what it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):  # the latter: on a Mac, of one that ended
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert process.stdout is not None
    process.stdout.close()


def _output(process: subprocess.Popen[bytes]) -> str:
    """What an ended process left in its pipe, without waiting for others that hold the pipe open."""
    assert process.stdout is not None
    descriptor = process.stdout.fileno()
    os.set_blocking(descriptor, False)
    with contextlib.suppress(BlockingIOError):
        return os.read(descriptor, 1 << 20).decode("utf-8", "replace")
    return ""


def _understood(output: str, code: int) -> tuple[Answer | None, str]:
    for line in output.splitlines():
        if line.startswith(_SIGN):
            with contextlib.suppress(msgspec.DecodeError):
                answer = msgspec.json.decode(line[len(_SIGN) :], type=Answer)
                try:
                    return (answer if _release(answer.version) >= OLDEST else None), ""
                except ValueError:
                    return None, f"says that its version is {answer.version[:40]!r}"
    if "Unknown option: -I" in output:
        return None, ""  # Python 2: too old, which is nothing to tell about
    if code:
        last = output.strip().splitlines()[-1:] or [""]
        return None, f"ended with code {code}" + (f": {last[0][:120]}" if last[0] else "")
    return None, "ran, but did not say what it is"


def _is_script(path: str) -> bool:
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return file.read(2) == b"#!"
    return False


def _stamp(path: str) -> tuple[int, int, int]:
    """What changes when another interpreter, or another virtual environment, comes to lie at `path`."""
    folder = os.path.dirname(path)
    settings = 0
    for place in (os.path.join(folder, "pyvenv.cfg"), os.path.join(os.path.dirname(folder), "pyvenv.cfg")):
        with contextlib.suppress(OSError):
            settings = os.stat(place).st_mtime_ns
    try:
        status = os.stat(path)
    except OSError:
        return 0, 0, settings
    return status.st_mtime_ns, status.st_size, settings


def _host() -> str:
    machine = os.uname()
    libc = ""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        libc = os.confstr("CS_GNU_LIBC_VERSION") or ""
    return f"{machine.sysname} {machine.machine} {libc}".strip()


def _recall(root: Path | None) -> _Memory:
    """What is remembered below `root`: nothing if the file is damaged, or is that of another machine."""
    if root is not None:
        with contextlib.suppress(OSError, msgspec.MsgspecError):
            memory = msgspec.json.decode((root / MEMORY).read_bytes(), type=_Memory)
            if memory.host == _host():
                return memory
    return _Memory(_host())


def _keep(memory: _Memory, root: Path) -> None:
    """Write it, without what is gone. Where that is not possible, interpreters are asked again next time."""
    memory.kept = {path: kept for path, kept in memory.kept.items() if os.path.exists(path)}
    with contextlib.suppress(EnvironmentFailure):
        write_atomically(root / MEMORY, msgspec.json.encode(memory))


# Which wheels fit


@cache
def _tags(
    release: tuple[int, int], implementation: str, abi: str, platform: str, libc: str
) -> tuple[str, ...]:
    from packaging import tags

    platforms = list(platform_tags(platform, libc))
    short = tags.INTERPRETER_SHORT_NAMES.get(implementation, implementation)
    interpreter = f"{short}{release[0]}{release[1]}"
    if implementation == "cpython":
        abis = [abi]
        if "d" in abi[len(interpreter) :] and release >= (
            3,
            8,
        ):  # a debugging build loads the usual ones, too
            abis.append(interpreter + abi[len(interpreter) :].replace("d", ""))
        own_tags = tags.cpython_tags(release, abis, platforms)
    else:
        own_tags = tags.generic_tags(interpreter, [abi], platforms)
    return tuple(map(str, [*own_tags, *tags.compatible_tags(release, interpreter, platforms)]))


def platform_tags(platform: str, libc: str) -> Iterator[str]:
    """The platforms in the tags of wheels that fit, the preferred first."""
    system, _, machine = platform.partition("-")
    machine = re.sub(r"[.-]", "_", machine)
    name, _, version = libc.partition(" ")
    major, minor = ([int(part) for part in re.findall(r"\d+", version)] + [0, 0])[:2]
    if system == "darwin":
        from packaging.tags import mac_platforms

        yield from mac_platforms((major, minor), machine)
        return
    yield f"{system}_{machine}"
    if name == "glibc" and major == 2:
        # The names from before there was a rule for them; wheels of x86 may be older than those of others.
        named = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}
        oldest = 5 if machine in ("x86_64", "i686") else 17
        for number in range(minor, oldest - 1, -1):
            yield f"manylinux_2_{number}_{machine}"
            if number in named:
                yield f"{named[number]}_{machine}"
    if name == "musl":
        for number in range(minor, -1, -1):
            yield f"musllinux_{major}_{number}_{machine}"

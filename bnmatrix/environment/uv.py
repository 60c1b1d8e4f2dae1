"""Run uv, with the settings of pip, so that it looks where the user's pip would.

It runs in a session of its own, and dies with its children where we are interrupted, or by `stop`.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bnmatrix.environment.errors import UvFailed

_KEPT = re.compile(
    r"UV_(DEFAULT_INDEX|INDEX|INDEX_.*|EXTRA_INDEX_URL|FIND_LINKS|NO_INDEX|KEYRING_PROVIDER|CACHE_DIR"
    r"|HTTP_.*|REQUEST_TIMEOUT|INSECURE_HOST|NATIVE_TLS|SYSTEM_CERTS|OFFLINE|CONFIG_FILE|NO_CONFIG"
    r"|CONCURRENT_.*|LINK_MODE|CREDENTIALS_DIR|PYTHON_INSTALL_DIR|LOCK_TIMEOUT)"
)
"""Variables that say where uv looks, not what it decides."""

_LOOKING = {("pip", "compile"), ("pip", "sync"), ("pip", "install")}
"""Commands that ask an index."""

_running: set[subprocess.Popen[str]] = set()
_ending: weakref.WeakSet[threading.Thread] = weakref.WeakSet()
_lock = threading.Lock()
_asking = threading.Lock()
_finding = threading.Lock()  # sysconfig, which uv's package asks, is not safe in threads at first


@dataclass(frozen=True)
class Result:
    """How a call of uv ended."""

    status: int
    output: str
    errors: str


class Stopped(BaseException):
    """The program ends: nothing of what waited for uv is to go on."""


class TooSlow(Exception):
    """uv did not end in time."""


def executable() -> str:
    """Path of uv: the one installed with us, else the one on PATH."""
    with _finding:
        return _executable()


@cache
def _executable() -> str:
    try:
        from uv import find_uv_bin

        return str(find_uv_bin())
    except (ImportError, FileNotFoundError):
        import shutil

        found = shutil.which("uv")
        if found is None:
            raise UvFailed("uv is not there, which makes the environments", "pip install uv") from None
        return found


def run(
    *arguments: str,
    offline: bool = False,
    stdin: str = "",
    variables: Mapping[str, str] | None = None,
    timeout: float | None = None,
    waiting: Callable[[float], None] | None = None,
) -> Result:
    """Run uv to its end. `waiting` is called with the seconds it has taken, every 2 seconds."""
    command = [executable(), "--no-progress", "--color", "never", *arguments]
    if offline:
        command.append("--offline")
    told = {**environment(), **(variables or {})}
    if no_index() and arguments[:2] in _LOOKING and "--no-index" not in arguments:
        command.append("--no-index")  # there is no variable for it
    return run_command(command, stdin, told, timeout, waiting)


def no_index() -> bool:
    """Do the settings of pip have no index asked?"""
    return bool(environment().get("UV_NO_INDEX"))


def run_command(
    command: Sequence[str],
    stdin: str,
    variables: Mapping[str, str],
    timeout: float | None = None,
    waiting: Callable[[float], None] | None = None,
) -> Result:
    """Run a command to its end as `run` does. Raises TooSlow after `timeout` seconds, or Stopped."""
    with _lock:  # so that `stop` comes before it or sees it
        if threading.current_thread() in _ending:
            raise Stopped
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            env=dict(variables),
            cwd="/",  # no project there whose settings would count
            start_new_session=True,
        )
        _running.add(process)
    try:
        result = _wait(process, stdin, timeout, waiting)
    except BaseException:
        _kill(process)
        raise
    finally:
        with _lock:
            was_stopped = process not in _running
            _running.discard(process)
    if was_stopped:
        raise Stopped
    return result


def stop() -> None:
    """Kill every uv that runs, with its children: for a program that ends while threads wait for one.

    The other threads that there are now start no further one.
    """
    with _lock:
        _ending.update(set(threading.enumerate()) - {threading.current_thread()})
        while _running:
            _kill(_running.pop())


def _wait(
    process: subprocess.Popen[str], stdin: str, timeout: float | None, waiting: Callable[[float], None] | None
) -> Result:
    taken = 0.0
    given: str | None = stdin
    while True:
        step = 2.0 if timeout is None else min(2.0, timeout - taken)
        try:
            output, errors = process.communicate(given, timeout=step)
        except subprocess.TimeoutExpired:
            given = None
            taken += step
            if timeout is not None and taken >= timeout:
                raise TooSlow from None
            if waiting is not None:
                waiting(taken)
        else:
            return Result(process.returncode, output, errors)


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


def environment() -> dict[str, str]:
    """The variables that uv runs with: ours, less what changes its decisions, and pip's in its words.

    What the user has set for uv itself goes first.
    """
    with _finding:
        return _environment()


@cache
def _environment() -> dict[str, str]:
    ours = {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith("UV_") or _KEPT.fullmatch(name))
        and name not in ("VIRTUAL_ENV", "CONDA_PREFIX")
    }
    return {**in_uvs_words(pip_settings()), **ours, "UV_PYTHON_DOWNLOADS": "never", "UV_NO_PROGRESS": "1"}


def default_index() -> str | None:
    """The address of the index that uv asks first, without the user's password."""
    with _asking:
        return _default_index()


@cache
def _default_index() -> str | None:
    if no_index():
        return None
    said = run("pip", "compile", "-", "--quiet", "--no-header", "--emit-index-url", offline=True).output
    found = re.search(r"^--index-url (\S+)$", said, re.MULTILINE)
    return re.sub(r"//[^/@]*@", "//", found[1]) if found else None


@cache
def pip_settings() -> dict[str, list[str]]:
    """What pip's files and variables set for `pip install`; variables win. Nothing where there is no pip."""
    import ast

    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listing = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    ).stdout
    configured: dict[tuple[str, str], str] = {}
    for line in listing.splitlines():
        found = re.match(r"(global|install|:env:)\.([\w-]+)=(.*)$", line)
        if found:
            configured[found[1], found[2]] = str(ast.literal_eval(found[3]))
    settings: dict[str, list[str]] = {}
    for section in ("global", "install", ":env:"):
        for (where, name), value in configured.items():
            if where == section and value.strip():  # pip ignores empty ones
                settings[name] = value.split()
    if settings.get("no-index", ["no"])[0].lower() in ("0", "false", "no", "off", "n", "f"):
        settings.pop("no-index", None)
    return settings


def in_uvs_words(settings: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Pip's settings as variables of uv."""
    translated = {
        "UV_DEFAULT_INDEX": " ".join(settings.get("index-url", [])),
        "UV_INDEX": " ".join(_present(settings.get("extra-index-url", []))),
        "UV_FIND_LINKS": ",".join(_present(settings.get("find-links", []))),
        "UV_INSECURE_HOST": " ".join(settings.get("trusted-host", [])),
        "UV_NO_INDEX": "1" if "no-index" in settings else "",
        "SSL_CERT_FILE": " ".join(_present(settings.get("cert", []))),
        "ALL_PROXY": " ".join(settings.get("proxy", [])),
        "UV_INDEX_STRATEGY": "unsafe-best-match",  # as pip does: the best of all sources
    }
    return {name: value for name, value in translated.items() if value}


def _present(places: Sequence[str]) -> list[str]:
    """The places, less local folders that are gone: pip warns of those, uv gives up."""
    present = []
    for place in places:
        url = urlsplit(place)
        if url.scheme not in ("", "file"):
            present.append(place)
        elif url.scheme == "file":
            if Path(unquote(url.path)).exists():
                present.append(place)
        elif Path(place).expanduser().exists():
            present.append(str(Path(place).expanduser().absolute()))
    return present

"""Install a CPU build of PyTorch into the environment of the Python that runs this file.

The first of these that works:

1. a torch that is already there and imports is kept;
2. a `+cpu` version among what pip's own sources offer;
3. the newest torch of pip's sources, when it requires no GPU packages (macOS, Windows, some mirrors);
4. the CPU build on PyTorch's own index, whose address uv knows (not when pip is told `no-index`).

Otherwise torch is left out, which is no failure, and the output says why and what to do. Nothing but
metadata is fetched before it is known to be a CPU build: a CUDA build is gigabytes.
"""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from collections.abc import Callable

from bnmatrix.environment.uv import environment

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
UV = [sys.executable, "-m", "uv", "pip"]
REQUIREMENT = "torch>=2"  # what pyproject.toml asks for
GPU_PACKAGE = re.compile(r"(nvidia|cuda|rocm|triton|pytorch-triton)\b")


class NotHere(Exception):
    """This way leads to no CPU build; the message says why."""


def main() -> int:
    version = importable_torch()
    if version:
        say(f"keeping {version}, which is already installed")
        return 0
    if importlib.util.find_spec("torch"):
        say("removing a torch that does not import (an interrupted installation?)")
        run([*PIP, "uninstall", "-qq", "--yes", "torch"])

    reasons = []
    ways: list[Callable[[], str]] = [cpu_version_of_pips_sources, newest_if_without_gpu, pytorchs_own_index]
    for way in ways:
        try:
            why = way()
        except NotHere as reason:
            reasons.append(str(reason))
            continue
        version = importable_torch()
        if version:
            say(f"installed {version}: {why}")
            return 0
        run([*PIP, "uninstall", "-qq", "--yes", "torch"])
        reasons.append(f"{why}: installed, but it does not import, and removed again")

    say("left out, for no CPU build is within reach: " + "; ".join(reasons) + ".")
    say(
        f"to add it by hand: '{sys.executable} -m pip install WHEEL', with a wheel of torch of your choice "
        "('torch' in its place fetches what the index has, CUDA packages included)."
    )
    return 0


def cpu_version_of_pips_sources() -> str:
    """Take the newest `+cpu` version that pip sees on its indexes and find-links for this Python."""
    listing = run([*PIP, "index", "versions", "torch"]).stdout
    found = re.search(r"^Available versions: (.*)$", listing, re.MULTILINE)
    versions = [v.strip() for v in found[1].split(",")] if found else []  # newest first
    cpu = [v for v in versions if v.endswith("+cpu") and int(v.split(".")[0]) >= 2]
    if not cpu:
        python = ".".join(map(str, sys.version_info[:2]))
        raise NotHere(f"pip's sources have no +cpu build for Python {python}")
    install([*PIP, "install", "-qq", f"torch=={cpu[0]}"])
    return "the newest +cpu build of pip's sources"


def newest_if_without_gpu() -> str:
    """Take what a plain `pip install torch` would, if the resolver reports no GPU packages with it."""
    resolution = uv("compile", "-", "--quiet", "--no-header", "--no-annotate", stdin=REQUIREMENT)
    if resolution.returncode:
        raise NotHere(f"pip's sources have no {REQUIREMENT} that resolves")
    packages = [line.strip() for line in resolution.stdout.splitlines() if "==" in line]
    torch = next(line for line in packages if line.startswith("torch==")).split(" ")[0]
    gpu = [name for name in packages if GPU_PACKAGE.match(name)]
    if gpu or re.search(r"\+(cu|rocm|xpu)", torch):
        raise NotHere(f"{torch} of pip's sources is a GPU build ({len(gpu)} GPU packages come with it)")
    install([*PIP, "install", "-qq", torch])
    return "pip's sources have it without GPU packages"


def pytorchs_own_index() -> str:
    """Let uv take the CPU build from PyTorch's own index, and the rest from pip's sources."""
    if environment().get("UV_NO_INDEX"):
        raise NotHere("pip is told to use no index")
    if uv("install", "--quiet", "--torch-backend", "cpu", REQUIREMENT).returncode:
        raise NotHere("PyTorch's own index gave none, or cannot be reached")
    return "the CPU build of PyTorch's own index"


def uv(command: str, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run uv, which reads metadata without fetching wheels, with the settings of pip."""
    variables = {"UV_HTTP_RETRIES": "1", **environment()}  # an index out of reach is out of reach
    return run([*UV, command, "--python", sys.executable, *arguments], stdin=stdin, env=variables)


def importable_torch() -> str:
    """`torch VERSION` as a fresh interpreter sees it, or nothing."""
    code = "import torch; print('torch', torch.__version__)"
    return run([sys.executable, "-I", "-W", "ignore", "-c", code]).stdout.strip()


def install(command: list[str]) -> None:
    say(f"fetching {command[-1]}")
    result = run(command)
    if result.returncode:
        last = (result.stderr.strip() or "no message").splitlines()[-1]
        raise NotHere(f"installing {command[-1]} failed ({last})")


def run(
    command: list[str], stdin: str = "", env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, check=False)


def say(line: str) -> None:
    print(f"torch: {line}", flush=True)


if __name__ == "__main__":
    sys.exit(main())

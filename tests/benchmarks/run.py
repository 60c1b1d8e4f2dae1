"""What the program costs beside what it cannot avoid: ratios, each taken in one run on one machine.

    make bench        (or: .venv/bin/python tests/benchmarks/run.py [NAME]...)

The two sides of a ratio are run in turn, a b a b, and the medians compared: machines are noisy.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bnmatrix.environment import Lock, Settings, uv
from bnmatrix.placement import Wishes, place, ready
from bnmatrix.target import parse

PYTHON = sys.executable
BNMATRIX = [PYTHON, "-m", "bnmatrix"]
ROUNDS = 5
MADE = "tf1==1.15.5"
SWEPT = ("tf2==2.10.1", "torch==1.7.1", "tf2==2.15.1", "torch==1.4.0")
Side = Callable[[], float]


def seconds(*commands: list[str]) -> float:
    """Wall time of commands side by side."""
    started = time.perf_counter()
    running = [
        subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for each in commands
    ]
    codes = [each.wait() for each in running]
    if any(codes):
        raise SystemExit(f"a benchmark failed: {commands} ended with {codes}")
    return time.perf_counter() - started


def python(code: str) -> list[str]:
    """A bare interpreter that runs `code`."""
    return [PYTHON, "-c", code]


def frameworks() -> float:
    """Importing both frameworks side by side in bare interpreters: the floor."""
    return seconds(python("import tensorflow"), python("import torch"))


def run(*options: str) -> float:
    """The program, nothing known beforehand."""
    targets = ["--framework", "tf2", "--framework", "torch"]
    return seconds([*BNMATRIX, "run", *targets, "--quiet", "--no-cache", *options])


def probe_rate(framework: str) -> float:
    """Seconds a cell in a warm probe, seen from outside it."""
    from bnmatrix.axes import parse_id
    from bnmatrix.runner import Answer, Guest, Request, Runner

    guest = Guest(framework, framework, variables=(("KERAS_BACKEND", "tensorflow"),))
    cell = parse_id("batch_norm training=true").axes
    count, warm_up = 300, 30
    moments = []
    with Runner(jobs=1, timeout=60) as runner:
        runner.submit(guest, [Request(cell, seed, None, key=seed) for seed in range(count + warm_up)])
        for event in runner.results():
            if isinstance(event, Answer):
                assert event.outcome == "ok", event
                moments.append(time.perf_counter())
    return (moments[-1] - moments[warm_up - 1]) / count


def plain_rate(framework: str) -> float:
    """Seconds a cell of the same measurement, written as a plain loop in the framework."""
    loop = Path(__file__).with_name(f"plain_{framework}.py")
    return float(
        subprocess.run([PYTHON, loop], check=True, capture_output=True, text=True).stdout.split()[-1]
    )


def known() -> float:
    """A result that is known already, as a table."""
    return seconds([*BNMATRIX, "run", "--framework", "torch", "--quiet"])


def environment(target: str) -> tuple[Lock, str]:
    """The lock of `target`, and its environment's interpreter; made now if need be."""
    wishes = Wishes()
    placement = place(parse(target), wishes)
    assert placement is not None
    assert placement.lock is not None
    return placement.lock, ready(placement, wishes)


def make(resolve: bool) -> float:
    """An environment of its own for a release, of which uv has everything in its cache."""
    lock, _ = environment(MADE)
    seconds([*BNMATRIX, "env", "remove", MADE, "--quiet"])
    if resolve:
        Path(lock.path).unlink()
    return seconds([*BNMATRIX, "env", "create", MADE, "--quiet"])


def make_by_hand() -> float:
    """The same, by somebody who knows interpreter and day."""
    lock, _ = environment(MADE)
    with tempfile.TemporaryDirectory(dir=Settings().root) as folder:
        place = f"{folder}/venv"
        install = ["pip", "install", "--quiet", "--compile-bytecode", "--python", place]
        travel = ["--exclude-newer", f"{lock.as_of}T00:00:00Z"]
        exempt = [f"--exclude-newer-package={name}=2100-01-01" for name in ("setuptools", "wheel")]
        return seconds([uv.executable(), "venv", "--quiet", "--python", lock.interpreter, place]) + seconds(
            [uv.executable(), *install, *travel, *exempt, *lock.requirements]
        )


def sweep(count: int = len(SWEPT)) -> float:
    """The core scenario on releases that are installed, nothing known beforehand."""
    targets = [part for target in SWEPT[:count] for part in ("--framework", target)]
    return seconds([*BNMATRIX, "run", *targets, "--quiet", "--no-cache"])


def sweep_one_by_one() -> float:
    """Each of these imported in a bare interpreter, and the seconds of its cells, one after the other."""
    taken = 0.0
    for target in SWEPT:
        _, python = environment(target)
        taken += seconds([python, "-c", f"import {'torch' if target.startswith('torch') else 'tensorflow'}"])
        command = [*BNMATRIX, "run", "--framework", target, "--format", "json"]
        done = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        taken += sum(cell["seconds"] for cell in json.loads(done)["targets"][0]["cells"])
    return taken


# name -> (what is measured, beside what, at most)
BENCHMARKS: dict[str, tuple[Side, Side, float]] = {
    "help / import typer": (
        lambda: seconds([*BNMATRIX, "--help"]),
        lambda: seconds(python("import typer")),
        1.3,
    ),
    "run, calls only / importing both frameworks": (lambda: run("--axis", "execution=call"), frameworks, 1.3),
    "run, scenario core / importing both frameworks": (run, frameworks, 2.2),
    "a known result, as a table / importing typer, rich, msgspec": (
        known,
        lambda: seconds(python("import typer, rich.console, msgspec")),
        2.0,
    ),
    "making an environment from its lock / by uv, by hand": (lambda: make(False), make_by_hand, 1.15),
    "resolving and making it / by uv, by hand": (lambda: make(True), make_by_hand, 1.15),
    f"{len(SWEPT)} installed releases / imports and cells one by one": (sweep, sweep_one_by_one, 0.6),
    f"{len(SWEPT)} installed releases / twice {len(SWEPT) // 2}": (
        sweep,
        lambda: 2 * sweep(len(SWEPT) // 2),
        1.1,
    ),
    "a cell in a warm torch probe / in a plain loop": (
        lambda: probe_rate("torch"),
        lambda: plain_rate("torch"),
        1.25,
    ),
    "a cell in a warm tf2 probe / in a plain loop": (
        lambda: probe_rate("tf2"),
        lambda: plain_rate("tf2"),
        1.25,
    ),
}


def main(names: list[str]) -> None:
    """Run the benchmarks whose name holds one of `names`; all, where none is given."""
    print(f"{'ratio':<52} {'measured':>9} {'wanted':>7}   seconds (medians of {ROUNDS})")
    for name, (ours, floor, limit) in BENCHMARKS.items():
        if names and not any(each in name for each in names):
            continue
        ours(), floor()  # warm the disk's cache
        pairs = [(ours(), floor()) for _ in range(ROUNDS)]
        ratio = statistics.median(a / b for a, b in pairs)
        sides = " / ".join(f"{statistics.median(side):.4f}" for side in zip(*pairs, strict=True))
        verdict = "" if ratio <= limit else "   above"
        print(f"{name:<52} {ratio:>9.2f} {f'<={limit}':>7}   {sides}{verdict}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

"""What an audit costs beside the same steps by hand: the whole process of either, import and all; wall time
and memory of the largest process at its peak.

    .venv/bin/python tests/benchmarks/audit_cost.py [NAME]...       (part of make bench)
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
ZOO = HERE.parent / "audit"
ROUNDS = 3
SLOWER, LARGER = 1.5, 1.3
"""At most."""

MODELS = {
    "keras ResNet50": ("keras", "zoo_keras.py", "resnet50"),
    "keras MobileNetV2": ("keras", "zoo_keras.py", "mobilenet_v2"),
    "torch ResNet-50, frozen": ("torch", "zoo_torch.py", "resnet50"),
    "torch transformer": ("torch", "zoo_torch.py", "bert"),
}


def cost(command: list[str]) -> tuple[float, float]:
    """(seconds, MB at the peak) of a command, with all that it starts."""
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"a benchmark failed: {command} ended with {process.returncode}")
    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return time.perf_counter() - started, usage.ru_maxrss / unit


def main(names: list[str]) -> None:
    """Measure the models whose name holds one of `names`; all, where none is given."""
    print(f"{'an audit / the same steps by hand':<44} {'measured':>9} {'wanted':>7}   medians of {ROUNDS}")
    for name, (framework, file, factory) in MODELS.items():
        if names and not any(each in name for each in names):
            continue
        place = str(ZOO / file)
        audit = [sys.executable, "-m", "bnmatrix", "audit", f"{place}:{factory}", "--quiet"]
        by_hand = [sys.executable, str(HERE / "plain_audit.py"), framework, place, factory]
        cost(by_hand)  # warm the disk's cache
        pairs = [(cost(audit), cost(by_hand)) for _ in range(ROUNDS)]
        for number, (unit, limit) in enumerate((("s", SLOWER), ("MB", LARGER))):
            ours, theirs = zip(*((a[number], b[number]) for a, b in pairs), strict=True)
            ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
            sides = f"{statistics.median(ours):.1f} / {statistics.median(theirs):.1f} {unit}"
            verdict = "" if ratio <= limit else "   above"
            print(f"{name:<44} {ratio:>9.2f} {f'<={limit}':>7}   {sides}{verdict}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])

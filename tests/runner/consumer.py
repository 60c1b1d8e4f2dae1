"""A program that consumes results, to be interrupted: consumer.py DIARY FAULT [real]. Prints what ends it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from bnmatrix.runner import Guest, Request, Runner
from bnmatrix.runner.process import PROBE

FAULTY = Path(__file__).parent / "faulty"


def main(diary: str, program: str, variant: str) -> None:
    command = (sys.executable, "-S", "-E", str(FAULTY / f"{program}.py"))
    if program == "real_probe":
        command = (sys.executable, "-I", str(FAULTY / "real_probe.py"), str(PROBE))
    cell = {
        "layer": "trouble",
        "rank": "2",
        "batch": "normal",
        "freeze": "before_build",
        "mask": "none",
        "variant": variant,
        "execution": "call",
    }
    if program == "real_probe":
        cell["layer"] = "dense"
    with Runner(jobs=2, timeout=60) as runner:
        for target in ("one", "two"):
            guest = Guest(target, "stand_in", variables=(("DIARY", diary),), program=command)
            runner.submit(guest, [Request(cell, 0)])
        for event in runner.results():
            print(event, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

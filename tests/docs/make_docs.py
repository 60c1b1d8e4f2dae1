"""`make docs`: everything in the repository that the program itself makes.

    .github/run.svg, .github/diff.svg    pictures for the README, from real runs of the program
    bnmatrix/schemas/*.json              JSON Schemas, from the structs

A run costs some seconds a framework. `--schemas` leaves the pictures as they are.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from bnmatrix.comparison import Diff
from bnmatrix.matrix import Matrix
from bnmatrix.render import as_json, terminal

ROOT = Path(__file__).parent.parent.parent

PICTURES: dict[str, tuple[list[str], type[Matrix] | type[Diff]]] = {
    "run": (["run", "--framework", "tf2"], Matrix),
    "diff": (["diff", "tf1", "tf2"], Diff),
}
"""{file name: (the command shown, what it prints as JSON)}"""


def result_of(command: list[str], kind: type[Matrix] | type[Diff]) -> Matrix | Diff:
    """What the program measures when it is run so. Raises CalledProcessError where it could not."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "result.json"
        program = [sys.executable, "-m", "bnmatrix", *command, "--format", "json", "--output", str(file)]
        code = subprocess.run(program, cwd=ROOT, check=False).returncode
        if code not in (0, 1):
            raise subprocess.CalledProcessError(code, program)
        return msgspec.convert(json.loads(file.read_text(encoding="utf-8")), kind)


def main() -> None:
    """Write what is out of date."""
    for kind in (*as_json.TYPES, as_json.CONFIGURATION):
        write(as_json.schema_file(kind), as_json.schema_text(kind))
    if "--schemas" in sys.argv:
        return
    for name, (command, kind) in PICTURES.items():
        picture = terminal.svg(result_of(command, kind), f"bnmatrix {' '.join(command)}")
        write(ROOT / ".github" / f"{name}.svg", picture)


def write(path: Path, text: str) -> None:
    """Write `text`, and say whether that changed anything."""
    changed = not path.exists() or path.read_text(encoding="utf-8") != text
    if changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"{path.relative_to(ROOT)}: {'written' if changed else 'up to date'}")


if __name__ == "__main__":
    main()

"""What is measured of a project: as the options say, else its configuration, else its baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bnmatrix.baseline import Baseline, Selected, load
from bnmatrix.configuration import Configuration, configuration
from bnmatrix.coverage import FULL

if TYPE_CHECKING:
    from bnmatrix.selection import Selection


@dataclass(frozen=True)
class Project:
    """The configuration, and the file of the baseline."""

    configured: Configuration
    baseline: Path


def project(baseline: str | None) -> Project:
    """The project here; `baseline` is the file that was named. Raises UsageError."""
    configured, folder = configuration()
    path = Path(baseline) if baseline else folder / configured.baseline
    here = Path.cwd()
    return Project(configured, path.relative_to(here) if path.is_relative_to(here) else path)


def loaded(found: Project) -> Baseline:
    """The baseline of the project. Raises UsageError where there is none, or it cannot be used."""
    return load(found.baseline)


def existing(found: Project) -> Baseline | None:
    """The baseline that the project has. Raises UsageError where it cannot be used."""
    return load(found.baseline) if found.baseline.exists() else None


def selected(
    layer: Sequence[str] | None,
    scenario: Sequence[str] | None,
    axis: Sequence[str] | None,
    cell: Sequence[str] | None,
    coverage: str | None,
    full: bool,
) -> Selected | None:
    """The selecting options; None where none was given."""
    if not (layer or scenario or axis or cell or coverage or full):
        return None
    return Selected(
        layers=list(layer or ()),
        scenarios=list(scenario or ()),
        axes=_axes(axis or ()),
        cells=list(cell or ()),
        coverage=FULL if full else coverage,
    )


def _axes(texts: Sequence[str]) -> dict[str, list[str]]:
    """{axis: values} of `NAME=V,V`; what is wrong with it is told where it is used."""
    found: dict[str, list[str]] = {}
    for text in texts:
        name, _, values = text.partition("=")
        found.setdefault(name, []).extend(values.split(","))
    return found


def configured(of: Configuration) -> Selected | None:
    """The selection of a configuration; None where it has none."""
    made = Selected(
        layers=of.layers, scenarios=of.scenarios, axes=of.axes, cells=of.cells, coverage=of.coverage
    )
    return None if made == Selected() else made


def drift(found: Project, held: Baseline) -> list[str]:
    """What the configuration asks for and the baseline does not hold. Raises UsageError for unknown words."""
    said = []
    wanted, names = found.configured.frameworks, [target.target for target in held.targets]
    if wanted and sorted(set(wanted)) != sorted(names):
        said.append(
            f"the configuration has the frameworks {', '.join(wanted)}, the baseline {', '.join(names)}"
        )
    chosen = configured(found.configured)
    if chosen is not None:
        selection(chosen, None)
        if chosen != held.selection:
            said.append("the configuration selects other cells than the baseline was written with")
    return said


ALL = Selected(layers=["all"])
"""Without a word said: every layer, in the scenario core."""


def selection(of: Selected, device: str | None) -> Selection:
    """The same, checked. Raises UsageError."""
    from bnmatrix.selection import select

    axes = [f"{name}={','.join(values)}" for name, values in of.axes.items()]
    return select(of.layers, of.scenarios, axes, of.cells, device, of.coverage)

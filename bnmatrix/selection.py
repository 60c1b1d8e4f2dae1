"""From the selecting options to plans: what is asked for, checked in full before anything runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from bnmatrix import coverage as coverages
from bnmatrix.axes import AXES, COMPILING, Cell, as_own, check_value, parse_id
from bnmatrix.errors import NothingSelectedError, UsageError, unknown
from bnmatrix.layers import layers
from bnmatrix.measurement import Plan
from bnmatrix.own_layers import is_own, written
from bnmatrix.placement import Wishes, installed
from bnmatrix.scenario import Scenario, Values, cells
from bnmatrix.scenario_file import find
from bnmatrix.target import FAMILIES, Family, Target, check_device, parse


@dataclass(frozen=True)
class Selection:
    """Which cells are asked for, of whatever target.

    like:     what layers of the user's own are examined as
    coverage: in place of the scenarios' own; without scenarios and cells, of every axis
    full:     in place of scenarios and cells
    explicit: any of the options was given
    """

    scenarios: tuple[Scenario, ...]
    layers: tuple[str, ...]
    overrides: Values
    cells: tuple[Cell, ...]
    coverage: str | None
    full: bool
    explicit: bool
    like: tuple[str, ...] = (AXES["layer"].default,)


@dataclass(frozen=True)
class Task:
    """A plan, and the scenarios whose expectations are about what it measures."""

    plan: Plan
    scenarios: tuple[Scenario, ...]


def select(
    layer: Sequence[str] | None,
    scenario: Sequence[str] | None,
    axis: Sequence[str] | None,
    cell: Sequence[str] | None,
    device: str | None,
    coverage: str | None = None,
    full: bool = False,
) -> Selection:
    """Check the selecting options. Raises UsageError."""
    if device is not None:
        check_device(device)
    if coverage == coverages.FULL:
        coverage, full = None, True
    if coverage is not None and coverage not in coverages.COVERAGES:
        raise unknown("coverage", coverage, [*coverages.COVERAGES, coverages.FULL])
    if full and (cell or scenario or coverage):
        hint = "leave --cell, --scenario and --coverage out beside it"
        raise UsageError("--full chooses the cells itself", hint)
    if cell and (layer or scenario or axis or coverage):
        hint = "leave --layer, --like, --scenario, --axis and --coverage out beside it"
        raise UsageError("--cell names whole cells", hint)
    overrides = axis_values(axis or ())
    chosen = [*(layer or ()), *overrides.pop("layer", ())]
    for name in chosen:
        if name != "all":
            check_value("layer", name)
    own = [written(name) for name in chosen if is_own(name)]
    if "all" in chosen:
        chosen = [*layers(), *own]
    alike = overrides.pop("like", ())
    if alike and ("none" in alike or not own):
        raise UsageError(
            "--like says which layer one of your own is examined as",
            "name both: --layer package.module:Class --like batch_norm",
        )
    of_every_axis = full or (coverage not in (None, "product") and not scenario)
    asked = () if cell or of_every_axis else scenario or ("core",)
    return Selection(
        scenarios=tuple(find(name) for name in dict.fromkeys(asked)),
        layers=tuple(dict.fromkeys(written(name) if is_own(name) else name for name in chosen)),
        overrides=overrides,
        cells=tuple(dict.fromkeys(parse_id(text) for text in cell or ())),
        coverage=coverage,
        full=full,
        explicit=bool(layer or scenario or axis or cell or coverage or full),
        like=tuple(dict.fromkeys(alike)) or (AXES["layer"].default,),
    )


def axis_values(texts: Sequence[str]) -> Values:
    """{axis: values} of `NAME=V,V`, given once or more often."""
    found: dict[str, dict[str, None]] = {}
    for text in texts:
        name, separator, values = text.partition("=")
        if not separator or not values:
            hint = f"write {name}={','.join(AXES[name].values)}" if name in AXES else "write --axis rank=2,4"
            raise UsageError(f"--axis {text!r} is not of the form NAME=V,V", hint)
        for value in values.split(","):
            if not (name == "layer" and value.strip() == "all"):
                check_value(name, value.strip())
            found.setdefault(name, {})[value.strip()] = None
    return {name: tuple(values) for name, values in found.items()}


def targets(
    names: Sequence[str] | None, selection: Selection, wishes: Wishes
) -> tuple[list[Target], list[str]]:
    """The targets asked for, and notes on what was left out.

    Without `names`: every one installed that one of the scenarios is about.
    """
    if names:
        return list(dict.fromkeys(parse(name) for name in names)), []
    here = installed(wishes)
    if not here:
        raise UsageError(
            "no framework is installed here",
            "name one, and an environment is made for it: --framework tf2, --framework torch==2.4.1",
        )
    about = {name for scenario in selection.scenarios for name in scenario.frameworks or FAMILIES}
    if not selection.scenarios:
        return here, []
    found = [target for target in here if target.framework in about]
    left_out = [] if about >= set(FAMILIES) else sorted(about - {target.framework for target in found})
    notes = [f"left out, not installed: {', '.join(left_out)}"] if left_out else []
    if not found:
        raise UsageError(
            f"none of the frameworks that this is about is installed: {', '.join(sorted(about))}",
            f"name one, and an environment is made for it: --framework {sorted(about)[0]}",
        )
    return found, notes


def tasks(found: Sequence[Target], selection: Selection, named: bool) -> list[Task]:
    """What to measure: for each target its cells, those of scenarios with given numbers apart.

    `named`: the targets were asked for by name, so a scenario runs on them whatever it is about.
    Raises NothingSelectedError.
    """
    made = []
    known: dict[tuple[str, tuple[str, ...]], tuple[Cell, ...]] = {}

    def of(target: Target, scenarios: tuple[Scenario, ...]) -> tuple[Cell, ...]:
        key = target.framework, tuple(scenario.name for scenario in scenarios)
        if key not in known:
            known[key] = cells_of(selection, target.family, scenarios)
        return known[key]

    for target in found:
        own = [
            s for s in selection.scenarios if named or not s.frameworks or target.framework in s.frameworks
        ]
        plain = tuple(scenario for scenario in own if scenario.given is None)
        together = of(target, plain)
        if together:
            made.append(Task(Plan(target, together), plain))
        for scenario in own:
            apart = of(target, (scenario,))
            if scenario.given is not None and apart:
                made.append(Task(Plan(target, apart, scenario.given), (scenario,)))
    if not made:
        raise nothing_selected(found, selection)
    return made


def no_given(selection: Selection) -> None:
    """Raise UsageError where a scenario with numbers of its own is to be compared with something."""
    if any(scenario.given is not None for scenario in selection.scenarios):
        raise UsageError(
            "a scenario with numbers of its own is not compared", "bnmatrix run says what it expects"
        )


def nothing_selected(found: Sequence[Target], selection: Selection) -> NothingSelectedError:
    """The error for a selection that is empty for all of the targets `found`, saying why it is."""
    names = ", ".join(target.text for target in found)
    with_default = replace(selection, overrides={**selection.overrides, "training": ("default",)})
    others = [cell for target in found for cell in cells_of(with_default, target.family, selection.scenarios)]
    if others and all(cell.axes["execution"] in COMPILING for cell in others):
        hint = f"under {', '.join(COMPILING)} only training=default exists"
    else:
        hint = "the framework or the layer does not have what is asked for, or the scenario excludes it"
    return NothingSelectedError(f"no cell of {names} is selected", hint)


def cells_of(selection: Selection, family: Family, scenarios: Sequence[Scenario]) -> tuple[Cell, ...]:
    """The cells of a target of `family`, each once."""
    if not selection.scenarios and not selection.cells:
        return tuple(_of_every_axis(selection, family))
    product = (cell for scenario in scenarios for cell in _of_scenario(selection, family, scenario))
    return tuple(dict.fromkeys([*selection.cells, *product]))


def _of_scenario(selection: Selection, family: Family, scenario: Scenario) -> Iterator[Cell]:
    if not selection.layers:
        yield from cells(scenario, family, (), selection.overrides, selection.coverage)
    for layer in selection.layers:
        for like in selection.like if is_own(layer) else (layer,):
            for cell in cells(scenario, family, (like,), selection.overrides, selection.coverage):
                if not is_own(layer):
                    yield cell
                elif all(
                    axis in selection.overrides or cell.axes[axis] in values
                    for axis, values in _of_own(family).items()
                ):
                    yield as_own(cell, layer)


def _of_own(family: Family) -> Values:
    """The values that a layer of the user's own has of axes that are about the framework's."""
    apis = family.values.get("api", ("default",))
    return {"variant": ("default",), "api": tuple(each for each in apis if each in ("default", "keras"))}


def _of_every_axis(selection: Selection, family: Family) -> Iterator[Cell]:
    def of(layer: str, overrides: Values) -> Iterable[Cell]:
        if selection.full:
            return coverages.full(layer, family, overrides)
        assert selection.coverage is not None
        return coverages.of_every_axis(layer, family, selection.coverage, overrides)

    for layer in selection.layers or (AXES["layer"].default,):
        if is_own(layer):
            narrowed = {**_of_own(family), **selection.overrides}
            yield from (as_own(cell, layer) for like in selection.like for cell in of(like, narrowed))
        else:
            yield from of(layer, selection.overrides)

"""The commands as functions: the same selectors, and as a result the structs that are their JSON.

    import bnmatrix

    matrix = bnmatrix.run("torch", axes={"execution": "call", "rank": "2"})
    for cell in matrix.targets[0].cells:
        print(cell.id, cell.facts["moving_mean"])

    changes = bnmatrix.diff(matrix, "torch").changes
    table = matrix.to_pandas()

Nothing is printed: `tell` gets what the commands say on stderr. What goes wrong is raised as `BnmatrixError`,
with the message and the hint that the commands print.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from bnmatrix import __version__, checking, sides
from bnmatrix.baseline import Baseline
from bnmatrix.baseline import load as load_baseline
from bnmatrix.checked import Check, Rules
from bnmatrix.checked import check as check_of
from bnmatrix.comparison import Diff
from bnmatrix.configuration import configuration
from bnmatrix.converted import Conversion
from bnmatrix.errors import UsageError, unknown
from bnmatrix.matrix import Matrix
from bnmatrix.matrix import load as load_matrix
from bnmatrix.measurement import Options, Plan, measure
from bnmatrix.placement import Wishes
from bnmatrix.records import opened
from bnmatrix.selection import Selection, no_given, select, targets, tasks
from bnmatrix.target import parse

if TYPE_CHECKING:
    from typing_extensions import Unpack

Words = str | Sequence[str]
"""One, or several."""


class Selectors(TypedDict, total=False):
    """Which cells: as the options of these names, {axis: values} for `axes`."""

    layers: Words
    like: str
    scenarios: Words
    axes: Mapping[str, Words]
    cells: Words
    coverage: str


class Means(TypedDict, total=False):
    """How to measure: as the options of these names. cache=False is --no-cache; `tell` gets progress."""

    device: str
    seed: int
    jobs: int
    timeout: float
    python: str
    offline: bool
    yes: bool
    cache: bool
    refresh: bool
    tell: Callable[[str], None]


class Arguments(Selectors, Means, total=False):
    """Both."""


def run(frameworks: Words = (), **arguments: Unpack[Arguments]) -> Matrix:
    """Measure, as `bnmatrix run`. Without `frameworks`: every one that is installed.

    With `like` the result is a `Likened`: what differs from the framework's layers is in its `likeness`.

    Raises UsageError, NothingSelectedError where no cell is selected, and what befalls environments.
    """
    from bnmatrix.expectations import answered
    from bnmatrix.likeness import beside, check_own_layers, likened

    _check_names(arguments, Arguments)
    how = _Measuring(arguments)
    selection = _selection(arguments)
    found, _ = targets(_list(frameworks), selection, how.options.wishes)
    work = tasks(found, selection, named=bool(frameworks))
    plans = [task.plan for task in work]
    everything = how([*plans, *(beside(plans) if "like" in arguments else ())])
    check_own_layers(everything, made=True)
    if "like" not in arguments:
        return answered(work, everything)
    return likened(everything, work, how, how.tell)


Comparable = str | Path | Matrix | Baseline
"""A target; a file that `run` or `lock` wrote; or what was loaded from one, of one target."""


def diff(old: Comparable, new: Comparable, **arguments: Unpack[Arguments]) -> Diff:
    """What differs between two targets, files, or what was loaded from them.

    Raises UsageError, and what befalls environments.
    """
    _check_names(arguments, Arguments)
    selection = _selection(arguments)
    no_given(selection)
    how = _Measuring(arguments)
    return sides.compared(_side(old), _side(new), selection, how, how.tell)[1]


def check(
    baseline: str | Path | Baseline | None = None, frameworks: Words = (), **means: Unpack[Means]
) -> Check:
    """The present against a baseline, as `bnmatrix check`. Without `baseline`: that of the project here.

    frameworks: these targets of the baseline, in place of all

    Raises UsageError for a baseline or a configuration that cannot be used, and what befalls environments.
    """
    _check_names(means, Means)
    if "seed" in means:
        raise UsageError("the seed of a check is that of the baseline", "leave `seed` out")
    configured, folder = configuration()
    path = None
    if not isinstance(baseline, (str, Path, Baseline, type(None))):
        raise UsageError(f"{baseline!r} is no baseline", "give its path, or what bnmatrix.load made of it")
    if not isinstance(baseline, Baseline):
        path = folder / configured.baseline if baseline is None else Path(baseline)
        baseline = load_baseline(path)
    how = _Measuring({**means, "seed": baseline.seed})
    plans = checking.plans_of(baseline, _list(frameworks))
    compared = checking.held_against(baseline, plans, how, how.tell, configured.tolerances)
    rules = Rules(fail_on=configured.fail_on, severity=configured.severity)
    return check_of(
        compared, baseline.accepted, rules, date.today(), __version__, str(path) if path else None
    )


def convert(
    layer: str,
    source: str,
    destination: str,
    axes: Mapping[str, Words] = {},
    options: Mapping[str, float] = {},
    steps: int = 10,
    **means: Unpack[Means],
) -> Conversion:
    """The options and weights with which one layer behaves like another, as `bnmatrix convert`.

    options: of the layer that is converted, by neutral names: {"momentum": 0.9, "epsilon": 1e-4}

    Raises UsageError, and what befalls environments.
    """
    from bnmatrix import conversion

    _check_names(means, Means)
    chosen = {name: tuple(_list(values)) for name, values in axes.items()}
    asked = conversion.question(layer, parse(source), parse(destination), chosen, options, steps)
    how = _Measuring(means)
    return conversion.convert(asked, how, how.options, how.tell)[0]


def load(path: str | Path) -> Matrix | Baseline:
    """What `run --format json --output FILE` or `lock` wrote. Raises UsageError, saying what is wrong."""
    from bnmatrix.baseline import is_one

    if not isinstance(path, (str, Path)):
        raise UsageError(f"{path!r} is no path", "name the file that `run` or `lock` wrote")
    path = Path(path)
    return load_baseline(path) if is_one(path) else load_matrix(path)


class _Measuring:
    """Measures by the arguments, from and into the store."""

    def __init__(self, arguments: Means) -> None:
        wishes = Wishes(
            arguments.get("python"),
            arguments.get("offline", False),
            arguments.get("yes", False),
            arguments.get("tell", lambda text: None),
        )
        self.options = Options(
            arguments.get("seed", 0),
            arguments.get("jobs"),
            arguments.get("timeout", 60.0),
            arguments.get("device"),
            wishes,
        )
        self.tell = wishes.tell
        self.cache = arguments.get("cache", True)
        self.refresh = arguments.get("refresh", False)

    def __call__(self, plans: Sequence[Plan], title: str | None = None) -> Matrix:
        if title:
            self.tell(title)
        if not self.cache:
            return measure(plans, self.options)
        with opened(self.refresh, self.tell) as records:
            return measure(plans, self.options, records=records)


def _check_names(given: Mapping[str, object], known: type) -> None:
    """Raise UsageError for an argument that is none: without a word it would measure something else."""
    names = list(known.__annotations__)
    for name in given:
        if name not in names:
            raise unknown("argument", name, names)


def _list(words: object) -> list[str]:
    """Words as text: numbers and truth values as the command line has them."""
    several = words if isinstance(words, (list, tuple, set, frozenset)) else [words]
    return [
        f"{word.__module__}:{word.__qualname__}"  # a layer of one's own
        if isinstance(word, type)
        else str(word).lower()
        if isinstance(word, bool)
        else str(word)
        for word in several
    ]


def _selection(arguments: Arguments) -> Selection:
    if not isinstance(arguments.get("axes", {}), Mapping):
        raise UsageError("axes must be {axis: values}", 'axes={"rank": 2}')
    axes = {name: _list(values) for name, values in arguments.get("axes", {}).items()}
    like = [f"like={arguments['like']}"] if "like" in arguments else []
    return select(
        _list(arguments.get("layers", ())),
        _list(arguments.get("scenarios", ())),
        [f"{name}={','.join(values)}" for name, values in axes.items()] + like,
        _list(arguments.get("cells", ())),
        arguments.get("device"),
        arguments.get("coverage"),
    )


def _side(given: Comparable) -> sides.Given:
    if not isinstance(given, (Matrix, Baseline)):
        return str(given)
    if len(given.targets) != 1:
        names = ", ".join(target.target for target in given.targets) or "none"
        raise UsageError(
            f"a matrix of one target is compared; this one has {names}", "take one of its targets"
        )
    return given.targets[0]

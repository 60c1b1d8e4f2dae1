"""How a fact is read off: lines of numpy at the end of `measure`, the same for every framework.

They use `before` and `after` ({name: array}), x, w and t, and what `Parts.values` has. They return what
was found.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bnmatrix.facts import SLOTS
from bnmatrix.layers import layers
from bnmatrix.matrix import Value
from bnmatrix.witness.parts import Axes, Lines, NoProgram, Parts


@dataclass(frozen=True)
class Question:
    """A fact of a cell and its two values."""

    fact: str
    old: Value
    new: Value
    axes: Axes

    @property
    def values(self) -> tuple[Value, Value]:
        """Old and new."""
        return self.old, self.new


@dataclass(frozen=True)
class Reading:
    """
    lines:    writes the reading
    output:   whether it reads the layer's output, or the loss in its place
    infer:    whether it compares the output in inference mode with that `at_first`
    forward:  whether the forward pass alone shows the fact, so that no gradient step need be written
    """

    lines: Callable[[Question, Parts], Lines]
    forward: bool = False
    infer: bool = False
    output: bool = False


def reading_of(fact: str) -> Reading:
    """The reading of `fact`. Raises NoProgram where none is written."""
    if fact not in READINGS:
        raise NoProgram(f"none is written that reads {fact}")
    return READINGS[fact]


def _slot(question: Question, parts: Parts) -> Lines:
    name = parts.name(question.fact)
    same = f'np.array_equal(before["{name}"], after["{name}"])'
    lines = [f'return "unchanged" if {same} else "updated"']
    if "absent" in question.values:
        lines.insert(0, f'if "{name}" not in after: return "absent"')
    return lines


def _statistics(parts: Parts) -> Lines:
    """Those of the batch and the moving ones, in the shape that they are broadcast in; gamma and beta."""
    lines = [f"mean, variance = x.mean({parts.over}, keepdims=True), x.var({parts.over}, keepdims=True)"]
    if parts.fresh:
        return [*lines, "moving = 0, 1"]
    names = f'("{parts.name("moving_mean")}", "{parts.name("moving_variance")}")'
    lines.append(f"moving = [before[name].reshape(mean.shape) for name in {names}]")
    for slot, default in (("gamma", 1), ("beta", 0)):
        found = f'before["{parts.names[slot]}"].reshape(mean.shape)' if slot in parts.names else default
        lines.append(f"{slot} = {found}")
    return lines


def _nearest(errors: str) -> Lines:
    return [f"errors = {errors}", "return min(errors, key=errors.get)"]


def _normalised_by(question: Question, parts: Parts) -> Lines:
    if layers()[question.axes["layer"]].family != "batch_norm":
        raise NoProgram("none is written that reads normalised_by of this layer")
    normal = f"(x - mean) / np.sqrt(variance + {parts.epsilon:g})" + (
        "" if parts.fresh else " * gamma + beta"
    )
    seen = parts.values["y"] if "y" in parts.values else parts.value("loss")
    off = "abs(seen - normal).max()" if "y" in parts.values else "abs(seen - np.mean((t - normal) ** 2))"
    return [
        *_statistics(parts),
        f"seen = {seen}",
        "",
        "def off(mean, variance):  # from what normalising by these would give",
        f"    normal = {normal}",
        f"    return {off}",
        "",
        *_nearest('{"batch": off(mean, variance), "moving": off(*moving), "neither": 0.05}'),
    ]


def _input_gradient(question: Question, parts: Parts) -> Lines:
    gradient = parts.value("gradient")
    if {*question.values} <= {"none", "zero"} or layers()[question.axes["layer"]].family != "batch_norm":
        other = next((value for value in question.values if value not in ("none", "zero")), "other")
        if other == "other" and not {*question.values} <= {"none", "zero"}:
            raise NoProgram("none is written that tells these input gradients apart")
        return [
            f"if {gradient} is None:",
            '    return "none"',
            f'return "{other}" if np.any({gradient}) else "zero"',
        ]
    over, gamma = parts.over, "" if parts.fresh else " * gamma"
    return [
        f"if {gradient} is None:",
        '    return "none"',
        *_statistics(parts),
        f"normal = (x - mean) / np.sqrt(variance + {parts.epsilon:g})",
        f"held = w{gamma} / np.sqrt(variance + {parts.epsilon:g})",
        f"through = held - held.mean({over}, keepdims=True)",
        f"through = through - normal * (held * normal).mean({over}, keepdims=True)",
        f"elementwise = w{gamma} / np.sqrt(moving[1] + {parts.epsilon:g})",
        'forms = {"through_batch_statistics": through, "statistics_held_constant": held,',
        '         "elementwise": elementwise, "zero": 0 * x}',
        f"errors = {{name: abs({gradient} - form).max() for name, form in forms.items()}}",
        'errors["other"] = 0.02',
        "return min(errors, key=errors.get)",
    ]


def _share(parts: Parts, before: str = "before", after: str = "after", x: str = "x") -> Lines:
    mean = parts.name("moving_mean")
    return [
        f'old, new, batch = {before}["{mean}"], {after}["{mean}"], {x}.mean({parts.over})',
        "share = float(np.median((new - old) / (batch - old)))  # of the batch's statistic, taken in",
    ]


def _variance_estimator(question: Question, parts: Parts) -> Lines:
    variance = parts.name("moving_variance")
    return [
        *_share(parts),
        f'taken = (after["{variance}"] - (1 - share) * before["{variance}"]) / share',
        f"ratio = np.median(taken / x.var({parts.over}))",
        f"n = x.size // x.shape[{next(a for a in range(9) if a not in parts.over)}]  # values a channel",
        *_nearest(
            '{"biased": abs(ratio - 1), "unbiased": abs(ratio - n / (n - 1)),\n'
            '          "unbiased_twice": abs(ratio - (n / (n - 1)) ** 2), "other": 0.05}'
        ),
    ]


def _update_rate(question: Question, parts: Parts) -> Lines:
    return [*_share(parts), "return share"]


def _updates_per_step(question: Question, parts: Parts) -> Lines:
    if "num_batches_tracked" in parts.names:
        counter = parts.name("num_batches_tracked")
        return [f'return int(after["{counter}"] - before["{counter}"])']
    return [*_share(parts), f"return round(float(np.log(1 - share) / np.log({parts.momentum:g})))"]


def _stochastic(question: Question, parts: Parts) -> Lines:
    """An output of dropout that is the input has left nothing to chance."""
    if layers()[question.axes["layer"]].family != "dropout":
        raise NoProgram("none is written that reads stochastic of this layer")
    if "y" in parts.values:
        return [f'return "no" if np.allclose({parts.values["y"]}, x, rtol=0.01) else "yes"']
    loss = parts.value("loss")
    return [f'return "no" if np.isclose({loss}, np.mean((t - x) ** 2), rtol=1e-3) else "yes"']


def _inference_output(question: Question, parts: Parts) -> Lines:
    return [f'return "no" if np.array_equal(at_first, {parts.value("infer")}) else "yes"']


def _stated(question: Question, parts: Parts) -> Lines:
    """What the framework says of the layer."""
    return [f"return {parts.value(question.fact)}"]


def _flags(question: Question, parts: Parts) -> Lines:
    flags = parts.flags.get(question.fact, {})
    if list(flags) == ["layer"]:
        return [f'return "yes" if {flags["layer"]} else "no"']
    if not flags:
        raise NoProgram(f"none is written that reads {question.fact}")
    listed = [f'    "{name}": {flag},' for name, flag in flags.items()]
    said = '" ".join("%s=%s" % (name, "yes" if flag else "no") for name, flag in flags.items())'
    return ["flags = {", *listed, "}", f"return {said}"]


def _ran(question: Question, parts: Parts) -> Lines:
    return ['return "ok"']


STATED = (
    "trainable_weights", "non_trainable_weights", "regularisation_losses", "statistics_dtype", "output_dtype",
)  # fmt: skip

FORWARD_SLOTS = ("moving_mean", "moving_variance", "num_batches_tracked", "power_iteration_vector")

READINGS: dict[str, Reading] = {
    **{slot: Reading(_slot, forward=slot in FORWARD_SLOTS) for slot in SLOTS},
    "normalised_by": Reading(_normalised_by, forward=True, output=True),
    "input_gradient": Reading(_input_gradient),
    "variance_estimator": Reading(_variance_estimator, forward=True),
    "update_rate": Reading(_update_rate, forward=True),
    "updates_per_step": Reading(_updates_per_step, forward=True),
    "stochastic": Reading(_stochastic, forward=True, output=True),
    "inference_output": Reading(_inference_output, infer=True),
    **{fact: Reading(_stated, forward=True) for fact in STATED},
    "mode_after": Reading(_flags, forward=True),
    "trainable_after": Reading(_flags, forward=True),
    "outcome": Reading(_ran),
    "exception": Reading(_ran),
    "warnings": Reading(_ran),
}


def is_number(question: Question) -> bool:
    """Whether the fact is a number on both sides."""
    return not any(isinstance(value, str) for value in question.values)


def ending(question: Question, parts: Parts) -> Lines:
    """From what was found to the exit status."""
    fact, old, new = question.fact, question.old, question.new
    lines = [f'print("{fact}:", found)']
    if fact == "warnings":
        old, new = warned(question)
    if is_number(question):
        assert not isinstance(old, str)
        assert not isinstance(new, str)
        margin = f"{abs(old - new) / 4:.2g}"
        lines.append(f"near = [abs(found - value) < {margin} for value in ({old!r}, {new!r})]")
        lines.append("status = near.index(True) if True in near else 2")
    else:
        lines.append(f"status = {{{_quoted(old)}: 0, {_quoted(new)}: 1}}.get(found, 2)")
    if not parts.may_hang:
        return [*lines[:-1], "sys.exit(" + lines[-1].partition(" = ")[2] + ")"]
    return [*lines, "sys.stdout.flush()", "os._exit(status)  # torch 1.6 and 1.7 may hang in sys.exit"]


def only_there(question: Question) -> tuple[str, bool]:
    """Of the fact `warnings`: a piece of one that a single side gives, and whether that is the new one."""
    old, new = ({each for each in str(value).split("; ") if each != "none"} for value in question.values)
    text = min(new - old or old - new).partition(": ")[2].partition("…")[0]
    return text[:70], bool(new - old)


def warned(question: Question) -> tuple[str, str]:
    """What a program says of the two sides' warnings."""
    return ("silent", "warned") if only_there(question)[1] else ("warned", "silent")


def _quoted(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)

"""What a program for PyTorch is made of. The probe does the same things: `probe/adapters/torch*.py`."""

from __future__ import annotations

from bnmatrix.facts import SLOTS
from bnmatrix.layers import layers
from bnmatrix.witness.parts import AFTER_A_STEP, Lines, NoProgram, Parts, batch, data, indented, output
from bnmatrix.witness.readings import Question, Reading
from bnmatrix.witness.torch_tables import (
    CHECKPOINTS,
    CONTEXTS,
    CONVERSIONS,
    FRAMEWORK,
    LAYERS,
    LEGACY,
    NESTED,
    OPTIMIZERS,
    OTHER_WAY,
    PINNED,
    TRAINING_AS,
    WITHIN,
    WRAPPER,
)

STATE = [
    "",
    "",
    "def state(model):",
    "    found = model.state_dict().items()",
    "    return {name: value.detach().double().clone().numpy() for name, value in found}",
]


class Writer:
    """Writes the parts of one cell, in the order in which the probe does these things."""

    def __init__(self, question: Question, forward: bool) -> None:
        self.axes = axes = question.axes
        self.layer = axes["layer"]
        table = LEGACY if axes.choose("api", {"default": True}) and self.variant() == "legacy" else LAYERS
        if self.layer not in table:
            raise NoProgram(f"none is written for {self.layer} of torch")
        self.entry = table[self.layer]
        self.context = axes.choose("context", CONTEXTS)
        self.direct = axes["context"] == "direct"
        self.rank = int(axes["rank"])
        self.channels_first = self.entry.channels_first and self.rank > 2
        self.execution = axes["execution"]
        steps = self.execution not in (*WITHIN, "exported")
        self.forward = not steps or (
            forward  # checkpointing calls the layer once more in the backward pass
            and axes["context"] != "checkpointed"
            and axes["optimizer"] == "none"
            and axes["freeze"] != "between_backward_and_step"
        )
        # An optimizer has a memory: what it moves shows in the second step at the latest.
        self.again = axes["optimizer"] != "none" and question.fact in SLOTS
        self.in_model = "0" if not self.direct else ""  # where the layer lies in it
        self.converted = ""  # where the model lies in what was made of it
        self.parent = ""  # what holds the layer, where that is not the model
        self.build: Lines = []

    def variant(self) -> str:
        return self.axes["variant"]

    def parts(self) -> Parts:
        """The parts."""
        shape = batch(self.axes, self.channels_first)
        if self.layer == "multi_head_attention":
            shape = (shape[1], shape[0], shape[2])  # positions come first
        others = {} if self.forward else {"w": output(self.axes, shape, self.channels_first)}
        channel = 1 if self.channels_first or self.rank == 2 else self.rank - 1
        classes = self.classes()
        self.place_layer()
        self.conversion()
        step = self.step()
        place = self.place()
        return Parts(
            framework=["import torch", *FRAMEWORK.get(self.axes["context"], [])],
            data=data(self.axes, shape, others),
            classes=classes,
            build=self.build,
            step=step,
            may_hang=not self.forward,
            state="state(model)",
            helper=STATE,
            names={slot: ".".join(filter(None, (place, name))) for slot, name in self.names().items()},
            over=tuple(axis for axis in range(self.rank) if axis != channel),
            epsilon=1e-5,
            momentum=0.9,
            values=self.values(),
            flags=self.flags(),
        )

    def classes(self) -> Lines:
        wraps = self.context.wraps
        if wraps is None and not self.direct and self.entry.result != "({x})":
            called = "self.layer" + self.entry.result.format(x="x")
            wraps = ("gives the output alone", called)
        elif wraps is not None and self.entry.result != "({x})":
            raise NoProgram(f"none is written for {self.layer} in this context")
        if wraps is None:
            return []
        result = (
            wraps[1].format(how=CHECKPOINTS[self.axes["checkpoint"]]) if "{how}" in wraps[1] else wraps[1]
        )
        return ["", "", *WRAPPER.format(says=wraps[0], result=result).rstrip().splitlines()]

    # The layer in its place.

    def made(self) -> str:
        variant = self.variant()
        known = {"default": "", "legacy": "", **self.entry.variants}
        if variant not in known:
            raise NoProgram(f"none is written for variant={variant}")
        more = known[variant]
        if layers()[self.layer].family == "dropout":
            more = more if "p=" in more else ", ".join(filter(None, ("0.5", more)))
        elif more:
            more = ", " + more
        made = self.entry.made.format(d=max(1, self.rank - 2), more=more)
        dtype = self.axes["dtype"]
        if dtype != "float32" and not dtype.startswith("mixed_"):
            made += f".to(torch.{dtype})"
        return made

    def place_layer(self) -> None:
        """The layer in its path; mode and `trainable` set on the way."""
        axes, build, name = self.axes, self.build, self.axes["context"]
        build += ["torch.manual_seed(0)"] if layers()[self.layer].chance else []
        build += self.tensors()
        build.append(f"layer = {self.made()}")
        if self.variant() == "tracking_switched_off_later":
            build.append("layer.track_running_stats = False")
        held = "layer"
        if not self.direct and (self.entry.result != "({x})" or name == "shared"):
            held, self.in_model = "Wrapper(layer)", "0.layer"
        self.subject = "layer"
        if name in NESTED:
            for inner in ("inner_2", "inner")[2 - int(axes["depth"]) :]:
                build.append(f"{inner} = torch.nn.Sequential({held})")
                self.parent = self.parent or inner
                held, self.in_model = inner, "0." + self.in_model
            self.subject = "inner" if axes["depth"] != "0" else "layer"
        build.append("model = layer" if self.direct else f"model = torch.nn.Sequential({held})")
        last, pin = axes["mode_set"] == "after", PINNED.get(name)
        moment = axes["freeze"]
        if pin is not None and not last:
            build.append(f"{self.subject}.train({pin})")
        if pin is not None or not last:
            build += self.mode()
        if pin is not None and last:
            build.append(f"{self.subject}.train({pin})")
        if moment == "before_build":
            build += self.take()
        build += self.context.made
        if name in ("reloaded", "cloned", "averaged", "converted"):
            build.append(f"layer = {self.found(self.place())}")
        if moment != "before_build" and axes["trainable"] == "true":
            build.append("layer.requires_grad_(False)")
        if last and pin is None and self.execution not in CONVERSIONS:
            build += self.mode()

    def mode(self) -> Lines:
        training = self.axes["training"]
        if training == "default":
            return []
        given = self.axes.choose("training_as", TRAINING_AS)[training]
        return [f"model.train({given})"]

    def take(self) -> Lines:
        """The layer takes its `trainable`."""
        axes, name = self.axes, self.axes["context"]
        value = axes["trainable"] == "true"
        lines = [f"{self.subject}.requires_grad_(False)"] if name == "frozen_parent" else []
        on = axes["freeze_on"]
        if on == "parent" and self.direct:
            raise NoProgram("nothing holds the layer")
        target = "layer" if on != "parent" else self.parent or "model"
        if value and axes["freeze"] == "before_build" and name != "frozen_parent":
            pass  # a fresh layer is trainable
        elif on == "variables":
            lines += ["for parameter in layer.parameters():", f"    parameter.requires_grad = {value}"]
        else:
            lines.append(f"{target}.requires_grad_({value})")
        return [*lines, *([f"{self.subject}.requires_grad_(True)"] if name == "thawed_parent" else [])]

    # What is made of it, and the step.

    def conversion(self) -> None:
        axes, build = self.axes, self.build
        if self.execution in CONVERSIONS:
            made, place = CONVERSIONS[self.execution]
            inputs = "(x_, x_, x_)" if self.entry.result.startswith("({x}, ") and self.direct else "x_"
            compiler = axes["compiler"] if self.execution == "compiled" else ""
            axes.choose("exported_as", {"default": ""})
            build.append(f"model = {made.format(inputs=inputs, compiler=compiler)}")
            self.converted = place
            if axes["mode_set"] == "after" and axes["context"] not in PINNED:
                build += self.mode()
        elif self.execution not in ("call", *WITHIN):
            raise NoProgram(f"none is written for execution={self.execution}")
        self.optimizer = self.new_optimizer()
        build += self.optimizer
        if axes["freeze"] != "before_build" and self.execution in CONVERSIONS:
            build.append(f"layer = {self.found(self.place())}")
        if axes["freeze"] == "after_compile":
            build += self.take()

    def new_optimizer(self) -> Lines:
        named = self.axes["optimizer"]
        if named == "none" or self.forward:
            return []
        made = self.axes.choose(
            "optimizer", {**OPTIMIZERS, **{f"{n}_zeroed": o for n, o in OPTIMIZERS.items()}}
        )
        return [f"optimizer = torch.optim.{made}"]

    def tensors(self) -> Lines:
        """The input as a tensor; its gradient is asked for where there is a step."""
        dtype = self.axes["dtype"]
        made = "torch.tensor(x)"
        if self.layer != "embedding" and dtype != "float32" and not dtype.startswith("mixed_"):
            made += f".to(torch.{dtype})"
        formats = {"default": "", "channels_last": "channels_last_3d" if self.rank == 5 else "channels_last"}
        kept = self.axes.choose("data_format", formats)
        if kept:
            made += f".to(memory_format=torch.{kept})"
        if not self.forward and self.layer != "embedding":
            made += ".requires_grad_()"
        return [f"x_ = {made}"]

    def place(self) -> str:
        """The dotted place of the layer in the model."""
        return ".".join(filter(None, (self.converted, self.context.place, self.in_model)))

    @staticmethod
    def found(place: str) -> str:
        found = "model"
        for name in place.split(".") if place else ():
            found = f'getattr({found}, "{name}")' if name.isdigit() else f"{found}.{name}"
        return found

    def step(self) -> Lines:
        axes = self.axes
        before = axes["freeze"] in AFTER_A_STEP
        once = self.step_lines()
        if not self.repeated():
            return once
        self.build += ["", "def step():", *indented([*once, "return y"]), ""]
        if before:
            self.build += ["step()", *self.take()]
            if axes["freeze"] == "recompiled":
                self.build += self.optimizer
        return ["y = step()", "step()"] if self.again else ["y = step()"]

    def step_lines(self) -> Lines:
        axes, dtype = self.axes, self.axes["dtype"]
        source = "x_.clone()" if self.variant() == "in_place" else "x_"
        called = "model" + (self.entry.result.format(x=source) if self.direct else f"({source})")
        lines = [f"y = {called}"]
        if dtype.startswith("mixed_"):
            low = dtype[len("mixed_") :]
            lines = [f'with torch.autocast("cpu", dtype=torch.{low}):', *indented(lines)]
        within = WITHIN.get(self.execution)
        if within:
            lines = [f"with {within}:", *indented(lines)]
        if self.forward:
            return lines
        clear, move = ["optimizer.zero_grad()"], ["optimizer.step()"]
        if axes["optimizer"] == "none":
            clear = ["for parameter in model.parameters():", "    parameter.grad = None"]
            move = [
                "for parameter in model.parameters():",
                "    if parameter.grad is not None:",
                "        parameter.data -= parameter.grad",
            ]
        elif axes["optimizer"].endswith("_zeroed"):
            clear = OTHER_WAY
        if not self.repeated():
            clear = []  # there is none yet
        between = self.take() if axes["freeze"] == "between_backward_and_step" else []
        wide = "y" if dtype == "float32" else "y.float()" if dtype != "float64" else "y"
        backward = [f"({wide} * torch.tensor(w)).sum().backward()"]
        if self.layer == "embedding":  # its input has no gradient that would be there in any case
            backward = ["if y.requires_grad:", *indented(backward)]
        return [*clear, *lines, *backward, *between, *move]

    def repeated(self) -> bool:
        return self.again or self.axes["freeze"] in AFTER_A_STEP

    # What there is to read.

    def names(self) -> dict[str, str]:
        names = dict(self.entry.names)
        variant = self.variant()
        gone = {"no_affine": ("gamma", "beta"), "no_center": ("beta",), "no_bias": ("bias",)}.get(variant, ())
        tracked = ("moving_mean", "moving_variance", "num_batches_tracked")
        if variant == "no_tracking" or (self.layer != "batch_norm" and variant != "tracking"):
            gone = (*gone, *tracked)
        return {slot: name for slot, name in names.items() if slot not in gone}

    def values(self) -> dict[str, str]:
        values = {
            "y": "y.detach().float().numpy()",
            "output_dtype": 'str(y.dtype).split(".")[-1]',
            "trainable_weights": "sum(each.requires_grad for each in layer.parameters())",
            "non_trainable_weights": "sum(not each.requires_grad for each in layer.parameters())"
            " + len(list(layer.buffers()))",
        }
        if self.layer not in ("lstm", "gru", "multi_head_attention", "embedding"):
            values["infer"] = "copy.deepcopy(layer).eval()(x_.detach()).detach().float().numpy()"
        if not self.forward and self.layer != "embedding":
            values["gradient"] = "(None if x_.grad is None else x_.grad.double().numpy())"
        return values

    def flags(self) -> dict[str, dict[str, str]]:
        name, place = self.axes["context"], self.place()
        if name not in ("direct", "model", *NESTED):
            return {}
        objects = (
            {"layer": self.found(place)} if self.direct else {"layer": self.found(place), "model": "model"}
        )
        if name in NESTED:
            zeros = [part for part in (self.converted, "0") if part]
            for inner in ("inner", "inner_2")[: int(self.axes["depth"])]:
                objects[inner] = self.found(".".join(zeros))
                zeros.append("0")
        free = "all(each.requires_grad for each in {}.parameters())"
        return {
            "mode_after": {name: f"{each}.training" for name, each in objects.items()},
            "trainable_after": {name: free.format(each) for name, each in objects.items()},
        }


def parts(question: Question, reading: Reading, framework: str, backend: str | None) -> Parts:
    """The parts of a program for PyTorch."""
    return Writer(question, reading.forward).parts()

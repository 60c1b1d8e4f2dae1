"""What a program for Keras is made of where it computes at once: tf.keras of TensorFlow 2, tf_keras, Keras 3
on each of its backends. The probe does the same things: `probe/adapters/keras*.py`.
"""

from __future__ import annotations

from bnmatrix.witness.keras_tables import (
    ALIAS,
    CONTEXTS,
    FITTED,
    GRADIENTS,
    IMPORTS,
    INNER,
    LATE,
    LAYERS,
    OPTIMIZERS,
    RUNS,
    SAVED,
    STATE,
    TRAINS,
)
from bnmatrix.witness.parts import AFTER_A_STEP, Lines, NoProgram, Parts, batch, data, indented, output
from bnmatrix.witness.readings import Question, Reading


class Writer:
    """Writes the parts of one cell, in the order in which the probe does these things."""

    built = "layer.build(x.shape)"

    def __init__(self, question: Question, reading: Reading, framework: str, backend: str | None) -> None:
        self.axes = axes = question.axes
        self.reading = reading
        self.framework, self.backend = framework, backend or "tensorflow"
        self.layer, self.rank = axes["layer"], int(axes["rank"])
        axes.choose("api", {"keras" if framework == "tf1" else "default": True})
        if self.layer not in LAYERS:
            raise NoProgram(f"none is written for {self.layer} of Keras")
        self.entry = LAYERS[self.layer]
        self.name = axes["context"]
        self.context = axes.choose("context", CONTEXTS)
        self.direct = self.name == "direct"
        self.execution = axes["execution"]
        self.compiled = self.execution in FITTED
        self.channels_first = axes["data_format"] == "channels_first"
        self.forward = reading.forward and axes["optimizer"] == "none" and self.name != "checkpointed"
        self.outer = "layer" if self.direct else "model"
        self.attended = ", x" if self.layer == "multi_head_attention" else ""
        self.build: Lines = []
        self.classes: Lines = []
        self.holder = ""  # what holds the layer directly
        self.begun = self.taken = False

    def parts(self) -> Parts:
        """The parts."""
        shape = batch(self.axes, self.channels_first)
        made = output(self.axes, shape, self.channels_first)
        if self.layer in ("lstm", "gru"):
            made = (shape[0], made[-1])  # of the last step
        # A head is there to be trained where all else is frozen; the output could not be read behind it.
        self.head = (
            "" if self.reading.output or self.execution not in TRAINS else f"keras.layers.Dense({made[-1]})"
        )
        others = {"t" if self.compiled else "w": made} if self.compiled or not self.forward else {}
        if self.execution == "predict":
            others = {}
        self.make_layer()
        self.enclose()
        if not self.direct:
            self.make_model()
        else:
            self.build.append("layer(x, x)" if self.attended else self.built)
        self.event("built")
        self.compile()
        step = self.step()
        channel = 1 if self.channels_first else self.rank - 1
        lines = [*self.build, *step]
        text = "\n".join([*lines, *self.classes])
        used = {name for name in ("tf", "torch", "jax") if f"{name}." in text}
        needed = {"keras", *used, *(("tf",) if self.framework in ALIAS else ())}
        backends = self.framework if self.framework != "keras" else self.backend
        environment = {"keras": f'os.environ["KERAS_BACKEND"] = "{self.backend}"'}
        environment["tf1"] = environment["tf_keras"] = 'os.environ["TF_USE_LEGACY_KERAS"] = "1"'
        before = [environment[self.framework]] if self.framework in environment else []
        names = {slot: self.entry.names.get(slot, slot) for slot in self.slots()}
        return Parts(
            environ=before,
            framework=[each for each in IMPORTS[backends] if each.split()[-1] in needed],
            alias=ALIAS.get(self.framework, []),
            data=data(self.axes, shape, others),
            classes=self.classes,
            build=self.build,
            step=step,
            state="state(layer)",
            helper=STATE,
            fresh=self.axes["freeze"] not in AFTER_A_STEP,
            names=names,
            over=tuple(axis for axis in range(self.rank) if axis != channel),
            values=self.values(lines),
            flags=self.flags(),
        )

    # The layer.

    def make_layer(self) -> None:
        axes = self.axes
        variants = {"default": "", **self.entry.variants}
        arguments = [axes.choose("variant", variants)]
        if self.channels_first:
            name = "axis=1" if self.layer in ("batch_norm", "layer_norm", "group_norm") else None
            arguments.append(name or 'data_format="channels_first"')
        dtype = axes["dtype"]
        if dtype.startswith("mixed_"):
            # A name is not enough for Keras 2.
            arguments.append(f'dtype=keras.mixed_precision.Policy("{dtype}")')
        elif dtype != "float32":
            arguments.append(f'dtype="{dtype}"')
        if axes["freeze"] == "constructor" and axes["freeze_on"] == "layer":
            arguments.append(f"trainable={axes['trainable'] == 'true'}")
        if self.name in ("reloaded", "cloned"):
            arguments.append('name="layer"')
        given = ", ".join(filter(None, arguments))
        made = self.entry.made.format(d=self.rank - 2)
        comma = ", " if given and not made.endswith("(") else ""
        self.build.append(f"layer = keras.layers.{made}{comma}{given})")
        if self.name not in ("frozen_parent", "thawed_parent"):
            self.begin()

    def enclose(self) -> None:
        """What lies around the layer, the outermost model excepted."""
        axes, context = self.axes, self.context
        wanted = context.forwards and self.entry.mode
        self.classes += [
            line.replace("{mode}", ", training=training" if wanted else "") for line in context.classes
        ]
        if self.name == "checkpointed":
            older = " or tf.recompute_grad" if self.backend == "tensorflow" else ""
            self.classes.insert(0, f'recompute = getattr(keras, "remat", None){older}')
            self.classes[1:1] = ["", ""]
        if self.classes:
            self.classes = ["", "", *self.classes]
        held, depth = "layer", axes["depth"]
        if self.attended and not self.direct:
            raise NoProgram("none is written for attention in a model")
        if context.around:
            if context.around == INNER and depth != "0":
                self.build.append("inputs = keras.layers.Input(x.shape[1:])")
            for level in range(int(depth)):
                name = ("inner" if context.around == INNER else "wrapper") + ("" if level == 0 else "_2")
                more = self.of_parent() if level == 0 else ""
                self.build.append(f"{name} = {context.around.format(held=held, more=more)}")
                self.holder, held = self.holder or name, name
                if level == 0:
                    self.begin()
        self.top = held
        self.begin()
        if self.name in ("reloaded", "cloned"):
            if axes["freeze"] == "before_compile":
                self.take()
            if self.name == "reloaded":
                loaded = ["inner = keras.models.load_model(file, compile=False)"]
                self.build += [*axes.choose("saved_as", SAVED), *loaded]
            else:
                self.build.append("inner = keras.models.clone_model(inner)")
            self.build.append('layer = inner.get_layer("layer")')

    def of_parent(self) -> str:
        """The constructor argument of what holds the layer."""
        axes = self.axes
        here = axes["freeze"] == "constructor" and axes["freeze_on"] == "parent"
        return f", trainable={axes['trainable'] == 'true'}" if here else ""

    def called(self, path: str, tensor: str, training: str = "") -> str:
        """The path called on a tensor, by what is outermost."""
        context = self.context
        mode = context.pin or (training if context.forwards and self.takes_mode() else "")
        return f"{path}({tensor}{mode})"

    def takes_mode(self) -> bool:
        """Whether what the outermost model calls takes `training`."""
        return self.entry.mode or bool(self.context.around)

    def make_model(self) -> None:
        """The outermost model."""
        axes, build, head = self.axes, self.build, self.head
        kind = axes.choose("outer", {"functional": "f", "sequential": "s", "subclassed": "c"})
        more = self.of_parent() if not self.holder else ""
        if kind == "s":
            if self.context.pin or self.name == "shared":
                raise NoProgram("a list of layers pins no call and uses none twice")
            sibling = "Sibling(), " if self.name == "after_sibling" else ""
            parts = f"keras.layers.Input(x.shape[1:]), {sibling}{self.top}" + (f", {head}" if head else "")
            build.append(f"model = keras.models.Sequential([{parts}]{more})")
        elif kind == "f":
            sibling = "Sibling()(inputs)" if self.name == "after_sibling" else "inputs"
            path = self.called(self.top, sibling)
            if self.name == "shared":
                path = f"keras.layers.Average()([{path}, {path}])"
            if not any(line.startswith("inputs = ") for line in build) or self.holder:
                build.append("inputs = keras.layers.Input(x.shape[1:])")
            if head:
                build.append(f"outputs = {head}({path})")
                path = "outputs"
            build.append(f"model = keras.models.Model(inputs, {path}{more})")
        else:
            self.subclass(head)
            build += [f"model = Outer({self.top}{more})", "model(keras.layers.Input(batch_shape=x.shape))"]
        self.holder = self.holder or "model"
        self.begin()

    def subclass(self, head: str) -> None:
        """The class of a subclassed outermost model."""
        forwards = self.name != "no_argument"
        sibling = "self.sibling(inputs)" if self.name == "after_sibling" else "inputs"
        path = self.called("self.inner", sibling, ", training=training" if forwards else "")
        if self.name == "shared":
            path = f"({path} + {path}) / 2"
        if head:
            path = f"self.head({path})"
        self.classes += [
            "",
            "",
            "class Outer(keras.models.Model):",
            "    def __init__(self, inner, **arguments):",
            "        super(Outer, self).__init__(**arguments)",
            "        self.inner = inner",
            *(["        self.sibling = Sibling()"] if self.name == "after_sibling" else []),
            *([f"        self.head = {head}"] if head else []),
            f"    def call(self, inputs{', training=None' if forwards else ''}):",
            f"        return {path}",
        ]

    # When it is frozen: as `keras_freezing` has it.

    def begin(self) -> None:
        """As early as there is what is to be set: the value itself, or the opposite of a late one."""
        there = {
            "layer": True,
            "parent": bool(self.holder),
            "variables": any("build(" in line or "Model(" in line for line in self.build),
        }[self.axes["freeze_on"]]
        if self.begun or not there:
            return
        self.begun = True
        if self.axes["freeze"] not in LATE:
            self.take()
        elif self.axes["trainable"] == "true":
            self.set(False)

    def take(self) -> None:
        """The value of the cell, with what its context does to the parent."""
        if self.taken:
            return
        self.taken = True
        axes, value = self.axes, self.axes["trainable"] == "true"
        top = (
            getattr(self, "top", "layer")
            if self.name not in ("frozen_parent", "thawed_parent")
            else ("inner_2" if axes["depth"] == "2" else "inner")
        )
        if self.name == "frozen_parent":
            self.build.append(f"{top}.trainable = False")
        if axes["freeze"] != "constructor" and (
            axes["freeze"] in LATE or self.name == "frozen_parent" or not value
        ):
            self.set(value)
        if self.name == "thawed_parent":
            self.build.append(f"{top}.trainable = True")

    def set(self, value: bool) -> None:
        on = self.axes["freeze_on"]
        if on == "variables":
            # Those that are trained by nature: the first ones.
            slots = [
                self.entry.names.get(slot, slot) for slot in self.slots() if not slot.startswith("moving")
            ]
            self.build += [
                "for weight in layer.weights:",
                f"    if any(name in weight.name for name in {slots}):",
                f"        weight.trainable = {value}",
            ]
        else:
            self.build.append(f"{'layer' if on == 'layer' else self.holder}.trainable = {value}")

    def event(self, moment: str) -> None:
        """Something has come to pass."""
        self.begin()
        due = {"built": ("before_compile",), "compiled": ("after_compile",), "turned": AFTER_A_STEP}[moment]
        if self.axes["freeze"] in due:
            self.take()

    # The step.

    def compile(self) -> None:
        axes = self.axes
        optimizer = axes.choose("optimizer", OPTIMIZERS)
        self.optimized: Lines = []
        if self.compiled:
            more = FITTED[self.execution]
            self.optimized = [f'model.compile(optimizer={optimizer}, loss="mse"{more})']
        elif axes["optimizer"] != "none":
            self.optimized = [f"optimizer = {optimizer}"]
        self.build += self.optimized
        self.event("compiled")

    def mode(self) -> str:
        """How the outermost object is told its mode."""
        training = self.axes["training"]
        if training == "default":
            return ""
        given = {
            "bool": str(training == "true"),
            "int": str(int(training == "true")),
            "numpy_bool": f"np.bool_({training == 'true'})",
        }
        return f", training={self.axes.choose('training_as', given)}"

    def step(self) -> Lines:
        """The step examined; further ones before it go into the build."""
        before = self.axes["freeze"] in AFTER_A_STEP
        again = self.axes["optimizer"] != "none" and not self.compiled
        lines = self.compiled_step() if self.compiled else self.step_by_hand(before or again)
        if before:
            self.build += lines
            if self.compiled and self.execution == "train_on_batch":
                self.build.append("model.reset_metrics()")
            self.event("turned")
            if self.axes["freeze"] == "recompiled":
                self.build += self.optimized
        return [*lines, *lines] if again else lines

    def compiled_step(self) -> Lines:
        run = RUNS["fit" if self.execution in ("run_eagerly", "jit_compile") else self.execution]
        return [run if self.reading.output else run.partition(" = ")[2]]

    def step_by_hand(self, repeated: bool) -> Lines:
        """One direct call, and as far as the reading needs it a step of plain gradient descent."""
        axes = self.axes
        compiled = axes.choose(
            "execution", {"call": "", "graph": "@tf.function", "compiled": "@tf.function(jit_compile=True)"}
        )
        if self.name == "stateless":
            raise NoProgram("none is written for stateless_call")
        if compiled and self.backend != "tensorflow":
            raise NoProgram("none is written for a compiled call on this backend")
        call = f"y = {self.outer}({{x}}{', {x}' if self.attended else ''}{self.mode()})"
        if self.forward and not compiled:
            return [call.format(x="x")]
        optimizer = axes["optimizer"] != "none"
        lines = {"tensorflow": self._on_tensorflow, "torch": self._on_torch, "jax": self._on_jax}[
            self.backend
        ](call, optimizer)
        if not compiled:
            return lines
        if not any(line.startswith("def step") for line in self.build):
            inside = [line for line in lines if not line.startswith("x_ = ")]
            if self.forward:
                inside = [call.format(x="x_")]
            result = "return y, gradient" if not self.forward else "return y, None"
            self.build += [
                "x_ = tf.constant(x)",
                "",
                compiled,
                "def step():",
                *indented([*inside, result]),
                "",
            ]
        return ["y, gradient = step()"]

    def _on_tensorflow(self, call: str, optimizer: bool) -> Lines:
        variables = f"{self.outer}.trainable_variables"
        watched = self.layer != "embedding"
        move = [
            f"for variable, slope in zip({variables}, slopes):",
            "    if slope is not None:",
            "        variable.assign(variable - tf.cast(slope, variable.dtype))",
        ]
        if optimizer:
            move = [f"optimizer.apply_gradients(zip(slopes, {variables}))"]
        sources = f"[x_, {variables}]" if watched else f"[{variables}]"
        return [
            "x_ = tf.constant(x)",
            "with tf.GradientTape() as tape:",
            *(["    tape.watch(x_)"] if watched else []),
            f"    {call.format(x='x_')}",
            '    cost = tf.reduce_sum(w * tf.cast(y, "float32"))',
            f"{'gradient, slopes' if watched else 'slopes,'} = tape.gradient(cost, {sources})",
            *move,
        ]

    def _on_torch(self, call: str, optimizer: bool) -> Lines:
        variables = f"{self.outer}.trainable_variables"
        watched = ", requires_grad=True" if self.layer != "embedding" else ""
        move = [
            "with torch.no_grad():",
            f"    for variable in {variables}:",
            "        if variable.value.grad is not None:",
            "            variable.assign(variable.value - variable.value.grad)",
        ]
        if optimizer:
            move = [f"optimizer.apply([each.value.grad for each in {variables}], {variables})"]
            move = ["with torch.no_grad():", *indented(move)]
        return [
            f"x_ = torch.tensor(x{watched})",
            call.format(x="x_"),
            "(y.float() * torch.tensor(w)).sum().backward()",
            "gradient = x_.grad",
            *move,
        ]

    def _on_jax(self, call: str, optimizer: bool) -> Lines:
        outer = self.outer
        move = [
            f"for variable, slope in zip({outer}.trainable_variables, slopes):",
            "    variable.assign(variable.value - slope)",
        ]
        if optimizer:
            move = [f"optimizer.apply(slopes, {outer}.trainable_variables)"]
        mode = self.mode()
        return [
            "def cost(trained, x):",
            f"    kept = [each.value for each in {outer}.non_trainable_variables]",
            f"    y, kept = {outer}.stateless_call(trained, kept, x{mode})",
            "    return (w * y).sum(), (y, kept)",
            "",
            f"trained = [each.value for each in {outer}.trainable_variables]",
            "(slopes, gradient), (y, kept) = jax.grad(cost, argnums=(0, 1), has_aux=True)(trained, x)",
            f"for variable, value in zip({outer}.non_trainable_variables, kept):",
            "    variable.assign(value)",
            *move,
        ]

    # What there is to read.

    def slots(self) -> list[str]:
        variant = self.axes["variant"]
        gone = {
            "no_affine": ("gamma", "beta"), "no_center": ("beta",), "no_scale": ("gamma",),
            "no_bias": ("bias",),
        }.get(variant, ())  # fmt: skip
        return [slot for slot in self.entry.slots if slot not in gone]

    def values(self, lines: Lines) -> dict[str, str]:
        """What the step shows; that of a compiled model by its loss."""
        values = {
            "trainable_weights": "len(layer.trainable_weights)",
            "non_trainable_weights": "len(layer.non_trainable_weights)",
            "regularisation_losses": "len(layer.losses)",
        }
        numpy = {"tensorflow": "y.numpy()", "torch": "keras.ops.convert_to_numpy(y)", "jax": "np.asarray(y)"}
        if self.execution == "predict":
            values["y"] = "y"
        elif self.compiled:
            if self.axes["variant"] != "regularised":
                history = '.history["loss"]' if "fit(" in lines[-1] else ""
                values["loss"] = f"np.ravel(loss{history})[0]"
        else:
            values["y"] = f'np.array({numpy[self.backend]}, "float32")'
            values["output_dtype"] = 'str(getattr(y.dtype, "name", y.dtype)).split(".")[-1]'
            if not self.forward and self.layer != "embedding":
                values["gradient"] = GRADIENTS[self.backend]
        if "moving_mean" in self.slots():
            dtype = "layer.moving_mean.dtype"
            values["statistics_dtype"] = f'str(getattr({dtype}, "name", {dtype}))'
        if not self.attended:
            mode = ", training=False" if self.entry.mode else ""
            values["infer"] = f"np.array({numpy[self.backend].replace('y', f'layer(x{mode})', 1)})"
        return values

    def flags(self) -> dict[str, dict[str, str]]:
        made = [line.partition(" = ")[0] for line in self.build]
        holders = [name for name in ("inner", "inner_2", "wrapper", "wrapper_2", "model") if name in made]
        return {"trainable_after": {name: f"{name}.trainable" for name in ("layer", *holders)}}


def parts(question: Question, reading: Reading, framework: str, backend: str | None) -> Parts:
    """The parts of a program for Keras."""
    return Writer(question, reading, framework, backend).parts()

"""What a program is made of where a call makes a graph: Keras up to 2.3, that of TensorFlow 1, tf.layers.

The first two are written as any Keras (`of_keras`) but for how a step by hand is made. The probe does the
same things: `probe/adapters/keras_graph.py` and `tensorflow1*.py`.
"""

from __future__ import annotations

from bnmatrix.witness.keras_tables import LAYERS
from bnmatrix.witness.of_keras import Writer
from bnmatrix.witness.parts import AFTER_A_STEP, Lines, NoProgram, Parts, batch, data, output
from bnmatrix.witness.readings import Question, Reading

TENSORFLOW_1 = ["import tensorflow.compat.v1 as tf"]
ENVIRON = ['os.environ["TF_USE_LEGACY_KERAS"] = "1"  # from TensorFlow 2.16 on these layers are in tf_keras']
GRAPH_MODE = ["tf.disable_v2_behavior()"]

OPTIMIZERS = {
    "sgd": "tf.train.GradientDescentOptimizer(0.125)",
    "momentum": "tf.train.MomentumOptimizer(0.125, 0.9)",
    "adam": "tf.train.AdamOptimizer(0.125)",
    "rmsprop": "tf.train.RMSPropOptimizer(0.125)",
}

OF_TF_LAYERS = ("batch_norm", "dropout", "dense", "conv")


class KerasInGraphs(Writer):
    """A Keras whose calls make a graph."""

    built = "layer(keras.layers.Input(batch_shape=x.shape))  # `build` alone would name its weights otherwise"

    def step_by_hand(self, repeated: bool) -> Lines:
        """One run of the output, of the layer's updates and, as far as it is read, of a step."""
        kinds = {"call": True, "call_without_updates": False, "call_over_collection": True}
        with_updates = self.axes.choose("execution", kinds)
        if self.axes["optimizer"] != "none" or self.axes["outer"] == "subclassed":
            raise NoProgram("none is written for this step in a graph")
        outer = self.outer
        if not any(line.startswith("K = ") for line in self.build):
            call = f"{outer}(x_{', x_' if self.attended else ''}{self.mode()})"
            over = f"{outer}.trainable_weights"
            if self.execution == "call_over_collection":
                over = "tf.trainable_variables()"
            updates = ["run = []"]
            if with_updates:
                updates = [
                    f"run = [each for each in {outer}.updates if each not in known]",
                    f"run += [each for each in {outer}.get_updates_for(x_) if each not in run]",
                ]
            moves = [] if self.forward else [
                f"slopes = K.gradients(K.sum(made * w), [x_] + {over})",
                f"moved = [pair for pair in zip({over}, slopes[1:]) if pair[1] is not None]",
                "run += [K.update_sub(weight, slope) for weight, slope in moved]",
            ]  # fmt: skip
            shown = "[made]" if self.forward else "[made, slopes[0]]"
            self.build += [
                "K = keras.backend",
                "x_ = K.placeholder(shape=x.shape)",
                *([f"known = list({outer}.updates)"] if with_updates else []),
                f"made = {call}",
                *updates,
                *moves,
                f"step = K.function([x_], {shown}, updates=run)",
            ]
        return ["y = step([x])[0]"] if self.forward else ["y, gradient = step([x])"]

    def values(self, lines: Lines) -> dict[str, str]:
        """What the step shows: arrays at once."""
        values = super().values(lines)
        values.pop("infer", None)
        if not self.compiled:
            values.pop("output_dtype")
            values["y"] = "y"
            if not self.forward:
                values["gradient"] = "gradient"
        return values


class TfLayers:
    """A layer of tf.layers, in a graph and a session."""

    def __init__(self, question: Question, reading: Reading) -> None:
        self.axes = axes = question.axes
        self.reading = reading
        if axes["layer"] not in OF_TF_LAYERS:
            raise NoProgram(f"none is written for {axes['layer']} of tf.layers")
        self.entry = LAYERS[axes["layer"]]
        axes.choose("context", {"direct": True, "shared": True})
        self.forward = reading.forward and axes["optimizer"] == "none"

    def parts(self) -> Parts:
        """The parts."""
        axes, rank = self.axes, int(self.axes["rank"])
        shape = batch(axes, False)
        others = {} if self.forward else {"w": output(axes, shape, False)}
        late = axes["freeze"] not in ("constructor", "before_build")
        value = axes["trainable"] == "true"
        arguments = [axes.choose("variant", {"default": "", **self.entry.variants})]
        if axes["dtype"] != "float32":
            raise NoProgram("none is written for another dtype of tf.layers")
        if axes["freeze"] == "constructor":
            arguments.append(f"trainable={value}")
        given = ", ".join(filter(None, arguments))
        made = self.entry.made.format(d=rank - 2)
        comma = ", " if given and not made.endswith("(") else ""
        first = value if not late else not value
        take = [f"layer.trainable = {value}"]
        build = [
            f"layer = tf.layers.{made}{comma}{given})",
            *(["layer.trainable = False"] if not first and axes["freeze"] != "constructor" else []),
            "x_ = tf.placeholder(tf.float32, x.shape)",
            *self.call(),
        ]
        axes.choose("freeze_on", {"layer": True})
        build += take if axes["freeze"] == "before_compile" else []
        build += self.moves()
        build += take if axes["freeze"] == "after_compile" else []
        build += ["session = tf.Session()", "session.run(tf.global_variables_initializer())"]
        shown = "[made, run]" if self.forward else "[made, slopes[0], run]"
        names = "y, _" if self.forward else "y, gradient, _"
        step = [f"{names} = session.run({shown}, {{x_: x}})"]
        if axes["freeze"] in AFTER_A_STEP:
            build += [*step, *take]
            if axes["freeze"] == "recompiled":
                raise NoProgram("none is written for a step made anew in a graph")
        values = {
            "y": "y",
            "trainable_weights": "len(layer.trainable_weights)",
            "non_trainable_weights": "len(layer.non_trainable_weights)",
        }
        if not self.forward:
            values["gradient"] = "gradient"
        slots = [slot for slot in self.entry.slots if slot not in GONE.get(axes["variant"], ())]
        return Parts(
            environ=ENVIRON,
            framework=TENSORFLOW_1,
            alias=GRAPH_MODE,
            data=data(axes, shape, others),
            build=build,
            step=step,
            state="state(layer, session)",
            helper=[
                "",
                "",
                "def state(layer, session):",
                '    names = [each.name.split("/")[-1].split(":")[0] for each in layer.weights]',
                "    return dict(zip(names, session.run(layer.weights)))",
            ],
            names={slot: slot for slot in slots},
            fresh=axes["freeze"] not in AFTER_A_STEP,
            over=tuple(range(rank - 1)),
            values=values,
            flags={"trainable_after": {"layer": "layer.trainable"}},
        )

    def call(self) -> Lines:
        training = self.axes["training"]
        mode = "" if training == "default" else f", training={training == 'true'}"
        if training != "default":
            self.axes.choose("training_as", {"bool": True})
        made = f"layer(x_{mode})"
        return [f"made = ({made} + {made}) / 2" if self.axes["context"] == "shared" else f"made = {made}"]

    def moves(self) -> Lines:
        """What is run beside the output: updates, and a step as far as it is read."""
        kinds = {"call": True, "call_without_updates": False, "call_over_collection": True}
        updates = self.axes.choose("execution", kinds)
        lines = ["run = tf.get_collection(tf.GraphKeys.UPDATE_OPS)" if updates else "run = []"]
        if self.forward:
            return lines
        over = "layer.trainable_weights"
        if self.axes["execution"] == "call_over_collection":
            over = "tf.trainable_variables()"
        if self.axes["optimizer"] == "none":
            moved = ["    run = run + [each.assign_sub(slope) for each, slope in pairs if slope is not None]"]
        else:
            made = self.axes.choose("optimizer", OPTIMIZERS)
            moved = [f"    run = run + ([{made}.apply_gradients(pairs)] if pairs else [])"]
        return [
            *lines,
            f"slopes = tf.gradients(tf.reduce_sum(made * w), [x_] + {over})",
            f"pairs = list(zip({over}, slopes[1:]))"
            if self.axes["optimizer"] == "none"
            else f"pairs = list(zip(slopes[1:], {over}))",
            "with tf.control_dependencies([made] + [each for each in slopes if each is not None]):",
            *moved,
        ]


GONE = {"no_affine": ("gamma", "beta"), "no_center": ("beta",), "no_scale": ("gamma",), "no_bias": ("bias",)}


def parts(question: Question, reading: Reading, framework: str, backend: str | None) -> Parts:
    """The parts of a program for a framework that makes graphs."""
    if framework == "keras" and backend in (None, "tensorflow"):
        return KerasInGraphs(question, reading, framework, backend).parts()
    if framework != "tf1":
        raise NoProgram("this backend makes no graphs")
    if question.axes.choose("api", {"default": False, "keras": True}):
        return KerasInGraphs(question, reading, framework, backend).parts()
    return TfLayers(question, reading).parts()

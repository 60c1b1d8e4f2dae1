"""A layer of Keras, saved for serving and loaded: `execution=exported`.

Both classes have `call`, a function of a tensor, and `state`, {slot: variable} of what was loaded, as far as
it can be told which variable is which.
"""

import importlib
import importlib.util
import inspect
import os
import shutil
import tempfile

import numpy as np

from . import Unavailable


class SavedModel(object):
    """A SavedModel, by TensorFlow."""

    def __init__(self, tf, bench):
        self._mark(bench)
        folder = tempfile.mkdtemp(prefix="bnmatrix-")
        try:
            self.loaded, self.call = self._served(tf, bench, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        self.state = self._found(bench)

    def _served(self, tf, bench, folder):
        """(what was loaded, how it is called)."""
        signature = tf.TensorSpec((None, *bench.shape[1:]), bench.fed)
        archive_class = getattr(getattr(bench.keras, "export", None), "ExportArchive", None)
        if archive_class is not None:
            archive = archive_class()
            archive.track(bench.outer)
            archive.add_endpoint("serve", bench.forward, [signature])
            archive.write_out(folder)
            loaded = tf.saved_model.load(folder)
            return loaded, loaded.serve
        # Keras 2 saves what a call does in either mode, and what was loaded is called as the layer was.
        tf.saved_model.save(bench.outer, folder)
        loaded = tf.saved_model.load(folder)
        return loaded, lambda tensor: loaded(*bench.path.inputs_of(bench.outer, tensor), **bench.asked)

    @staticmethod
    def _mark(bench):
        """Fill each slot with a number of its own, by which it is found again."""
        shapes = {slot: array.shape for slot, array in bench.read().items()}
        bench.write({slot: np.full(shapes[slot], number) for number, slot in numbered(shapes)})

    def _found(self, bench):
        numbers, found = dict(numbered(bench.slots())), {}
        for variable in getattr(self.loaded, "variables", None) or []:
            array = np.asarray(bench.engine.numpy(variable), dtype=np.float64)
            slot = numbers.get(array.flat[0]) if array.size and (array == array.flat[0]).all() else None
            if slot is not None:
                found[slot] = variable
        return found


def numbered(slots):
    """[(number, slot)] of those that take any number: a random state does not."""
    return [(1.0 + at, slot) for at, slot in enumerate(each for each in slots if "seed" not in each)]


class Onnx(object):
    """A model in ONNX. What it was made with is part of the file: it is written when it is first called, and
    has no state to be read.

    packages: what the backend exports with
    """

    def __init__(self, bench, packages):
        self.state = {}
        self._bench, self._session = bench, None
        export = getattr(bench.outer, "export", None)
        if export is None:
            raise Unavailable("Keras exports models, not a layer by itself")
        if "format" not in inspect.signature(export).parameters:
            raise Unavailable("this Keras exports no ONNX")
        missing = [
            each for each in ("onnx", "onnxruntime", *packages) if importlib.util.find_spec(each) is None
        ]
        if missing:
            raise Unavailable("not installed: %s" % ", ".join(missing))

    def call(self, tensor):
        if self._session is None:
            self._session = self._exported(tensor)
        fed = {self._session.get_inputs()[0].name: self._bench.engine.numpy(tensor)}
        made = self._session.run(None, fed)[0]
        return self._bench.engine.tensor(made, str(made.dtype))

    def _exported(self, tensor):
        onnxruntime = importlib.import_module("onnxruntime")
        state = self._bench.read()
        self._bench.forward(tensor)  # some backends export only what was called; that must leave no trace
        self._bench.write({slot: array for slot, array in state.items() if "seed" not in slot})
        folder = tempfile.mkdtemp(prefix="bnmatrix-")
        try:
            path = os.path.join(folder, "exported.onnx")
            self._bench.outer.export(path, format="onnx", verbose=False)
            return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

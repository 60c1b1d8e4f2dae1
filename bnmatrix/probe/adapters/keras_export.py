"""A layer of Keras on TensorFlow, saved for serving and loaded: `execution=exported`."""

import shutil
import tempfile

import numpy as np

from . import Unavailable


class Exported(object):
    """What was loaded: `call`, a function of a tensor, and `state`, {slot: variable}, as far as it can be
    told which variable is which."""

    def __init__(self, tf, bench):
        if bench.cell["exported_as"] != "default":
            raise Unavailable("what Keras exports as %s is not examined yet" % bench.cell["exported_as"])
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

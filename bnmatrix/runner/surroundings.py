"""What surrounds a probe: folders of its own, and an environment without anything that changes facts.

A user's keras.json, a stray module in the working directory, an exported TF_ENABLE_ONEDNN_OPTS:
each of them has changed an answer somewhere. So home and working directory are empty, and
variables that frameworks read are taken away; what finds libraries and devices stays.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from bnmatrix.runner.work import Guest

_TAKEN_AWAY = (
    "PYTHON", "TF_", "KERAS_", "TORCH", "PYTORCH_", "THEANO", "JAX_", "XLA_", "XDG_", "OMP_", "KMP_", "MKL_",
    "DNNL_", "ONEDNN_", "OPENBLAS_", "NVIDIA_TF32_OVERRIDE", "CUBLAS_", "CUDNN_", "LD_PRELOAD", "DYLD_INSERT",
)  # fmt: skip

_PINNED = {
    # Two cores with every pool at its default made torch cells ten times slower.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # Each probe would compile programs for ten seconds to see that the processor does what it says.
    "TORCHINDUCTOR_VEC_ISA_OK": "1",
}


def make_folders(root: Path) -> tuple[Path, dict[str, str]]:
    """Make the folders of one probe under `root`: its working directory, and variables naming the others."""
    work, home, scratch = root / "work", root / "home", root / "tmp"
    for folder in (work, home, scratch):
        folder.mkdir(parents=True)
    names = {"HOME": home, "KERAS_HOME": home / "keras", "TORCH_HOME": home / "torch", "TMPDIR": scratch}
    for kind in ("CACHE", "CONFIG", "DATA", "STATE"):
        names[f"XDG_{kind}_HOME"] = home / kind.lower()
    return work, {name: str(path) for name, path in names.items()}


def environment_of(guest: Guest, folders: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The environment variables of the guest's probe: `inherited`, cleaned, `folders`, and its own."""
    if guest.as_user:
        return _of_user(guest, folders, inherited)
    kept = {name: value for name, value in inherited.items() if not name.startswith(_TAKEN_AWAY)}
    # An empty home would have CUDA compile its kernels anew in every probe; the cache of it changes no fact.
    cache = os.path.join(inherited.get("HOME", "/"), ".nv", "ComputeCache")
    kept.setdefault("CUDA_CACHE_PATH", cache)
    kept.update(_PINNED)
    if guest.device == "cpu":
        kept["CUDA_VISIBLE_DEVICES"] = ""
    if guest.backend == "jax":
        # Only there: XLA ends the process on a flag it does not know, and TensorFlow's reads this too.
        kept["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
        if guest.device == "cpu":
            kept["JAX_PLATFORMS"] = "cpu"
    kept.update(folders)
    kept.update(guest.variables)
    return kept


def _of_user(guest: Guest, folders: Mapping[str, str], inherited: Mapping[str, str]) -> dict[str, str]:
    """The user's own environment: what a model finds there belongs to it. Only nothing is left behind."""
    # Threads that wait by spinning make small steps seven times slower where all cores are busy.
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_WAIT_POLICY": "PASSIVE"}
    kept = {**quiet, **inherited, "TMPDIR": folders["TMPDIR"]}
    settings = os.path.join(inherited.get("HOME", "/"), ".keras", "keras.json")
    if not os.path.exists(settings):  # Keras writes one at its import
        kept.setdefault("KERAS_HOME", folders["KERAS_HOME"])
    if guest.device == "cpu":
        kept["CUDA_VISIBLE_DEVICES"] = ""
    if (
        guest.backend is not None or guest.variables
    ):  # of a target that was named: not what the user's shell says
        kept = {
            name: value
            for name, value in kept.items()
            if name not in ("KERAS_BACKEND", "TF_USE_LEGACY_KERAS")
        }
    return {**kept, **dict(guest.variables)}

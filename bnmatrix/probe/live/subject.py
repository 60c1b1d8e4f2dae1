"""What is audited: the user's factory, called here, or a saved model, loaded here."""

import importlib
import importlib.util
import inspect
import os
import random
import sys
from typing import Any, Callable, Dict, List, Optional

import numpy as np

from ..own import place_of
from .keras_parts import keras_of
from .refusals import Refused

GIVEN = ("model", "optimizer", "loss", "input", "target", "step")
"""What a factory may return beside the model, in a dict or a tuple in this order."""

MOST_NAMES = 9

SAVED_HINT = "name a factory that loads it: path/to/file.py:load"


class Subject(object):
    """A model, and what its user trains it with.

    optimizer: torch: the one that makes the steps;  loss: of (output, target), or Keras's of (target, output)
    input:     a batch;  target: what goes with it;  step: makes one whole training step
    """

    def __init__(self, model, optimizer=None, loss=None, input=None, target=None, step=None):
        self.model, self.optimizer, self.loss = model, optimizer, loss
        self.input, self.target, self.step = input, target, step

    def call_step(self):
        """Call the user's own step: with the model, or with nothing where it takes nothing."""
        signature = inspect.signature(self.step)
        try:
            signature.bind(self.model)
        except TypeError:
            try:
                signature.bind()
            except TypeError:
                told = "the step wants %s" % ", ".join(signature.parameters)
                raise Refused(told, "it is called with the model, or with nothing") from None
            self.step()
        else:
            self.step(self.model)


def load(said: Dict[str, Any]) -> Subject:
    """The subject of a request: {"kind": "module" | "file" | "saved", "place", "name", "arguments": {name:
    text of a literal}, "path": folders, "trust": whether files that run code may be loaded}.

    Raises Refused.
    """
    for folder in reversed(said["path"]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    if said["kind"] == "saved":
        return Subject(saved(said["place"], said["trust"]))
    name = "%s:%s" % (said["shown"], said["name"])
    found = found_in(said)
    seeded(said.get("seed", 0))
    if is_model(found):
        return Subject(found)
    if not callable(found):
        raise Refused("%s is a %s, no factory and no model" % (name, type(found).__name__), "name a function")
    made = call(found, name, said)
    return of_result(made, name)


def seeded(seed: int) -> None:
    """Seed whatever the user's module has imported, so that a second audit finds the same."""
    random.seed(seed)
    np.random.seed(seed)
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)
    tf: Any = sys.modules.get("tensorflow")
    seeding = getattr(getattr(tf, "random", None), "set_seed", None)
    seeding = seeding or getattr(getattr(tf, "random", None), "set_random_seed", None)
    if seeding is not None:
        seeding(seed)


def call(factory: Callable[..., Any], name: str, said: Dict[str, Any]) -> Any:
    """What the factory returns."""
    import ast

    arguments = {key: ast.literal_eval(text) for key, text in said["arguments"].items()}
    try:
        signature: Optional[inspect.Signature] = inspect.signature(factory)
    except (TypeError, ValueError):
        signature = None
    if signature is not None:
        needed = [
            each.name for each in signature.parameters.values()
            if each.default is each.empty and each.kind not in (each.VAR_KEYWORD, each.VAR_POSITIONAL)
            and each.name not in arguments
        ]  # fmt: skip
        if needed:
            told = "%s wants the arguments %s" % (name, ", ".join(needed))
            raise Refused(told, "give them: %s" % " ".join("--arg %s=..." % each for each in needed))
        try:
            signature.bind(**arguments)
        except TypeError as error:
            known = ", ".join(signature.parameters) or "none"
            raise Refused("%s: %s" % (name, error), "its arguments: %s" % known) from error
    return guarded(lambda: factory(**arguments), "%s raised" % name, said["path"])


def guarded(function: Callable[[], Any], what: str, path: List[str]) -> Any:
    """What `function` returns; Refused, with the user's own line, where it raises or ends the process."""
    try:
        return function()
    except Refused:
        raise
    except (Exception, SystemExit) as error:
        raise refusal(error, what, path) from error


def refusal(error: BaseException, what: str, path: List[str]) -> Refused:
    """An exception of the user's code, in a line."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()] or [""]
    text = "%s %s: %s" % (what, type(error).__name__, lines[0][:300]) if lines[0] else (
        "%s %s" % (what, type(error).__name__)
    )  # fmt: skip
    hint = None
    lower = str(error).lower()
    if lines[0].startswith("The following operation failed in the TorchScript"):
        text = "%s %s: %s" % (what, type(error).__name__, lines[-1][:300])
    if isinstance(error, ImportError) and getattr(error, "name", None):
        hint = "%s is not installed for %s" % (error.name, sys.executable)
    elif "safe_mode" in lower:
        hint = "it holds code: if you trust where it comes from, say so: --trust"
    elif any(word in lower for word in ("cuda", "no gpus", "gpu device")):
        hint = "it needs a GPU: --device gpu where there is one, or have the factory make it on the CPU"
    place = place_of(error, path)
    return Refused(text, hint, None if place and place in text else place)  # a SyntaxError tells it itself


def found_in(said: Dict[str, Any]) -> Any:
    """What the user named, in its module."""
    module = imported(said)
    found = module
    for part in said["name"].split("."):
        if not hasattr(found, part):
            there = sorted(
                name for name, value in vars(module).items()
                if callable(value) and getattr(value, "__module__", None) == module.__name__
            )  # fmt: skip
            names = (
                "it has %s" % ", ".join(there[:MOST_NAMES]) if there else "it has no function and no class"
            )
            raise Refused("%s has no %s" % (said["shown"], said["name"]), names)
        found = getattr(found, part)
    return found


def imported(said: Dict[str, Any]) -> Any:
    """The module, by its name or from its file."""
    place = said["place"]
    if said["kind"] == "module":
        return guarded(
            lambda: importlib.import_module(place), "%s cannot be imported:" % said["shown"], said["path"]
        )
    name = os.path.splitext(os.path.basename(place))[0]

    def from_file():
        if name in sys.modules and getattr(sys.modules[name], "__file__", None) == place:
            return sys.modules[name]
        spec: Any = importlib.util.spec_from_file_location(name, place)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # what is pickled or subclassed looks itself up
        spec.loader.exec_module(module)
        return module

    return guarded(from_file, "%s cannot be imported:" % said["shown"], said["path"])


def is_model(thing: Any) -> bool:
    """Whether it is a model of a framework that is here."""
    if isinstance(thing, type):
        return False
    torch: Any = sys.modules.get("torch")
    is_torch = torch is not None and hasattr(torch, "nn") and isinstance(thing, torch.nn.Module)
    return bool(is_torch or keras_of(thing) is not None)


def of_result(made: Any, name: str) -> Subject:
    """The subject that a factory has returned: a model, or with it what it is trained with."""
    if is_model(made):
        return Subject(made)
    given: Dict[str, Any] = {}
    if isinstance(made, dict):
        unknown = [str(key) for key in made if key not in GIVEN]
        if unknown:
            told = "%s returns a dict with %s" % (name, ", ".join(unknown))
            raise Refused(told, "known: %s" % ", ".join(GIVEN))
        given = made
    elif isinstance(made, tuple) and made and len(made) <= len(GIVEN):
        given = dict(zip(GIVEN, made))
    if not is_model(given.get("model")):
        what = "a class" if isinstance(made, type) else "nothing" if made is None else (
            "a %s" % type(made).__name__
        )  # fmt: skip
        hint = "return a Keras model or a torch.nn.Module, alone or in a dict of %s" % ", ".join(GIVEN)
        raise Refused("%s returns %s, no model" % (name, what), hint)
    return Subject(**given)


# --- saved models


def saved(place: str, trust: bool) -> Any:
    """The model in a file or folder. Raises Refused for what it is not, and for what would run code."""
    shown = os.path.basename(place.rstrip(os.sep))
    if os.path.isdir(place):
        if not os.path.isfile(os.path.join(place, "saved_model.pb")):
            raise Refused(
                "%s is a folder without a saved_model.pb" % shown, "name a factory or a saved model"
            )
        return keras_file(place, shown, trust)
    with open(place, "rb") as file:
        head = file.read(8)
    if head.startswith(b"\x89HDF"):
        return keras_file(place, shown, trust)
    if head.startswith(b"PK"):
        import zipfile

        names = zipfile.ZipFile(place).namelist()
        if "config.json" in names and any(name.endswith(".weights.h5") for name in names):
            return keras_file(place, shown, trust)
        return torch_file(place, shown, trust, names)
    if head[:1] == b"\x80":  # a pickle, as torch wrote them before 1.6
        return torch_file(place, shown, trust, [])
    raise Refused("%s holds no model that is known here" % shown, SAVED_HINT)


def keras_file(place: str, shown: str, trust: bool) -> Any:
    """A .keras, .h5 or SavedModel."""

    def loaded():
        keras = keras_here()
        options = {}
        if trust and "safe_mode" in inspect.signature(keras.models.load_model).parameters:
            options["safe_mode"] = False
        try:
            return keras.models.load_model(place, **options)
        except Exception:
            # A loss or metric that this Keras does not know by the name in the file: the layers are whole.
            try:
                return keras.models.load_model(place, compile=False, **options)
            except Exception:
                pass
            raise

    try:
        found = guarded(loaded, "%s cannot be loaded:" % shown, [])
    except Refused as error:
        error.hint = error.hint or SAVED_HINT + "; or another release does: --framework tf2==2.15.1"
        raise
    if not is_model(found):
        told = "%s holds a %s, no Keras model" % (shown, type(found).__name__)
        raise Refused(told, SAVED_HINT)
    return found


def keras_here() -> Any:
    """The Keras of this environment: TensorFlow's where it is there."""
    if "tensorflow" in sys.modules or importlib.util.find_spec("tensorflow") is not None:
        return importlib.import_module("tensorflow").keras
    return importlib.import_module("keras")


def torch_file(place: str, shown: str, trust: bool, names: List[str]) -> Any:
    """A pickled, scripted or exported torch module: all of these run code."""
    if not trust:
        raise Refused(
            "%s is a file of torch, and to load it runs code that is in it" % shown,
            "if you trust where it comes from, say so: --trust",
        )
    torch = importlib.import_module("torch")

    def loaded():
        if any(name.endswith(("serialized_exported_program.json", "archive_format", "models/model.json"))
               for name in names):  # fmt: skip
            return torch.export.load(place).module()
        if any(name.endswith("constants.pkl") for name in names):
            return torch.jit.load(place)
        try:
            return torch.load(place, map_location="cpu", weights_only=False)
        except TypeError:  # before 1.13
            return torch.load(place, map_location="cpu")

    found = guarded(loaded, "%s cannot be loaded:" % shown, [])
    if not is_model(found):
        held = "a %s" % type(found).__name__
        if isinstance(found, dict):
            held = "weights (a dict of %d entries), no model" % len(found)
        raise Refused("%s holds %s" % (shown, held), SAVED_HINT)
    return found

"""A layer of the user's own: its class is imported from the project, and made afresh for each bench."""

import ast
import importlib
import inspect
import os
import sys
import traceback
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple, Type

from . import inputs
from .adapters import Cell, Unavailable

USUAL = {
    "rate": 0.5, "p": 0.5, "stddev": 0.5, "groups": 2, "num_groups": 2, "kernel_size": 1,
    "units": inputs.UNITS, "filters": inputs.UNITS, "hidden_size": inputs.UNITS,
    "out_features": inputs.UNITS, "out_channels": inputs.UNITS,
}  # fmt: skip
"""What a constructor is given for a parameter of this name that it cannot do without, as the framework's own
layers are. Any other one is taken for the number of channels."""

MOST_NAMES = 9
"""Of classes that a module has."""

_found: Dict[str, Any] = {}  # {text: its factory, or why there is none}


class Own(object):
    """Makes layers by `factory`, a class or a function, with these arguments; `name` is for messages."""

    def __init__(
        self,
        factory: Callable[..., Any],
        name: str,
        arguments: Sequence[Any] = (),
        keywords: Optional[Dict[str, Any]] = None,
    ) -> None:
        self.factory, self.name = factory, name
        self.arguments, self.keywords = tuple(arguments), dict(keywords or {})
        self.refused: Optional[Exception] = None  # what the factory raised

    def __call__(self, shape: Tuple[int, ...], **given: Any) -> Any:
        """A fresh layer for inputs of `shape` (the channels last); `given` are further keywords."""
        return self.factory(*self.arguments, **dict(self._filled(shape), **dict(self.keywords, **given)))

    def _filled(self, shape: Tuple[int, ...]) -> Dict[str, Any]:
        """What the factory cannot do without and was not given."""
        try:
            signature = inspect.signature(self.factory)
        except (TypeError, ValueError):  # a builtin tells none
            return {}
        try:
            told = signature.bind_partial(*self.arguments, **self.keywords).arguments
        except TypeError:
            return {}  # the call itself will say what is wrong
        kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        open_ = [
            each.name
            for each in signature.parameters.values()
            if each.kind in kinds and each.default is each.empty and each.name not in told
        ]
        if any(each.kind is each.VAR_KEYWORD for each in signature.parameters.values()):
            open_ += [name for name in self._handed_on() if name not in {*told, *self.keywords, *open_}]
        channels = [name for name in open_ if name not in USUAL]
        if len(channels) > 1:
            raise Unavailable(
                "%s wants the arguments %s: write %s(%s)"
                % (self.name, ", ".join(open_), self.name, ",".join("%s=..." % name for name in open_))
            )
        return {name: USUAL.get(name, shape[-1]) for name in open_}

    def _handed_on(self) -> List[str]:
        """What a base cannot do without, which a class that takes **kwargs hands them to."""
        bases = self.factory.__mro__[1:-1] if isinstance(self.factory, type) else ()
        for base in bases:
            if "__init__" not in vars(base):
                continue
            parameters = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
            kinds = [each.kind for each in parameters]
            if inspect.Parameter.VAR_KEYWORD not in kinds:
                kept = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
                needed = [each for each in parameters if each.kind in kept and each.default is each.empty]
                return [] if self.arguments else [each.name for each in needed]
        return []

    def takes(self, keyword: str) -> bool:
        """Whether the factory can be given `keyword`, itself or through **kwargs that it hands to a base."""
        bases = self.factory.__mro__[:-1] if isinstance(self.factory, type) else ()
        made: List[Any] = [vars(base)["__init__"] for base in bases if "__init__" in vars(base)]
        if not bases:
            made = [self.factory]
        for each in made:
            try:
                parameters = inspect.signature(each).parameters
            except (TypeError, ValueError):
                return False
            if keyword in parameters:
                return True
            if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
                return False
        return bool(bases)


def load(said: Dict[str, Any]) -> Own:
    """The `Own` of what a request says: {"module", "name", "arguments", "keywords", "path"}; arguments are
    literals as text. Raises `Unavailable` where the class cannot be had here."""
    name = "%s:%s" % (said["module"], said["name"])
    if name not in _found:
        _found[name] = _import(said, name)
    factory = _found[name]
    if isinstance(factory, Unavailable):
        raise factory
    return Own(
        factory,
        name,
        [ast.literal_eval(each) for each in said["arguments"]],
        {key: ast.literal_eval(each) for key, each in said["keywords"].items()},
    )


def _import(said: Dict[str, Any], name: str) -> Any:
    """The factory, or the `Unavailable` that says why there is none."""
    for folder in reversed(said["path"]):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        found = module = importlib.import_module(said["module"])
    except (Exception, SystemExit) as error:
        return Unavailable("%s cannot be imported: %s" % (said["module"], told(error, said["path"])))
    for part in said["name"].split("."):
        if not hasattr(found, part):
            there = sorted(each for each, value in vars(found).items() if isinstance(value, type))
            more = ", ..." if len(there) > MOST_NAMES else ""
            names = ": it has " + ", ".join(there[:MOST_NAMES]) + more if there else ""
            place = getattr(module, "__file__", None) or "the interpreter"
            return Unavailable("%s (%s) has no %s%s" % (said["module"], place, said["name"], names))
        found = getattr(found, part)
    return found if callable(found) else Unavailable("%s is a %s, no class" % (name, type(found).__name__))


def told(error: BaseException, path: Sequence[str]) -> str:
    """An exception in a line, with the user's own line that it comes from."""
    text = "%s: %s" % (type(error).__name__, str(error).strip().split("\n")[0])
    place = place_of(error, path)
    return "%s (%s)" % (text, place) if place else text


def place_of(error: BaseException, path: Sequence[str]) -> Optional[str]:
    """The user's own line that an exception comes from: the last below the folders `path`, or None."""
    frames = traceback.extract_tb(error.__traceback__)
    places = [(frame.filename, frame.lineno) for frame in frames]
    if isinstance(error, SyntaxError):
        places.append((str(error.filename), error.lineno))
    folders = tuple(os.path.join(folder, "") for folder in path)
    own = [(file, line) for file, line in places if file.startswith(folders)]
    if not own:
        return None
    file, line = own[-1]
    return "%s, line %s" % (min((os.path.relpath(file, folder) for folder in path), key=len), line)


def made(
    own: Own,
    cell: Cell,
    shape: Tuple[int, ...],
    options: Dict[str, Any],
    bases: Type[Any],
    label: str,
    *also: str,
    **given: Any,
) -> Any:
    """A fresh layer of `own`, an instance of `bases` (the classes of `label`'s layers), with the keywords
    `given` beside its own. `Unavailable` for what only a layer that is built here can be asked for: options,
    and values of these axes and of those in `also`."""
    for axis in ("api", "variant", *also):
        if cell[axis] != "default":
            raise Unavailable("a layer of the user's own has no %s %s" % (axis, cell[axis]))
    if options:
        raise Unavailable("a layer of the user's own is examined with the options that it has")
    for keyword in given:
        if not own.takes(keyword):
            raise Unavailable("%s takes no argument %s" % (own.name, keyword))
    try:
        layer = own(shape, **given)
    except Exception as error:
        own.refused = error
        raise
    if not isinstance(layer, bases):
        raise Unavailable("%s makes a %s, which is no layer of %s" % (own.name, kind(layer), label))
    return layer


def kind(thing: object) -> str:
    """What something is, by the name of its class and the package that this comes from."""
    cls = type(thing)
    return cls.__name__ if cls.__module__ == "builtins" else "%s.%s" % (cls.__module__, cls.__name__)

"""The real `__main__.py`, with a stand-in for the framework whose cells misbehave as their `layer` says.

Run as: python -I real_probe.py .../probe/__main__.py READ_FD WRITE_FD FRAMEWORK BACKEND DEVICE
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
import time
import types

spec = importlib.util.spec_from_file_location("real_main", sys.argv[1])
main = importlib.util.module_from_spec(spec)
spec.loader.exec_module(main)

with open(os.path.join(os.environ["DIARY"], "lived"), "a") as diary:
    diary.write(f"{os.getpid()}\n")


class StandIn:
    def __init__(self, framework, backend, device):
        if backend == "missing":
            import no_such_framework  # noqa: F401
        if backend == "broken":
            from json import no_such_name  # noqa: F401
        if device == "cuda:0":
            raise adapters.Unavailable("there is no cuda:0")
        if backend == "exits":
            sys.exit("I would rather not")

    def versions(self):
        return {}

    def devices(self):
        return ["cpu"]

    def device(self):
        return "cpu"

    def seed(self, seed):
        return None

    def bench(self, cell, shape, options):
        act = cell["variant"]
        if act == "deaf":  # holds the interpreter's lock
            re.match("(a+)+$", "a" * 64 + "b")
        if act == "parent":
            child = subprocess.Popen(["sleep", "600"])
            with open(os.path.join(os.environ["DIARY"], "children"), "a") as file:
                file.write(f"{child.pid}\n")
            time.sleep(600)
        if act == "exits":
            sys.exit("the framework called exit")
        surroundings = {
            "cwd": os.getcwd(),
            "files": os.listdir("."),
            "home": os.listdir(os.path.expanduser("~")),
            "environment": dict(os.environ),
            "isolated": sys.flags.isolated,
            "modules": sorted(name for name in sys.modules if "bnmatrix" in name),
        }
        if sys.platform == "linux":
            with open("/proc/self/oom_score_adj") as file:
                surroundings["oom_score_adj"] = int(file.read())
        raise adapters.Unavailable(json.dumps(surroundings))


load_package = main.load_package


def load_with_stand_in():
    global adapters
    load_package()
    adapters = importlib.import_module(main.PACKAGE + ".adapters")
    adapters.REGISTRY["stand_in"] = "stand_in:StandIn"
    module = types.ModuleType("stand_in")
    module.StandIn = StandIn
    sys.modules[main.PACKAGE + ".adapters.stand_in"] = module


main.load_package = load_with_stand_in
main.main(sys.argv[2:])

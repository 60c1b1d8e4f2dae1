"""The real probe, with a torch that is not the same after a cell: BatchNorm's epsilon is larger then.

python leaking_probe.py PATH_OF_THE_PROBE ...
"""

import importlib.util
import sys

spec = importlib.util.spec_from_file_location("probe", sys.argv.pop(1))
probe = importlib.util.module_from_spec(spec)
spec.loader.exec_module(probe)
serve = probe.serve


def leaking(protocol, experiment, *rest):
    """Serve, and leave something behind."""
    observe = experiment.observe

    def observe_and_leak(*request):
        observation = observe(*request)
        from torch.nn.modules.batchnorm import _BatchNorm

        _BatchNorm.__init__.__defaults__ = (0.01, *_BatchNorm.__init__.__defaults__[1:])
        return observation

    experiment.observe = observe_and_leak
    serve(protocol, experiment, *rest)


probe.serve = leaking
probe.main(sys.argv[1:])

"""Serve requests until the channel closes.

    python -I __main__.py READ_FD WRITE_FD FRAMEWORK BACKEND DEVICE       (BACKEND: - for none)

Loaded under the name `_bnmatrix_probe`, so that no module of the user's is shadowed and none
shadows ours.
"""
import importlib
import importlib.util
import os
import platform
import sys
import threading
import time
import queue

PACKAGE = "_bnmatrix_probe"
HERE = os.path.dirname(os.path.abspath(__file__))


def load_package():
    """Import this folder as `_bnmatrix_probe`."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def main(arguments):
    """Handshake, then one answer a request."""
    read_fd, write_fd, framework, backend, device = arguments
    incoming, outgoing = os.fdopen(int(read_fd), "rb"), os.fdopen(int(write_fd), "wb")
    load_package()
    protocol = importlib.import_module(PACKAGE + ".protocol")
    adapters = importlib.import_module(PACKAGE + ".adapters")
    requests = queue.Queue()
    watch(protocol, incoming, requests)
    try:
        module, name = adapters.REGISTRY[framework].split(":")
        adapter_class = getattr(importlib.import_module("%s.adapters.%s" % (PACKAGE, module)), name)
        adapter = adapter_class(framework, None if backend == "-" else backend, device)
        hello = {
            "type": "hello", "protocol": protocol.VERSION, "framework": framework, "versions": adapter.versions(),
            "python": platform.python_version(), "devices": adapter.devices(), "device": adapter.device(),
        }
    except Exception as error:
        protocol.send(outgoing, {
            "type": "failed", "protocol": protocol.VERSION, "reason": "%s: %s" % (type(error).__name__, error),
            "missing": getattr(error, "name", None) if isinstance(error, ImportError) else None,
            "absent_device": device if isinstance(error, adapters.Unavailable) else None,
        })
        return 1
    protocol.send(outgoing, hello)
    experiment = importlib.import_module(PACKAGE + ".experiment")
    serve(protocol, experiment, adapter, requests, outgoing)
    return 0


def watch(protocol, incoming, requests):
    """Read requests on a thread of their own: when the channel closes the probe ends at once, even inside a cell."""
    def run():
        while True:
            message = protocol.receive(incoming)
            if message is None:
                os._exit(0)
            requests.put(message)
    threading.Thread(target=run, daemon=True).start()


def serve(protocol, experiment, adapter, requests, outgoing):
    """Answer requests in order, for ever."""
    while True:
        request = requests.get()
        started = time.perf_counter()
        observation = experiment.observe(adapter, request["cell"], request["seed"], request.get("given"))
        protocol.send(outgoing, {
            "type": "observation", "id": request["id"],
            "seconds": time.perf_counter() - started, "observation": observation,
        })


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

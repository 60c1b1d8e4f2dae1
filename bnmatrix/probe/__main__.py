"""Serve requests until the channel closes.

    python -I __main__.py READ_FD WRITE_FD FRAMEWORK BACKEND DEVICE       (BACKEND: - for none)

Loaded under the name `_bnmatrix_probe`, so that no module of the user's is shadowed and none
shadows ours.
"""

import gc
import importlib
import importlib.util
import os
import platform
import select
import signal
import sys
import time
from types import ModuleType
from typing import Any, BinaryIO, List, NoReturn, Optional, Type

PACKAGE = "_bnmatrix_probe"
HERE = os.path.dirname(os.path.abspath(__file__))


def load_package() -> None:
    """Import this folder as `_bnmatrix_probe`."""
    spec = importlib.util.spec_from_file_location(
        PACKAGE, os.path.join(HERE, "__init__.py"), submodule_search_locations=[HERE]
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = module
    spec.loader.exec_module(module)


def main(arguments: List[str]) -> None:
    """Handshake, then one answer a request."""
    read_fd, write_fd, framework, backend, device = arguments
    for descriptor in (read_fd, write_fd):
        os.set_inheritable(int(descriptor), False)  # a child that kept it open would hide our end
    incoming, outgoing = os.fdopen(int(read_fd), "rb"), os.fdopen(int(write_fd), "wb")
    die_first()
    leave_a_guard(int(read_fd), int(write_fd))
    gc.disable()  # an import throws nothing away, yet collecting takes a fifth of its time
    load_package()
    protocol = importlib.import_module(PACKAGE + ".protocol")
    adapters = importlib.import_module(PACKAGE + ".adapters")
    try:
        module, name = adapters.REGISTRY[framework].split(":")
        adapter_class = getattr(importlib.import_module("%s.adapters.%s" % (PACKAGE, module)), name)
        adapter = adapter_class(framework, None if backend == "-" else backend, device)
        hello = {
            "type": "hello",
            "protocol": protocol.VERSION,
            "framework": framework,
            "versions": adapter.versions(),
            "python": platform.python_version(),
            "devices": adapter.devices(),
            "device": adapter.device(),
        }
        experiment = importlib.import_module(PACKAGE + ".experiment")
        protocol.send(outgoing, hello)
        if hasattr(gc, "freeze"):  # 3.7
            gc.freeze()  # a collection need not look through the framework itself
        gc.enable()
        serve(protocol, experiment, adapter, incoming, outgoing)
    except Exception as error:
        protocol.send(
            outgoing,
            {
                "type": "failed",
                "protocol": protocol.VERSION,
                "reason": reason_of(error, adapters.Unavailable),
                "missing": error.name if isinstance(error, ImportError) and is_missing(error.name) else None,
                "absent_device": device if isinstance(error, adapters.Unavailable) else None,
            },
        )
        raise  # the traceback goes to stderr, which is shown on demand


def reason_of(error: Exception, unavailable: Type[Exception]) -> str:
    """What went wrong, in a line; what an adapter says itself needs no type beside it."""
    return str(error) if isinstance(error, unavailable) else "%s: %s" % (type(error).__name__, error)


def is_missing(module: Optional[str]) -> bool:
    """Whether the module's package is not there at all: a broken one raises ImportError as well."""
    if module is None:
        return False
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is None
    except ValueError:  # half imported
        return False


def die_first() -> None:
    """Be what the kernel kills where memory runs out (Linux)."""
    try:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("1000")
    except OSError:
        pass


def leave_a_guard(read_fd: int, write_fd: int) -> None:
    """Fork a process that ends us when the channel closes, even inside a cell that never comes back.

    A thread would do for most, yet not where a cell holds the interpreter's lock, and it made every
    short cell a fifth slower. Forked before anything is imported, and asleep until then.
    """
    probe = os.getpid()
    if os.fork():
        return
    try:
        os.close(write_fd)  # whose closing tells that the probe is dead
        channel = select.poll()
        channel.register(read_fd, select.POLLHUP)
        while not any(what & ~select.POLLIN for _, what in channel.poll()):
            time.sleep(0.05)  # woken by a mere request, which poll should not do
        end(probe)
    finally:
        os._exit(1)


def end(probe: int) -> NoReturn:
    """End the process `probe` at once, with its children."""
    if os.getpgrp() == probe:  # never a group that we were put into
        os.killpg(probe, signal.SIGKILL)
    os.kill(probe, signal.SIGKILL)
    os._exit(0)


def serve(
    protocol: ModuleType, experiment: ModuleType, adapter: Any, incoming: BinaryIO, outgoing: BinaryIO
) -> NoReturn:
    """Answer requests in order, until the channel closes."""
    while True:
        request = protocol.receive(incoming)
        if request is None:
            end(os.getpid())
        started = time.perf_counter()
        if request["type"] == "audit":
            audit = importlib.import_module(PACKAGE + ".live.audit")
            answer = {"type": "audited", "record": audit.audit(request["audit"])}
        else:
            observation = experiment.observe(adapter, request["cell"], request["seed"], request.get("given"))
            answer = {"type": "observation", "observation": observation}
        answer.update(id=request["id"], seconds=time.perf_counter() - started)
        protocol.send(outgoing, answer)


if __name__ == "__main__":
    main(sys.argv[1:])

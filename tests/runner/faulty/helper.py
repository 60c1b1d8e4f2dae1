"""A probe that behaves, in the standard library alone; each faulty one beside it departs from it once."""

import json
import os
import sys
import time

INCOMING, OUTGOING = os.fdopen(int(sys.argv[1]), "rb"), os.fdopen(int(sys.argv[2]), "wb")
FRAMEWORK, BACKEND, DEVICE = sys.argv[3:]

# Tests look there for who has lived.
with open(os.path.join(os.environ["DIARY"], "lived"), "a") as diary:
    diary.write(f"{os.getpid()}\n")


def say(message):
    """Write a message."""
    say_bytes(json.dumps(message).encode("ascii") + b"\n")


def say_bytes(data):
    """Write anything."""
    OUTGOING.write(data)
    OUTGOING.flush()


def greet(**changes):
    """Say hello."""
    versions = {"stand-in": "1.0"}
    hello = {"type": "hello", "protocol": 1, "framework": FRAMEWORK, "versions": versions, "python": "3.11.0"}
    say({**hello, "devices": ["cpu"], "device": "cpu", **changes})


def answer(request, observation=None, **changes):
    """Answer a request as it should be; `observation` holds fields that depart from it."""
    cell = {"outcome": "ok", "stage": "done", "warnings": [], "states": {}, "passes": {}, "inference": {}}
    said = {"type": "observation", "id": request["id"], "seconds": 0.0}
    say({**said, "observation": {**cell, **(observation or {})}, **changes})


def requests():
    """Requests as they come, until the channel closes."""
    for line in INCOMING:
        yield json.loads(line)


def serve(fault, pause=0.0):
    """Greet, then answer, each after a `pause`; requests for the layer `trouble` go to `fault`."""
    greet()
    for request in requests():
        time.sleep(pause)
        (fault if request["cell"]["layer"] == "trouble" else answer)(request)


def first_time():
    """Whether no probe of this test has asked before."""
    try:
        os.close(os.open(os.path.join(os.environ["DIARY"], "once"), os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    return True

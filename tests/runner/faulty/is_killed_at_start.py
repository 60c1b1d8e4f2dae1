"""Is killed by a signal before it greets."""

import os
import signal

import helper  # noqa: F401 (writes the diary)

os.kill(os.getpid(), signal.SIGILL)

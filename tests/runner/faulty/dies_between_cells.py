"""Dies after it has answered the cell `trouble`."""

import os
import signal

from helper import answer, serve


def fault(request):
    answer(request)
    os.kill(os.getpid(), signal.SIGBUS)


serve(fault)

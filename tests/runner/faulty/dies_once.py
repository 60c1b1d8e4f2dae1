"""Dies by a signal in the cell `trouble`, but only once."""

import os
import signal

from helper import answer, first_time, serve

serve(lambda request: os.kill(os.getpid(), signal.SIGFPE) if first_time() else answer(request))

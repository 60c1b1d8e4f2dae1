"""Prints some 30 MB on stdout and stderr in the cell `trouble`, then dies."""

import os
import signal
import sys

from helper import serve


def fault(request):
    for _ in range(15):
        sys.stdout.write("o" * 2**20)
        sys.stderr.write("e" * 2**20)
    print("last words", file=sys.stderr)
    os.kill(os.getpid(), signal.SIGSEGV)


serve(fault)

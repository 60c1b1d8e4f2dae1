"""Prints some 30 MB on stdout and stderr in the cell `trouble`, then answers."""

import sys

from helper import answer, serve


def fault(request):
    for _ in range(15):
        sys.stdout.write("o" * 2**20)
        sys.stderr.write("e" * 2**20)
    sys.stderr.write("last words\n")
    answer(request)


serve(fault)

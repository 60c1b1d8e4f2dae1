"""Answers the cell `trouble` a byte at a time, without end."""

import time

from helper import say_bytes, serve


def fault(request):
    while True:
        say_bytes(b" ")
        time.sleep(0.01)


serve(fault)

"""Writes a line that never ends."""

from helper import say_bytes, serve


def fault(request):
    while True:
        say_bytes(b"x" * 2**20)


serve(fault)

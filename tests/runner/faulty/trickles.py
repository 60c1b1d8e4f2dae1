"""Answers the cell `trouble` a byte at a time, without end."""

from helper import say_bytes, serve


def fault(request):
    while True:
        say_bytes(b" ")


serve(fault)

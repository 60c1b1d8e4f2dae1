"""Greets with something that is no message."""

from helper import say_bytes

say_bytes(b"Hello, world!\n")

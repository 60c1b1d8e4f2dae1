"""Ends before it greets."""

import sys

import helper  # noqa: F401 (writes the diary)

print("loading the framework", file=sys.stderr)
print("ImportError: libfault.so: cannot open shared object file", file=sys.stderr)
sys.exit(7)

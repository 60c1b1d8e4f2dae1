"""Ends in the cell `trouble`, politely."""

import sys

from helper import serve

serve(lambda request: sys.exit("the framework called exit"))

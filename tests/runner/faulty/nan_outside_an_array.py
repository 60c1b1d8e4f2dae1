"""Writes a number that JSON does not have."""

from helper import answer, serve

serve(lambda request: answer(request, seconds=float("nan")))

"""Answers the cell `trouble` with an observation of another shape."""

from helper import answer, serve

serve(lambda request: answer(request, {"states": {"start": {"gamma": [1.0, 2.0]}}}))

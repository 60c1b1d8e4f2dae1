"""The framework raises in the cell `trouble`: no fault at all, but an answer."""

from helper import answer, serve

EXCEPTION = {"type": "ValueError", "message": "shapes do not match"}

serve(lambda request: answer(request, {"outcome": "raised", "stage": "build", "exception": EXCEPTION}))

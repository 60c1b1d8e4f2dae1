"""Sends NaN, infinities and a subnormal in an array of float16."""

from helper import answer, serve

ARRAY = {"dtype": "float16", "shape": [2, 2], "data": "AH4AfAD8AQA="}

serve(lambda request: answer(request, {"states": {"start": {"gamma": ARRAY}}}))

"""Keeps 32 MB for each cell that it answers."""

from helper import answer, greet, requests

greet()
kept = []
for request in requests():
    kept.append(b"\1" * (32 << 20))
    answer(request)

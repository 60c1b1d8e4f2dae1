"""Says in each answer how many it gave before: what one cell leaves behind, the next one shows."""

from helper import answer, greet, requests

greet()
for number, request in enumerate(requests()):
    reason = f"{number} before"
    answer(request, {"outcome": "unavailable", "reason": reason})

"""Takes 0.15 s for each cell: no fault, but more than a deadline for all would allow."""

import time

from helper import answer, greet, requests

greet()
for request in requests():
    time.sleep(0.15)
    answer(request)

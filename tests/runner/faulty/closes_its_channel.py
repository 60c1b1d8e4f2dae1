"""Closes its channel in the cell `trouble` and lives on."""

import time

from helper import OUTGOING, serve


def fault(request):
    OUTGOING.close()
    time.sleep(600)


serve(fault)

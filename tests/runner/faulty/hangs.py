"""Hangs in the cell `trouble`, deaf to SIGTERM, with a child of its own that hangs too."""

import os
import signal
import subprocess
import time

from helper import serve


def fault(request):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"])
    with open(os.path.join(os.environ["DIARY"], "children"), "a") as diary:
        diary.write(f"{child.pid}\n")
    time.sleep(600)


serve(fault)

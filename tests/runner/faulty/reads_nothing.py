"""Greets and never reads its channel."""

import time

from helper import greet

greet()
time.sleep(600)

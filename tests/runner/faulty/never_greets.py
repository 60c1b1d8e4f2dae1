"""Starts and says nothing."""

import time

import helper  # noqa: F401 (writes the diary)

time.sleep(600)

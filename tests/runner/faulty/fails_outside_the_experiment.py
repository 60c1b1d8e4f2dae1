"""Fails by an exception outside the experiment, and says so."""

from helper import say, serve

serve(lambda request: say({"type": "failed", "protocol": 1, "reason": "KeyError: 'layer'"}))

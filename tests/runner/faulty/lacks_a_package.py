"""Says that its framework is not installed."""

from helper import say

reason = "ModuleNotFoundError: No module named 'torch'"
say({"type": "failed", "protocol": 1, "reason": reason, "missing": "torch", "absent_device": None})

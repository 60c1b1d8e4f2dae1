"""Says that the device is absent."""

from helper import DEVICE, say

reason = f"there is no device {DEVICE}: cpu"
say({"type": "failed", "protocol": 1, "reason": reason, "missing": None, "absent_device": DEVICE})

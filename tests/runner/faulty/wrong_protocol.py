"""Speaks another version of the protocol, in which greetings look different."""

from helper import say

say({"type": "hello", "protocol": 99, "greeting": "good morning"})

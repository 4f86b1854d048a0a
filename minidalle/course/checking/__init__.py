"""Checking: look at an answer, run it, judge what it did, and report it."""

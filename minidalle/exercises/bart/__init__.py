"""Lesson 03: caption tokens → image tokens."""

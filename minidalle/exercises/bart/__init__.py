"""Lesson 03: text tokens → image tokens."""

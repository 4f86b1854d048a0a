"""Lesson 00: look at the data, and set a baseline."""

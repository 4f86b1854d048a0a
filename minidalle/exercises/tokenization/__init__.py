"""Lesson 01: captions → text tokens."""

"""Lesson 02: pictures ↔ image tokens."""

"""Lesson 04: logits → image tokens, and which drawing to keep."""

"""Lesson 05: how well a model does on what it has not seen."""

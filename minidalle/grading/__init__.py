"""Grading a class: strangers' code runs in a sandbox that holds no answer, and is judged outside of it.

A submission goes through `intake` (the notebook is rebuilt from the release), `sandbox` (its functions are called
there, each in a fresh process) and `judge` (what came back is compared with the reference) into nbgrader's gradebook.
"""

"""Building: a lesson.py, the package's source and a course file → notebooks."""

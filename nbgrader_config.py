"""nbgrader's settings for the course, for those who run nbgrader in this folder; see docs/instructors.md.

Students' work and grades are under grading/, which git ignores. `nbgrader autograde` and the button of formgrader do
what `minidalle grade` does.
"""

import os
from pathlib import Path

from minidalle.grading.nbgrader_settings import grading_settings

root = Path(__file__).resolve().parent
(root / "grading").mkdir(exist_ok=True)  # nbgrader makes its gradebook in it, but not the folder

c = get_config()  # noqa: F821  (nbgrader gives it)
# For several graders, a server: MINIDALLE_GRADEBOOK=postgresql://user:password@host/course
c.merge(grading_settings(root, os.environ.get("MINIDALLE_GRADEBOOK", "")))

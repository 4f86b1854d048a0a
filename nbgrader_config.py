"""nbgrader's settings for the course, for those who run nbgrader in this folder; see docs/authoring.md.

Students' work and grades are under grading/, which git ignores.
"""

from pathlib import Path

from minidalle.course.building.release import release_settings

root = Path(__file__).resolve().parent
grading = root / "grading"
grading.mkdir(exist_ok=True)  # nbgrader makes its gradebook in it, but not the folder

c = get_config()  # noqa: F821  (nbgrader gives it)
c.merge(release_settings())  # solutions/ → lessons/, as `minidalle build` does it
c.CourseDirectory.root = str(root)
c.CourseDirectory.submitted_directory = "grading/submitted"
c.CourseDirectory.autograded_directory = "grading/autograded"
c.CourseDirectory.feedback_directory = "grading/feedback"
c.CourseDirectory.db_url = f"sqlite:///{grading / 'gradebook.db'}"
c.ExecutePreprocessor.timeout = 300  # seconds for a cell; some train a tokenizer
c.OverwriteCells.add_missing_cells = True  # a check that a student deleted comes back, and counts
c.IgnorePattern.enabled = True  # words on stderr, such as a warning or a progress bar, cost no points
c.IgnorePattern.pattern = r"(?s).*"

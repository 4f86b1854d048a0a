"""nbgrader's settings for grading: its own autograder with our parts, which are imported when they are needed.

Nothing of nbgrader is changed: exporter, preprocessors and hooks are what it has settings for.
"""

from pathlib import Path

from traitlets.config import Config, PyFileConfigLoader

from minidalle.course.building.release import release_settings

CONFIG = "nbgrader_config.py"
PARTS = "minidalle.grading"
NBGRADERS = "nbgrader.preprocessors"


def grading_settings(root: Path, db_url: str = "") -> Config:
    """All that nbgrader_config.py says: where a course's folders are, how it is released, and how it is graded.

    Args:
        root: the course's folder.
        db_url: of the gradebook, as SQLAlchemy writes it; by default a file under `grading/`.
    """
    settings = release_settings()
    settings.CourseDirectory.root = str(root)
    settings.CourseDirectory.submitted_directory = "grading/submitted"
    settings.CourseDirectory.autograded_directory = "grading/autograded"
    settings.CourseDirectory.feedback_directory = "grading/feedback"
    settings.CourseDirectory.db_url = db_url or f"sqlite:///{root / 'grading' / 'gradebook.db'}"
    settings.Autograde.exporter_class = f"{PARTS}.autograder.Taking"
    settings.Autograde.sanitize_preprocessors = [f"{NBGRADERS}.OverwriteKernelspec", f"{NBGRADERS}.CheckCellMetadata"]
    settings.Autograde.autograde_preprocessors = [
        f"{PARTS}.autograder.Grading",
        f"{NBGRADERS}.LimitOutput",
        f"{PARTS}.autograder.SavingGrades",
        f"{NBGRADERS}.AssignLatePenalties",
        f"{NBGRADERS}.CheckCellMetadata",
    ]
    settings.GenerateAssignment.post_convert_hook = f"{PARTS}.hooks.released"
    settings.Autograde.pre_convert_hook = f"{PARTS}.hooks.before"
    settings.Autograde.post_convert_hook = f"{PARTS}.hooks.after"
    settings.HTMLExporter.filters = {"markdown2html": f"{PARTS}.safe_html.markdown_to_html"}
    settings.ExecutePreprocessor.timeout = 300  # seconds for a cell, when an instructor validates a notebook
    return settings


def private_folders(root: Path, settings: Config) -> list[Path]:
    """Where students' work is: the course, and nbgrader's exchange if it is configured."""
    return [root, *([Path(settings.Exchange.root)] if "root" in settings.Exchange else [])]


def course_settings(root: Path) -> Config:
    """The settings of a course's nbgrader_config.py. Where its folders are and how it is graded is always ours."""
    ours = grading_settings(root)
    if not (root / CONFIG).is_file():
        return ours
    settings: Config = PyFileConfigLoader(CONFIG, path=str(root)).load_config()
    if "db_url" in settings.CourseDirectory:
        del ours.CourseDirectory["db_url"]
    settings.merge(ours)
    return settings

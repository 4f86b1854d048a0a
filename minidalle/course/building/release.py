"""The instructor's notebook → the student's, by nbgrader's own `generate_assignment`, in a course of its own.

nbgrader_config.py uses the same settings, so that plain `nbgrader generate_assignment` makes the same cells.
"""

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from nbconvert.exporters.exporter import ResourcesDict
from nbformat import NotebookNode
from nbgrader.converters import GenerateAssignment
from nbgrader.coursedir import CourseDirectory
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets.config import Config

from minidalle.course.building.exercise_cells import INSTRUCTOR
from minidalle.errors import InvalidValue

COURSE = "minidalle"  # what nbgrader calls it
STUB = "raise NotImplementedError  # your code here"
ANSWER = "*Your answer here.*"
IGNORED = (".ipynb_checkpoints", "*.pyc", "__pycache__", "*.py")  # a lesson.py holds the answers


class DropInstructorCells(NbGraderPreprocessor):
    """Leave out the cells that are the instructor's own: notes and rubrics."""

    def preprocess(self, nb: NotebookNode, resources: ResourcesDict) -> tuple[NotebookNode, ResourcesDict]:
        """nbconvert's name for it: the notebook without those cells."""
        nb.cells = [cell for cell in nb.cells if cell.metadata.get("minidalle", {}).get("role") != INSTRUCTOR]
        return nb, resources


def release_settings() -> Config:
    """How nbgrader makes a release of a lesson, wherever the course's folders are."""
    settings = Config()
    settings.CourseDirectory.course_id = COURSE
    settings.CourseDirectory.source_directory = "solutions"
    settings.CourseDirectory.release_directory = "lessons"
    settings.CourseDirectory.ignore = list(IGNORED)
    settings.ClearSolutions.code_stub = {"python": STUB}
    settings.ClearSolutions.text_stub = ANSWER
    settings.GenerateAssignment.preprocessors = [DropInstructorCells, *GenerateAssignment.preprocessors.default_args[0]]
    return settings


def release(notebook: bytes, lesson: str, name: str) -> dict[str, Any]:
    """The student's notebook.

    Args:
        notebook: the instructor's, as the bytes of its file.
        lesson: the folder's name, nbgrader's assignment: "01-tokenization".
        name: the notebook's name without its ending.

    Raises:
        InvalidValue: nbgrader refuses the notebook; says what nbgrader said.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        source = root / "solutions" / lesson / f"{name}.ipynb"
        source.parent.mkdir(parents=True)
        source.write_bytes(notebook)
        settings = release_settings()
        settings.CourseDirectory.root = str(root)
        settings.CourseDirectory.assignment_id = lesson
        settings.GenerateAssignment.no_database = True  # these two are nbgrader's --no-db: no gradebook is touched
        settings.SaveCells.enabled = False
        log = _Log()
        converter = GenerateAssignment(coursedir=CourseDirectory(config=settings), config=settings)
        converter.log = converter.coursedir.log = log.logger
        try:
            converter.start()
        except Exception as error:  # nbgrader's own, and whatever its preprocessors raise
            raise InvalidValue(f"{lesson}: nbgrader made no release: {log.words() or error}") from error
        released: dict[str, Any] = json.loads((root / "lessons" / lesson / f"{name}.ipynb").read_text("utf-8"))
    return released


class _Log(logging.Handler):
    """Keeps what nbgrader says, which is interesting only if it fails."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.logger = logging.Logger("nbgrader")
        self.logger.addHandler(self)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record.getMessage())

    def words(self) -> str:
        return "\n".join(self.records)

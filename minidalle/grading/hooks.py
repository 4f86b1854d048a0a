"""What nbgrader calls after a release, and before and after each submission.

A release keeps the exercises of the course's own; strange files go out of nbgrader's way, and a record is kept.

nbgrader logs an exception of a hook and goes on, so what must not go on ends it.
"""

import glob
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from minidalle.checkpoint import CheckpointError
from minidalle.course.building.build import LESSONS, own_files
from minidalle.course.building.course_file import find_course
from minidalle.course.notebook_code import asked_checks, read_cells
from minidalle.errors import InvalidValue
from minidalle.grading.handed_in import set_aside
from minidalle.grading.records import ABOUT, Folders, forget, write_record

KEPT = ("digest", "seconds", "unsafe", "device", "notes", "ungraded", "verdicts")


def released(notebooks: Sequence[str], **about: object) -> None:
    """After a release, which begins with an empty folder: the course's own exercises go into it, as a build does it."""
    for path in map(Path, notebooks):
        root, lesson = path.resolve().parents[2], path.resolve().parent.name
        course = find_course(root)
        if any(asked.id in course.own for asked in asked_checks(read_cells(path))):
            own_files(course, Path(LESSONS, lesson), root)


def before(notebooks: Sequence[str], **about: object) -> None:
    """Before a submission is copied: what is no ordinary file is set aside. Its record is deleted."""
    for place in {Path(notebook).parent for notebook in notebooks}:
        folders, student, lesson = _whose(place)
        try:
            forget(folders.record(lesson, student))
            # nbgrader copies no notebook, but where its pattern does not fit the folder's name
            keep = Path(notebooks[0]).name if glob.escape(str(place)) == str(place) else ""
            whole = place.parent if place.parent.is_symlink() else place
            set_aside(whole, folders.aside / student / lesson, keep)
        except (InvalidValue, CheckpointError) as error:
            raise SystemExit(f"minidalle: {error}") from None


def after(notebooks: Sequence[str], **about: object) -> None:
    """After a submission: its record is written, which says that all the rest is there."""
    for path in map(Path, notebooks):
        folders, student, lesson = _whose(path.parent)
        graded = folders.autograded / student / lesson / path.name
        noted = json.loads(graded.read_bytes())["metadata"][ABOUT]
        write_record(folders.record(lesson, student), record(lesson, student, noted))


def record(lesson: str, student: str, noted: dict[str, Any]) -> dict[str, Any]:
    """A record of what the autograded notebook says of itself."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return {"student": student, "lesson": lesson, "graded_at": now, **{name: noted[name] for name in KEPT}}


def _whose(place: Path) -> tuple[Folders, str, str]:
    """The course, the student and the lesson of a folder grading/submitted/student/lesson."""
    return Folders(place.parents[3]), place.parent.name, place.name

"""A class, graded: nbgrader's autograder, one student at a time in each of several processes.

Whatever happens to one submission is that student's only; a run that was stopped goes on where it was.
"""

import fnmatch
import glob
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from nbgrader.api import MissingEntry
from nbgrader.converters import Autograde
from nbgrader.coursedir import CourseDirectory
from sqlalchemy.exc import SAWarning

from minidalle.checkpoint import CheckpointError
from minidalle.course.building.build import called, topic
from minidalle.errors import InvalidValue, require
from minidalle.grading.confinement import require_out_of_sight
from minidalle.grading.container import require_any_sandbox
from minidalle.grading.gradebook import open_gradebook
from minidalle.grading.handed_in import submission_digest
from minidalle.grading.nbgrader_settings import course_settings, private_folders
from minidalle.grading.records import Folders, Setup, forget, grade_digest, read_record
from minidalle.grading.released import Release, enter, read_release
from minidalle.grading.workers import Died, work_off

PATIENCE = 1800.0  # seconds for one submission: more than all its exercises may take


@dataclass(frozen=True)
class Options:
    """How a class is graded.

    Attributes:
        setup: device, secret, and whether without a sandbox.
        workers: processes.
        students: a pattern that their names fit, as a shell's.
        force: also what was graded before and has not changed.
    """

    setup: Setup = field(default_factory=Setup)
    workers: int = 1
    students: str = "*"
    force: bool = False


@dataclass(frozen=True)
class Result:
    """What became of one submission.

    Attributes:
        student: the folder's name.
        lesson: as well.
        record: see `records`; None where grading itself failed.
        failed: why it did; "" where it did not.
        seconds: of this run.
        before: whether it was graded by an earlier run.
    """

    student: str
    lesson: str
    record: dict[str, Any] | None
    failed: str = ""
    seconds: float = 0.0
    before: bool = False

    @property
    def points(self) -> float:
        """Earned with what a check graded."""
        return float(sum(one["report"]["points"] for one in self.record["verdicts"])) if self.record else 0.0

    @property
    def out_of(self) -> float:
        """What could have been."""
        return float(sum(one["report"]["out_of"] for one in self.record["verdicts"])) if self.record else 0.0

    @property
    def ungraded(self) -> list[str]:
        """What a person has to look at, with the reason; empty where everything was graded."""
        if self.record is None or self.record["ungraded"]:
            return [self.failed if self.record is None else self.record["ungraded"]]
        return [f"{one['report']['id']}: {one['ungraded']}" for one in self.record["verdicts"] if one["ungraded"]]


def lessons_with_work(folders: Folders, asked: str | None, pattern: str = "*") -> list[str]:
    """The lessons that somebody handed in, or the one that is asked for.

    Args:
        folders: the course's.
        asked: "01-tokenization", "01" or "tokenization".
        pattern: of the students that count.

    Raises:
        InvalidValue: there is no such lesson, nothing was handed in, or nothing by these students.
    """
    known = sorted(path.name for path in (folders.root / "lessons").glob("[0-9][0-9]-*") if path.is_dir())
    require(bool(known), "folder", str(folders.root), "a course, with lessons/ in it")
    chosen = [name for name in known if asked is None or asked in called(name)]
    require(bool(chosen), "lesson", asked, f"one of {', '.join(known)}")
    found = [name for name in chosen if students_of(folders, name)]
    where = folders.submitted / "STUDENT" / chosen[0] / f"{topic(chosen[0])}.ipynb"
    require(bool(found), "submissions", 0, f"some, as {where}")
    theirs = [name for name in found if students_of(folders, name, pattern)]
    require(bool(theirs), "students", pattern, f"a pattern that fits one of those who handed in {', '.join(found)}")
    return theirs


def students_of(folders: Folders, lesson: str, pattern: str = "*") -> list[str]:
    """Who handed something in: the folders under submitted/ with one of the lesson."""
    found = (path.parent.name for path in folders.submitted.glob(f"*/{lesson}"))
    return sorted(name for name in found if not name.startswith(".") and fnmatch.fnmatchcase(name, pattern))


def grade_lesson(
    folders: Folders, lesson: str, options: Options, watch: Callable[[int, int], None] = lambda done, of: None
) -> Iterator[Result]:
    """Grade a lesson's submissions, and give what becomes of each as it does, those graded before first.

    Args:
        folders: the course's.
        lesson: the folder's name.
        options: how.
        watch: told how many of how many are done.

    Raises:
        InvalidValue: no sandbox, or one that sees the course; no release, a gradebook that does not fit, or no student
            that the pattern fits.
    """
    settings = course_settings(folders.root)
    if not options.setup.unsafe:
        require_any_sandbox()
        require_out_of_sight(*private_folders(folders.root, settings))
    release = read_release(folders.root, lesson)
    db_url = settings.CourseDirectory.db_url
    enter(release, db_url)
    students = students_of(folders, lesson, options.students)
    require(bool(students), "students", options.students, f"a pattern that fits one of those who handed in {lesson}")
    there = set() if options.force else _in_gradebook(release, db_url)
    done = [_before(folders, release, student, options.setup) for student in students if student in there]
    results = [result for result in done if result]
    tasks = [one for one in students if one not in {result.student for result in results}]
    for number, result in enumerate(results, 1):
        watch(number, len(students))
        yield result
    work = partial(grade_student, folders, lesson, options.setup)
    for number, (student, answer) in enumerate(work_off(tasks, work, options.workers, PATIENCE), len(results) + 1):
        watch(number, len(students))
        result = Result(student, lesson, None, answer.why) if isinstance(answer, Died) else answer
        if result.record is None:
            _leave_to_a_person(release, db_url, student)
        yield result


def _leave_to_a_person(release: Release, db_url: str, student: str) -> None:
    """In the gradebook, no score of a check stands where grading failed, not even one of an earlier run."""
    with _quiet_queries(), open_gradebook(db_url) as gradebook:
        gradebook.update_or_create_student(student)
        submission = gradebook.update_or_create_submission(release.lesson, student)
        for grade in (grade for notebook in submission.notebooks for grade in notebook.grades):
            grade.auto_score, grade.needs_manual_grade = None, True
        gradebook.db.commit()


def _in_gradebook(release: Release, db_url: str) -> set[str]:
    with open_gradebook(db_url) as gradebook:
        try:
            return {one.student.id for one in gradebook.find_assignment(release.lesson).submissions}
        except MissingEntry:
            return set()


@contextmanager
def _quiet_queries() -> Iterator[None]:
    """SQLAlchemy warns of nbgrader's own queries."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)
        yield


def _before(folders: Folders, release: Release, student: str, setup: Setup) -> Result | None:
    """What an earlier run found, if the submission and all that its grade depends on are as they were."""
    record = read_record(folders.record(release.lesson, student))
    notebook = f"{release.name}.ipynb"
    if record is None or not (folders.autograded / student / release.lesson / notebook).is_file():
        return None
    now = grade_digest(submission_digest(folders.submitted / student / release.lesson, notebook), release, setup)
    again = any(one["ungraded"] for one in record["verdicts"])  # the sandbox failed; it may not fail now
    return None if again or record["digest"] != now else Result(student, release.lesson, record, before=True)


def grade_student(folders: Folders, lesson: str, setup: Setup, student: str) -> Result:
    """Grade one submission in this process. It raises nothing: what fails is said in the result."""
    import torch

    torch.set_num_threads(1)
    start = time.monotonic()
    record = folders.record(lesson, student)
    try:
        forget(record)
        _require_notebook(folders, lesson, student)
        autograde(folders, lesson, setup, student)
        found = read_record(record)
        failed = "" if found else f"nbgrader left no record at {record}"
    except (InvalidValue, CheckpointError, Ungradable) as error:
        found, failed = None, str(error)
    except Exception as error:  # a fault of ours, or of the gradebook's server; the others go on
        found, failed = None, f"{type(error).__name__}: {error}"
    return Result(student, lesson, found, failed, time.monotonic() - start)


class Ungradable(Exception):
    """nbgrader gave up on a submission; says what it said last."""


def _require_notebook(folders: Folders, lesson: str, student: str) -> None:
    """Raise where nbgrader would pass a submission over in silence."""
    folder = folders.submitted / student / lesson
    require(glob.escape(student) == student, "student", student, "a name that nbgrader finds, without *, ? and [")
    for place in (folder.parent, folder):
        require(not place.is_symlink() and place.is_dir(), "submission", str(place), "a folder, and no link to one")
    name = f"{topic(lesson)}.ipynb"
    others = ", ".join(sorted(path.name for path in folder.glob("*.ipynb"))[:3])
    wanted = f"{name}: rename it, if it is one of these" if others else name
    require(os.path.lexists(folder / name), "notebook", others, wanted)


def autograde(folders: Folders, lesson: str, setup: Setup, student: str) -> None:
    """Run nbgrader's autograder on one submission, whatever was there before.

    Raises:
        Ungradable: it did not come to an end.
    """
    settings = course_settings(folders.root)
    settings.CourseDirectory.assignment_id = lesson
    settings.CourseDirectory.student_id = student
    settings.CourseDirectory.notebook_id = "*"
    settings.Autograde.force = True
    settings.Grading.device, settings.Grading.unsafe = setup.device, setup.unsafe
    log = _Log()
    coursedir = CourseDirectory(config=settings)
    converter = Autograde(coursedir=coursedir, config=settings)
    converter.log = coursedir.log = log.logger
    try:
        with _quiet_queries():
            converter.start()
    except SystemExit as error:  # of a hook
        raise Ungradable(str(error)) from error
    except Exception as error:
        raise Ungradable(log.words() or f"{type(error).__name__}: {error}") from error


class _Log(logging.Handler):
    """Keeps what nbgrader complains of."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.logger = logging.Logger("nbgrader")
        self.logger.addHandler(self)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.said.append(record.getMessage().strip())

    def words(self) -> str:
        """The error that a traceback ends with, or all that was said."""
        ends = [said.splitlines()[-1] for said in self.said if said.startswith("Traceback")]
        return ends[0] if ends else " ".join(self.said)


def all_graded(results: Sequence[Result]) -> bool:
    """Whether nobody has to look at anything but the answers in words."""
    return not any(result.ungraded for result in results)

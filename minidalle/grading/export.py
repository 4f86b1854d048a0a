"""A lesson's grades as a CSV file that Canvas or Moodle imports.

The total is the gradebook's where it has one: with what a person gave, and what a late submission lost. Who has no
final grade has no row: an empty cell would delete a grade over there (seen in both importers' sources: Canvas,
lib/gradebook_importer.rb; Moodle, grade/import/csv/classes/load_data.php).
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from minidalle.errors import require
from minidalle.grading.class_summary import NO_RECORD, Graded

CANVAS = ("Student", "ID", "SIS User ID", "SIS Login ID", "Section")
ID_COLUMNS = {"canvas": ("SIS Login ID", "SIS User ID", "ID"), "moodle": ("Username", "ID number", "Email address")}
"""Where the other system looks a student up; what students' ids usually are comes first."""

FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet may run, at the beginning of a cell


@dataclass(frozen=True)
class Grade:
    """What a student earned in a lesson.

    Attributes:
        student: the id in the gradebook.
        points: after the penalty for being late; None where nothing was graded.
        open: what a person has still to do; empty where the grade is final.
        name: last name first, if the gradebook has it.
        email: as well.
    """

    student: str
    points: float | None
    open: str = ""
    name: str = ""
    email: str = ""


def gradebook_grades(lesson: str, db_url: str) -> tuple[list[Grade], float] | None:
    """The grades that nbgrader's gradebook has, by student, and the points that there are; None where it has none."""
    from nbgrader.api import MissingEntry

    from minidalle.grading.gradebook import open_gradebook

    with open_gradebook(db_url) as gradebook:
        try:
            assignment = gradebook.find_assignment(lesson)
        except MissingEntry:
            return None
        grades = [_grade(one) for one in assignment.submissions]
        return (sorted(grades, key=lambda one: one.student), float(assignment.max_score)) if grades else None


def _grade(submission: Any) -> Grade:
    student = submission.student
    points = max(0.0, float(submission.score) - float(submission.late_submission_penalty or 0))
    name = ", ".join(filter(None, (student.last_name, student.first_name)))
    to_do = "a person has to grade something" if submission.needs_manual_grade else ""
    return Grade(student.id, points, to_do, name, student.email or "")


def record_grades(graded: Sequence[Graded]) -> tuple[list[Grade], float]:
    """The same from the records of a class: without what a person gave, and without penalties."""
    out_of = {id: report.out_of for one in graded for id, report in one.reports.items()}
    grades = [Grade(one.student, one.points if one.reports else None, _why(one)) for one in graded]
    return grades, sum(out_of.values())


def with_reasons(grades: Iterable[Grade], graded: Iterable[Graded]) -> list[Grade]:
    """The gradebook's grades, and what only the records know: who is not in it, and whose points mean nothing.

    Who could not be graded at all has no points, and not none: until a person has graded all of it.
    """
    known = {grade.student: grade for grade in grades}
    for one in graded:
        there = known.get(one.student)
        if there is None:
            known[one.student] = Grade(one.student, None, _why(one) or "it is not in the gradebook")
        elif one.reasons.get("") == NO_RECORD or (there.open and "" in one.reasons):
            known[one.student] = replace(there, points=None, open=_why(one))
    return sorted(known.values(), key=lambda grade: grade.student)


def _why(one: Graded) -> str:
    return "; ".join(one.reasons.values())


def grades_csv(grades: Iterable[Grade], out_of: float, title: str, system: str, column: str | None = None) -> str:
    """The file's text.

    Args:
        grades: those that are to be in it; who has no points is not.
        out_of: the points that there are.
        title: of the assignment; for one that Canvas has already, its column's, as in "01-tokenization (4711)".
        system: "canvas" or "moodle".
        column: what the gradebook's student ids are over there; by default the login.

    Raises:
        InvalidValue: the system has no such column.
    """
    require(system in ID_COLUMNS, "--for", system, " or ".join(ID_COLUMNS))
    columns = ID_COLUMNS[system]
    column = column or columns[0]
    require(column in columns, "--id-column", column, " or ".join(columns))
    grades = [one for one in grades if one.points is not None]
    rows: list[dict[str, str]] = []
    if system == "canvas":
        header = [*CANVAS, title]
        rows = [{"Student": "    Points Possible", title: f"{out_of:g}"}]
        rows += [{"Student": one.name or one.student, column: one.student, title: _points(one)} for one in grades]
    else:
        header = [column, title]
        rows = [{column: _moodle_id(one, column), title: _points(one)} for one in grades]
    return _csv(header, rows)


def changed_ids(grades: Iterable[Grade]) -> list[str]:
    """Ids that stand otherwise in the file, since a spreadsheet would take them for formulas."""
    return [one.student for one in grades if harmless(one.student) != one.student]


def harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula: one that begins like it gets an apostrophe."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULAS) or text.startswith(FORMULAS) else text


def _moodle_id(grade: Grade, column: str) -> str:
    return grade.email or grade.student if column == "Email address" else grade.student


def _points(grade: Grade) -> str:
    return f"{grade.points or 0:.4f}".rstrip("0").rstrip(".")


def _csv(header: Sequence[str], rows: Iterable[Mapping[str, str]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow([harmless(name) for name in header])
    writer.writerows([harmless(row.get(name, "")) for name in header] for row in rows)
    return text.getvalue()

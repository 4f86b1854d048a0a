"""Grades as files that Canvas and Moodle import, read back with Python's csv."""

import csv
from pathlib import Path

import pytest
from nbgrader.api import Gradebook

from minidalle.course.checking.report import Report
from minidalle.errors import InvalidValue
from minidalle.grading.class_summary import NO_RECORD, Graded
from minidalle.grading.export import (
    Grade,
    changed_ids,
    gradebook_grades,
    grades_csv,
    harmless,
    record_grades,
    with_reasons,
)

LESSON = "01-tokenization"
FORMULA = '=HYPERLINK("http://x.example","1")'


def rows(text: str) -> list[list[str]]:
    return list(csv.reader(text.splitlines(keepends=True), strict=True))


def test_canvas_finds_its_columns() -> None:
    text = grades_csv([Grade("ab12", 16.25), Grade("cd34", 22.0, name="Doe, Jo")], 25.0, f"{LESSON} (4711)", "canvas")
    header, possible, first, second = rows(text)
    assert header == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", f"{LESSON} (4711)"]
    assert possible == ["    Points Possible", "", "", "", "", "25"]
    assert first == ["ab12", "", "", "ab12", "", "16.25"]
    assert second == ["Doe, Jo", "", "", "cd34", "", "22"]


@pytest.mark.parametrize(
    ("column", "expected"), [(None, "ab12"), ("ID number", "ab12"), ("Email address", "a@b.example")]
)
def test_moodle_finds_its_columns(column: str | None, expected: str) -> None:
    text = grades_csv([Grade("ab12", 1 / 3, email="a@b.example")], 25.0, LESSON, "moodle", column)
    assert rows(text) == [[column or "Username", LESSON], [expected, "0.3333"]]


def test_another_column_is_refused() -> None:
    with pytest.raises(InvalidValue, match="--id-column='Name': expected SIS Login ID or SIS User ID or ID"):
        grades_csv([], 1.0, LESSON, "canvas", "Name")


@pytest.mark.parametrize("text", [FORMULA, "+1", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1"])
@pytest.mark.parametrize("system", ["canvas", "moodle"])
def test_no_cell_begins_a_formula(text: str, system: str) -> None:
    found = rows(grades_csv([Grade(text, 1.0, name=text, email=text)], 2.0, text, system))
    cells = [cell for row in found for cell in row if cell]
    assert not [cell for cell in cells if cell.strip(" ")[0] in "=+-@\t\r\n"]
    assert changed_ids([Grade(text, 1.0), Grade("ab12", 1.0)]) == [text]


def test_what_is_harmless_stays() -> None:
    assert [harmless(text) for text in ("", "ab-12", "a=b", "12", "Ünal, É")] == ["", "ab-12", "a=b", "12", "Ünal, É"]


@pytest.fixture
def db_url(tmp_path: Path) -> str:
    """A check of 3 points and a written answer of 2; "late" loses one point, "open" waits for a person."""
    url = f"sqlite:///{tmp_path / 'gradebook.db'}"
    with Gradebook(url) as gradebook:
        gradebook.add_assignment(LESSON)
        gradebook.add_notebook("tokenization", LESSON)
        gradebook.add_grade_cell("check", "tokenization", LESSON, max_score=3, cell_type="code")
        gradebook.add_grade_cell("answer", "tokenization", LESSON, max_score=2, cell_type="markdown")
        gradebook.add_student("never")
        for student in ("done", "late", "open"):
            gradebook.add_student(student, first_name="Jo", last_name=student.title(), email=f"{student}@b.example")
            submission = gradebook.add_submission(LESSON, student)
            check, answer = (
                gradebook.find_grade(cell, "tokenization", LESSON, student) for cell in ("check", "answer")
            )
            check.auto_score, check.needs_manual_grade = 3, False
            answer.needs_manual_grade = student == "open"
            answer.manual_score = None if student == "open" else 1.5
            submission.notebooks[0].late_submission_penalty = 1.0 if student == "late" else None
        gradebook.db.commit()
    return url


def test_the_gradebook_counts_persons_and_penalties(db_url: str) -> None:
    found = gradebook_grades(LESSON, db_url)
    assert found is not None
    grades, out_of = found
    assert out_of == 5
    assert [(one.student, one.points, bool(one.open)) for one in grades] == [
        ("done", 4.5, False),
        ("late", 3.5, False),
        ("open", 3.0, True),
    ]
    assert (grades[0].name, grades[0].email) == ("Done, Jo", "done@b.example")
    assert gradebook_grades("02-vqgan", db_url) is None


def test_what_was_not_graded_is_no_zero(db_url: str) -> None:
    """Grading "done" again failed, so what the gradebook has is of another submission; "new" is not in it."""
    found = gradebook_grades(LESSON, db_url)
    assert found is not None
    reasons = {"done": {"": NO_RECORD}, "late": {"": "not JSON"}, "open": {"": "not JSON"}, "new": {"": "not JSON"}}
    grades = with_reasons(found[0], [Graded(student, {}, why) for student, why in reasons.items()])
    assert [(one.student, one.points, one.open) for one in grades] == [
        ("done", None, NO_RECORD),
        ("late", 3.5, ""),  # a person has graded all of it
        ("new", None, "not JSON"),
        ("open", None, "not JSON"),
    ]
    assert rows(grades_csv(grades, 5.0, LESSON, "moodle")) == [["Username", LESSON], ["late", "3.5"]]


def test_without_a_gradebook_records_count() -> None:
    encode = Report("tokenization.encode", 1.5, 4.0)
    grades, out_of = record_grades([Graded("a", {}, {"": "not JSON"}), Graded("b", {encode.id: encode}, {})])
    assert (grades, out_of) == ([Grade("a", None, "not JSON"), Grade("b", 1.5)], 4.0)

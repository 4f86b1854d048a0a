"""What the commands around a class do, but for grading itself: the demonstration, the class's page, the export."""

from pathlib import Path

from minidalle.checkpoint import atomic_write
from minidalle.course.building.exercise_cells import counted
from minidalle.errors import require
from minidalle.grading.class_summary import read_class
from minidalle.grading.demo_class import TRUTH, make_demo_class
from minidalle.grading.export import changed_ids, gradebook_grades, grades_csv, record_grades, with_reasons
from minidalle.grading.grade import lessons_with_work, students_of
from minidalle.grading.nbgrader_settings import course_settings
from minidalle.grading.records import Folders
from minidalle.reports.class_report import write_class_report

WRITTEN, INCOMPLETE = 0, 1


def write_demo_class(count: int, out: Path, lesson: str, seed: int) -> None:
    """Write it, and say what is in it and what to do next."""
    made = make_demo_class(count, out, lesson, seed)
    print(f"{counted(made.students, 'submission')} of {made.lesson} in {out / 'grading' / 'submitted'}")
    print(
        f"known mistakes that somebody makes: {made.shown} of {made.mistakes}; what each answer is worth: {out / TRUTH}"
    )
    if made.left_out:
        print(f"{counted(len(made.left_out), 'known answer')} left out, as they do otherwise in a notebook: "
              f"{', '.join(made.left_out)}")  # fmt: skip
    print(f"\nGrade it: cd {out} && minidalle grade --report")


def report_on_class(lesson: str | None) -> None:
    """Write the page of each lesson that was graded here."""
    folders = Folders(Path.cwd())
    for name in lessons_with_work(folders, lesson):
        records = folders.record(name, "").parent
        page = write_class_report(records, folders.grading / "report" / name, students_of(folders, name))
        print(f"the class: {page}")


def write_grades(
    lesson: str, system: str, out: Path, column: str | None = None, title: str | None = None, partial: bool = False
) -> int:
    """Write the file, and say who is not in it.

    Returns:
        1 if somebody who handed in is not in it, else 0.

    Raises:
        InvalidValue: nothing was graded, or the other system has no such column.
    """
    folders = Folders(Path.cwd())
    (name,) = lessons_with_work(folders, lesson)
    records = folders.record(name, "").parent
    graded = read_class(records, students_of(folders, name)) if any(records.glob("*.json")) else []
    found = gradebook_grades(name, course_settings(folders.root).CourseDirectory.db_url)
    require(bool(found or graded), "lesson", lesson, f"one that was graded: minidalle grade {lesson}")
    grades, out_of = found or record_grades(graded)
    grades = with_reasons(grades, graded)
    final = [one for one in grades if one.points is not None and (partial or not one.open)]
    atomic_write(out, grades_csv(final, out_of, title or name, system, column))
    source = "the gradebook" if found else "the records, without what a person grades and without penalties"
    print(f"{counted(len(final), 'grade')} of {out_of:g} points, from {source}: {out}")
    for id in changed_ids(final):
        print(f"! {id!r} got an apostrophe, for a spreadsheet takes it for a formula: enter this grade by hand")
    left = [one for one in grades if one not in final]
    for one in left:
        print(f"✗ {one.student} is not in it: {one.open}")
    if left:
        print(f"{counted(len(left), 'student')} not in the file: grade them in formgrader"
              + ("" if partial else "; --partial takes what they have so far"))  # fmt: skip
    return INCOMPLETE if left else WRITTEN

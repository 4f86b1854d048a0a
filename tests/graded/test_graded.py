"""Grade a folder: `pytest tests/graded --submission DIR`. Without a folder, the checks themselves are graded.

With a folder: one test for each exercise, which fails with the report that a student would read. Without: the
reference and every other right answer pass, and every known mistake is refused with its own name.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from minidalle.course.building.course_file import find_course
from minidalle.course.checking.answer import examine
from minidalle.course.checking.apart import check_apart
from minidalle.course.checking.judge import judge
from minidalle.course.checking.observe import SECONDS, observe, parameters
from minidalle.course.checking.report import Report
from minidalle.course.notebook_code import asked_checks, read_cells
from minidalle.course.submission import notebooks
from minidalle.exercises import EXERCISES, Exercise
from minidalle.exercises.exercise import Function, mistake

ALL = list(EXERCISES.values())
WRONG = [(exercise, answer) for exercise in ALL for answer in exercise.wrong]
RIGHT = [(exercise, answer) for exercise in ALL for answer in exercise.also_right]


@pytest.fixture(scope="session")
def submission(request: pytest.FixtureRequest) -> Path | None:
    """The folder, notebook or Python file that was given, or None."""
    return request.config.getoption("--submission", default=None)


@pytest.fixture(scope="session")
def reports(submission: Path | None) -> dict[str, Report]:
    """Exercise's id → the report on the submission's answer."""
    return {report.id: report for file in notebooks(submission) for report in _reports(file)} if submission else {}


def _reports(file: Path) -> Iterator[Report]:
    exercises = find_course(file).exercises
    yield from check_apart(file, [one for one in asked_checks(read_cells(file)) if one.id in exercises], exercises)


def _named(pairs: list[tuple[Exercise, Function]]) -> pytest.MarkDecorator:
    ids = [f"{exercise.id}-{answer.__name__}" for exercise, answer in pairs]
    return pytest.mark.parametrize(("exercise", "answer"), pairs, ids=ids)


@pytest.mark.parametrize("exercise", ALL, ids=[exercise.id for exercise in ALL])
def test_answer(exercise: Exercise, submission: Path | None, reports: dict[str, Report]) -> None:
    if submission is None:
        seen = observe(exercise.reference, exercise.probe, exercise.cases(0), SECONDS)
        report = judge(exercise, seen, parameters(exercise.reference))
    else:
        assert exercise.id in reports, f"{submission} has no check of {exercise.id}"
        report = reports[exercise.id]
    assert report.passed, f"\n{report}"
    assert report.points == report.out_of


@_named(WRONG)
def test_known_mistake(exercise: Exercise, answer: Function) -> None:
    report = examine(exercise, answer)
    assert not report.passed
    assert report.points < report.out_of
    assert report.looks_like == (mistake(answer),) or answer_never_runs(report), f"\n{report}"


def answer_never_runs(report: Report) -> bool:
    """Where an answer crashes on every input, there is nothing to tell one crash from another by."""
    return [line.ok for line in report.lines if line.name in ("runs", "type")] == [False]


@_named(RIGHT)
def test_other_right_answer(exercise: Exercise, answer: Function) -> None:
    report = examine(exercise, answer)
    assert report.passed, f"\n{report}"

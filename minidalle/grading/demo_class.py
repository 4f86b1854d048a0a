"""A class of synthetic students in a course of its own, so that grading can be tried, with the truth beside it.

Every second student makes known mistakes, each of them in turn; the others are right, partly done, blank, or right in
a way that graders stumble over.
"""

import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from minidalle.checkpoint import atomic_write, save_json
from minidalle.course.building.build import called
from minidalle.course.building.course_file import COURSE_FILE
from minidalle.course.building.exercise_cells import cell_id, new_cell
from minidalle.course.start import PACKAGE, shipped_lessons
from minidalle.errors import require
from minidalle.grading.demo_answers import KnownAnswer, KnownAnswers, known_answers
from minidalle.grading.released import NotebookCell, Release, marks, read_release
from minidalle.runtime import numpy_generator

KINDS = (
    "right",
    "mistaken",
    "right in other ways",
    "mistaken",
    "half done",
    "mistaken",
    "helpers in extra cells",
    "mistaken",
    "prints and warns",
    "mistaken",
    "blank",
    "mistaken",
    "checks deleted",
    "mistaken",
    "in other languages",
    "mistaken",
    "Windows line ends",
    "checks copied",
    "checks edited",
)
"""What kinds of students there are, again and again in this order."""

ODD = {"helpers in extra cells": "helper", "prints and warns": "noisy", "in other languages": "foreign"}
HALF = ("half done", "checks deleted", "checks edited")
WRITTEN = "An answer in words, for a person to read and grade."
FIRST_HANDED_IN = datetime(2026, 3, 2, 9, tzinfo=UTC)
TRUTH = "truth.json"
CONFIG = "nbgrader_config.py"
PLAIN = "# The package's own course, whatever a course.toml in a folder above says.\n"


@dataclass
class DemoClass:
    """What was made.

    Attributes:
        folder: of the course.
        lesson: the folder's name.
        students: how many.
        shown: how many of the known mistakes somebody makes.
        mistakes: how many known mistakes the lesson has.
        left_out: ids and names of known answers that could not be made a text of their own.
    """

    folder: Path
    lesson: str
    students: int
    shown: int = 0
    mistakes: int = 0
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Student:
    """A student: name, kind, and for each exercise the answer."""

    name: str
    kind: str
    answers: Mapping[str, KnownAnswer]


def make_demo_class(count: int, out: Path, lesson: str = "01-tokenization", seed: int = 0) -> DemoClass:
    """Write a course with a class that has handed in one lesson, and `truth.json`: what each answer is worth.

    Args:
        count: how many students.
        out: the course's folder; made, or empty.
        lesson: the folder's name, or its beginning: "01".
        seed: who makes which mistake.

    Raises:
        InvalidValue: there is no such lesson, or the folder has something in it.
    """
    require(count >= 1, "N", count, "a class of at least 1")
    free = not out.exists() or (out.is_dir() and not any(out.iterdir()))
    require(free, "--out", str(out), "a folder that is empty, or a name that is free")
    release = _course(out, _lesson(lesson))
    exercises = [release.course.exercises[one.id] for one in release.asked.values()]
    answers = {exercise.id: known_answers(release, exercise) for exercise in exercises}
    students = _students(count, answers, seed)
    for number, student in enumerate(students):
        _hand_in(out / "grading" / "submitted" / student.name / release.lesson, release, student, number)
    save_json(out / TRUTH, _truth(release, students, seed))
    mistakes = {id: {one.name for one in known.wrong} for id, known in answers.items()}
    made = {(id, one.name) for student in students for id, one in student.answers.items() if one.name in mistakes[id]}
    left_out = [f"{id}: {name}" for id, known in answers.items() for name in known.left_out]
    known = sum(len(exercise.wrong) for exercise in exercises)
    return DemoClass(out, release.lesson, count, len(made), known, left_out)


def _lesson(asked: str) -> str:
    """The lesson's folder, from its name, number or topic."""
    names = sorted(path.name for path in shipped_lessons().iterdir() if path.is_dir())
    found = [name for name in names if asked in called(name)]
    require(len(found) == 1, "--lesson", asked, f"one of {', '.join(names)}")
    return found[0]


def _course(out: Path, lesson: str) -> Release:
    """The folder of a course with one lesson, as an instructor has it."""
    shutil.copytree(shipped_lessons() / lesson, out / "lessons" / lesson, ignore=shutil.ignore_patterns(".*"))
    source = PACKAGE.parent / "solutions" / lesson
    if source.is_dir():  # in a clone; a wheel has no solutions
        shutil.copytree(source, out / "solutions" / lesson, ignore=shutil.ignore_patterns(".*"))
    atomic_write(out / CONFIG, _config())
    atomic_write(out / COURSE_FILE, PLAIN)
    return read_release(out, lesson)


def _students(count: int, answers: Mapping[str, KnownAnswers], seed: int) -> list[_Student]:
    """The class. A student who is mistaken is so in every second exercise, each time in the next way."""
    random = numpy_generator(seed, "demo-class")
    turns = {id: [known.wrong[at] for at in random.permutation(len(known.wrong))] for id, known in answers.items()}
    taken: Counter[str] = Counter()
    students = []
    for number in range(count):
        kind = KINDS[number % len(KINDS)]
        chosen = {}
        for place, (id, known) in enumerate(answers.items()):
            if kind == "mistaken" and (place + number // 2) % 2 == 0 and turns[id]:
                chosen[id] = turns[id][taken[id] % len(turns[id])]
                taken[id] += 1
            else:
                chosen[id] = _answer(kind, known, number, done=2 * place < len(answers))
        students.append(_Student(f"student-{number + 1:03}", kind, chosen))
    return students


def _answer(kind: str, known: KnownAnswers, number: int, done: bool) -> KnownAnswer:
    if kind == "blank" or (kind in HALF and not done):
        return known.stub
    if kind in ODD:
        return known.odd.get(ODD[kind], known.right[0])
    return known.right[number % len(known.right)] if kind == "right in other ways" else known.right[0]


def _hand_in(folder: Path, release: Release, student: _Student, number: int) -> None:
    cells = list(_cells(release, student))
    if student.kind == "Windows line ends":
        cells = [{**cell, "source": cell["source"].replace("\n", "\r\n")} for cell in cells]
    text = json.dumps({**release.notebook, "cells": cells}, indent=1, ensure_ascii=False) + "\n"
    newline = "\r\n" if student.kind == "Windows line ends" else "\n"
    atomic_write(folder / f"{release.name}.ipynb", text.replace("\n", newline).encode())
    handed_in = FIRST_HANDED_IN + timedelta(minutes=7 * number)
    atomic_write(folder / "timestamp.txt", f"{handed_in:%Y-%m-%d %H:%M:%S.%f} UTC\n")


def _cells(release: Release, student: _Student) -> Iterator[NotebookCell]:
    """The student's notebook."""
    solutions = {cell_id(id, "solution"): answer for id, answer in student.answers.items()}
    checks = {cell_id(id, "check"): answer for id, answer in student.answers.items()}
    for id, cell in release.cells.items():
        if id in solutions:
            text = solutions[id].text
            if student.kind in ODD and text.before:
                yield new_cell("code", f"{id}-helper", text.before)
                yield {**cell, "source": text.function}
            else:
                yield {**cell, "source": text.whole}
        elif id in checks and student.kind == "checks deleted" and not checks[id].report.passed:
            continue
        elif id in checks and student.kind == "checks edited" and not checks[id].report.passed:
            yield {**cell, "source": f"{marks(cell)['points']:.1f}"}
        elif id in checks and student.kind == "checks copied":
            yield from (cell, {**cell, "id": f"{id}-again"})
        elif marks(cell).get("grade") and marks(cell).get("solution") and student.kind != "blank":
            yield {**cell, "source": WRITTEN}
        else:
            yield cell


def _truth(release: Release, students: Sequence[_Student], seed: int) -> dict[str, Any]:
    return {
        "lesson": release.lesson,
        "seed": seed,
        "students": {
            student.name: {
                "kind": student.kind,
                "points": sum(answer.report.points for answer in student.answers.values()),
                "exercises": {id: _worth(answer) for id, answer in student.answers.items()},
            }
            for student in students
        },
    }


def _worth(answer: KnownAnswer) -> dict[str, Any]:
    report = answer.report
    return {
        "answer": answer.name,
        "points": report.points,
        "out_of": report.out_of,
        "unfinished": report.unfinished,
        "looks_like": [mistake for mistake, _ in report.looks_like],
    }


def _config() -> str:
    """The course's nbgrader_config.py: in the wheel it lies in the package, in a clone beside it."""
    inside = PACKAGE / CONFIG
    return (inside if inside.is_file() else PACKAGE.parent / CONFIG).read_text(encoding="utf-8")

"""`check`: an answer is looked at, run on its exercise's cases, judged, and the try remembered."""

import difflib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from minidalle.course import progress
from minidalle.course.cell_notes import cell_notes, cells_so_far
from minidalle.course.checking.judge import expected
from minidalle.course.checking.ordinary import ordinary_torch
from minidalle.course.checking.report import Report, refused
from minidalle.course.checking.sight import look, report_on
from minidalle.course.swap import use
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Exercise
from minidalle.runtime import pick_device


def check(id: str, function: object, points: float | None = None, seed: int = 0, device: str = "cpu") -> Report:
    """Check an answer, and say what is right, what is not, and why.

    Args:
        id: the exercise's: "tokenization.merge_pair".
        function: the answer.
        points: what a right answer earns; by default the exercise's.
        seed: of the cases.
        device: where the tensors are that the answer gets: "cuda" checks that it works on a GPU, too.

    Returns:
        The report, which a notebook shows. No fault of an answer raises.

    Raises:
        InvalidValue: points is negative, there is no such device, or the course's course.toml cannot be used.
    """
    exercises = known_exercises()
    if id not in exercises:
        return unknown(id, exercises, points)
    with use({key: exercise.reference for key, exercise in EXERCISES.items()}):  # also inside a block of one's own
        report = examine(exercises[id], function, points, seed, exercises, device)
    notes = cell_notes(function, cells_so_far(), exercises[id].reference)
    return progress.remember(exercises[id], replace(report, notes=(*notes, *report.notes)))


def unknown(id: object, exercises: Mapping[str, Exercise], points: float | None = None) -> Report:
    """The report on an id that no exercise has: the nearest ones are named."""
    return refused(str(id), points or 0.0, _nearest(id, exercises), "exercise")


def known_exercises() -> dict[str, Exercise]:
    """The exercises of the course that the working directory belongs to."""
    from minidalle.course.building.course_file import find_course

    return find_course(Path.cwd()).exercises


def examine(
    exercise: Exercise,
    function: object,
    points: float | None = None,
    seed: int = 0,
    exercises: Mapping[str, Exercise] | None = None,
    device: str = "cpu",
) -> Report:
    """The same without a memory, for one exercise.

    Args:
        exercise: the exercise.
        function: the answer.
        points: what a right answer earns; by default the exercise's.
        seed: of the cases.
        exercises: where those that it needs are found; by default those of the course.
        device: where the tensors of the cases are put.
    """
    others = known_exercises() if exercises is None and exercise.needs else exercises or {}
    needs = {others[id].name: others[id].reference for id in exercise.needs if id in others}
    device = str(pick_device(device))
    with ordinary_torch():
        if device != "cpu":
            expected(exercise, seed, device)  # first: a GPU takes seconds to begin, which are not the answer's
        sight = look(exercise, function, exercise.cases(seed), needs, device=device)
        return report_on(exercise, sight, points, seed, device)


def _nearest(id: object, exercises: Mapping[str, Exercise]) -> str:
    names = {exercise.name: key for key, exercise in exercises.items()}
    near = difflib.get_close_matches(str(id), exercises, n=3)
    foreign = not near and str(id).partition(".")[0] not in {exercise.lesson for exercise in exercises.values()}
    near = near or [names[name] for name in difflib.get_close_matches(str(id).rpartition(".")[2], names, n=3)]
    asks = ["did you mean " + " or ".join(f'"{key}"' for key in near)] if near else []
    asks += ["is the course.toml missing that came with the notebook"] if foreign else []
    return f"there is no {id!r}" + (f": {', or '.join(asks)}?" if asks else "")

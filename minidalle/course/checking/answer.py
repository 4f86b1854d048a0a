"""`check`: an answer is looked at, run on its exercise's cases, judged, and the try remembered."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from minidalle.course import progress
from minidalle.course.cell_notes import cell_notes, cells_so_far
from minidalle.course.checking.findings import RUNS
from minidalle.course.checking.judge import expected, judge
from minidalle.course.checking.observe import SECONDS, Observation, observe, parameters
from minidalle.course.checking.report import Report, refused
from minidalle.course.checking.shown import short
from minidalle.course.checking.stub import has_own_code
from minidalle.course.own_work import borrowed, lent, tripwire
from minidalle.course.swap import use
from minidalle.errors import require
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Exercise
from minidalle.runtime import pick_device

NO_FUNCTION = "a function"


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
    out_of = float(exercise.points if points is None else points)
    require(out_of >= 0, "points", points, "0 or more")
    device = str(pick_device(device))
    if isinstance(function, type) or not callable(function):
        return refused(exercise.id, out_of, _no_function(exercise, function), NO_FUNCTION)
    if why := borrowed(exercise, function):
        return refused(exercise.id, out_of, why)
    expected(exercise, seed, device)  # first: a GPU takes seconds to begin, which are not the answer's
    others = known_exercises() if exercises is None and exercise.needs else exercises or {}
    needs = {others[id].name: others[id].reference for id in exercise.needs if id in others}
    with lent(needs, function) as used, tripwire(exercise, function) as (watched, fallen):
        own = observe(watched, exercise.probe, exercise.cases(seed), SECONDS, device)
    if fallen:
        return refused(exercise.id, out_of, fallen[0])
    report = judge(exercise, own, parameters(function), points, seed, device)
    if report.unfinished and has_own_code(function, exercise.reference):
        return refused(exercise.id, out_of, _stub_line(own), RUNS)
    return replace(report, notes=(*report.notes, *_lent_note([f"`{name}`" for name in used])))


def _stub_line(own: Sequence[Observation]) -> str:
    error = next(one.error for one in own if one.error and one.error["unwritten"])
    line = error["line"].partition("#")[0].strip() or error["type"]
    return f"`{line}` is still there, in line {error['number']} of {error['place']}: delete that line"


def _lent_note(names: list[str]) -> list[str]:
    if not names:
        return []
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return [f"While this was checked, {listed} {'was' if len(names) == 1 else 'were'} the package's."]


def _no_function(exercise: Exercise, value: object) -> str:
    if isinstance(value, type):
        return f"got the class `{value.__name__}`: give the function, as in check({exercise.id!r}, {exercise.name})"
    if value is None:
        return f"got None: give the function, as in check({exercise.id!r}, {exercise.name})"
    words = f"got {short(value, 60)}: give the function itself"
    return f"{words}, {exercise.name} without brackets" if not isinstance(value, str) else f"{words}, without quotes"


def _nearest(id: object, exercises: Mapping[str, Exercise]) -> str:
    names = {exercise.name: key for key, exercise in exercises.items()}
    near = difflib.get_close_matches(str(id), exercises, n=3)
    near = near or [names[name] for name in difflib.get_close_matches(str(id).rpartition(".")[2], names, n=3)]
    found = " or ".join(f'"{key}"' for key in near)
    return f"there is no {id!r}" + (f": did you mean {found}?" if found else "")

"""One notebook's exercises, judged: each is asked in the sandbox and compared with the reference out here.

Cases are made here; only their arguments go in. A public seed gives the cases that students have in their notebooks;
with a secret there is a second, hidden one, that nobody can have written answers for.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from minidalle.course.checking.faults import is_of_a_device
from minidalle.course.checking.findings import RUNS, Line
from minidalle.course.checking.report import Report, refused
from minidalle.course.checking.sight import NO_FUNCTION, Sight, report_on
from minidalle.course.code_names import global_names
from minidalle.course.notebook_code import Asked, Cell
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Exercise
from minidalle.grading.sandbox import Fate, Lost, Sandbox
from minidalle.grading.stripped import own_need, supplied, without_answers
from minidalle.grading.untrusted import Unusable, shown, sight

HIDDEN = "hidden cases"


@dataclass(frozen=True)
class Verdict:
    """What became of one graded check.

    Attributes:
        report: what was found.
        ungraded: why nothing could be found, which is no fault of the answer: a person has to grade it. The report then
            has no points; "" where it is graded.
    """

    report: Report
    ungraded: str = ""


def grade_cells(
    cells: Sequence[Cell],
    asked: Sequence[Asked],
    exercises: Mapping[str, Exercise],
    sandbox: Sandbox,
    secret: str | None = None,
    file: str = "notebook.ipynb",
    files: Mapping[str, str] | None = None,
) -> list[Verdict]:
    """Grade what a notebook's checks ask for, one after the other.

    Args:
        cells: the code cells; a student's are among them.
        asked: the checks, from the released notebook.
        exercises: by id.
        sandbox: where the cells' definitions are run.
        secret: of the hidden cases; None for public cases alone.
        file: the notebook's name, for reports.
        files: modules that came with it: name → text.

    Returns:
        A verdict for each check, in order.
    """
    request = {"cells": [[cell.place, cell.source] for cell in cells], "file": file, "files": dict(files or {})}
    return [_grade(exercises.get(one.id), one, request, exercises, sandbox, secret) for one in asked]


def _grade(
    exercise: Exercise | None,
    asked: Asked,
    request: Mapping[str, Any],
    exercises: Mapping[str, Exercise],
    sandbox: Sandbox,
    secret: str | None,
) -> Verdict:
    if exercise is None:
        return Verdict(Report(asked.id, 0.0, asked.points or 0.0), f"this course has no exercise {asked.id!r}")
    out_of = float(exercise.points if asked.points is None else asked.points)
    try:
        public = _report(exercise, asked, asked.seed, request, exercises, sandbox)
        if not secret or not public.passed:
            return Verdict(public)
        hidden = _report(exercise, asked, hidden_seed(secret, exercise.id), request, exercises, sandbox)
    except Lost as lost:
        return Verdict(Report(exercise.id, 0.0, out_of), f"the sandbox failed: {lost}")
    except Exception as error:  # of the judge's own, on something that no honest answer sends
        return Verdict(Report(exercise.id, 0.0, out_of), f"it could not be judged: {type(error).__name__}: {error}")
    return Verdict(public if hidden.passed else _only_public(public, hidden))


def _only_public(public: Report, hidden: Report) -> Report:
    """It passes the cases that everybody has, and not those that nobody knows: the latter count, and stay unknown."""
    wrong = " and ".join(line.name for line in hidden.lines if not line.ok)
    line = Line(HIDDEN, False, f"other cases of the same kind are not right: {wrong}")
    return replace(public, points=hidden.points, lines=(*public.lines, line), looks_like=hidden.looks_like)


def hidden_seed(secret: str, id: str) -> int:
    """The seed of an exercise's hidden cases: nobody without the secret can work it out."""
    digest = hmac.new(secret.encode(), f"minidalle hidden cases of {id}".encode(), "sha256").digest()
    return int.from_bytes(digest[:6], "big")


def _report(
    exercise: Exercise,
    asked: Asked,
    seed: int,
    request: Mapping[str, Any],
    exercises: Mapping[str, Exercise],
    sandbox: Sandbox,
) -> Report:
    cases = [dict(case) for case in exercise.cases(seed)]
    question = _question(exercise, _Known(exercises))
    limits = {"seconds": sandbox.limits.seconds, "device": sandbox.device}
    try:
        seen = _seen(sandbox, {**request, **question, **limits, "function": asked.name, "cases": cases})
    except Fate as fate:
        out_of = float(exercise.points if asked.points is None else asked.points)
        return Report(exercise.id, 0.0, out_of, (Line(RUNS, False, f"it {fate}"),))
    except Unusable as unusable:
        seen = Sight(refused=f"its process sent something else than an answer: {unusable}", about=RUNS)
    if seen.refused and seen.about == NO_FUNCTION:
        out_of = float(exercise.points if asked.points is None else asked.points)
        return shown(replace(refused(exercise.id, out_of, seen.refused, NO_FUNCTION), notes=tuple(seen.notes)))
    return shown(report_on(exercise, seen, asked.points, seed, sandbox.device))


def _seen(sandbox: Sandbox, request: Mapping[str, Any]) -> Sight:
    """What is seen of an answer. What a GPU may have done to it is asked once more: each process begins by opening the
    GPU, so if that is lost, there is none to ask, and no verdict. What comes again is the answer's own."""
    again = sandbox.device != "cpu"
    while True:
        try:
            seen = sight(sandbox.ask(request), len(request["cases"]))
        except (Fate, Unusable):
            if not again:
                raise
        else:
            if not (again and any(one.error and is_of_a_device(one.error) for one in seen.observations)):
                return seen
        again = False


class _Known:
    """Exercises by id, as something that can be a key: a course does not change while it is graded."""

    def __init__(self, exercises: Mapping[str, Exercise]) -> None:
        self.exercises = exercises

    def __hash__(self) -> int:
        return hash(frozenset(self.exercises))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self.exercises == other.exercises


@lru_cache(maxsize=256)
def _question(exercise: Exercise, known: _Known) -> dict[str, Any]:
    """What the student's side has to know of an exercise, as JSON."""
    reference, probe = exercise.reference, exercise.probe
    is_own = exercise.id not in EXERCISES
    own = without_answers(exercise) if is_own else ""
    inside = "" if is_own and probe.__module__ == reference.__module__ else probe.__module__
    needs = [known.exercises.get(id) or EXERCISES[id] for id in exercise.needs]
    return {
        "id": exercise.id,
        "name": exercise.name,
        "module": reference.__module__,
        "own": own,
        "probe": [inside, probe.__name__],
        "forbid": list(exercise.forbid),
        "needs": [[one.reference.__module__, one.name, _own_text(one, exercise)] for one in needs],
        "known": sorted(global_names(reference)),
        "supplied": supplied(exercise, known.exercises),
    }


def _own_text(needed: Exercise, exercise: Exercise) -> str:
    """The text of a function that is the course's own; of the package's it is `supplied`."""
    return "" if needed.id in EXERCISES else own_need(needed, exercise)

"""A check in two halves: `look` is the student's side and knows no answer; `report_on` judges what was seen.

In a notebook both run in one process. When a class is graded, `look` runs in a sandbox and `report_on` outside.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from minidalle.course.checking.findings import OWN, RUNS
from minidalle.course.checking.judge import judge
from minidalle.course.checking.observe import SECONDS, Observation, observe, parameters
from minidalle.course.checking.report import Report, refused
from minidalle.course.checking.shown import short
from minidalle.course.checking.stub import has_own_code, statements
from minidalle.course.own_work import borrowed, lent, tripwire
from minidalle.errors import require
from minidalle.exercises.exercise import Case, Exercise, Function, Question

NO_FUNCTION = "a function"


@dataclass(frozen=True)
class Sight:
    """What the student's side tells of an answer.

    Attributes:
        observations: one for each case; none where the answer is refused.
        parameters: the answer's, see `observe.parameters`.
        statements: its statements, see `stub.statements`.
        lent: names that its code uses and that were the package's meanwhile.
        refused: why it is no answer; "" where it may be.
        about: what the refusal is about, the name of its line.
        notes: what else is good to know.
    """

    observations: list[Observation] = field(default_factory=list)
    parameters: list[str] | None = None
    statements: list[str] = field(default_factory=list)
    lent: list[str] = field(default_factory=list)
    refused: str = ""
    about: str = OWN
    notes: list[str] = field(default_factory=list)


def look(
    question: Question,
    function: object,
    cases: Iterable[Case],
    needs: Mapping[str, Function],
    seconds: float | None = None,
    device: str = "cpu",
) -> Sight:
    """Put an exercise's cases to an answer, if it is one.

    Args:
        question: the exercise, or what the student's side knows of it.
        function: the answer; anything.
        cases: what to put to it.
        needs: functions of other exercises that it may call, by name.
        seconds: for all cases together; by default as in a notebook.
        device: where the tensors of each case are put.
    """
    if isinstance(function, type) or not callable(function):
        return Sight(refused=_no_function(question, function), about=NO_FUNCTION)
    if why := borrowed(question, function):
        return Sight(refused=why)
    with lent(needs, function) as used, tripwire(question, function) as (watched, fallen):
        seen = observe(watched, question.probe, cases, SECONDS if seconds is None else seconds, device)
    if fallen:
        return Sight(refused=fallen[0])
    return Sight(seen, parameters(function), statements(function), used)


def report_on(
    exercise: Exercise, sight: Sight, points: float | None = None, seed: int = 0, device: str = "cpu"
) -> Report:
    """Judge what was seen of an answer on the cases of a seed.

    Args:
        exercise: the exercise.
        sight: what `look` saw on `exercise.cases(seed)`.
        points: what a right answer earns; by default the exercise's.
        seed: of the cases.
        device: where `look` looked.

    Raises:
        InvalidValue: points is negative.
    """
    out_of = float(exercise.points if points is None else points)
    require(out_of >= 0, "points", points, "0 or more")
    if sight.refused:
        return replace(refused(exercise.id, out_of, sight.refused, sight.about), notes=tuple(sight.notes))
    report = judge(exercise, sight.observations, sight.parameters, points, seed, device)
    if report.unfinished and has_own_code(sight.statements, statements(exercise.reference)):
        return refused(exercise.id, out_of, _stub_line(sight.observations), RUNS)
    return replace(report, notes=(*sight.notes, *report.notes, *_lent_note([f"`{name}`" for name in sight.lent])))


def _stub_line(own: Sequence[Observation]) -> str:
    error = next(one.error for one in own if one.error and one.error["unwritten"])
    line = error["line"].partition("#")[0].strip() or error["type"]
    return f"`{line}` is still there, in line {error['number']} of {error['place']}: delete that line"


def _lent_note(names: list[str]) -> list[str]:
    if not names:
        return []
    listed = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
    return [f"While this was checked, {listed} {'was' if len(names) == 1 else 'were'} the package's."]


def _no_function(question: Question, value: object) -> str:
    if isinstance(value, type):
        return f"got the class `{value.__name__}`: give the function, as in check({question.id!r}, {question.name})"
    if value is None:
        return f"got None: give the function, as in check({question.id!r}, {question.name})"
    words = f"got {short(value, 60)}: give the function itself"
    return f"{words}, {question.name} without brackets" if not isinstance(value, str) else f"{words}, without quotes"

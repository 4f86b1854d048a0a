"""What students of a demonstration write: the known answers of an exercise as text, each with its true verdict.

The truth comes from the exercise's own functions, checked in this process, which trusts them. A text whose check says
anything else than its function's is left out.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from minidalle.course.building.exercise_cells import cell_id
from minidalle.course.building.function_source import read_function
from minidalle.course.checking.answer import examine
from minidalle.course.checking.report import Report
from minidalle.course.notebook_code import Cell, definitions
from minidalle.course.submission import run_definitions
from minidalle.errors import InvalidValue
from minidalle.exercises.exercise import Exercise
from minidalle.grading.answer_text import AnswerText, answer_text
from minidalle.grading.released import Release

HELPER, FOREIGN_HELPER = "my_{}", "моя_{}"
FOREIGN_COMMENT = "# Сначала я думал иначе. 先想一想，再动手。 Das hat gedauert, ça marche ✓"
NOISE = """\
import sys, warnings
print("{name} was called")
print("still here", file=sys.stderr)
warnings.warn("this may take a while", stacklevel=2)"""


@dataclass(frozen=True)
class KnownAnswer:
    """A text for an answer's cell, and what is true of it.

    Attributes:
        name: the known function's, "stub", or how a right answer is written.
        text: the cell, and what comes before it.
        report: the check's.
    """

    name: str
    text: AnswerText
    report: Report


@dataclass(frozen=True)
class KnownAnswers:
    """All that students of a demonstration write for one exercise.

    Attributes:
        stub: as it was released.
        right: right answers, the package's own first.
        wrong: an answer for each known mistake.
        odd: right answers that are written oddly: by how.
        left_out: names of known answers that have no text of their own.
    """

    stub: KnownAnswer
    right: tuple[KnownAnswer, ...]
    wrong: tuple[KnownAnswer, ...]
    odd: dict[str, KnownAnswer]
    left_out: tuple[str, ...]


def known_answers(release: Release, exercise: Exercise) -> KnownAnswers:
    """Make the texts of an exercise's answers, and check each of them in the lesson's notebook."""
    given = frozenset(one.name for one in release.asked.values())
    stub = AnswerText("", release.cells[cell_id(exercise.id, "solution")]["source"])
    reference = AnswerText("", "\n".join(read_function(exercise.reference).lines))
    verdict = partial(_verdict, release, exercise)
    texts: dict[str, AnswerText] = {}
    for answer in (*exercise.also_right, *exercise.wrong):
        text = _text(answer, exercise, given)
        if text and _told(verdict(text)) == _told(_examine(release, exercise, answer)):
            texts[answer.__name__] = text

    def known(name: str, text: AnswerText) -> KnownAnswer:
        return KnownAnswer(name, text, verdict(text))

    right = [known("reference", reference)]
    right += [known(one.__name__, texts[one.__name__]) for one in exercise.also_right if one.__name__ in texts]
    wrong = [known(one.__name__, texts[one.__name__]) for one in exercise.wrong if one.__name__ in texts]
    plain = next((one for one in exercise.also_right if one.__name__ in texts), None)
    odd = {name: known(name, text) for name, text in (_odd(plain, exercise, given) if plain else {}).items()}
    odd = {name: answer for name, answer in odd.items() if answer.report.passed}
    left_out = [one.__name__ for one in (*exercise.also_right, *exercise.wrong) if one.__name__ not in texts]
    return KnownAnswers(known("stub", stub), tuple(right), tuple(wrong), odd, tuple(left_out))


def _text(answer: Callable[..., Any], exercise: Exercise, given: frozenset[str]) -> AnswerText | None:
    try:
        return answer_text(answer, exercise, given)
    except InvalidValue:
        return None


def _odd(answer: Callable[..., Any], exercise: Exercise, given: frozenset[str]) -> dict[str, AnswerText]:
    """A right answer behind a helper in a cell of its own, the same in other languages, and one that talks."""
    helper, foreign = (
        _behind(answer_text(answer, exercise, given, name.format(exercise.name)), exercise.name)
        for name in (HELPER, FOREIGN_HELPER)
    )
    plain = answer_text(answer, exercise, given)
    return {
        "helper": helper,
        "foreign": AnswerText(*(f"{FOREIGN_COMMENT}\n{part}" for part in foreign)),
        "noisy": AnswerText(plain.before, _noisy(plain.function)),
    }


def _behind(text: AnswerText, name: str) -> AnswerText:
    """The function as a helper, and one of the right name that calls it."""
    made = ast.parse(text.function).body[0]
    assert isinstance(made, ast.FunctionDef)
    args = made.args
    values = [*(one.arg for one in (*args.posonlyargs, *args.args)), *([f"*{args.vararg.arg}"] if args.vararg else [])]
    values += [f"{one.arg}={one.arg}" for one in args.kwonlyargs]
    values += [f"**{args.kwarg.arg}"] if args.kwarg else []
    call = f"def {name}({ast.unparse(args)}):\n    return {made.name}({', '.join(values)})"
    return AnswerText(text.whole, call)


def _noisy(function: str) -> str:
    """The function, with prints and a warning at each call."""
    made = ast.parse(function).body[0]
    assert isinstance(made, ast.FunctionDef)
    made.body = [*ast.parse(NOISE.format(name=made.name)).body, *made.body]
    return ast.unparse(made)


def _verdict(release: Release, exercise: Exercise, text: AnswerText) -> Report:
    """What the check says of a text in the place of the answer's cell, with the rest of the notebook around it."""
    solution = cell_id(exercise.id, "solution")
    sources = {id: cell["source"] for id, cell in release.cells.items() if cell["cell_type"] == "code"}
    cells = [Cell(id, text.whole if id == solution else source) for id, source in sources.items()]
    module, _ = run_definitions(Path(f"{release.name}.ipynb"), definitions(cells))
    return _examine(release, exercise, vars(module).get(exercise.name))


def _examine(release: Release, exercise: Exercise, function: object) -> Report:
    return examine(exercise, function, exercises=release.course.exercises)


def _told(report: Report) -> tuple[Any, ...]:
    return report.points, report.out_of, report.passed, report.unfinished, report.looks_like

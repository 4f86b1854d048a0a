"""What an answer gets in the sandbox is what the notebook's check gives it: points, lines, and the mistake by name."""

import ast
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from grading_class import needs_sandbox

from minidalle.course.building.course_file import find_course
from minidalle.course.checking.answer import examine
from minidalle.course.checking.report import Report
from minidalle.course.notebook_code import Asked, Cell, definitions
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import Exercise, Function
from minidalle.grading.answer_text import answer_text
from minidalle.grading.judge import Verdict, grade_cells, hidden_seed
from minidalle.grading.sandbox import Sandbox

pytestmark = needs_sandbox

BY_CHANCE = {"sorts_by_pythons_hash"}  # what Python's own hash of a text is, is drawn anew in every process


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(["import numpy as np", "import torch"]) as made:
        yield made


def text_of(answer: Function, exercise: Exercise) -> str:
    """The answer as a cell. A table that is made by a call is no definition in a cell: it becomes a class's."""
    given = [EXERCISES[id].name for id in exercise.needs]
    text = answer_text(answer, exercise, given).whole
    lost = definitions([Cell("", text)]).lost
    lines = []
    for one in ast.parse(text).body:
        name = ast.unparse(one.targets[0]) if isinstance(one, ast.Assign) else ""
        made = f"class Made_{name}:\n    {ast.unparse(one)}\n{name} = Made_{name}.{name}"
        lines.append(made if name in lost else ast.unparse(one))
    return "\n".join(lines)


def graded(source: str, exercise: Exercise, sandbox: Sandbox, **options: Any) -> Verdict:
    asked, exercises = [Asked(exercise.id, exercise.name)], options.pop("exercises", EXERCISES)
    return grade_cells([Cell("code cell 1", source)], asked, exercises, sandbox, **options)[0]


def found(report: Report) -> tuple:
    """Where an error arose aside: the text has no docstring, and other names for helpers."""
    lines = [(line.name, line.ok, re.sub(r", in line \d+ of .*`", "", line.detail)) for line in report.lines]
    return report.points, lines, report.looks_like


def assert_alike(exercise: Exercise, answer: Function, sandbox: Sandbox) -> None:
    verdict = graded(text_of(answer, exercise), exercise, sandbox)
    assert not verdict.ungraded, answer.__name__
    if answer is exercise.reference:
        assert verdict.report.passed
        assert verdict.report.points == exercise.points
    elif answer.__name__ not in BY_CHANCE:
        assert found(verdict.report) == found(examine(exercise, answer, exercises=EXERCISES)), answer.__name__


def some_and_others(id: str) -> tuple[list[Function], list[Function]]:
    """The reference, another right answer and two wrong ones, others for each exercise; and the rest of them."""
    exercise, draw = EXERCISES[id], random.Random(id)
    some = [exercise.reference, *draw.sample(exercise.also_right, 1), *draw.sample(exercise.wrong, 2)]
    return some, [answer for answer in (*exercise.also_right, *exercise.wrong) if answer not in some]


@pytest.mark.parametrize("id", EXERCISES)
def test_known_answers_get_what_the_notebook_gives(id: str, sandbox: Sandbox) -> None:
    for answer in some_and_others(id)[0]:
        assert_alike(EXERCISES[id], answer, sandbox)


@pytest.mark.slow
@pytest.mark.parametrize("id", EXERCISES)
def test_the_others_get_what_the_notebook_gives(id: str, sandbox: Sandbox) -> None:
    for answer in some_and_others(id)[1]:
        assert_alike(EXERCISES[id], answer, sandbox)


MERGE = EXERCISES["tokenization.merge_pair"]


def test_hidden_cases_pass_what_is_right(sandbox: Sandbox) -> None:
    for answer in (MERGE.reference, MERGE.also_right[0]):
        verdict = graded(text_of(answer, MERGE), MERGE, sandbox, secret="s")
        assert found(verdict.report) == found(graded(text_of(answer, MERGE), MERGE, sandbox).report)
        assert verdict.report.passed


def test_hidden_cases_find_what_is_written_for_the_public_ones(sandbox: Sandbox) -> None:
    """A table of all public cases gets full points without a secret, and its honest points with one: none."""
    table = {(" ".join(case["word"]), *case["pair"]): MERGE.reference(case["word"], tuple(case["pair"]))
             for case in MERGE.cases(0)}  # fmt: skip
    source = f"TABLE = {table!r}\ndef merge_pair(word, pair):\n    return TABLE.get((' '.join(word), *pair), [])\n"
    assert graded(source, MERGE, sandbox).report.passed
    report = graded(source, MERGE, sandbox, secret="s").report
    assert not report.passed
    assert report.points <= 1
    assert report.lines[-1].name == "hidden cases"
    for case in MERGE.cases(hidden_seed("s", MERGE.id)):
        if len(case["word"]) > 3:
            assert repr(case["word"][0]) not in str(report.lines[-1])


def test_hidden_seeds_differ_by_secret_and_exercise() -> None:
    seeds = {hidden_seed(secret, id) for secret in ("s", "t", "") for id in EXERCISES}
    assert len(seeds) == 3 * len(EXERCISES)
    assert 0 not in seeds


def test_points_and_seed_of_the_released_check_count(sandbox: Sandbox) -> None:
    asked = [Asked(MERGE.id, "mine", 10.0, 3), Asked("no.such", "mine"), Asked(MERGE.id, "absent")]
    source = text_of(MERGE.reference, MERGE).replace("def merge_pair", "def mine")
    ten, unknown, absent = grade_cells([Cell("code cell 1", source)], asked, EXERCISES, sandbox)
    assert (ten.report.points, ten.report.out_of) == (10, 10)
    assert "no exercise" in unknown.ungraded
    assert (absent.report.points, absent.ungraded) == (0, "")


def test_a_course_of_ones_own_is_graded(tmp_path: Path, sandbox: Sandbox) -> None:
    """Its exercises, also one that needs another one of its own."""
    shutil.copy(Path(__file__).parents[1] / "course" / "toy_exercises.py", tmp_path)
    (tmp_path / "course.toml").write_text('exercises = ["toy_exercises.py"]', encoding="utf-8")
    exercises = find_course(tmp_path).exercises
    answers = {
        "toy.add_up": "def add_up(numbers):\n    return sum(numbers)",
        "toy.scale": "def scale(x, by):\n    return by * x / x.amax(1, keepdim=True)",
        "toy.square": "def square(x):\n    return x * x",
        "toy.note_down": "def note_down(counts, word):\n    counts[word] = counts.get(word, 0) + 1",
        "toy.mean": "def mean(numbers):\n    return add_up(numbers) / len(numbers) if numbers else 0.0",
    }
    for id, source in answers.items():
        verdict = graded(source, exercises[id], sandbox, exercises=exercises)
        assert not verdict.ungraded, verdict.ungraded
        assert verdict.report.passed, str(verdict.report)
    known = "def square(x):\n    import own_exercise, sys\n    return vars(own_exercise)['SQUARE'].also_right[0](x)"
    assert graded(known, exercises["toy.square"], sandbox, exercises=exercises).report.points == 0
    cheaper = {"toy.add_up": replace(exercises["toy.add_up"], points=1)}
    assert graded(answers["toy.add_up"], cheaper["toy.add_up"], sandbox, exercises=cheaper).report.points == 1

"""The package that a student's code sees has no answer in it, and works."""

import ast
import inspect
import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections import Counter
from functools import lru_cache
from pathlib import Path

import pytest

from minidalle.course.building.course_file import find_course
from minidalle.exercises import EXERCISES
from minidalle.exercises.exercise import Exercise, Function, call
from minidalle.grading import confinement
from minidalle.grading.stripped import (
    PACKAGE,
    own_need,
    reached_by,
    supplied,
    without_answers,
    without_bodies,
    write_stripped,
)

CALL = call.__module__  # the plain probe's


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("stripped")
    write_stripped(folder)
    return folder / "minidalle"


@lru_cache
def normal(source: str) -> str:
    return ast.unparse(ast.parse(source))


def body(function: Function) -> list[str]:
    """The statements of a function, each on one line as `ast` writes it, without docstring; those inside of others
    are statements, too."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    top = next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.Lambda))
    if isinstance(top, ast.Lambda):
        return [ast.unparse(top.body)]
    kept = top.body[ast.get_docstring(top) is not None :]
    found = [node for one in kept for node in ast.walk(one) if isinstance(node, ast.stmt)]
    return [ast.unparse(one).split("\n")[0] for one in found]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n")]


def answers(exercise: Exercise) -> list[Function]:
    return [exercise.reference, *exercise.wrong, *exercise.also_right]


def test_only_line_feeds_end_a_line_of_code() -> None:
    stripped = without_bodies("ENDS = '\u2028\x85'\n\ndef f():\n    return 'secret'\n\ndef g():\n    return 2\n", {"f"})
    assert "secret" not in stripped
    assert (
        re.sub(r"raise .*", "...", stripped) == "ENDS = '\u2028\x85'\n\ndef f():\n    ...\n\ndef g():\n    return 2\n"
    )


def functions_of(source: str) -> set[str]:
    """The bodies of all functions in a text, without docstrings; not those that are one short line."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            kept = node.body[ast.get_docstring(node, clean=False) is not None :]
            found.add("\n".join(map(ast.unparse, kept)))
    return {one for one in found if len(one) > 45}


def functions_in(answer: Function) -> set[str]:
    return functions_of(textwrap.dedent(inspect.getsource(answer)))


def texts(tree: Path) -> dict[str, str]:
    return {file.relative_to(tree).as_posix(): file.read_text(encoding="utf-8") for file in sorted(tree.rglob("*"))
            if file.is_file()}  # fmt: skip


def test_only_python_is_in_it_and_no_exercise_file(tree: Path) -> None:
    names = set(texts(tree))
    assert all(name.endswith(".py") for name in names)
    answers_in = {Path(inspect.getsourcefile(answer) or "").resolve() for exercise in EXERCISES.values()
                  for answer in (*exercise.wrong, *exercise.also_right)}  # fmt: skip
    assert answers_in
    assert not names & {file.relative_to(PACKAGE).as_posix() for file in answers_in}
    assert not [name for name in names if name.startswith(("cli/", "weights/", "reports/", "bart/fast_training"))]
    assert {name for name in names if name.startswith("grading/")} == {
        f"grading/{name}.py" for name in ("__init__", "wire", "limits", "inside/__init__", "inside/calls",
                                          "inside/watch", "inside/confine", "inside/device", "inside/once",
                                          "inside/respond", "inside/warm")
    }  # fmt: skip


def test_no_function_in_it_does_what_an_answer_does(tree: Path) -> None:
    there = {whole for text in texts(tree).values() for whole in functions_of(text)}
    for exercise in EXERCISES.values():
        for answer in answers(exercise):
            assert not functions_in(answer) & there, f"{exercise.id}: {answer.__name__}"


def test_no_line_of_an_answer_is_in_it(tree: Path) -> None:
    """A line that the package has elsewhere, too, is there once less for each time that an answer has it."""
    kept = texts(tree)
    before = Counter(line for name in kept for line in lines(normal((PACKAGE / name).read_text(encoding="utf-8"))))
    after = Counter(line for text in kept.values() for line in lines(normal(text)))
    for exercise in EXERCISES.values():
        for line, times in Counter(body(exercise.reference)).items():
            assert after[line] <= before[line] - times, f"{exercise.id}: {line}"


def test_every_body_of_an_exercise_says_that_it_is_not_here(tree: Path) -> None:
    for exercise in EXERCISES.values():
        file = Path(inspect.getsourcefile(exercise.reference) or "").resolve().relative_to(PACKAGE.resolve())
        module = ast.parse((tree / file).read_text(encoding="utf-8"))
        made = [node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == exercise.name]
        assert len(made) == 1
        rest = made[0].body[ast.get_docstring(made[0]) is not None :]
        assert [type(one) for one in rest] == [ast.Raise]


def test_every_module_of_it_can_be_imported(tree: Path) -> None:
    names = [
        ".".join(("minidalle", *Path(name).with_suffix("").parts)).removesuffix(".__init__") for name in texts(tree)
    ]
    code = (
        "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\n"
        "import minidalle.exercises\nassert minidalle.exercises.EXERCISES == {}\n"
        "print(minidalle.__file__)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tree.parent), *confinement._libraries()])}
    done = subprocess.run([sys.executable, "-P", "-c", code, *names], capture_output=True, text=True, env=environment,
                          cwd=tree, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(tree / "__init__.py")


@pytest.mark.parametrize("id", EXERCISES)
def test_what_is_supplied_is_never_the_answer(id: str) -> None:
    exercise = EXERCISES[id]
    given = supplied(exercise, EXERCISES)
    assert id not in reached_by(exercise)
    assert (exercise.reference.__module__, exercise.name) not in {(one["module"], one["name"]) for one in given}
    there = {whole for one in given for whole in functions_of(one["source"])}
    for answer in answers(exercise):
        assert not functions_in(answer) & there, answer.__name__
    assert {*exercise.needs} <= reached_by(exercise)


@pytest.mark.parametrize("id", EXERCISES)
def test_an_exercise_file_of_a_course_of_ones_own_is_sent_without_answers(id: str) -> None:
    exercise = EXERCISES[id]
    there = functions_of(without_answers(exercise))  # here it is the package's file, which has the reference alone
    assert not there & functions_in(exercise.reference)


def test_an_exercise_file_with_its_answers_in_it_is_sent_with_none_of_them(tmp_path: Path) -> None:
    """Nor with those of other exercises in it, and no table in which lambdas are right answers."""
    shutil.copy(Path(__file__).parents[1] / "course" / "toy_exercises.py", tmp_path)
    (tmp_path / "course.toml").write_text('exercises = ["toy_exercises.py"]', encoding="utf-8")
    course = find_course(tmp_path)
    own = [course.exercises[id] for id in course.own]
    assert len(own) > 3
    for exercise in own:
        text = without_answers(exercise)
        named = re.findall(r"def (\w+)", text)
        assert named == [exercise.name, *([exercise.probe.__name__] if exercise.probe.__module__ != CALL else [])]
        assert "Exercise(" not in text
        assert "lambda" not in text
        assert "NotImplementedError" in text
    needed = own_need(course.exercises["toy.add_up"], course.exercises["toy.mean"])
    assert re.findall(r"def (\w+)", needed) == ["add_up"]

"""How exercises are kept: one a file, in the order of the lessons, with probes that are near no answer."""

import ast
import inspect
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import minidalle.exercises
from minidalle.exercises import EXERCISES, Exercise

FOLDER = Path(minidalle.exercises.__file__).parent
LESSONS = list(dict.fromkeys(exercise.lesson for exercise in EXERCISES.values()))
NAMES = {exercise.name for exercise in EXERCISES.values()}
PLACES = {exercise.reference.__module__ for exercise in EXERCISES.values()}
PROBES = sorted((FOLDER / "probes").glob("*.py"))
ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


def answers_near(source: str) -> Iterator[str]:
    """What a probe names that is an answer, a module that holds one, or a lesson's exercises."""
    near = {*PLACES, *(f"minidalle.exercises.{lesson}" for lesson in LESSONS), "minidalle.exercises.catalogue"}
    module = ast.parse(source)
    given = {node.arg for node in ast.walk(module) if isinstance(node, ast.arg)}  # a case's value, whatever its name
    for node in ast.walk(module):
        named: list[str] = []
        if isinstance(node, ast.Import):
            named = [name.name for name in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level
            named = [str(node.module), *(f"{node.module}.{name.name}" for name in node.names)]
            named += [name.name for name in node.names if name.name in {*NAMES, "EXERCISES"}]
        elif isinstance(node, ast.Attribute | ast.Name):
            named = [node.attr] if isinstance(node, ast.Attribute) else [node.id] if node.id not in given else []
        for name in named:
            if name in {*NAMES, "EXERCISES"} or any(f"{name}.".startswith(f"{place}.") for place in near):
                yield name


@pytest.mark.parametrize("path", PROBES, ids=[path.stem for path in PROBES])
def test_probes_are_near_no_answer(path: Path) -> None:
    assert not [*answers_near(path.read_text(encoding="utf-8"))]


@pytest.mark.parametrize(
    "source",
    [
        "from minidalle.tokenization.bpe import SYMBOLS",
        "from minidalle.tokenization import encode",
        "from minidalle.tokenization import bpe",
        "import minidalle.tokenization.bpe",
        "from minidalle.exercises.tokenization import decode",
        "from minidalle.exercises.tokenization.decode import EXERCISE",
        "from minidalle.exercises import EXERCISES",
        "def probe(function): return tokenization.encode(1)",
    ],
)
def test_a_probe_near_an_answer_is_told(source: str) -> None:
    assert [*answers_near(source)]


def test_a_probe_may_use_the_package() -> None:
    assert not [
        *answers_near("from minidalle.exercises.exercise import Plain\nfrom minidalle.runtime import weights_of")
    ]


def test_probes_import_no_answer_with_what_they_import() -> None:
    """Also what they import imports none: a lesson's probes load without the module of any reference."""
    modules = [f"minidalle.exercises.probes.{path.stem}" for path in PROBES if path.stem != "__init__"]
    code = (
        "import importlib, sys\nfor name in sys.argv[1:]: importlib.import_module(name)\nprint(*sys.modules, sep='\\n')"
    )
    done = subprocess.run([sys.executable, "-c", code, *modules], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert set(modules) <= loaded
    assert not loaded & PLACES


@pytest.mark.parametrize("lesson", LESSONS)
def test_a_file_is_an_exercise(lesson: str) -> None:
    """Each ends with its one Exercise and is named for its function; a lesson's folder has no other file."""
    files = {path.stem: path for path in (FOLDER / lesson).glob("*.py") if path.stem != "__init__"}
    assert files.keys() == {exercise.name for exercise in EXERCISES.values() if exercise.lesson == lesson}
    for path in files.values():
        source = ast.parse(path.read_text(encoding="utf-8"))
        made = [
            node for node in ast.walk(source) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Exercise"
        ]
        last = source.body[-1]
        assert isinstance(last, ast.Assign)
        assert (made, ast.unparse(last.targets[0])) == ([last.value], "EXERCISE")


@ALL
def test_answers_are_written_where_the_exercise_is(exercise: Exercise) -> None:
    home = f"minidalle.exercises.{exercise.lesson}.{exercise.name}"
    for answer in (exercise.cases, *exercise.wrong, *exercise.also_right):
        assert answer.__module__ == home
    given = {name for name, value in vars(inspect.getmodule(exercise.cases)).items() if callable(value)}
    public = {
        name
        for name in given
        if not name.startswith("_") and vars(inspect.getmodule(exercise.cases))[name].__module__ == home
    }
    used = {answer.__name__ for answer in (exercise.cases, *exercise.wrong, *exercise.also_right)}
    assert public == used  # no answer is forgotten


@ALL
def test_an_answer_has_the_reference_s_signature(exercise: Exercise) -> None:
    expected = list(inspect.signature(exercise.reference).parameters)
    for answer in (*exercise.wrong, *exercise.also_right):
        assert list(inspect.signature(answer).parameters) == expected, answer.__name__


@ALL
def test_needs_are_earlier(exercise: Exercise) -> None:
    ids = list(EXERCISES)
    assert all(needed in ids[: ids.index(exercise.id)] for needed in exercise.needs)


@ALL
def test_hints_lead_from_the_idea_to_a_skeleton(exercise: Exercise) -> None:
    idea, formula, skeleton = exercise.hints
    assert len(idea.split()) >= 10
    assert len(formula.split()) >= 10
    (function,) = ast.parse(skeleton).body
    assert isinstance(function, ast.FunctionDef)
    assert function.name == exercise.name
    assert [argument.arg for argument in function.args.args] == list(inspect.signature(exercise.reference).parameters)
    holes = [node for node in ast.walk(function) if isinstance(node, ast.Constant) and node.value is ...]
    assert len(holes) >= 2
    assert max(map(len, skeleton.splitlines())) <= 100


@ALL
def test_the_stub_says_enough(exercise: Exercise) -> None:
    """Signature and docstring are all that a lesson shows: types, a tiny example, what comes back."""
    text = inspect.getdoc(exercise.reference) or ""
    signature = inspect.signature(exercise.reference)
    assert "→" in text
    assert "Returns:" in text
    assert all(parameter.annotation is not parameter.empty for parameter in signature.parameters.values())
    assert signature.return_annotation is not signature.empty
    if len(signature.parameters) > 1:
        assert all(f"\n    {name}: " in text for name in signature.parameters)


def test_ids_are_keys_in_the_order_of_the_lessons() -> None:
    assert all(key == exercise.id for key, exercise in EXERCISES.items())
    lessons = [exercise.lesson for exercise in EXERCISES.values()]
    assert lessons == sorted(lessons, key=LESSONS.index)

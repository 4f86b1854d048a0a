"""The package as a student's code sees it while it is graded: no exercise's function has a body.

The catalogue is empty, known mistakes and other right answers are not there, nor are weights, data or the graders' own
code. What an exercise needs of others is sent along with it, as text (`supplied`).
"""

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path

from minidalle.course.checking.observe import observe
from minidalle.course.code_names import global_names
from minidalle.course.parts import noted
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Exercise, Function

PACKAGE = Path(__file__).resolve().parents[1]

LEFT_OUT = ("bart/fast_training.py", "cli/", "published/", "reports/", "weights/", "run.py", "__main__.py")
INSIDE = ("grading/__init__.py", "grading/wire.py", "grading/limits.py", "grading/inside")
CATALOGUE = "exercises/catalogue.py"
EXERCISE_FILES = ("exercises/__init__.py", "exercises/exercise.py", CATALOGUE)

EMPTY_CATALOGUE = '''"""Answers are graded here: no exercise is known."""

from minidalle.exercises.exercise import Exercise

EXERCISES: dict[str, Exercise] = {}
'''


def write_stripped(folder: Path) -> None:
    """Write the package without its answers to `folder`/minidalle, for everybody to read."""
    answers = withheld_lines()
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if _is_kept(name):
            text = EMPTY_CATALOGUE if name == CATALOGUE else file.read_text(encoding="utf-8")
            place = folder / "minidalle" / name
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(without_bodies(text, answers.get(file.resolve(), ())), encoding="utf-8")


def _is_kept(name: str) -> bool:
    if name.startswith("grading/"):
        return name.startswith(INSIDE)
    if name.startswith("exercises/"):
        return name.startswith("exercises/probes/") or name in EXERCISE_FILES
    return not name.startswith(LEFT_OUT)


def withheld_lines() -> dict[Path, set[str]]:
    """File → the functions in it that are exercises."""
    found: dict[Path, set[str]] = {}
    for exercise in EXERCISES.values():
        file = inspect.getsourcefile(exercise.reference)
        assert file
        found.setdefault(Path(file).resolve(), set()).add(exercise.name)
    return found


def without_bodies(source: str, names: Iterable[str]) -> str:
    """A module's text in which these functions only say that they are not there."""
    lines, names = source.split("\n"), set(names)
    functions = [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef) and node.name in names]
    for function in sorted(functions, key=lambda one: -one.lineno):
        body = function.body[ast.get_docstring(function, clean=False) is not None :]
        first = body[0] if body else function.body[-1]
        lines[first.lineno - 1 : function.end_lineno] = [
            f"    raise NotImplementedError(\"the package's own `{function.name}` is not here while answers are "
            'graded: call yours")'
        ]
    return "\n".join(lines)


def without_answers(exercise: Exercise) -> str:
    """Of a course's own exercise file what its probe needs, and the reference without its body. The exercise itself
    and others in the file are not there: also tables and lambdas hold answers."""
    probe, reference = exercise.probe, exercise.reference
    there = {probe.__name__} if probe.__module__ == reference.__module__ else set()
    return _needed_for(reference, {reference.__name__, *there}, exercise)


def own_need(needed: Exercise, exercise: Exercise) -> str:
    """Of a course's own file what a function needs that another exercise needs; no answer of the latter."""
    return _needed_for(needed.reference, {needed.reference.__name__}, exercise)


def _needed_for(function: Function, names: set[str], exercise: Exercise) -> str:
    """The text of a function's file, without an exercise's answers and all that these names do not need."""
    file = inspect.getsourcefile(function)
    assert file
    answers = {one.__name__ for one in (exercise.reference, *exercise.wrong, *exercise.also_right)}
    body = ast.parse(without_bodies(Path(file).read_text(encoding="utf-8"), answers)).body
    kept = {at for at, one in enumerate(body) if isinstance(one, ast.ImportFrom) and one.module == "__future__"}
    waiting = [*names]
    while waiting:
        name = waiting.pop()
        for at, statement in enumerate(body):
            if at not in kept and name in _made_by(statement):
                kept.add(at)
                waiting += {node.id for node in ast.walk(statement) if isinstance(node, ast.Name)}
    return "\n\n".join(ast.unparse(body[at]) for at in sorted(kept)) + "\n"


def _made_by(statement: ast.AST) -> set[str]:
    """Names that a statement at the top level makes; those of comprehensions and lambdas are their own."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {statement.name}
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return {(one.asname or one.name).split(".")[0] for one in statement.names}
    targets = [*getattr(statement, "targets", ()), *filter(None, [getattr(statement, "target", None)])]
    stored = {node.id for target in targets for node in ast.walk(target) if isinstance(node, ast.Name)}
    inside = [one for one in ast.iter_child_nodes(statement) if isinstance(one, ast.stmt | ast.excepthandler)]
    return stored.union(*map(_made_by, inside))


def reached_by(exercise: Exercise) -> set[str]:
    """Ids of the exercises whose functions known answers of this one need: right ones in the package, all by name."""
    found = {*exercise.needs}
    for answer in (exercise.reference, *exercise.also_right):
        with noted({}) as called:
            observe(answer, exercise.probe, exercise.cases(0), seconds=None)
        found |= called
    known = (exercise.reference, *exercise.also_right, *exercise.wrong)
    named = set().union(*map(global_names, known))
    found |= {id for id, other in EXERCISES.items() if other.name in named}
    for id in [*found]:
        found |= {*EXERCISES[id].needs} if id in EXERCISES else set()
    return found - {exercise.id}


def supplied(exercise: Exercise, exercises: Mapping[str, Exercise]) -> list[dict[str, str]]:
    """The functions that an exercise needs, as text: each one's module, name and source."""
    needed = (exercises.get(id) or EXERCISES[id] for id in sorted(reached_by(exercise)))
    return [_as_text(one.reference) for one in needed if one.reference.__module__.startswith("minidalle.")]


def _as_text(function: Function) -> dict[str, str]:
    source = textwrap.dedent(inspect.getsource(function))
    return {"module": function.__module__, "name": function.__name__, "source": source}

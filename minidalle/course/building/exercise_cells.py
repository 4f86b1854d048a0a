"""The cells that a directive becomes, as nbgrader wants them."""

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minidalle.course.building.function_source import FunctionSource, marked, parse_function
from minidalle.course.building.lesson_source import Cell, parts
from minidalle.errors import require
from minidalle.exercises import Exercise

NotebookCell = dict[str, Any]

HINTS = ("the idea", "the formula", "a skeleton")
WRITTEN = ("points", "question", "rubric", "answer")
INSTRUCTOR = "instructor"
ROLES = ("about", "solution", "check", "hints", "reference", "question", "rubric", "answer")
SCHEMA = 3  # of nbgrader's metadata


def cell_id(exercise: str, role: str) -> str:
    """The id of a cell, and its nbgrader grade_id: "tokenization.encode", "check" → "tokenization-encode-check"."""
    return f"{exercise.replace('.', '-')}-{role}"


def new_cell(kind: str, id: str, text: str, **about: str) -> NotebookCell:
    """A cell of nbformat 4.5, never run.

    Args:
        kind: "markdown" or "code".
        id: unique in its notebook.
        text: its source.
        about: what its metadata says under "minidalle": the exercise and the role.
    """
    cell: NotebookCell = {"cell_type": kind, "id": id, "metadata": {}, "source": text}
    if about:
        cell["metadata"]["minidalle"] = about
    return cell | ({"execution_count": None, "outputs": []} if kind == "code" else {})


def exercise_cells(exercise: Exercise, text: str, repriced: bool = False) -> list[NotebookCell]:
    """About it, the function, the check and the hints.

    Args:
        exercise: with this course's points.
        text: the function with nbgrader's marks.
        repriced: whether these are not the points it usually has; the check then says them.
    """
    id = exercise.id
    points = f", points={exercise.points}" if repriced else ""
    cells = [
        new_cell("markdown", cell_id(id, "about"), _about(exercise), exercise=id, role="about"),
        new_cell("code", cell_id(id, "solution"), text, exercise=id, role="solution"),
        new_cell("code", cell_id(id, "check"), f'check("{id}", {exercise.name}{points})', exercise=id, role="check"),
        new_cell("markdown", cell_id(id, "hints"), _hints(exercise.hints), exercise=id, role="hints"),
    ]
    _graded(cells[1], solution=True)
    _graded(cells[2], points=exercise.points)
    return cells


def reference_cell(exercise: Exercise, module: str) -> NotebookCell:
    """What stands in place of an exercise that the course leaves out: its reference, for the cells that call it."""
    text = f"from {module} import {exercise.name}  # given: this course leaves it out as an exercise"
    return new_cell("code", cell_id(exercise.id, "reference"), text, exercise=exercise.id, role="reference")


def legend_cell(exercises: Sequence[Exercise]) -> list[NotebookCell]:
    """What an exercise's first line says, as far as these exercises have it; no cell without an exercise."""
    said = ["Stars say how hard it is, ★☆☆ to ★★★"]
    if any(exercise.needs for exercise in exercises):
        said.append(
            "*may call* names functions of earlier exercises that yours may use, and while yours is checked, they are "
            "the package's, so that no mistake in them costs you points here"
        )
    if any(exercise.forbid for exercise in exercises):
        said.append("*not allowed* names what your function must do without, because it would be the answer")
    text = f"**The line above each exercise.** {'; '.join(said)}."
    if any("Raises:" in (exercise.reference.__doc__ or "") for exercise in exercises):
        text += (
            " *Raises* in a docstring says what the package's function refuses: you need not write that, and no check "
            "asks for it. `help(name)` tells more of any helper that a docstring names."
        )
    return [new_cell("markdown", "exercise-line", text)] if exercises else []


def written_cells(cell: Cell) -> list[NotebookCell]:
    """A question that a person grades: the question, the rubric for the instructor, the answer.

    Raises:
        InvalidValue: a part is missing or misplaced, the points are no number, or the code to write is no function.
    """
    id = cell.argument
    named = len(id.split(".")) == 2 and all(part.isidentifier() for part in id.split("."))
    require(named, "written", id, '"lesson.name", as in "tokenization.why_bytes"')
    texts = parts(cell, WRITTEN)
    require(texts["points"].isdecimal(), "points", texts["points"], "a whole number")
    points = int(texts["points"])
    question = f"{texts['question']}\n\n*{counted(points, 'point')}, graded by hand*"
    answer = texts["answer"] if cell.kind == "markdown" else _marked_functions(texts["answer"])
    rubric = f"**Rubric ({counted(points, 'point')}), for the instructor only**\n\n{texts['rubric']}"
    cells = [
        new_cell("markdown", cell_id(id, "question"), question, exercise=id, role="question"),
        new_cell("markdown", cell_id(id, "rubric"), rubric, exercise=id, role=INSTRUCTOR),
        new_cell(cell.kind, cell_id(id, "answer"), answer, exercise=id, role="answer"),
    ]
    _graded(cells[2], solution=True, points=points)
    return cells


def counted(number: int, word: str) -> str:
    """A number with its word: "1 point", "4 points"."""
    return f"{number} {word}" + ("" if number == 1 else "s")


def _about(exercise: Exercise) -> str:
    said = ["★" * exercise.stars + "☆" * (3 - exercise.stars), f"about {exercise.minutes} min"]
    said.append(counted(exercise.points, "point"))
    if exercise.needs:
        said.append(f"may call: {_code(id.split('.')[1] for id in exercise.needs)}")
    if exercise.forbid:
        said.append(f"not allowed: {_code(exercise.forbid)}")
    return " · ".join(said)


def _code(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _hints(hints: Sequence[str]) -> str:
    idea, formula, skeleton = (hint.strip() for hint in hints)
    code = skeleton if "```" in skeleton else f"```python\n{skeleton}\n```"
    folds = [
        f"<details><summary>Hint {number}: {what}</summary>\n\n{hint}\n\n</details>"
        for number, (what, hint) in enumerate(zip(HINTS, (idea, formula, code), strict=True), 1)
    ]
    return "\n\n".join(folds)


def _graded(cell: NotebookCell, *, solution: bool = False, points: int | None = None) -> None:
    """Make a cell one of nbgrader's: with `solution` the student writes it, with points it is graded."""
    about = {"grade": points is not None, "grade_id": cell["id"], "locked": not solution, "schema_version": SCHEMA}
    cell["metadata"]["nbgrader"] = about | {"solution": solution, "task": False}
    if points is not None:
        cell["metadata"]["nbgrader"]["points"] = points


def _marked_functions(text: str) -> str:
    """Code in which the body of each function is the answer."""
    lines = text.split("\n")
    functions = [node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)]
    require(bool(functions), "answer", lines[0], "a function; its body is what students write")
    for node in reversed(functions):
        source: FunctionSource = parse_function(text, node.name, Path("answer"))
        end = node.end_lineno or node.lineno
        lines[end - len(source.lines) : end] = marked(source).split("\n")
    return "\n".join(lines)

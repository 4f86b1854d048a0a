"""A lesson.py and the package's source → the instructor's notebook, nbgrader's source. The same bytes every time."""

import json
import re
import unicodedata
from pathlib import Path
from typing import Any

from minidalle import __version__
from minidalle.course.building.course_file import Course, suggestion
from minidalle.course.building.exercise_cells import (
    INSTRUCTOR,
    ROLES,
    NotebookCell,
    cell_id,
    counted,
    exercise_cells,
    legend_cell,
    new_cell,
    reference_cell,
    written_cells,
)
from minidalle.course.building.function_source import FunctionSource, marked, read_function
from minidalle.course.building.lesson_imports import Import, import_block, imports_of, names_bound, split_imports
from minidalle.course.building.lesson_source import Cell, Lesson, options
from minidalle.errors import InvalidValue, require
from minidalle.exercises import Exercise

COLAB_PACKAGE = f"minidalle=={__version__}"
"""What Google Colab installs: without the extras, whose JupyterLab and nbgrader would replace Colab's own parts."""

START = """\
# On Google Colab this installs the course, keeps Colab's own torch, and goes where this lesson's other files are.
# Anywhere else it does nothing.
import importlib.metadata
import importlib.util
import os
import subprocess
import sys

if "google.colab" in sys.modules:
    if importlib.util.find_spec("minidalle") is None:
        wanted = [{package!r}, "torch==" + importlib.metadata.version("torch")]
        if subprocess.run([sys.executable, "-m", "pip", "install", "-q", *wanted]).returncode != 0:
            raise ImportError("it cannot be installed from there: %pip install it from where your course is, and go on")
    folder = os.path.expanduser("~/my-course")
    again = ["--update"] if os.path.exists(folder) else []
    subprocess.run([sys.executable, "-m", "minidalle", "start", folder, *again], check=True, stdout=subprocess.DEVNULL)
    if os.path.isdir(lesson := os.path.join(folder, {lesson!r})):
        os.chdir(lesson)
    print("Here is", os.getcwd(), "and your notebook is not: for commands that read it, download it and put it here.")

import minidalle

if minidalle.__version__ != "{version}":
    print(f"This lesson is of minidalle {version}, but minidalle {{minidalle.__version__}} is installed.")
    print("Make them equal: install that version, or get the lessons of yours with minidalle start DIR --update")"""

ALWAYS: set[Import] = {("minidalle.course", name, name) for name in ("check", "mine", "use")} | {
    ("minidalle", "", "minidalle")
}

KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
LANGUAGE = {"codemirror_mode": {"name": "ipython", "version": 3}, "file_extension": ".py", "mimetype": "text/x-python",
            "name": "python", "nbconvert_exporter": "python", "pygments_lexer": "ipython3"}  # fmt: skip
"""What Jupyter's Python says of its language, but for its version, which is the machine's; `start` adds that."""


def lesson_notebook(lesson: Lesson, course: Course) -> dict[str, Any]:
    """The instructor's notebook of a lesson, with solutions, rubrics and all.

    Raises:
        InvalidValue: a directive cannot be followed; says file, line and directive.
    """
    _refuse_repeated(lesson)
    names = _Names(lesson)
    cells: list[NotebookCell] = []
    written: dict[str, int] = {}  # the functions that students wrote so far → the line of their exercise
    for cell in lesson.cells:
        with lesson.at(cell):
            _refuse_overwritten(cell, written)
            cells += _cells_of(cell, lesson, course, names)
        if cell.word == "exercise" and cell.argument in course.exercises:
            written[course.exercises[cell.argument].name] = cell.line
    ids = [cell["id"] for cell in cells]
    assert len(set(ids)) == len(ids), ids
    about = {"lesson": lesson.path.parent.name, "title": lesson.title, "version": __version__}
    return {
        "cells": [_title(lesson, cells, course), *cells],
        "metadata": {"kernelspec": KERNEL, "language_info": LANGUAGE, "minidalle": about},
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def notebook_bytes(notebook: dict[str, Any]) -> bytes:
    """A notebook as the bytes of its file, the same for the same notebook whoever wrote it."""
    cells = [cell | {"source": "".join(cell["source"]).splitlines(keepends=True)} for cell in notebook["cells"]]
    text = json.dumps(notebook | {"cells": cells}, indent=1, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode("utf-8")


def exercises_of(lesson: Lesson, course: Course) -> list[Exercise]:
    """The exercises that a lesson has in this course, in their order."""
    asked = [cell.argument for cell in lesson.cells if cell.word == "exercise"]
    return [course.exercises[id] for id in asked if id in course.exercises]


class _Names:
    """Ids for ordinary cells: the heading above, and a number from the second cell on."""

    def __init__(self, lesson: Lesson) -> None:
        self.section = "start"
        directives = [cell.argument for cell in lesson.cells if cell.argument]
        self.taken = {"title", "setup", "setup-colab", "exercise-line"} | {
            cell_id(id, role) for id in directives for role in ROLES
        }

    def next(self, cell: Cell) -> str:
        heading = _heading(cell) if cell.kind == "markdown" else None
        self.section = heading or self.section
        number, id = 1, self.section
        while id in self.taken:
            number += 1
            id = f"{self.section}-{number}"
        self.taken.add(id)
        return id


def _heading(cell: Cell) -> str | None:
    """A cell's first heading as an id, "## 1.2 Count pairs" → "count-pairs"; what is in code fences is none."""
    prose = re.sub(r"(?ms)^```.*?^```", "", cell.text)
    found = re.search(r"(?m)^#{1,6} +(.+)$", prose)
    plain = unicodedata.normalize("NFKD", found[1]).encode("ascii", "ignore").decode() if found else ""
    return re.sub("[^a-z]+", "-", plain.lower()).strip("-")[:40].strip("-") or None


def _cells_of(cell: Cell, lesson: Lesson, course: Course, names: _Names) -> list[NotebookCell]:
    if cell.word == "setup":
        return _setup_cells(cell, lesson, course)
    if cell.word == "written":
        return written_cells(cell)
    if cell.word in ("exercise", "with"):
        _refuse_unknown(cell.argument, course)
    if cell.word == "exercise":
        return _exercise_cells(cell, course)
    id = names.next(cell)  # also where the cell is left out: the other ids stay as they are
    if cell.word == "with" and cell.argument in course.left_out:
        return []
    return [new_cell(cell.kind, id, cell.text, **({"role": INSTRUCTOR} if cell.word == INSTRUCTOR else {}))]


def _exercise_cells(cell: Cell, course: Course) -> list[NotebookCell]:
    given = options(cell, ("blank", "docstring"))
    docstrings = [value for key, value in given if key == "docstring"] or ["whole"]
    require(len(docstrings) == 1, "docstring", docstrings, "one of these lines")
    blanks = [value for key, value in given if key == "blank"]
    if cell.argument in course.left_out:
        left_out = course.left_out[cell.argument]
        return [reference_cell(left_out, left_out.reference.__module__)]
    exercise = course.exercises[cell.argument]
    text = marked(read_function(exercise.reference), blanks, docstrings[0])
    return exercise_cells(exercise, text, exercise.id in course.repriced)


def _setup_cells(cell: Cell, lesson: Lesson, course: Course) -> list[NotebookCell]:
    """The legend, Colab's cell, the imports (what the lesson's functions use, unless the student wrote it before)."""
    asked, rest = split_imports(cell.text)
    needed = ALWAYS | asked
    before: set[str] = set()
    for exercise in exercises_of(lesson, course):
        source: FunctionSource = read_function(exercise.reference)
        module = "" if exercise.id in course.own else exercise.reference.__module__
        needed |= imports_of(source, module, given=before)
        before.add(exercise.name)
    text = import_block(needed) + (f"\n\n{rest}" if rest else "")
    legend = legend_cell(exercises_of(lesson, course))
    folder = lesson.path.parent.name
    start = START.format(package=course.colab or COLAB_PACKAGE, lesson=folder, version=__version__)
    return [*legend, new_cell("code", "setup-colab", start), new_cell("code", "setup", text)]


def _title(lesson: Lesson, cells: list[NotebookCell], course: Course) -> NotebookCell:
    number = re.match("[0-9]*", lesson.path.parent.name)
    exercises = exercises_of(lesson, course)
    graded = [cell["metadata"].get("nbgrader", {}).get("points", 0) for cell in cells]
    hours = lesson.minutes / 60
    time = f"{lesson.minutes} minutes" if hours < 1.5 else f"{round(2 * hours) / 2:g} hours"
    said = [course.title, f"about {time}", counted(len(exercises), "exercise"), counted(sum(graded), "point")]
    words = " · ".join(filter(None, [number[0] if number else "", lesson.title]))
    return new_cell("markdown", "title", f"# {words}\n\n" + " · ".join(filter(None, said)))


def _refuse_unknown(id: str, course: Course) -> None:
    require(id in course.exercises or id in course.left_out, "exercise", id, suggestion(id, course.exercises))


def _refuse_overwritten(cell: Cell, written: dict[str, int]) -> None:
    """No cell imports or defines a function that the student has written above."""
    if cell.kind == "code" and cell.word in ("", "with", INSTRUCTOR):
        for name in sorted(names_bound(cell.text) & written.keys()):
            require(False, "name", name, f"another one: this is the student's function of line {written[name]}")


def _refuse_repeated(lesson: Lesson) -> None:
    """Each exercise and written answer comes once, and so does the setup, before the first exercise."""
    seen: dict[str, int] = {}
    for cell in lesson.cells:
        key = "setup" if cell.word == "setup" else cell.argument if cell.word in ("exercise", "written") else ""
        with lesson.at(cell):
            require(not key or key not in seen, cell.word, key, f"it once; line {seen.get(key)} has it, too")
            require(cell.word != "exercise" or "setup" in seen, "setup", None, '"# %% setup" before the first exercise')
        if key:
            seen[key] = cell.line
    if "setup" not in seen:
        raise InvalidValue(f"{'/'.join(Path(lesson.path).parts[-3:])}: setup: expected a cell # %% setup")

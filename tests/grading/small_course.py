"""A course of one small lesson that somebody grades: three graded cells, two of them by checks."""

import json
import os
import shutil
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any

from nbgrader.api import Gradebook

from minidalle.course.building.build import build_lesson
from minidalle.course.building.course_file import Course
from minidalle.exercises import EXERCISES
from minidalle.grading.records import Folders

ROOT = Path(__file__).resolve().parents[2]
LESSON, NAME = "01-toy", "toy"
PAIRS, MERGE, WHY = "tokenization-count_pairs", "tokenization-merge_pair", "tokenization-why_bytes-answer"
CHECKS = [f"{PAIRS}-check", f"{MERGE}-check"]
WORTH = {id: EXERCISES[id.replace("-", ".", 1)].points for id in (PAIRS, MERGE)}

TEXT = """# ---
# title: Toy
# minutes: 20
# ---

# %% [markdown]
# Two functions.

# %% setup

# %% exercise: tokenization.count_pairs

# %% exercise: tokenization.merge_pair

# %% written: tokenization.why_bytes [markdown]
# points: 2
# question: Why?
# rubric: Because.
# answer: Bytes know every text.
"""


def make_course(root: Path) -> Folders:
    """A course of one lesson, built, and nobody has handed in anything."""
    source = root / "solutions" / LESSON / "lesson.py"
    source.parent.mkdir(parents=True)
    source.write_text(TEXT)
    build_lesson(source.parent, Course(dict(EXERCISES)), root)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    (root / "grading" / "submitted").mkdir(parents=True)
    return Folders(root)


def book(folders: Folders, solved: bool = True) -> dict[str, Any]:
    """The notebook, solved or as it is released."""
    kind = "solutions" if solved else "lessons"
    found: dict[str, Any] = json.loads((folders.root / kind / LESSON / f"{NAME}.ipynb").read_bytes())
    return deepcopy(found)


def hand_in(folders: Folders, student: str, content: dict[str, Any] | bytes, name: str = f"{NAME}.ipynb") -> Path:
    """Put a notebook where nbgrader would; gives its folder."""
    folder = folders.submitted / student / LESSON
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def with_source(content: dict[str, Any], id: str, source: str) -> dict[str, Any]:
    """A notebook with another text in a cell."""
    next(cell for cell in content["cells"] if cell["id"] == id)["source"] = source
    return content


def environment(folders: Folders) -> dict[str, str]:
    """A home of its own, and nbgrader's commands on the path."""
    home = folders.root / "home"
    home.mkdir(exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "HOME": str(home), "OMP_NUM_THREADS": "1"}


def run(folders: Folders, *command: str) -> subprocess.CompletedProcess[str]:
    """Run `minidalle` or `nbgrader` in the course's folder."""
    return subprocess.run([sys.executable, "-m", *command], cwd=folders.root, env=environment(folders),
                          capture_output=True, text=True, timeout=900)  # fmt: skip


Grades = dict[str, dict[str, tuple[float | None, float | None, bool]]]


def grades(folders: Folders) -> Grades:
    """The gradebook: student → cell → auto score, manual score, whether it waits for a person."""
    with Gradebook(folders.db_url) as gradebook:
        submissions = gradebook.find_assignment(LESSON).submissions
        return {
            one.student.id: {
                grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
                for notebook in one.notebooks
                for grade in notebook.grades
            }
            for one in submissions
        }


def comments(folders: Folders, student: str) -> dict[str, str | None]:
    """What the gradebook says to a student: cell → comment."""
    with Gradebook(folders.db_url) as gradebook:
        found = gradebook.find_submission_notebook(NAME, LESSON, student).comments
        return {one.name: one.comment for one in found}


def graded_text(folders: Folders, student: str) -> str:
    """All that is in a student's autograded folder, as text."""
    files = [path for path in (folders.autograded / student / LESSON).rglob("*") if path.is_file()]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)

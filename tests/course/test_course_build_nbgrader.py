"""Plain nbgrader, with the course's settings, does with the notebooks what it is for."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbgrader.utils import determine_grade, is_grade
from toy_course import HEADER, write_lesson

from minidalle.course.building.build import build_lesson
from minidalle.course.building.course_file import Course
from minidalle.exercises import EXERCISES

ROOT = Path(__file__).resolve().parents[2]

LESSON = (
    HEADER
    + """
# %% setup

# %% exercise: tokenization.count_pairs
# blank: pairs[pair] +=

# %% exercise: tokenization.merge_pair

# %% written: tokenization.why_bytes [markdown]
# points: 2
# question: Why?
# rubric: SECRET
# answer: SECRET
"""
)


def nbgrader(root: Path, *command: str) -> str:
    """Run nbgrader in a course's folder, with a home of its own; gives what it said."""
    (root / "home").mkdir(exist_ok=True)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # it calls `alembic`
    environment = os.environ | {"PATH": path, "HOME": str(root / "home"), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *command], cwd=root, env=environment, capture_output=True, text=True
    )
    return f"{done.returncode}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by us, released by nbgrader, handed in by two students, and graded by nbgrader."""
    root = tmp_path_factory.mktemp("nbgrader").resolve()
    build_lesson(write_lesson(root, LESSON), Course(dict(EXERCISES)), root)
    shutil.copy(ROOT / "nbgrader_config.py", root)
    shutil.copytree(root / "lessons", root / "ours")
    assert nbgrader(root, "generate_assignment", "01-toy", "--force").startswith("0\n")
    for student, notebook in (("ada", "solutions"), ("blank", "lessons")):
        folder = root / "grading" / "submitted" / student / "01-toy"
        folder.mkdir(parents=True)
        shutil.copy(root / notebook / "01-toy" / "toy.ipynb", folder)
    told = nbgrader(root, "autograde", "01-toy")
    assert told.startswith("0\n"), told
    return root


@pytest.mark.slow
def test_nbgrader_releases_what_we_release(course: Path) -> None:
    theirs, ours = (json.loads((course / folder / "01-toy/toy.ipynb").read_bytes()) for folder in ("lessons", "ours"))
    assert theirs == ours
    assert [path.name for path in (course / "lessons/01-toy").iterdir()] == ["toy.ipynb"]


@pytest.mark.slow
def test_nbgrader_grades(course: Path) -> None:
    checked = sum(EXERCISES[f"tokenization.{name}"].points for name in ("count_pairs", "merge_pair"))
    for student, earned in (("ada", checked), ("blank", 0)):
        graded = nbformat.read(course / "grading" / "autograded" / student / "01-toy" / "toy.ipynb", as_version=4)
        grades = [determine_grade(cell) for cell in graded.cells if is_grade(cell)]
        assert sum(points or 0 for points, _ in grades) == earned
        assert sum(out_of for _, out_of in grades) == checked + 2
    assert [points for points, _ in grades][2:] == [0]  # an answer that was not written needs no person


@pytest.mark.slow
def test_nbgrader_validates(course: Path) -> None:
    assert "Success! Your notebook passes all the tests." in nbgrader(course, "validate", "solutions/01-toy/toy.ipynb")

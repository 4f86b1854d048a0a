"""nbgrader as it comes, without anything of ours: a small course, and what becomes of each submission in it.

Run with a course's folder; on standard input JSON: a pattern of students → seconds that it may take. For each, a
process is forked that autogrades them. The answer is JSON: pattern → student → [fate, points, waits for a person].
"""

import json
import os
import select
import signal
import sys
from pathlib import Path
from typing import Any

from nbformat.v4 import new_code_cell, new_notebook
from nbgrader.apps import NbGraderAPI
from nbgrader.coursedir import CourseDirectory
from traitlets.config import Config

LESSON, NAME = "01-toy", "toy"
SOLUTION, CHECK, POINTS = "tokenization-merge_pair-solution", "tokenization-merge_pair-check", 3
STUB = "def merge_pair(word, pair):\n    raise NotImplementedError"
ASSERTS = """word = ["a", "b", "a", "b"]
assert merge_pair(word, ("a", "b")) == ["ab", "ab"]
assert merge_pair(["a", "a", "a"], ("a", "a")) == ["aa", "a"]"""


def released() -> dict[str, Any]:
    """The notebook as a student gets it: one function, and asserts that it is graded by."""
    marks = {"schema_version": 3, "task": False}
    solution = {**marks, "grade_id": SOLUTION, "solution": True, "grade": False, "locked": False}
    check = {**marks, "grade_id": CHECK, "solution": False, "grade": True, "locked": True, "points": POINTS}
    cells = [(SOLUTION, STUB, solution), (CHECK, ASSERTS, check)]
    made = [new_code_cell(source, id=id, metadata={"nbgrader": about}) for id, source, about in cells]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    book: dict[str, Any] = json.loads(json.dumps(new_notebook(cells=made, metadata={"kernelspec": kernel})))
    return book


def api_of(root: Path) -> NbGraderAPI:
    """nbgrader with its own settings for everything that is graded."""
    settings = Config()
    settings.CourseDirectory.root = str(root)
    settings.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
    settings.Execute.shutdown_kernel = "immediate"
    return NbGraderAPI(CourseDirectory(config=settings), config=settings)


def release(root: Path) -> None:
    """Make the course's source, and release it."""
    source = root / "source" / LESSON
    source.mkdir(parents=True)
    (source / f"{NAME}.ipynb").write_text(json.dumps(released()))
    done = api_of(root).generate_assignment(LESSON)
    assert done["success"], done


def autograde(root: Path, pattern: str) -> dict[str, list[Any]]:
    """Grade those students; afterwards, what the gradebook says of each of them."""
    done = api_of(root).autograde(LESSON, pattern)
    api = api_of(root)
    found = {}
    for folder in sorted((root / "submitted").glob(pattern)):
        about = api.get_submission(LESSON, folder.name)
        open_ones = bool(about["autograded"]) and about["needs_manual_grade"]
        fate = "graded" if about["autograded"] else "not graded"
        found[folder.name] = [fate if done["success"] else f"failed, {fate}", about["score"], open_ones]
    return found


def fate(root: Path, pattern: str, seconds: float) -> dict[str, list[Any]]:
    """The same in a process of its own, which is ended when it takes too long."""
    ours, theirs = os.pipe()
    if (child := os.fork()) == 0:
        nothing = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)
        try:
            os.setsid()
            os.write(theirs, json.dumps(autograde(root, pattern)).encode())
        finally:
            os._exit(0)
    os.close(theirs)
    ready = select.select([ours], [], [], seconds)[0]
    said = os.read(ours, 60_000) if ready else b""
    if not ready:
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(ours)
    return json.loads(said) if said else {pattern: ["ended" if ready else "hung", 0, False]}


if __name__ == "__main__":
    COURSE = Path(sys.argv[1])
    release(COURSE)
    print(json.dumps({pattern: fate(COURSE, pattern, seconds) for pattern, seconds in json.load(sys.stdin).items()}))

"""Submissions that nbgrader itself stumbles over, with its own grader first: lost, hung, or paid for nothing.

Each is one student of a class, with the same notebook there and here. 600,000 lines of print cost plain nbgrader time:
they were graded in the end, after more than ten seconds; here it has two.
"""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from grading_class import RIGHT, needs_sandbox
from plain_nbgrader import CHECK, LESSON, NAME, POINTS, SOLUTION
from plain_nbgrader import released as plainly_released
from small_course import book, comments, environment, grades, hand_in, make_course, run, with_source

from minidalle.grading.records import Folders

pytestmark = [pytest.mark.slow, needs_sandbox]

Book = dict[str, Any]
IMITATED = f"✓ tokenization.merge_pair: passed, {POINTS} of {POINTS} points"
WRONG = "def merge_pair(word, pair):\n    return 7\n"


def runs(line: str, answer: str = RIGHT) -> Callable[[Book], Book]:
    """An answer that does something in each call."""
    head, _, body = answer.partition("(word, pair):\n")
    return lambda made: with_source(made, SOLUTION, f"{head}(word, pair):\n    {line}\n{body}")


def empties_checks(made: Book) -> Book:
    """What the kernel is given from now on is empty, so the check cell raises nothing: full marks."""
    hook = "class Hook:\n    get_ipython().input_transformers_cleanup.append(lambda lines: [])\n"
    return with_source(made, SOLUTION, hook + WRONG)


def not_to_be_graded(made: Book) -> Book:
    next(cell for cell in made["cells"] if cell["id"] == CHECK)["metadata"]["nbgrader"]["grade"] = False
    return made


def right(made: Book) -> Book:
    return with_source(made, SOLUTION, RIGHT)


def without_check(made: Book) -> Book:
    return right({**made, "cells": [cell for cell in made["cells"] if cell["id"] != CHECK]})


def pipe(folder: Path) -> None:
    os.mkfifo(folder / "timestamp.txt")


def links(folder: Path) -> None:
    secret = folder.parents[2] / "secret.txt"
    secret.write_text("SECRET")
    (folder / "mine.txt").symlink_to(secret)


STUDENTS: dict[str, Callable[[Book], Book | bytes]] = {
    "bytes": lambda made: b"\xff\xfe\0",
    "copied": lambda made: {**right(made), "cells": right(made)["cells"] * 2},
    "damaged": lambda made: b'{"cells": [',
    "deleted": without_check,
    "imitates": runs(f"print({IMITATED!r}, flush=True)", WRONG),
    "lines": runs("if not SEEN: SEEN.append([print('line') for _ in range(600_000)])", f"SEEN = []\n{RIGHT}"),
    "linked": right,
    "pipe": right,
    "prints": runs("print('x' * 2_000_000)"),
    "transforms": empties_checks,
    "ungradable": lambda made: not_to_be_graded(right(made)),
    "warns": runs("import warnings; warnings.warn('this takes a while')"),
    "zoe": right,
}
BESIDE = {"pipe": pipe, "linked": links}
SECONDS = {"pipe": 5, "lines": 2}
TOGETHER = "[cz]o*"  # copied, and zoe, who did nothing and comes after
PLAINLY = {  # fate, points, waits for a person
    "bytes": ["failed, not graded", 0, False],
    "copied": ["failed, not graded", 0, False],
    "damaged": ["failed, not graded", 0, False],
    "deleted": ["graded", 0, True],
    "imitates": ["graded", 0, False],
    "lines": ["hung", 0, False],
    "linked": ["graded", POINTS, False],
    "pipe": ["hung", 0, False],
    "prints": ["graded", POINTS, False],
    "transforms": ["graded", POINTS, False],
    "ungradable": ["failed, not graded", 0, False],
    "warns": ["graded", 0, False],
    "zoe": ["failed, not graded", 0, False],
}
UNREADABLE, UNPAID = {"bytes", "damaged"}, {"imitates", "transforms"}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, list[Any]]]:
    """The class in nbgrader as it comes; what became of each."""
    root = tmp_path_factory.mktemp("plain").resolve()
    for student, edit in STUDENTS.items():
        folder = root / "submitted" / student / LESSON
        folder.mkdir(parents=True)
        made = edit(plainly_released())
        (folder / f"{NAME}.ipynb").write_bytes(made if isinstance(made, bytes) else json.dumps(made).encode())
        BESIDE.get(student, lambda folder: None)(folder)
    asked = {name: SECONDS.get(name, 60) for name in STUDENTS if name not in ("copied", "zoe")} | {TOGETHER: 60}
    script = str(Path(__file__).with_name("plain_nbgrader.py"))
    done = subprocess.run([sys.executable, script, str(root)], input=json.dumps(asked), capture_output=True, text=True,
                          env=environment(Folders(root)), check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    return root, {student: about for group in found.values() for student, about in group.items()}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Folders, subprocess.CompletedProcess[str]]:
    """The same class, graded by `minidalle grade`; the other exercise of its lesson is solved by all."""
    folders = make_course(tmp_path_factory.mktemp("ours").resolve())
    for student, edit in STUDENTS.items():
        folder = hand_in(folders, student, edit(book(folders)))
        BESIDE.get(student, lambda folder: None)(folder)
    return folders, run(folders, "minidalle", "grade", "01", "--workers", "1")


def outputs(root: Path, student: str) -> str:
    """What the graded check's cell shows, as text."""
    content = json.loads((root / student / LESSON / f"{NAME}.ipynb").read_bytes())
    found = [one for cell in content["cells"] if cell["id"] == CHECK for one in cell["outputs"]]
    return "\n".join("".join(one.get("text") or one.get("data", {}).get("text/html", "")) for one in found)


@pytest.mark.parametrize("student", STUDENTS)
def test_what_becomes_of_it_there_and_here(
    student: str, plain: tuple[Path, dict[str, list[Any]]],
    ours: tuple[Folders, subprocess.CompletedProcess[str]],
) -> None:  # fmt: skip
    assert plain[1][student] == PLAINLY[student]
    points, _, waits = grades(ours[0])[student][CHECK]
    if student in UNREADABLE:
        assert (points, waits) == (None, True)
        assert f"✗ {student}, {LESSON}: needs manual grade: " in ours[1].stdout
        assert comments(ours[0], student)[SOLUTION]
    else:
        assert (points, waits) == (0 if student in UNPAID else POINTS, False)


def test_a_print_that_imitates_a_report_stands_where_one_is_looked_for(
    plain: tuple[Path, dict[str, list[Any]]], ours: tuple[Folders, subprocess.CompletedProcess[str]]
) -> None:
    """Whoever opens the graded notebook there reads that it passed; here it is quoted in a note of the report."""
    assert IMITATED in outputs(plain[0] / "autograded", "imitates").splitlines()
    shown = outputs(ours[0].autograded, "imitates")
    assert "not right yet" in shown
    assert f">{IMITATED}" not in shown
    assert shown.count(IMITATED) == len(re.findall(rf"Note: .{{,80}}begin: {IMITATED}", shown)) == 1
    assert IMITATED not in ours[1].stdout


def test_what_is_large_or_linked_is_kept_there_and_not_here(
    plain: tuple[Path, dict[str, list[Any]]], ours: tuple[Folders, subprocess.CompletedProcess[str]]
) -> None:
    there, here = plain[0] / "autograded", ours[0].autograded
    notebook = Path("prints", LESSON, f"{NAME}.ipynb")
    assert (there / notebook).stat().st_size > 4_000_000
    assert (here / notebook).stat().st_size < 100_000
    copied = Path("linked", LESSON, "mine.txt")
    assert (there / copied).read_text() == "SECRET"
    assert not (here / copied).exists()


def test_plain_nbgrader_left_nothing_running(plain: tuple[Path, dict[str, list[Any]]]) -> None:
    """The kernel of a grader that was ended looks once a second whether it has a parent, and then ends."""
    end = time.monotonic() + 20
    while left := [file for file in Path("/proc").glob("[0-9]*/cmdline") if str(plain[0]) in _text(file)]:
        assert time.monotonic() < end, left
        time.sleep(0.2)


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""

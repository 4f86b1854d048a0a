"""`minidalle check`: every kind of bad input has its own clear line, and costs no other exercise its points."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FunctionType
from typing import Any
from xml.etree import ElementTree

import pytest

import minidalle.course.checking.apart as apart
from minidalle.cli.course import check_files
from minidalle.course import progress
from minidalle.course.building.course_file import find_course
from minidalle.course.checking.apart import check_apart
from minidalle.course.checking.report import Report
from minidalle.course.notebook_code import Asked, asked_checks, read_cells
from minidalle.errors import InvalidValue

TOYS = Path(__file__).with_name("toy_exercises.py")
RIGHT = "def add_up(numbers):\n    return sum(numbers)"
SCALE = "def scale(x, by):\n    return x / x.amax(1, keepdim=True) * by"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A course of toy exercises."""
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    course = tmp_path / "course"
    course.mkdir()
    shutil.copy(TOYS, course / "toy_exercises.py")
    (course / "course.toml").write_text('exercises = ["toy_exercises.py"]', encoding="utf-8")
    return course


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What another process would do, in this one: for tests of what is said, not of what a process can do."""

    def ask_here(path: Path, asked: Sequence[Asked], *seconds: float) -> tuple[list[dict[str, Any]], str]:
        answers = tmp_path / "answers"
        answers.write_bytes(b"")
        monkeypatch.setattr(sys, "path", [*sys.path])
        apart._answer(path, asked, answers)
        return list(apart._read(answers)), ""

    monkeypatch.setattr(apart, "_ask", ask_here)
    monkeypatch.setattr(apart, "_limit_memory", lambda: None)


def write(path: Path, cells: Sequence[str], asks: Sequence[str] = ()) -> Path:
    texts = [*cells, *(f'check("toy.{name}", {name})' for name in asks)]
    book = {"cells": [{"cell_type": "code", "source": text} for text in texts], "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(book), encoding="utf-8")
    return path


def reports(path: Path, **seconds: float) -> dict[str, Report]:
    asked = asked_checks(read_cells(path))
    return {one.id: one for one in check_apart(path, asked, find_course(path).exercises, **seconds)}


def wrong(report: Report) -> str:
    """The first line that is wrong."""
    return next(f"{line.name}: {line.detail}" for line in report.lines if not line.ok)


ENDED = "runs: it ended Python, as `os._exit` or a crash in C code does"

BAD = {
    "right": ("def NAME(numbers):\n    return sum(numbers)", "✓"),
    "prints_a_lot": ("def NAME(numbers):\n    print('x' * 10_000_000)\n    return sum(numbers)", "✓"),
    "returns_none": ("def NAME(numbers):\n    sum(numbers)",
                     "type: returned None, expected an int: is there a `return`?"),
    "raises": ("def NAME(numbers):\n    return numbers[0]",
               "runs: IndexError: list index out of range, in line 2 of raises: `return numbers[0]` (1 of 5 cases)"),
    "mutates": ("def NAME(numbers):\n    total = sum(numbers)\n    numbers.clear()\n    return total",
                "inputs kept: `numbers` was changed: work on a copy"),
    "never_ends": ("def NAME(numbers):\n    while True: pass",
                   "runs: it did not end in time, in line 2 of never_ends: `while True: pass`. Is there a loop that "
                   "never ends?"),
    "ends_python": ("def NAME(numbers):\n    import os\n    os._exit(0)", ENDED),
    "kills": ("def NAME(numbers):\n    import os, signal\n    os.kill(os.getpid(), signal.SIGTERM)\n"
              "    import time\n    time.sleep(9)", ENDED),
    "exits": ("def NAME(numbers):\n    raise SystemExit",
              "runs: SystemExit: it ended Python, as `exit()` does: a function returns, in line 2 of exits: "
              "`raise SystemExit`"),
    "calls_itself": ("def NAME(numbers):\n    return NAME(numbers)", "runs: RecursionError: it calls itself without "
                     "end, in line 2 of calls_itself: `return calls_itself(numbers)`"),
    "wants_memory": ("def NAME(numbers):\n    return [0] * 10**15", "runs: MemoryError: it wanted more memory than "
                     "there is, in line 2 of wants_memory: `return [0] * 10**15`"),
    "asks": ("def NAME(numbers):\n    return input()", "runs: EOFError: it waits for `input()`: all it needs are its "
             "arguments, in line 2 of asks: `return input()`"),
    "no_python": ("def NAME(numbers) return 1",
                  "a function: code cell 13 cannot be read: line 1: expected ':': `def no_python(numbers) return 1`"),
    "not_there": ("x = 1", "a function: there is no function `not_there`"),
    "made": ("NAME = make_it()",
             "a function: there is no function `made`: code cell 15, line 1: `made = make_it()` is no `def`"),
    "number": ("NAME = 3", "a function: got 3: give the function itself, add_up without brackets"),
    "class_": ("class NAME:\n    pass",
               "a function: got the class `class_`: give the function, as in check('toy.add_up', add_up)"),
    "wrong_device": ("def NAME(x, by): return (x / x.amax(1, keepdim=True) * by).to('meta')",
                     "device: meta, expected cpu"),
    "wrong_dtype": ("def NAME(x, by): return (x / x.amax(1, keepdim=True) * by).half()",
                    "dtype: float16, expected float32"),
    "not_read": ("start = int('0')\ndef NAME(numbers):\n    return sum(numbers, start)",
                 "runs: NameError: name 'start' is not defined, in line 2 of not_read: `return sum(numbers, start)`"),
    "read_too": ("begin = 0\ndef NAME(numbers):\n    return sum(numbers, begin)", "✓"),
    "beside": ("import colorsys, json, beside_it\ndef NAME(numbers): return beside_it.total(numbers)", "✓"),
    "older": ("def NAME(numbers):\n    return sum(numbers)", "✓"),
    "right_too": ("def NAME(numbers):\n    return sum(numbers)", "✓"),
}  # fmt: skip


@pytest.fixture(scope="module")
def bad_reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Report]:
    """All of them in one notebook: none may harm another."""
    course = tmp_path_factory.mktemp("course")
    shutil.copy(TOYS, course / "toy_exercises.py")
    (course / "course.toml").write_text('exercises = ["toy_exercises.py"]', encoding="utf-8")
    (course / "beside_it.py").write_text("def total(numbers): return sum(numbers)\n", encoding="utf-8")
    for name in ("json", "colorsys"):  # one that is loaded by then, and one that is not
        (course / f"{name}.py").write_text("raise SystemExit\n", encoding="utf-8")
    cells = [source.replace("NAME", name) for name, (source, _) in BAD.items()]
    path = write(course / "a.ipynb", [*cells, "def older(numbers) return 2"])
    asked = [Asked("toy.scale" if "(x, by)" in source else "toy.add_up", name) for name, (source, _) in BAD.items()]
    return dict(zip(BAD, check_apart(path, asked, find_course(course).exercises), strict=True))


@pytest.mark.parametrize("name", BAD)
def test_a_bad_answer_has_its_own_line_and_harms_no_other(bad_reports: dict[str, Report], name: str) -> None:
    report = bad_reports[name]
    assert ("✓" if report.passed else wrong(report)) == BAD[name][1]
    assert report.out_of == (10 if report.id == "toy.scale" else 4)


def test_what_an_answer_takes_from_around_it_is_said(bad_reports: dict[str, Report]) -> None:
    assert (
        bad_reports["not_read"]
        .notes[0]
        .startswith("`minidalle check` does not know `start` (code cell 20, line 1: `start = int('0')`)")
    )
    assert (
        bad_reports["read_too"]
        .notes[0]
        .startswith("`begin` is taken from the notebook (code cell 21, line 1: `begin = 0`), not from your function")
    )
    (older,) = bad_reports["older"].notes
    assert older == (
        f"code cell {len(BAD) + 1} cannot be read: line 1: expected ':': `def older(numbers) return 2`. "
        "So this is still the `older` from before that cell."
    )


@pytest.mark.slow
def test_what_cannot_be_stopped_is_ended(folder: Path) -> None:
    """One call into C that takes minutes, and one that starts processes of its own."""
    endless = "def add_up(numbers):\n    return sum(range(10**15))"
    child = "import time; open('alive', 'w'); time.sleep(6); open('survived', 'w')"
    (folder / "child.py").write_text(child, encoding="utf-8")
    starts = "def scale(x, by):\n    import subprocess, sys\n    subprocess.run([sys.executable, 'child.py'])"
    square = "def square(x):\n    return x * x"
    found = reports(write(folder / "a.ipynb", [endless, starts, square], ["add_up", "scale", "square"]), each=4.0)
    assert wrong(found["toy.add_up"]) == "runs: it did not end in time"
    assert wrong(found["toy.scale"]) == "runs: it did not end in time"
    assert found["toy.square"].passed
    assert (folder / "alive").exists()
    time.sleep(4)
    if os.name == "posix":
        assert not (folder / "survived").exists()


def test_definitions_that_never_end_cost_only_their_notebook(folder: Path) -> None:
    path = write(folder / "a.ipynb", ["class A:\n    while True: pass", RIGHT], ["add_up", "scale"])
    found = reports(path, start=3.0)
    assert {wrong(report) for report in found.values()} == {
        "runs: a.ipynb: its imports, functions and classes did not end in time"
    }
    dead = reports(write(folder / "a.ipynb", ["import os\nclass A:\n    os._exit(3)", RIGHT], ["add_up"]))
    assert "its imports, functions and classes ended Python" in wrong(dead["toy.add_up"])


def test_memory_is_limited(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("resource")
    grows = "def add_up(numbers):\n    kept = []\n    while True:\n        kept.append(bytearray(10**9))"
    report = reports(write(folder / "a.ipynb", [grows], ["add_up"]))["toy.add_up"]
    assert "MemoryError" in wrong(report) or "did not end in time" in wrong(report)


def run(path: Path, ids: Sequence[str] = (), junit: Path | None = None) -> int:
    return check_files(path, ids, junit)


@pytest.mark.usefixtures("here")
def test_all_passed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "notes").mkdir()
    write(folder / "a.ipynb", [RIGHT, SCALE], ["add_up", "scale"])
    write(folder / "notes" / "plots.ipynb", ["print(1)"])
    assert run(folder) == 0
    shown = capsys.readouterr().out
    assert "14 of 14 points, 2 of 2 exercises passed" in shown
    assert "plots" not in shown
    assert progress.tried("toy.add_up")["passed"]


@pytest.mark.usefixtures("here")
def test_something_failed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    stub = "def scale(x, by):\n    # YOUR CODE HERE\n    raise NotImplementedError()"
    path = write(folder / "a.ipynb", ["def add_up(numbers): return sum(numbers[:-1])", stub], ["add_up", "scale"])
    assert run(path) == 1
    shown = capsys.readouterr().out
    assert "Looks like: forgets the last. The last number counts, too." in shown
    assert "○ toy.scale is not written yet." in shown
    assert "1.25 of 14 points, 0 of 2 exercises passed" in shown
    assert run(path, ["toy.scale"]) == 1
    assert "0 of 10 points, 0 of 1 exercises passed" in capsys.readouterr().out


UNREADABLE: Mapping[str, bytes] = {
    "no JSON": b"{", "no notebook": b"[]", "no text": b"\xff", "no exercise": b'{"cells": []}',
    "no Python": b'{"cells": [{"cell_type": "code", "source": "def f(:"}]}',
}  # fmt: skip


@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.usefixtures("here")
def test_something_cannot_be_read(folder: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.ipynb").write_bytes(UNREADABLE[name])
    assert run(folder / "bad.ipynb") == 2
    shown = capsys.readouterr().out
    assert "bad.ipynb" in shown
    write(folder / "good.ipynb", [RIGHT], ["add_up"])
    junit = folder / "junit.xml"
    code = run(folder, (), junit)
    shown = capsys.readouterr().out
    assert "4 of 4 points, 1 of 1 exercises passed" in shown  # the other notebook has its points
    assert code == (0 if name == "no exercise" else 2)
    errors = ElementTree.parse(junit).findall(".//testcase/error")
    assert len(errors) == (0 if name == "no exercise" else 1)


@pytest.mark.usefixtures("here")
def test_what_is_asked_for_and_not_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder / "a.ipynb", [RIGHT, 'check("toy.addup", add_up)'], ["add_up"])
    assert run(path) == 1
    assert "there is no 'toy.addup': did you mean \"toy.add_up\"" in capsys.readouterr().out
    lost = write(folder / "b.ipynb", [RIGHT, 'check("mine.count_vowels", add_up)'], ["add_up"])
    assert run(lost) == 1  # an exercise of a course's own, without its course.toml
    assert "is the course.toml missing that came with the notebook?" in " ".join(capsys.readouterr().out.split())
    for ids, words in ((["toy.addup"], "toy.add_up"), (["toy.scale"], "an exercise that a.ipynb asks for")):
        with pytest.raises(InvalidValue, match=words):
            run(path, ids)
    with pytest.raises(InvalidValue, match="NOTEBOOK="):
        run(folder / "nothing.ipynb")


@pytest.mark.usefixtures("here")
def test_a_python_file_and_a_notebook_without_checks(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a call of `check`, a function with an exercise's name is checked."""
    (folder / "mine.py").write_text(
        f"{RIGHT}\n\nif __name__ == '__main__':\n    raise SystemExit(3)\n", encoding="utf-8"
    )
    assert run(folder / "mine.py") == 0
    write(folder / "a.ipynb", [RIGHT, SCALE])
    assert run(folder / "a.ipynb") == 0
    assert "14 of 14 points" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_points_of_the_call_count(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(write(folder / "a.ipynb", [RIGHT, 'check("toy.add_up", add_up, points=9)'])) == 0
    assert "9 of 9 points" in capsys.readouterr().out


@pytest.mark.usefixtures("here")
def test_junit(folder: Path) -> None:
    path = write(
        folder / "a.ipynb",
        ["def add_up(numbers):\n    if numbers: raise ValueError('\\0')", SCALE],
        ["add_up", "scale"],
    )
    run(path, (), folder / "out" / "junit.xml")
    suite = ElementTree.parse(folder / "out" / "junit.xml").find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("2", "1", "0")
    cases = {case.get("name"): case for case in suite}
    assert cases["scale"].find("failure") is None
    assert cases["scale"].get("classname") == "toy"
    failure = cases["add_up"].find("failure")
    assert failure is not None
    assert failure.get("message") == "not right yet, 0 of 4 points"
    assert "ValueError: �, in line 2 of add_up" in (failure.text or "")


@pytest.mark.usefixtures("here")
def test_hints_are_due_here_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder / "a.ipynb", ["def add_up(numbers): return 7"], ["add_up"])
    for _ in range(3):
        assert "Hint 1" not in capsys.readouterr().out
        run(path)
    assert "Hint 1" in capsys.readouterr().out


def test_the_command(folder: Path) -> None:
    """From a shell whose code page has no ✓."""
    path = write(folder / "a.ipynb", ["def add_up(numbers): return 7"], ["add_up"])
    command = [sys.executable, "-m", "minidalle", "check", str(path)]
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    done = subprocess.run(command, capture_output=True, env=environment, cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "✗ toy.add_up" in done.stdout.decode()
    done = subprocess.run([*command[:-1], "nothing.ipynb"], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 2
    assert (
        done.stderr
        == "minidalle: NOTEBOOK='nothing.ipynb': expected a notebook, a Python file or a folder that is there\n"
    )


def test_import_order_does_not_matter() -> None:
    code = "import minidalle.course.parts\nfrom minidalle.course import check\nassert check('a.b', 3).points == 0"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
    assert isinstance(importlib.import_module("minidalle.course").check, FunctionType)
    assert apart.EACH > 5

"""Every lesson as it is handed out: it runs to its end, and earns nothing."""

import re
from pathlib import Path

import nbformat
import pytest
from lesson_runs import LESSONS, ROOT, points, pytest_grades, run

from minidalle.cli.course import check_files


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_the_lesson_runs_to_its_end_and_earns_nothing(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "lessons" / lesson
    book = run(path)  # raises where a cell does
    earned, out_of = points(book)
    assert earned == 0 < out_of
    printed = "".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", ()))
    said = re.findall("The package's functions? stands? in for .*", printed)
    assert len(said) > 2
    short = [line for line in said if re.search("for the same [0-9]+ as before", line)]
    assert short  # a longer list is told in full once, and then in short
    assert all("(not written yet)" in line for line in said if line not in short)
    code, told = check_files(path, (), None), capsys.readouterr().out
    assert (code, f"0 of {out_of:g} points" in told) == (1, True), told


def test_pytest_grades_as_the_command_does() -> None:
    """One lesson is enough: it asks `check_apart`, as the command does, which is run on each of them."""
    (path,) = (ROOT / "lessons" / lesson for lesson in LESSONS if lesson.parent.name == "01-tokenization")
    told = pytest_grades(path).splitlines()[-1]
    assert "failed" in told
    assert "passed" not in told


def test_lessons_hold_no_output_and_no_answer() -> None:
    assert LESSONS
    for lesson in LESSONS:
        text = (ROOT / "lessons" / lesson).read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        book = nbformat.reads(text, as_version=4)
        assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")

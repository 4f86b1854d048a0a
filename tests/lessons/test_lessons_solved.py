"""Every lesson, solved: it runs to its end and earns all its points."""

import time
from pathlib import Path

import pytest
from lesson_runs import LESSONS, ROOT, limit, points, pytest_grades, run

from minidalle.cli.course import check_files


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_the_solution_earns_everything(lesson: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = ROOT / "solutions" / lesson
    began = time.monotonic()
    earned, out_of = points(run(path))
    assert time.monotonic() - began < limit(path)
    assert earned == out_of
    code, said = check_files(path, (), None), capsys.readouterr().out
    assert (code, f"{earned:g} of {out_of:g} points" in said) == (0, True), said


def test_pytest_grades_as_the_command_does() -> None:
    """One lesson is enough: it asks `check_apart`, as the command does, which is run on each of them."""
    (path,) = (ROOT / "solutions" / lesson for lesson in LESSONS if lesson.parent.name == "01-tokenization")
    told = pytest_grades(path).splitlines()[-1]
    assert "passed" in told
    assert "failed" not in told

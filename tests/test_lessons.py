"""Every lesson as it is handed out: it runs to its end, unwritten for nothing and solved for all its points."""

import re
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from minidalle.cli.course import check_files

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted(path.relative_to(ROOT / "lessons") for path in (ROOT / "lessons").glob("*/*.ipynb"))
LIMITS = dict.fromkeys(("02-vqgan", "03-bart", "04-generation"), 120)
"""Lesson: seconds that its solution takes at most on two quiet cores, if not 60."""
BUSY = 3  # a busy machine gets so many times as long


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MINIDALLE_QUICK", "1")  # lessons take fewer steps where they train
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # other tests run beside: threads that wait for each other would spin


def limit(path: Path) -> int:
    """Seconds that a lesson may take here."""
    return BUSY * LIMITS.get(path.parent.name, 60)


def run(path: Path) -> nbformat.NotebookNode:
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=limit(path), resources={"metadata": {"path": str(path.parent)}}).execute()
    return book


def points(book: nbformat.NotebookNode) -> tuple[float, float]:
    """Points earned as nbgrader reads them, from a test cell's last expression, and points to be had."""
    checks = [cell for cell in book.cells if cell.id.endswith("-check")]
    earned = [float(out.data["text/plain"]) for cell in checks for out in cell.outputs if "data" in out]
    assert len(earned) == len(checks) > 0
    return sum(earned), sum(cell.metadata.nbgrader.points for cell in checks)


def pytest_grades(path: Path) -> str:
    own = ["-k", f"[{path.stem}."]  # a notebook answers for its own lesson, a folder for all
    arguments = ["-q", "-p", "no:cacheprovider", "tests/graded", "--submission", str(path), *own]
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], capture_output=True, text=True, cwd=ROOT).stdout


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
    assert "failed" not in pytest_grades(path)


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
    assert "passed" not in pytest_grades(path).splitlines()[-1]


def test_lessons_hold_no_output_and_no_answer() -> None:
    assert LESSONS
    for lesson in LESSONS:
        text = (ROOT / "lessons" / lesson).read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        book = nbformat.reads(text, as_version=4)
        assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")

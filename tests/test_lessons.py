"""Every lesson as it is handed out: it runs to its end, unwritten for nothing and solved for all its points."""

import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[1]
LESSONS = sorted(path.relative_to(ROOT / "lessons") for path in (ROOT / "lessons").glob("*/*.ipynb"))
LIMIT = 60  # seconds that a solution takes at most on two quiet cores; a busy machine gets three times as long


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIDALLE_HOME", str(tmp_path / "home"))


def run(path: Path) -> nbformat.NotebookNode:
    book = nbformat.read(path, as_version=4)
    NotebookClient(book, timeout=3 * LIMIT, resources={"metadata": {"path": str(path.parent)}}).execute()
    return book


def points(book: nbformat.NotebookNode) -> tuple[float, float]:
    """Points earned as nbgrader reads them, from a test cell's last expression, and points to be had."""
    checks = [cell for cell in book.cells if cell.id.endswith("-check")]
    earned = [float(out.data["text/plain"]) for cell in checks for out in cell.outputs if "data" in out]
    assert len(earned) == len(checks) > 0
    return sum(earned), sum(cell.metadata.nbgrader.points for cell in checks)


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "minidalle", *arguments], capture_output=True, text=True, cwd=ROOT)


def pytest_grades(path: Path) -> str:
    arguments = ["-q", "-p", "no:cacheprovider", "tests/graded", "-k", path.stem, "--submission", str(path)]
    return subprocess.run([sys.executable, "-m", "pytest", *arguments], capture_output=True, text=True, cwd=ROOT).stdout


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_the_solution_earns_everything(lesson: Path) -> None:
    path = ROOT / "solutions" / lesson
    began = time.monotonic()
    earned, out_of = points(run(path))
    assert time.monotonic() - began < 3 * LIMIT
    assert earned == out_of
    checked = command("check", str(path))
    assert (checked.returncode, f"{earned:g} of {out_of:g} points" in checked.stdout) == (0, True), checked.stdout
    assert "failed" not in pytest_grades(path)


@pytest.mark.slow
@pytest.mark.parametrize("lesson", LESSONS, ids=str)
def test_the_lesson_runs_to_its_end_and_earns_nothing(lesson: Path) -> None:
    path = ROOT / "lessons" / lesson
    book = run(path)  # raises where a cell does
    earned, out_of = points(book)
    assert earned == 0 < out_of
    printed = "".join(out.get("text", "") for cell in book.cells for out in cell.get("outputs", ()))
    assert "The reference stands in" in printed
    checked = command("check", str(path))
    assert (checked.returncode, f"0 of {out_of:g} points" in checked.stdout) == (1, True), checked.stdout
    assert "passed" not in pytest_grades(path).splitlines()[-1]


def test_lessons_hold_no_output_and_no_answer() -> None:
    assert LESSONS
    for lesson in LESSONS:
        text = (ROOT / "lessons" / lesson).read_text(encoding="utf-8")
        assert "BEGIN SOLUTION" not in text
        book = nbformat.reads(text, as_version=4)
        assert all(not cell.outputs and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")

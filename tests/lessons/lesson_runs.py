"""How a lesson's notebook is run here, and what it earned. Two files of tests use it, so that two cores share them."""

import subprocess
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted(path.relative_to(ROOT / "lessons") for path in (ROOT / "lessons").glob("*/*.ipynb"))
LIMITS = dict.fromkeys(("02-vqgan", "03-bart", "04-generation", "05-generalization"), 120)
"""Lesson: seconds that its solution takes at most on two quiet cores, if not 60."""
BUSY = 3  # a busy machine gets so many times as long


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

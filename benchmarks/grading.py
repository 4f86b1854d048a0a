"""How fast a class is graded, beside plain `nbgrader autograde`, in one run on the same notebooks.

    python benchmarks/grading.py [STUDENTS]       # 100; about three minutes on two quiet cores

A demonstration's class of lesson 01 is graded by `minidalle grade` with two workers: sandbox, imports and start are
included; without a secret, so on the same cases as the notebook's own checks. Plain nbgrader runs the first three of
these notebooks, cell by cell in a kernel, in one process, as it does; its time is scaled to the whole class.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

LESSON, SAMPLE, WORKERS = "01-tokenization", 3, 2

PLAIN = """
from pathlib import Path
root = Path(__file__).resolve().parent
c = get_config()
c.CourseDirectory.root = str(root)
c.CourseDirectory.course_id = "plain"
c.CourseDirectory.submitted_directory = "submitted"
c.CourseDirectory.db_url = f"sqlite:///{root / 'gradebook.db'}"
c.CourseDirectory.ignore = ["*.py"]
c.ExecutePreprocessor.timeout = 120
"""


def run(folder: Path, *command: str) -> float:
    """Seconds that a command takes; what it says is shown only if it fails."""
    began = time.perf_counter()
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment(), check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
    return time.perf_counter() - began


def environment() -> dict[str, str]:
    """The scripts of this Python come first; one thread, as each worker has."""
    scripts = str(Path(sys.executable).parent)
    return {**os.environ, "PATH": os.pathsep.join([scripts, os.environ.get("PATH", "")]), "OMP_NUM_THREADS": "1"}


class Memory(threading.Thread):
    """The most memory that the processes below this one hold together, in MB, by their proportional share."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.most, self.over = 0.0, threading.Event()

    def run(self) -> None:
        """Look twice a second until it is over."""
        while not self.over.wait(0.5):
            self.most = max(self.most, sum(map(_share, _below(os.getpid()))) / 1024)


def _below(pid: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = [int(child) for child in task.read_text().split()]
        except OSError:
            continue
        found += [*children, *(one for child in children for one in _below(child))]
    return found


def _share(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


def plain_course(course: Path, folder: Path) -> None:
    """A course for nbgrader alone, with the first submissions of the other one."""
    folder.mkdir()
    (folder / "nbgrader_config.py").write_text(PLAIN, encoding="utf-8")
    shutil.copytree(course / "solutions" / LESSON, folder / "source" / LESSON)
    for student in sorted((course / "grading/submitted").iterdir())[:SAMPLE]:
        shutil.copytree(student, folder / "submitted" / student.name)


def main() -> None:
    """Make a class, grade it both ways, and say how long it took."""
    students = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    with tempfile.TemporaryDirectory() as scratch:
        course, plain = Path(scratch, "class"), Path(scratch, "plain")
        minidalle = (sys.executable, "-m", "minidalle")
        run(Path.cwd(), *minidalle, "demo-class", str(students), "--out", str(course), "--lesson", LESSON)
        plain_course(course, plain)
        memory = Memory()
        memory.start()
        ours = run(course, *minidalle, "grade", LESSON, "--workers", str(WORKERS))
        memory.over.set()
        each = f"{ours / students:.2f} s each, {memory.most / WORKERS:.0f} MB for each worker"
        print(f"minidalle grade: {students} submissions, {WORKERS} workers: {ours:.1f} s, {each}", flush=True)
        run(plain, "nbgrader", "generate_assignment", LESSON)
        began = time.perf_counter()
        autograde = ["nbgrader", "autograde", LESSON]
        subprocess.run(autograde, cwd=plain, env=environment(), capture_output=True, check=False)
        theirs = time.perf_counter() - began
        print(f"nbgrader autograde: {SAMPLE} of them, one process: {theirs:.1f} s, {theirs / SAMPLE:.2f} s each")
        print(f"{theirs / SAMPLE * students / ours:.1f} times as fast")


if __name__ == "__main__":
    main()

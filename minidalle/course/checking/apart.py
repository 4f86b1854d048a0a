"""Check a notebook's functions in a process of their own, so that none can hang or end the checker or the others."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from minidalle.course.checking.findings import RUNS, Line
from minidalle.course.checking.report import Report, refused
from minidalle.course.notebook_code import Asked, Cell, Definitions, definitions, read_cells
from minidalle.course.submission import why_missing
from minidalle.exercises.exercise import Exercise

START, EACH = 120.0, 30.0  # seconds for Python, its imports and the definitions; for one exercise
MEMORY = 8 << 30  # bytes that a process may write to, where the system can limit them
PACKAGE = str(Path(__file__).resolve().parents[3])  # the folder that `import minidalle` is found in
LOOK = 0.02  # seconds between looks at what has been answered


def check_apart(path: Path, asked: Sequence[Asked], exercises: dict[str, Exercise], **seconds: float) -> list[Report]:
    """Check what a notebook or Python file asks for, one after the other, in another process.

    Where that process ends or does not answer, the exercise that it was at is reported so, and a new process goes
    on after it.

    Args:
        path: the notebook or Python file.
        asked: the checks.
        exercises: by id; all that is asked for is among them.
        seconds: `start` and `each`, the time limits.

    Returns:
        A report for each check, in order.
    """
    reports: list[Report] = []
    while len(reports) < len(asked):
        rest = asked[len(reports) :]
        answers, fate = _ask(path, rest, seconds.get("start", START), seconds.get("each", EACH))
        reports += [Report.from_plain(answer) for answer in answers if "id" in answer]
        if not answers:  # it did not even come to the first
            why = f"its imports, functions and classes {fate}"
            return [*reports, *(_ended(one, exercises[one.id], f"{path.name}: {why}") for one in rest)]
        if len(reports) < len(asked):
            now = asked[len(reports)]
            reports.append(_ended(now, exercises[now.id], f"it {fate}"))
    return reports


def _ended(asked: Asked, exercise: Exercise, why: str) -> Report:
    out_of = exercise.points if asked.points is None else asked.points
    return Report(asked.id, 0.0, float(out_of), (Line(RUNS, False, why),))


def _ask(path: Path, asked: Sequence[Asked], start: float, each: float) -> tuple[list[dict[str, Any]], str]:
    """Answers as far as they came, the first of them {} for "ready"; and in words what became of the process."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        answers = Path(folder) / "answers"
        answers.touch()
        request = {"path": str(path.resolve()), "asked": [asdict(one) for one in asked], "answers": str(answers)}
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", "minidalle.course.checking.apart", json.dumps(request)],
            cwd=path.resolve().parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, [PACKAGE, os.environ.get("PYTHONPATH")]))},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=os.name == "posix",
        )
        try:
            in_time = _wait(process, answers, start, each, len(asked) + 1)
        finally:
            _end(process)
        return list(
            _read(answers)
        ), "ended Python, as `os._exit` or a crash in C code does" if in_time else "did not end in time"


def _wait(process: subprocess.Popen, answers: Path, start: float, each: float, most: int) -> bool:
    """Wait for the process to end; False if the next answer takes too long."""
    count, end = 0, time.monotonic() + start
    while count < most and process.poll() is None:
        if (now := answers.read_bytes().count(b"\n")) > count:
            count, end = now, time.monotonic() + each
        if time.monotonic() > end:
            return False
        time.sleep(LOOK)
    return True


def _end(process: subprocess.Popen) -> None:
    """End it, and on POSIX all that it started."""
    with contextlib.suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    process.wait()


def _read(answers: Path) -> Iterator[dict[str, Any]]:
    """The whole lines; the last one may be torn."""
    for line in answers.read_text(encoding="utf-8", errors="replace").split("\n")[:-1]:
        with contextlib.suppress(ValueError):
            yield json.loads(line)


def _answer(path: Path, asked: Sequence[Asked], answers: Path) -> None:
    """The other process: run the definitions, then check one after the other."""
    from minidalle.course.building.course_file import find_course
    from minidalle.course.cell_notes import cell_notes
    from minidalle.course.checking.answer import examine
    from minidalle.course.submission import run_definitions

    _limit_memory()
    sys.path.append(str(path.parent))  # modules beside a notebook; at the end, for they may be named as Python's own
    exercises = find_course(path.parent).exercises
    cells = read_cells(path)
    found = definitions(cells)
    module, failed = run_definitions(path, found)
    with answers.open("a", encoding="utf-8") as file:
        print("{}", file=file, flush=True)
        for one in asked:
            if one.name in vars(module):
                answer = vars(module)[one.name]
                report = examine(exercises[one.id], answer, one.points, one.seed, exercises)
                notes = cell_notes(answer, cells, exercises[one.id].reference)
                report = replace(report, notes=(*report.notes, *notes))
            else:
                report = _missing(one, exercises[one.id], cells, found, failed)
            print(json.dumps(report.as_plain()), file=file, flush=True)


def _missing(asked: Asked, exercise: Exercise, cells: list[Cell], found: Definitions, failed: list[str]) -> Report:
    why, notes = why_missing(asked.name, cells, found, failed)
    out_of = exercise.points if asked.points is None else asked.points
    return replace(refused(asked.id, float(out_of), why, "a function"), notes=tuple(notes))


def _limit_memory() -> None:
    """Let a huge wish fail as a MemoryError, rather than the machine."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, resource.getrlimit(resource.RLIMIT_DATA)[1]))


if __name__ == "__main__":
    REQUEST = json.loads(sys.argv[1])
    _answer(Path(REQUEST["path"]), [Asked(**one) for one in REQUEST["asked"]], Path(REQUEST["answers"]))

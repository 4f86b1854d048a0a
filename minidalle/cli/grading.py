"""`minidalle grade`: a class, graded, with a bar while it goes on and a table at the end."""

import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from minidalle.checkpoint import save_json
from minidalle.course.building.exercise_cells import counted
from minidalle.grading.confinement import require_system
from minidalle.grading.grade import Options, Result, all_graded, grade_lesson, lessons_with_work
from minidalle.grading.lock import alone
from minidalle.grading.records import Folders, Setup, new_secret, read_secret
from minidalle.grading.warm_sandbox import require_device, require_device_inside
from minidalle.grading.workers import cores

GRADED, UNGRADED, STOPPED = 0, 1, 130


def grade_class(
    lesson: str | None,
    students: str,
    workers: int,
    device: str,
    json_file: Path | None,
    force: bool,
    unsafe: bool,
    draw_secret: bool,
) -> int:
    """Grade what students handed in, in the course that is here.

    Returns:
        1 if there is something that a person has to look at, 130 after Ctrl-C, else 0.

    Raises:
        InvalidValue: there is nothing to grade, no sandbox, no such device, somebody else grades here, or this is
            Windows.
    """
    require_system()
    require_device(device)
    folders = Folders(Path.cwd())
    lessons = lessons_with_work(folders, lesson, students)
    require_device_inside(device, unsafe)
    with alone(folders.lock):
        if draw_secret:
            new_secret(folders)
            print(f"a new secret for hidden cases is in {folders.secret}: keep it, and keep it to yourself")
        setup = Setup(device, unsafe, read_secret(folders))
        options = Options(setup, workers or cores(), students, force)
        results: list[Result] = []
        start = time.monotonic()
        try:
            for name in lessons:
                _grade(folders, name, options, results)
        except KeyboardInterrupt:
            print("stopped; the same command goes on where it was", file=sys.stderr)
            _say(results, setup, time.monotonic() - start)
            return STOPPED
    _say(results, setup, time.monotonic() - start)
    if json_file is not None:
        save_json(json_file, {"hidden_cases": bool(setup.secret), "submissions": [_plain(one) for one in results]})
    return GRADED if all_graded(results) else UNGRADED


def _grade(folders: Folders, lesson: str, options: Options, results: list[Result]) -> None:
    """Grade one lesson, and show how far it is; what is done is in `results` at once, in case of Ctrl-C."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        results_of = grade_lesson(folders, lesson, options, partial(_show, bar, bar.add_task(lesson, total=None)))
        for result in results_of:
            results.append(result)
            if not console.is_terminal and not result.before:
                print(f"{lesson}  {result.student}  {_points(result)}  {result.seconds:.1f} s", flush=True)


def _show(bar: Progress, task: TaskID, done: int, of: int) -> None:
    bar.update(task, completed=done, total=of)


def _points(result: Result) -> str:
    return "not graded" if result.record is None or result.record["ungraded"] else f"{result.points:g}"


def _say(results: Sequence[Result], setup: Setup, seconds: float) -> None:
    """The table, then what a person has to look at, then how it was graded."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("lesson", "student"):
        table.add_column(column, no_wrap=True)
    for column in ("points", "of", "seconds"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("", overflow="fold")
    lesson = ""
    for one in sorted(results, key=lambda one: (one.lesson, one.student)):
        if one.lesson != lesson:
            table.add_section()
        out_of = f"{one.out_of:g}" if one.out_of else "–"
        seconds_of = "before" if one.before else f"{one.seconds:.1f}"
        table.add_row(one.lesson if one.lesson != lesson else "", escape(one.student), _points(one), out_of,
                      seconds_of, _remark(one))  # fmt: skip
        lesson = one.lesson
    Console(highlight=False).print(table)
    open_ones = [one for one in results if one.ungraded]
    for one in open_ones:
        for why in one.ungraded:
            print(f"✗ {one.student}, {one.lesson}: needs manual grade: {why}")
    before = sum(one.before for one in results)
    print(f"{counted(len(results), 'submission')} in {seconds:.0f} s: {before} graded before, "
          f"{len(open_ones)} with an exercise that a person has to grade")  # fmt: skip
    if not setup.secret:
        print("no secret, so only with the cases that students have, too: minidalle grade --new-secret")
    if setup.unsafe:
        print("graded with --unsafe: without a sandbox, with all your rights; every report says so")


def _remark(result: Result) -> str:
    if result.ungraded:
        return "needs manual grade, see below"
    notes = len(result.record["notes"]) if result.record else 0
    return f"{counted(notes, 'thing')} put right" if notes else ""


def _plain(result: Result) -> dict[str, Any]:
    """A result as JSON: the record and what this run adds."""
    return {"student": result.student, "lesson": result.lesson, "points": result.points, "out_of": result.out_of,
            "ungraded": result.ungraded, "record": result.record}  # fmt: skip

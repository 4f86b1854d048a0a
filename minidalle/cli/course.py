"""What the course's commands do: check notebooks without Jupyter, show progress, show a solution after a try."""

import inspect
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich import box
from rich.console import Console
from rich.table import Table

from minidalle.checkpoint import atomic_write
from minidalle.course.building.course_file import find_course, suggestion
from minidalle.course.checking.answer import unknown
from minidalle.course.checking.apart import check_apart
from minidalle.course.checking.display import RIGHT, WRONG, as_text, points_in_words, verdict
from minidalle.course.checking.report import Report
from minidalle.course.notebook_code import Asked, asked_checks, definitions, read_cells
from minidalle.course.progress import read, remember, tried
from minidalle.course.submission import notebooks
from minidalle.errors import InvalidValue, known_as, require
from minidalle.exercises import Exercise

PASSED, FAILED, UNREADABLE = 0, 1, 2


@dataclass
class Checked:
    """One notebook: the reports, or why it could not be read; and how long it took."""

    path: Path
    reports: list[Report]
    complaint: str = ""
    seconds: float = 0.0


def check_files(path: Path, ids: Sequence[str], junit: Path | None) -> int:
    """Check what notebooks ask for, print it, and return the exit code.

    Args:
        path: a notebook, a Python file or a folder.
        ids: exercises to check; all that are asked for by default.
        junit: a file to write for other programs to read.

    Raises:
        InvalidValue: there is nothing to read, or an id is not known.
    """
    _speak_unicode()
    with known_as("NOTEBOOK", field="path"):
        files = notebooks(path)
    known = find_course(path).exercises
    for id in ids:
        require(id in known, "id", id, suggestion(id, known))
    checked = [_check_file(file, ids) for file in files]
    missing = set(ids) - {report.id for one in checked for report in one.reports}
    require(not missing or any(one.complaint for one in checked), "id", " ".join(sorted(missing)),
            f"an exercise that {path.name} asks for")  # fmt: skip
    if not any(one.complaint or one.reports for one in checked):
        checked[0].complaint = f"{path} checks no exercise, and has no function with an exercise's name"
    _print(checked)
    if junit is not None:
        atomic_write(junit, _junit(checked))
    if any(one.complaint for one in checked):
        return UNREADABLE
    return PASSED if all(report.passed for one in checked for report in one.reports) else FAILED


def _check_file(path: Path, ids: Sequence[str]) -> Checked:
    start = time.monotonic()
    exercises = find_course(path).exercises
    try:
        cells = read_cells(path)
    except InvalidValue as error:
        return Checked(path, [], str(error))
    found = definitions(cells)
    asked = {one.id: one for one in asked_checks(cells)}
    defines = {name for _, statement in found.kept if (name := getattr(statement, "name", ""))}
    named = {id: Asked(id, one.name) for id, one in exercises.items() if one.name in defines}
    asked = {id: one for id, one in ((asked or named) | {id: named[id] for id in ids if id in named} | asked).items()
             if not ids or id in ids}  # fmt: skip
    known = [one for one in asked.values() if one.id in exercises]
    reports = {report.id: remember(exercises[report.id], report) for report in check_apart(path, known, exercises)}
    reports |= {id: unknown(id, exercises) for id in asked if id not in exercises}
    complaint = "; ".join(found.broken.values()) if not asked else ""
    return Checked(path, [reports[id] for id in asked], complaint, time.monotonic() - start)


def _print(checked: Sequence[Checked]) -> None:
    """What failed in full, then all in one table."""
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("", "exercise", "result"):
        table.add_column(column, no_wrap=True)
    table.add_column("points", justify="right", no_wrap=True)
    for one in checked:
        for report in one.reports:
            if not report.passed:
                print(f"{as_text(report)}\n")
        table.add_section()
        if one.reports or one.complaint:
            table.add_row("", f"[bold]{one.path.name}[/bold]", "cannot be read" if one.complaint else "", "")
        for report in one.reports:
            mark = RIGHT if report.passed else WRONG
            table.add_row(mark, report.id, verdict(report), f"{report.points:g} of {report.out_of:g}")
    Console(highlight=False).print(table)
    for one in checked:
        if one.complaint:
            print(f"{WRONG} {one.path}: {one.complaint}")
    reports = [report for one in checked for report in one.reports]
    earned, out_of = sum(report.points for report in reports), sum(report.out_of for report in reports)
    passed = sum(report.passed for report in reports)
    print(f"{earned:g} of {out_of:g} points, {passed} of {len(reports)} exercises passed")


def _junit(checked: Sequence[Checked]) -> bytes:
    """JUnit's XML: a suite for each notebook, a case for each exercise."""
    suites = ElementTree.Element("testsuites")
    for one in checked:
        failed = sum(not report.passed for report in one.reports)
        suite = ElementTree.SubElement(
            suites, "testsuite", name=one.path.name, tests=str(len(one.reports) + bool(one.complaint)),
            failures=str(failed), errors=str(int(bool(one.complaint))), time=f"{one.seconds:.3f}",
        )  # fmt: skip
        for report in one.reports:
            lesson = report.id.rpartition(".")[0]
            case = ElementTree.SubElement(suite, "testcase", classname=lesson, name=report.name)
            if not report.passed:
                words = f"{verdict(report)}, {points_in_words(report)}"
                ElementTree.SubElement(case, "failure", message=words).text = _xml_text(as_text(report))
        if one.complaint:
            case = ElementTree.SubElement(suite, "testcase", classname="notebook", name=one.path.name)
            ElementTree.SubElement(case, "error", message="cannot be read").text = _xml_text(one.complaint)
    return ElementTree.tostring(suites, encoding="utf-8", xml_declaration=True)


def _xml_text(text: str) -> str:
    """Without the control characters that XML cannot hold."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)


def show_progress() -> int:
    """A table of all exercises of the course, by lesson: what was tried, and what it earned."""
    _speak_unicode()
    known, complaint = read()
    table = Table(box=box.SIMPLE, pad_edge=False)
    for column in ("lesson", "exercise", "", "state"):
        table.add_column(column, no_wrap=True)
    table.add_column("tries", justify="right")
    table.add_column("points", justify="right", no_wrap=True)
    earned, out_of, lesson = 0.0, 0.0, ""
    for id, exercise in find_course(Path.cwd()).exercises.items():
        entry = known.get(id, {})
        points = min(float(entry.get("points", 0)), exercise.points)
        state = f"{RIGHT} passed" if entry.get("passed") else "tried" if entry else "–"
        if exercise.lesson != lesson:
            table.add_section()
        table.add_row(exercise.lesson if exercise.lesson != lesson else "", exercise.name,
                      "★" * exercise.stars + "☆" * (3 - exercise.stars), state, str(entry.get("tries", "")),
                      f"{points:g} of {exercise.points}")  # fmt: skip
        earned, out_of, lesson = earned + points, out_of + exercise.points, exercise.lesson
    Console(highlight=False).print(table)
    print(f"{earned:g} of {out_of:g} points")
    if complaint:
        print(complaint)
    return PASSED


def show_solution(id: str) -> int:
    """Print the reference's source, if there was a try; return the exit code."""
    _speak_unicode()
    exercises = find_course(Path.cwd()).exercises
    require(id in exercises, "id", id, suggestion(id, exercises))
    if not tried(id):
        print(
            f"Try it first: write {exercises[id].name} in its lesson and check it once. Then this shows how we do it."
        )
        return FAILED
    print(_source(exercises[id]))
    return PASSED


def _source(exercise: Exercise) -> str:
    return f"# {exercise.reference.__module__}\n\n{inspect.getsource(exercise.reference)}".rstrip()


def _speak_unicode() -> None:
    """A console of an old code page would stop at the first ✓."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None and (sys.stdout.encoding or "").lower().replace("-", "") != "utf8":
        reconfigure(encoding="utf-8", errors="replace")

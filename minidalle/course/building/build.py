"""`minidalle build`: every solutions/NN-topic/lesson.py → its two notebooks, instructor's and student's.

What else is in a lesson's folder, such as figures, is copied to the student's. Nothing depends on the machine, so
that a second build changes no byte, and `drift` can compare.
"""

import difflib
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from minidalle.course.building.course_file import COURSE_FILE, Course
from minidalle.course.building.lesson_notebook import exercises_of, lesson_notebook, notebook_bytes
from minidalle.course.building.lesson_source import read_lesson
from minidalle.course.building.release import release
from minidalle.errors import require

SOURCE = "lesson.py"
SOLUTIONS, LESSONS = "solutions", "lessons"
NOT_COPIED = (".py", ".pyc", ".ipynb", ".tmp")
SHOWN = 12  # lines of a difference


def lesson_folders(*roots: Path) -> dict[str, Path]:
    """The folders that hold a lesson.py, by name, in their order; of two of one name, the later root's.

    Raises:
        InvalidValue: a folder's name is not like 01-tokenization.
    """
    found = {path.parent.name: path.parent for root in roots for path in sorted((root / SOLUTIONS).glob(f"*/{SOURCE}"))}
    for name in found:
        require(bool(re.fullmatch("[0-9]{2}-[a-z][a-z0-9-]*", name)), "lesson", name, "a name such as 01-tokenization")
    return dict(sorted(found.items()))


def chosen(folders: dict[str, Path], asked: Sequence[str]) -> dict[str, Path]:
    """The lessons asked for, by their folder's name, number or topic; all, if none is.

    Raises:
        InvalidValue: there is no such lesson.
    """
    names = [Path(name).name for name in asked]
    for name in names:
        there = any(name in called(folder) for folder in folders)
        known = f"one of {', '.join(folders)}" if folders else f"a lesson: {SOLUTIONS}/ has none here"
        require(there, "lesson", name, known)
    return {name: folder for name, folder in folders.items() if not names or called(name) & {*names}}


def called(lesson: str) -> set[str]:
    """All that a lesson may be called: "01-tokenization", "01" and "tokenization"."""
    return {lesson, lesson.split("-")[0], topic(lesson)}


def topic(lesson: str) -> str:
    """What a lesson's notebooks are called: "01-tokenization" → "tokenization"."""
    return lesson.split("-", 1)[1]


def build_lesson(folder: Path, course: Course, out: Path) -> list[Path]:
    """Make one lesson's notebooks and copies.

    Args:
        folder: with the lesson.py.
        course: its exercises and points.
        out: gets `solutions/NN-topic` and `lessons/NN-topic`; may be where `folder` lies, too.

    Returns:
        The files that were made, relative to `out`.

    Raises:
        InvalidValue: the lesson.py or a function that it names cannot be used.
    """
    name = folder.name
    lesson = read_lesson(folder / SOURCE)
    instructor = notebook_bytes(lesson_notebook(lesson, course))
    student = notebook_bytes(release(instructor, name, topic(name)))
    notebook = f"{topic(name)}.ipynb"
    made = [
        _write(out, Path(SOLUTIONS, name, notebook), instructor),
        _write(out, Path(LESSONS, name, notebook), student),
    ]
    for path in _extras(folder):
        relative = path.relative_to(folder)
        made.append(_write(out, Path(LESSONS, name) / relative, path.read_bytes()))
        if not (out / SOLUTIONS / name).exists() or not folder.samefile(out / SOLUTIONS / name):
            made.append(_write(out, Path(SOLUTIONS, name) / relative, path.read_bytes()))
    if any(exercise.id in course.own for exercise in exercises_of(lesson, course)):
        made += own_files(course, Path(LESSONS, name), out)
    return made


def own_files(course: Course, lesson: Path, out: Path) -> list[Path]:
    """Copy the course's own exercises beside a student's notebook, where `check` looks for them.

    Args:
        course: with exercises of its own.
        lesson: the folder with the notebook, relative to `out`.
        out: see `build_lesson`.

    Returns:
        The files that were made, relative to `out`.
    """
    assert course.folder is not None
    names = (COURSE_FILE, *map(str, course.files))
    return [_write(out, lesson / name, (course.folder / name).read_bytes()) for name in names]


def drift(folders: dict[str, Path], course: Course, root: Path) -> dict[str, str]:
    """What a new build would change: file → how, as a short text. Nothing is written.

    A file in a lesson's folder that no build makes counts too.
    """
    differing: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as temporary:
        fresh = Path(temporary)
        for name, folder in folders.items():
            made = build_lesson(folder, course, fresh)
            for path in made:
                differing |= _difference(root / path, fresh / path, path.as_posix())
            known = {root / path for path in made}
            for path in _files(root / LESSONS / name):
                if path not in known:
                    differing[path.relative_to(root).as_posix()] = "  no build makes this file"
    return dict(sorted(differing.items()))


def strays(folders: Iterable[str], root: Path) -> list[str]:
    """Lesson folders that no lesson.py makes."""
    there = sorted(path.name for path in (root / LESSONS).glob("[0-9][0-9]-*") if path.is_dir())
    return [f"{LESSONS}/{name}" for name in there if name not in folders]


def _write(out: Path, relative: Path, content: bytes) -> Path:
    """Put a file in its place in one step; one that is the same already is not touched."""
    path = out / relative
    if not (path.is_file() and path.read_bytes() == content):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.tmp")
        temporary.write_bytes(content)
        temporary.replace(path)
    return relative


def _extras(folder: Path) -> list[Path]:
    return [path for path in _files(folder) if path.suffix not in NOT_COPIED]


def _files(folder: Path) -> list[Path]:
    """All files below a folder, hidden ones and caches left out."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [path for path in files if not any(part.startswith((".", "__")) for part in path.relative_to(folder).parts)]


def _difference(old: Path, new: Path, name: str) -> dict[str, str]:
    if not old.is_file():
        return {name: "  is not there"}
    if old.read_bytes() == new.read_bytes():
        return {}
    before, after = (path.read_bytes().decode("utf-8", "replace").splitlines() for path in (old, new))
    lines = list(difflib.unified_diff(before, after, "as it is", "as it would be built", lineterm="", n=1))
    more = [f"… {len(lines) - SHOWN} more lines"] if len(lines) > SHOWN else []
    return {name: "\n".join(f"  {line}" for line in [*lines[:SHOWN], *more]) or "  other line endings"}

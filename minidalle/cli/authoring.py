"""The commands `build`, for those who write the course, and `start`, for those who take it."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

from minidalle import __version__
from minidalle.cli.checks import install_command
from minidalle.course import start as starting
from minidalle.errors import require


def require_nbgrader() -> None:
    """Raise `InvalidValue`, which says how to install it, unless nbgrader is there."""
    require(importlib.util.find_spec("nbgrader") is not None, "nbgrader", None, f"it: {install_command('course')}")


def build_lessons(asked: Sequence[str], check: bool, course_file: Path | None) -> int:
    """Build lessons, or with `check` compare them with a new build.

    Returns:
        1 if something differs, else 0.
    """
    require_nbgrader()
    from minidalle.course.building import build as building
    from minidalle.course.building.course_file import COURSE_FILE, Course, read_course
    from minidalle.exercises import EXERCISES

    root = course_file.resolve().parent if course_file else Path.cwd()
    here = course_file or root / COURSE_FILE
    course = read_course(here) if course_file or here.is_file() else Course(dict(EXERCISES))
    clone = starting.PACKAGE.parent  # with the package's own lessons, unless it is installed
    folders = building.lesson_folders(clone, root) if course.folder else building.lesson_folders(root)
    if not folders and not asked:
        print(f"no lesson yet: {root / building.SOLUTIONS} has no folder with a {building.SOURCE}")
        return 0
    lessons = building.chosen(folders, asked)
    if check and not (root / building.LESSONS).is_dir():
        print(f"nothing built yet: {root / building.LESSONS} is not there; minidalle build makes it")
        return 0
    if check:
        return _say_drift(building.drift(lessons, course, root), [] if asked else building.strays(folders, root))
    for name, folder in lessons.items():
        made = building.build_lesson(folder, course, root)
        print(f"{name}: {', '.join(path.as_posix() for path in made)}")
    return 0


def start_lessons(folder: Path, update: bool) -> None:
    """Copy the lessons into the student's folder, and say what was done."""
    lessons = starting.shipped_lessons()
    require(any(lessons.glob("*/*.ipynb")), "lessons", str(lessons), "lessons; install minidalle anew")
    copied = starting.update(folder, lessons) if update else starting.start(folder, lessons)
    for words, names in (("new", copied.new), ("refreshed", copied.refreshed), ("yours, kept as it is", copied.kept)):
        for name in names:
            print(f"{words}: {folder / name}")
    if not copied.new and not copied.refreshed:
        print(f"nothing new; {folder} has the lessons of minidalle {__version__}")
    notebooks = [name for name in copied.new if name.endswith(".ipynb")]
    if notebooks and not update:
        lab = importlib.util.find_spec("jupyterlab") is not None
        before = "" if lab else f" (which is not installed yet: {install_command('course')})"
        print(f"\nOpen the first lesson: jupyter lab {folder / notebooks[0]}{before}")


def _say_drift(differing: dict[str, str], strays: list[str]) -> int:
    for name, words in differing.items():
        print(f"{name}\n{words}")
    for name in strays:
        print(f"{name}\n  no lesson.py makes this folder")
    if not differing and not strays:
        print("the lessons are what minidalle build makes")
        return 0
    print("\nTo mend it: minidalle build, and delete what no build makes")
    return 1

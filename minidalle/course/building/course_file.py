"""An instructor's changes to the course, in one small file: points, left-out exercises, exercises of their own.

# course.toml
title = "Deep learning 2"
leave_out = ["tokenization.decode"]
exercises = ["mine/count_vowels.py"]
[points]
"tokenization.encode" = 6
"""

import difflib
import importlib.util
import sys
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

from minidalle.errors import InvalidValue, require
from minidalle.exercises import EXERCISES, Exercise

COURSE_FILE = "course.toml"
KEYS = ("colab", "exercises", "leave_out", "points", "title")


@dataclass(frozen=True)
class Course:
    """The exercises of a course, with its own points.

    Attributes:
        exercises: id → exercise, the package's first, then the course's own.
        title: what the course is called; empty where nothing says.
        colab: what pip installs on Google Colab; empty where nothing says.
        folder: where its course.toml lies; None without one.
        own: ids of the exercises that are the course's own.
        files: the files that define them, relative to `folder`.
        left_out: the package's exercises that the course does without.
        repriced: ids of the exercises that have other points here.
    """

    exercises: dict[str, Exercise]
    title: str = ""
    folder: Path | None = None
    own: frozenset[str] = frozenset()
    files: tuple[PurePosixPath, ...] = ()
    left_out: dict[str, Exercise] = field(default_factory=dict)
    repriced: frozenset[str] = frozenset()
    colab: str = ""

    @property
    def points(self) -> dict[str, int]:
        """What each exercise earns: id → points."""
        return {id: exercise.points for id, exercise in self.exercises.items()}


def find_course(folder: Path | str = ".") -> Course:
    """The course that a folder belongs to: of the course.toml in it or in the nearest folder above.

    Returns:
        The package's own course where there is no such file.

    Raises:
        InvalidValue: see `read_course`.
    """
    start = Path(folder).resolve()
    for place in (start, *start.parents):
        if (place / COURSE_FILE).is_file():
            return read_course(place / COURSE_FILE)
    return Course(dict(EXERCISES))


def read_course(file: Path) -> Course:
    """The course of a course.toml.

    Raises:
        InvalidValue: the file is no TOML, or a key, an id, points or an exercise file cannot be used.
    """
    require(file.is_file(), "course", str(file), "a course.toml")
    try:
        return _course(file.resolve().parent, _table(file))
    except InvalidValue as error:
        raise InvalidValue(f"{file}: {error}") from None


def suggestion(id: str, known: Collection[str]) -> str:
    """What would have been a valid id: the ones that look alike, or all of them."""
    alike = difflib.get_close_matches(id, known, n=3)
    return "one of " + ", ".join(alike or known) if known else "an id, but there is no exercise yet"


def _table(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidValue(f"expected TOML: {error}") from None


def _course(folder: Path, table: dict[str, Any]) -> Course:
    for key in table:
        require(key in KEYS, "key", key, "one of " + ", ".join(KEYS))
    for key in ("title", "colab"):
        require(isinstance(table.get(key, ""), str), key, table.get(key), "text")
    left_out = _texts(table, "leave_out")
    for id in left_out:
        require(id in EXERCISES, "leave_out", id, suggestion(id, EXERCISES))
    exercises = {id: exercise for id, exercise in EXERCISES.items() if id not in left_out}
    files = tuple(PurePosixPath(name) for name in _texts(table, "exercises"))
    own = _own_exercises(folder, files)
    points = table.get("points", {})
    require(isinstance(points, dict), "points", points, 'a table: [points], then "lesson.function" = 4')
    exercises |= own
    for id, value in points.items():
        inner = next(iter(value), "function") if isinstance(value, dict) else ""
        require(not inner, "points", id, f'an id in quotes, which has a dot: "{id}.{inner}" = 4')
        require(id not in left_out, "points", id, "an exercise that leave_out does not name")
        require(id in exercises, "points", id, suggestion(id, exercises))
        whole = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        require(whole, f"points of {id}", value, "a whole number, at least 1")
        exercises[id] = replace(exercises[id], points=value)
    without = {id: EXERCISES[id] for id in left_out}
    title, colab = table.get("title", ""), table.get("colab", "")
    return Course(exercises, title, folder, frozenset(own), files, without, frozenset(points), colab)


def _texts(table: dict[str, Any], key: str) -> list[str]:
    value = table.get(key, [])
    require(isinstance(value, list) and all(isinstance(item, str) for item in value), key, value, "a list of texts")
    return value


def _own_exercises(folder: Path, files: tuple[PurePosixPath, ...]) -> dict[str, Exercise]:
    """Exercises that the files define, one or more each, in the order of the files and within them."""
    own: dict[str, Exercise] = {}
    for name in files:
        inside = not name.is_absolute() and ".." not in name.parts and name.suffix == ".py"
        require(inside, "exercises", str(name), "a Python file in the folder of course.toml or below")
        require((folder / name).is_file(), "exercises", str(name), f"a file that is there, in {folder}")
        found = [value for value in vars(_module(folder / name)).values() if isinstance(value, Exercise)]
        found = [exercise for exercise in found if exercise not in EXERCISES.values()]  # it may import others
        require(bool(found), "exercises", str(name), "a file with an Exercise, such as COUNT = Exercise(…)")
        for exercise in found:
            free = exercise.id not in EXERCISES and own.get(exercise.id, exercise) is exercise
            require(free, f"id in {name}", exercise.id, "an id that no other exercise has")
            own[exercise.id] = exercise
    return own


def _module(path: Path) -> ModuleType:
    """Run a file as a module of its own name, which no import finds and no other file can have."""
    name = f"minidalle_course_{path.stem}_{sha256(str(path).encode()).hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise InvalidValue(f"exercises={path.name!r}: expected a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickle look a class's module up
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever the instructor's file does
        del sys.modules[name]
        raise InvalidValue(f"exercises={path.name!r}: expected a file that runs, but {_told(error, path)}") from None
    return module


def _told(error: Exception, path: Path) -> str:
    """An error of the instructor's file, with the last line of the file that led to it."""
    lines = [error.lineno] if isinstance(error, SyntaxError) else []
    trace = error.__traceback__
    while trace:
        lines += [trace.tb_lineno] if trace.tb_frame.f_code.co_filename == str(path) else []
        trace = trace.tb_next
    return f"line {lines[-1] if lines else '?'}: {type(error).__name__}: {error}"

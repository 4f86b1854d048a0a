"""A student's functions out of a notebook, a file or a folder: only definitions are run, never whole cells."""

import __future__

import ast
import itertools
import linecache
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from minidalle.course.checking.faults import fault, in_words
from minidalle.course.checking.limits import quiet
from minidalle.course.notebook_code import Cell, Definitions, definitions, read_cells
from minidalle.errors import require
from minidalle.exercises.exercise import Function

_numbers = itertools.count(1)


class Submission(NamedTuple):
    """What was read: functions by name, and in words what was not: cells that are no Python, definitions that fail."""

    functions: dict[str, Function]
    skipped: list[str]


def notebooks(path: Path) -> list[Path]:
    """The file itself; of a folder all notebooks in it and below, or its Python files where there are none.

    Raises:
        InvalidValue: there is no such file, or nothing to read in the folder.
    """
    require(path.exists(), "path", str(path), "a notebook, a Python file or a folder that is there")
    if not path.is_dir():
        require(path.suffix in (".ipynb", ".py"), "path", str(path), "a notebook (.ipynb), a Python file or a folder")
        return [path]
    for kind in ("*.ipynb", "*.py"):
        found = [file for file in sorted(path.rglob(kind)) if not _hidden(file.relative_to(path))]
        if found:
            return found
    require(False, "path", str(path), "a folder with a notebook in it")
    return []


def contents(path: Path) -> dict[str, bytes]:
    """What is in `notebooks(path)`, by their names within the folder: to be read elsewhere, or later, as it is now.

    Raises:
        InvalidValue: see `notebooks`.
    """
    folder = path if path.is_dir() else path.parent
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in notebooks(path)}


def _hidden(inside: Path) -> bool:
    return any(part.startswith(".") or part in ("__pycache__", "node_modules") for part in inside.parts)


def read_functions(path: Path | str) -> Submission:
    """The functions of a notebook, a Python file or a folder, made in this process; its definitions are run.

    Of two notebooks' functions of one name, the later notebook's counts. What they print is dropped.

    Raises:
        InvalidValue: there is nothing to read, or a file is no notebook.
    """
    functions: dict[str, Function] = {}
    skipped: list[str] = []
    for file in notebooks(Path(path)):
        module, failed = run_definitions(file, definitions(read_cells(file)))
        functions |= {name: value for name, value in vars(module).items() if _is_of(module, value)}
        skipped += [f"{file.name}: {words}" for words in failed]
    return Submission(functions, skipped)


def _is_of(module: ModuleType, value: object) -> bool:
    """Whether a function was made in the module, or wraps one, as `functools.cache` does."""
    home = getattr(value, "__module__", None) == module.__name__
    return callable(value) and not isinstance(value, type) and (home or hasattr(value, "__wrapped__"))


def run_definitions(path: Path, found: Definitions) -> tuple[ModuleType, list[str]]:
    """Run the definitions of one file in a module of their own. One that fails is noted, and the rest goes on.

    Returns:
        The module, and in words what is missing from it.
    """
    module = _new_module(path)
    failed, flags = list(found.broken.values()), 0
    for cell, statement in found.kept:
        file = f"{path.resolve()}, {cell.place}"
        # inspect, tracebacks and reports look a line's text up here
        linecache.cache[file] = (len(cell.source), None, cell.source.splitlines(keepends=True), file)
        if isinstance(statement, ast.ImportFrom) and statement.module == "__future__":
            flags |= sum(getattr(getattr(__future__, one.name, None), "compiler_flag", 0) for one in statement.names)
        try:
            with quiet():
                exec(compile(ast.Module([statement], []), file, "exec", flags, dont_inherit=True), vars(module))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # SystemExit, too
            failed.append(f"{cell.place}, line {statement.lineno}: {in_words(fault(error, inside=False))}")
    return module, failed


def why_missing(name: str, cells: Sequence[Cell], found: Definitions, failed: Sequence[str]) -> tuple[str, list[str]]:
    """Why cells make nothing of a name: its cell is no Python, or no definition, or who knows; and what else failed.

    Args:
        name: the answer's.
        cells: all of them.
        found: what they define.
        failed: what `run_definitions` said.
    """
    broken = [found.broken[cell.place] for cell in cells
              if cell.place in found.broken and re.search(rf"\b{re.escape(name)}\b", cell.source)]  # fmt: skip
    why = broken[0] if broken else f"there is no function `{name}`"
    if name in found.lost:
        why += f": {found.lost[name]} is no `def`"
    return why, [words for words in failed if words not in broken]


def _new_module(path: Path) -> ModuleType:
    """A module of a name that no other has; dataclasses look their module up by it."""
    name = f"submission_{next(_numbers)}_{path.stem}"
    module = sys.modules[name] = ModuleType(name, f"The definitions in {path.name}.")
    return module

"""One question, answered: the student's definitions are run, and the function is called on the cases that were sent."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from minidalle.course.cell_notes import notes_for
from minidalle.course.checking.sight import NO_FUNCTION, Sight, look
from minidalle.course.notebook_code import Cell, definitions
from minidalle.course.submission import run_definitions, why_missing
from minidalle.exercises.exercise import Function, Plain


@dataclass(frozen=True)
class Asked:
    """What this side knows of an exercise: a `Question` whose reference has no body."""

    id: str
    name: str
    reference: Function
    probe: Callable[..., Plain]
    forbid: tuple[str, ...]


def respond(request: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """What `look` sees, as JSON values and tensors.

    Args:
        request: id, name, function (the answer's name), module and probe (where they are; `own` the text of the
            module if it is no part of the package), forbid, needs (functions that it may call: module, name,
            and for a course's own its text), supplied (functions of the package as text), known
            (names that answers may take from their surroundings), cells, file (their notebook's name), files, cases,
            seconds and device.
        folder: an empty folder for the files that came with the notebook.
    """
    for part in request["supplied"]:
        _supply(**part)
    asked = _asked(request)
    _lay_out(request["files"], folder)
    cells = [Cell(*one) for one in request["cells"]]
    found = definitions(cells)
    module, failed = run_definitions(folder / request["file"], found)
    answer = vars(module).get(request["function"], module)
    if answer is module:
        why, notes = why_missing(request["function"], cells, found, failed)
        return asdict(Sight(refused=why, about=NO_FUNCTION, notes=notes))
    needs = {name: getattr(_own_module(own) if own else import_module(place), name)
             for place, name, own in request["needs"]}  # fmt: skip
    sight = look(asked, answer, request["cases"], needs, request["seconds"], request["device"])
    return {**asdict(sight), "notes": notes_for(answer, cells, set(request["known"]))}


def _asked(request: Mapping[str, Any]) -> Asked:
    home = _own_module(request["own"]) if request["own"] else import_module(request["module"])
    probe = getattr(home if request["own"] and not request["probe"][0] else import_module(request["probe"][0]),
                    request["probe"][1])  # fmt: skip
    return Asked(request["id"], request["name"], getattr(home, request["name"]), probe, tuple(request["forbid"]))


def _own_module(source: str) -> ModuleType:
    """What is there of a course's own exercise file."""
    module = sys.modules["own_exercise"] = ModuleType("own_exercise")
    exec(compile(source, "own exercise", "exec"), vars(module))
    return module


def _supply(module: str, name: str, source: str) -> None:
    """Give a function of the package its body; every name that it goes by has it at once."""
    home, made = import_module(module), dict[str, Any]()
    flags = "from __future__ import annotations\n"  # a name that is only there for type checkers
    exec(compile(flags + source, home.__file__ or module, "exec"), vars(home), made)
    getattr(home, name).__code__ = made[name].__code__


def _lay_out(files: Mapping[str, str], folder: Path) -> None:
    """Put modules that came with the notebook beside it, where `import` finds them last."""
    for name, text in files.items():
        (folder / Path(name).name).write_text(text, encoding="utf-8", errors="replace")
    sys.path.append(str(folder))

"""What a notebook's cells tell of an answer: names that it takes from around it, and a newer try that is no Python."""

import re
import sys
from collections.abc import Collection, Sequence
from types import ModuleType

from minidalle.course.code_names import MISSING, global_names, reached
from minidalle.course.notebook_code import Cell, Definitions, definitions, parse
from minidalle.errors import InvalidValue
from minidalle.exercises.exercise import Function


def cells_so_far() -> list[Cell]:
    """The cells of this notebook that were run, as they were written, also those that failed; none elsewhere."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    ran = getattr(getattr(shell, "history_manager", None), "input_hist_raw", [])
    return [Cell(f"In [{number}]", text) for number, text in enumerate(ran) if text]


def cell_notes(function: object, cells: Sequence[Cell], reference: Function) -> list[str]:
    """All that these cells tell of an answer; the package's function may take the same names from around it."""
    return notes_for(function, cells, global_names(reference))


def notes_for(function: object, cells: Sequence[Cell], known: Collection[str]) -> list[str]:
    """The same, where the names are known that an answer may take from around it, and the reference is not there."""
    return [*newer_try(function, cells), *notes_on_names(function, definitions(cells), known)]


def newer_try(function: object, cells: Sequence[Cell]) -> list[str]:
    """Whether the last cell that defines the answer could not be run, so that an older one is still there."""
    name = getattr(function, "__name__", "")
    defining = [cell for cell in cells if re.search(rf"(?m)^\s*(async\s+)?def\s+{re.escape(name)}\b", cell.source)]
    try:
        for cell in defining[-1:]:
            parse(cell)
    except InvalidValue as error:
        return [f"{error}. So this is still the `{name}` from before that cell."]
    return []


def notes_on_names(function: object, found: Definitions, known: Collection[str] = ()) -> list[str]:
    """What to say of the names that an answer takes from around it.

    Args:
        function: the answer; anything.
        found: what the cells define.
        known: names that the package's function uses, too.
    """
    if not callable(function):
        return []
    taken = _taken(function, found) - {*known}
    lost = (global_names(function) & found.lost.keys()) - taken
    return [
        *(
            f"`{name}` is taken from the notebook ({found.assigned[name]}), not from your function: let it be an "
            "argument, or compute it inside."
            for name in sorted(taken)
        ),
        *(
            f"`minidalle check` does not know `{name}` ({found.lost[name]}): it runs imports, functions, classes and "
            "simple assignments only. Let it be an argument, or compute it inside."
            for name in sorted(lost)
        ),
    ]


def _taken(function: Function, found: Definitions) -> set[str]:
    """Variables of the notebook that the code reads. A function is none, nor is a constant, in capital letters."""
    values = {
        name.parts[0]: value for name, value in reached(function) if name.where == "global" and not name.parts[1:]
    }
    variables = {name for name, value in values.items() if not (callable(value) or isinstance(value, ModuleType))}
    return {name for name in variables & found.assigned.keys() if not name.isupper() and values[name] is not MISSING}

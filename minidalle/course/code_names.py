"""What a student's code names, read from the compiled code: globals, imports, and the attributes looked up on them.

Compiled code is there for every function, a lambda in a cell too; its text is not.
"""

import builtins
import dis
import functools
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any, TypeGuard

from minidalle.course.checking.faults import NOT_THEIRS
from minidalle.exercises.exercise import Function

MISSING = object()


@dataclass(frozen=True)
class Name:
    """A dotted name in code, and where its first part is looked up: "global", "free", "import", or on any "value"."""

    where: str
    parts: tuple[str, ...]

    @property
    def dotted(self) -> str:
        """ "torch.cdist"."""
        return ".".join(self.parts)


def names(code: CodeType) -> set[Name]:
    """All names in a function's code and in the functions, classes and comprehensions inside it."""
    found = set(_names(code))
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= names(constant)
    return found


def _names(code: CodeType) -> Iterator[Name]:
    """One pass over the instructions; `now` is the name whose value was loaded last."""
    now: Name | None = None
    module, by_name, constant = Name("import", ("",)), True, None
    local: dict[str, Name] = {}  # variables that hold an import or another name's value
    for step in dis.get_instructions(code):
        kind, value = step.opname, step.argval
        if kind in ("LOAD_GLOBAL", "LOAD_NAME"):
            now = local.get(value) or Name("global", (value,))
        elif kind in ("LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"):
            now = local.get(value) or Name("free", (value,))
        elif kind in ("LOAD_ATTR", "LOAD_METHOD"):
            now = Name(now.where, (*now.parts, value)) if now else Name("value", (value,))
        elif kind == "IMPORT_NAME":
            by_name = constant is not None  # `from a.b import c`
            now = module = Name("import", (value if by_name else value.split(".")[0],))
        elif kind == "IMPORT_FROM":
            now = Name("import", (*module.parts, value))
            module = module if by_name else now  # `import a.b as c` takes one step after the other
        elif kind.startswith(("STORE_", "LOAD_FAST")):  # 3.13 has both in one: (stored, loaded)
            variables = value if isinstance(value, tuple) else (value,)
            if now and kind.startswith(("STORE_FAST", "STORE_NAME", "STORE_DEREF")):
                local[variables[0]] = now
            now = local.get(variables[-1]) if "LOAD_FAST" in kind else None
        elif kind != "EXTENDED_ARG":
            constant = value if kind == "LOAD_CONST" else None
            now = None
        if now:
            yield now


def written(function: Function) -> list[FunctionType]:
    """The function and the helpers that it calls, as far as they are the student's own."""
    return [one for one in _all(function) if _is_read(one, function)]


def reached(function: Function) -> Iterator[tuple[Name, Any]]:
    """Each name in the student's code with its value, and what partials, wrappers and defaults hold, without one."""
    for one in _all(function):
        yield Name("value", ("",)), one
        if _is_read(one, function):
            for name in names(one.__code__):
                yield name, _value(one, name)
            yield from ((Name("value", ("",)), held) for held in _held(one))


def global_names(function: Function) -> set[str]:
    """The names that the function and its helpers look up as globals."""
    return {name.parts[0] for one in written(function) for name in names(one.__code__) if name.where == "global"}


def _all(function: Any) -> Iterator[Any]:
    """The function, what it wraps, and, from one to the next, the student's functions that they name."""
    waiting, seen = [function], set[int]()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        waiting += _held(one)
        if _is_read(one, function):
            values = (_value(one, name) for name in names(one.__code__))
            waiting += [value for value in values if is_theirs(value)]
        elif isinstance(one, type):
            waiting += [value for value in vars(one).values() if is_theirs(value)]


def _is_read(one: Any, function: Function) -> TypeGuard[FunctionType]:
    """Whether to look into its code: not into the package's, nor a library's."""
    return isinstance(one, FunctionType) and (one is function or is_theirs(one))


def _held(one: Any) -> list[Any]:
    """Functions that a partial, method, wrapper or default holds."""
    held: Iterable[Any] = [getattr(one, "__wrapped__", None)] if callable(one) else []
    if isinstance(one, functools.partial):
        held = [one.func, *one.args, *one.keywords.values()]
    elif isinstance(one, MethodType | staticmethod | classmethod):
        held = [one.__func__]
    elif isinstance(one, FunctionType):
        held = [*held, *(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).values()]
    return [value for value in held if callable(value)]


def is_theirs(value: Any) -> bool:
    """Whether a function or class was written by the student, or holds one that may have been."""
    if isinstance(value, FunctionType):
        return not value.__code__.co_filename.startswith((*NOT_THEIRS, "<frozen"))
    if isinstance(value, type):
        home = sys.modules.get(value.__module__)
        return value.__module__ == "__main__" or not str(getattr(home, "__file__", "") or "").startswith(NOT_THEIRS)
    return isinstance(value, functools.partial | MethodType | staticmethod | classmethod) or hasattr(
        value, "__wrapped__"
    )


def _cells(function: FunctionType) -> dict[str, Any]:
    cells = {}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            cells[name] = cell.cell_contents
        except ValueError:  # not filled yet
            continue
    return cells


def _value(function: FunctionType, name: Name) -> Any:
    """What a name means in a function, or MISSING. Attributes are followed from modules and classes only."""
    first, *rest = name.parts
    globals, known = function.__globals__, vars(builtins)
    place: Mapping[str, Any] = {"global": globals, "free": _cells(function), "import": sys.modules}.get(name.where, {})
    value = place.get(first, known.get(first, MISSING) if place is globals else MISSING)
    for part in rest:
        if not isinstance(value, ModuleType | type):
            return MISSING
        value = _attribute(value, part)
    return value


def _attribute(value: ModuleType | type, name: str) -> Any:
    try:
        found = getattr(value, name, MISSING)
    except Exception:  # a lazy module may fail to import
        return MISSING
    if found is MISSING and isinstance(value, ModuleType):
        return sys.modules.get(f"{value.__name__}.{name}", MISSING)
    return found

"""`mine`: which functions of a notebook are the student's own and pass their check; `use` puts them to work."""

import hashlib
import inspect
import pickle
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType, SimpleNamespace
from typing import Any, Literal

from minidalle.course.checking.answer import examine
from minidalle.course.code_names import reached, written
from minidalle.course.submission import read_functions
from minidalle.course.swap import use
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Function

Verdict = Literal["passes", "not written yet", "not right yet"]

STAND_IN: tuple[Verdict, ...] = ("not written yet", "not right yet")

_said: list[str] = []  # what the last line said
_verdicts: dict[tuple[str, frozenset[object]], Verdict] = {}  # id and what a function is made of → its check


def mine(namespace: Mapping[str, object]) -> dict[str, Function]:
    """The student's own functions that pass their check, ready for `use`; says which ones do not.

    A function is checked when it is new, and again when it, or what it calls or names, has changed. These checks
    are no tries: nothing is remembered of them.

    Args:
        namespace: a notebook's `globals()`, or functions by name. A function with an exercise's name is its answer,
            unless it is the package's own.

    Returns:
        Exercise's id → function.
    """
    own = {
        key: value
        for key, exercise in EXERCISES.items()
        if callable(value := namespace.get(exercise.name)) and value is not exercise.reference
    }
    with use({key: exercise.reference for key, exercise in EXERCISES.items()}):  # what they are compared with
        verdicts = {key: _verdict(key, function) for key, function in own.items()}
    _say_what_stands_in(verdicts)
    return {key: function for key, function in own.items() if verdicts[key] == "passes"}


def _say_what_stands_in(verdicts: Mapping[str, Verdict]) -> None:
    """One line; a short one where the same was said before."""
    waiting = {verdict: [EXERCISES[key].name for key in verdicts if verdicts[key] == verdict] for verdict in STAND_IN}
    names = [f"{', '.join(names)} ({verdict})" for verdict, names in waiting.items() if names]
    count = sum(map(len, waiting.values()))
    before, _said[:] = [*_said], names
    if names:
        what = f"the same {count} as before" if names == before and count > 2 else " and ".join(names)
        print(f"The package's {'function stands' if count == 1 else 'functions stand'} in for {what}.")


@contextmanager
def noted(parts: Mapping[str, Function]) -> Iterator[set[str]]:
    """Like `use`; gives the ids of the exercises whose functions are called, the package's among them.

    The set grows while the block runs. What other processes call is not noted.
    """
    called: set[str] = set()
    functions = {key: exercise.reference for key, exercise in EXERCISES.items()} | dict(parts)
    with use({key: _noting(key, function, called) for key, function in functions.items()}):
        yield called


@contextmanager
def use_from(files: Mapping[str, bytes], ids: Collection[str]) -> Iterator[None]:
    """Like `use`, with the functions that notebooks have for some exercises; they are not checked.

    Args:
        files: what `contents` gave, perhaps on another machine.
        ids: of the exercises.
    """
    with TemporaryDirectory(prefix="minidalle-parts-") as place:
        for name, content in files.items():
            file = Path(place, name)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        functions = read_functions(place).functions
    with use({key: functions[EXERCISES[key].name] for key in ids}):
        yield


def _noting(key: str, function: Function, called: set[str]) -> Function:
    @wraps(function)
    def noting(*arguments: Any, **named: Any) -> Any:
        called.add(key)
        return function(*arguments, **named)

    return noting


def _verdict(key: str, function: Function) -> Verdict:
    if not isinstance(function, FunctionType):  # what it is made of cannot be told
        return _examined(key, function)
    made_of = (key, frozenset(_made_of(function)))
    if made_of not in _verdicts:
        _verdicts[made_of] = _examined(key, function)
    return _verdicts[made_of]


def _examined(key: str, function: Function) -> Verdict:
    report = examine(EXERCISES[key], function, exercises=EXERCISES)
    return "passes" if report.passed else "not written yet" if report.unfinished else "not right yet"


def _made_of(function: Function) -> Iterator[object]:
    """What decides how a function behaves: its code, that of its helpers, and the values that they name."""
    for one in written(function):
        yield one.__code__
        defaults = [*enumerate(one.__defaults__ or ()), *(one.__kwdefaults__ or {}).items()]
        yield from ((one.__code__, place, _digest(value)) for place, value in defaults)
    yield from ((name, _digest(value)) for name, value in reached(function))


def _digest(value: object) -> bytes:
    """Another one when a value changes, within a list or tensor too: 1, 1.0 and True are told apart.

    What cannot be pickled has none, such as modules; nor have functions, whose code is looked at.
    """
    digest = hashlib.blake2b(digest_size=16)
    if inspect.isroutine(value):
        return b""
    try:
        pickle.Pickler(SimpleNamespace(write=digest.update)).dump(value)
    except Exception:  # whatever a class of the student's own raises
        return b""
    return digest.digest()

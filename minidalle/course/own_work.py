"""An answer has to be the student's own: not the package's function under another name, nor a forbidden one.

A look at what its code names finds most; while it runs, the package's own function is a tripwire. What other
exercises it needs is lent: in the student's globals these names are the package's functions meanwhile.
"""

import builtins
import functools
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from types import ModuleType
from typing import Any

from minidalle.course.code_names import MISSING, Name, global_names, is_theirs, reached, written
from minidalle.course.loans import Loan, lend, take_back
from minidalle.course.swap import use
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Function, Question


class NotOwnWork(Exception):
    """The package's own function was called in place of an answer."""


def borrowed(exercise: Question, function: Function) -> str | None:
    """Why a function is no answer of one's own, as far as its code and its helpers' code tell; None if it may be."""
    found = list(reached(function))
    if any(value is exercise.reference for _, value in found):
        return f"this is the package's own `{exercise.name}`: write yours"
    for forbidden in exercise.forbid:
        if any(_is_forbidden(forbidden, name, value) for name, value in found):
            return f"`{forbidden}` is not allowed here: write what it does"
    return None


def _is_forbidden(forbidden: str, name: Name, value: Any) -> bool:
    """By name, where code says it so; by what it is, under any name; a class's method on any value."""
    if name.where == "free" and value is MISSING:  # of the function around it, which gives it a value when it runs
        return False
    foreign = value is MISSING or isinstance(value, ModuleType) or (callable(value) and not is_theirs(value))
    if name.where != "value":
        thing = _loaded(forbidden)
        return foreign and (f".{forbidden}." in f".{name.dotted}." or (thing is not MISSING and value is thing))
    owner, _, method = forbidden.rpartition(".")
    return name.dotted == method and isinstance(_loaded(owner), type)


def _loaded(dotted: str) -> Any:
    """What a dotted name means, if it is loaded."""
    first, *rest = dotted.split(".")
    value: Any = sys.modules.get(first) or getattr(builtins, first, MISSING)
    for part in rest:
        value = getattr(value, part, MISSING)
    return value


@contextmanager
def tripwire(exercise: Question, function: Function) -> Iterator[tuple[Function, list[str]]]:
    """Gives the function to call in the student's place, and a list that tells afterwards whose work it was.

    While that function runs, the package's own function raises, wherever in the package it is called from; the
    list then has the reason why the answer does not count.
    """
    depth, fallen = 0, list[str]()

    @functools.wraps(function)
    def watched(*values: Any, **named: Any) -> Any:
        nonlocal depth
        depth += 1
        try:
            return function(*values, **named)
        finally:
            depth -= 1

    @functools.wraps(exercise.reference)
    def trap(*values: Any, **named: Any) -> Any:
        if depth:
            fallen.append(f"it calls the package's own `{exercise.name}`: write yours")
            raise NotOwnWork(fallen[0])
        return exercise.reference(*values, **named)  # the probe's own business

    known = EXERCISES.get(exercise.id)
    with use({exercise.id: trap}) if known and known.reference is exercise.reference else nullcontext():
        yield watched, fallen


@contextmanager
def lent(needs: Mapping[str, Function], function: Function) -> Iterator[list[str]]:
    """Let the names of other exercises be the package's functions where the student's code looks them up.

    Args:
        needs: function's name → the package's function.
        function: the student's.

    Returns:
        The names that the student's code uses.
    """
    names = global_names(function)
    loans: list[Loan] = []
    try:
        lend(needs, [one.__globals__ for one in written(function)], loans)
        yield [name for name in needs if name in names]
    finally:
        take_back(loans)

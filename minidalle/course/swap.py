"""`use`: a student's functions stand in the place of the package's in the whole pipeline, until the block ends."""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from weakref import WeakSet

from minidalle.course.building.course_file import suggestion
from minidalle.course.code_names import is_theirs, written
from minidalle.course.loans import Loan, lend, take_back
from minidalle.course.printing import beginnings
from minidalle.errors import InvalidValue, require
from minidalle.exercises.catalogue import EXERCISES
from minidalle.exercises.exercise import Function

KEPT = {"exercises", "course"}
"""Rooms in which the reference stays what it is: they compare with it."""


class _Block:
    """A block of `use` that has not ended."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()


_standing: dict[str, Function] = {}  # id → what stands in the pipeline now, where that is not the reference
_blocks: WeakSet[_Block] = WeakSet()  # weak, so that a block whose end Ctrl-C cuts short is forgotten too


@contextmanager
def use(parts: Mapping[str, Function]) -> Iterator[None]:
    """Let functions stand in the place of the package's in the whole pipeline while the block runs.

    Every global of the package that is an exercise's reference becomes the given function. An exercise that a
    given function `needs` is called by its name in the student's own notebook; there too it becomes what now
    stands in the pipeline, so that parts that are not given are the package's everywhere. When the block ends,
    in whatever way, all is as it was, also in modules that were imported inside. Blocks can be nested: the inner
    one's functions stand until it ends.

    Of what a given function prints, the beginning is shown (`minidalle.course.printing`).

    A process has one pipeline: functions that stand in it stand in it for all its threads. While one thread is
    inside, another is refused.

    Args:
        parts: exercise's id → function.

    Raises:
        InvalidValue: no exercise has the id; it is not a function, it is given twice, or it is another one of the
            package's.
        RuntimeError: another thread is inside.
    """
    parts = dict(parts)
    for key, function in parts.items():
        if key not in EXERCISES:
            raise InvalidValue(f"id={key!r}: expected {suggestion(key, EXERCISES)}")
        require(callable(function) and not isinstance(function, type), key, function, "a function")
    with _alone(), beginnings({EXERCISES[key].name: function for key, function in parts.items()}):
        before = {key: standing(key) for key in parts}
        _refuse_the_packages_own(before, parts)
        loans: list[Loan] = []
        try:
            try:
                _standing.update(parts)
                _replace(before, parts)
                _lend(loans)
                yield
            finally:
                _restore(parts, before, loans)
        finally:
            _restore(parts, before, loans)  # once more, for Ctrl-C may have cut the first one short


@contextmanager
def _alone() -> Iterator[None]:
    block = _Block()
    _blocks.add(block)
    try:
        if any(other.thread != block.thread for other in _blocks):
            raise RuntimeError("another thread is inside `use`: there is one pipeline, with one set of parts at a time")
        yield
    finally:
        _blocks.discard(block)


def standing(key: str) -> Function:
    """The function of an exercise that the pipeline uses now."""
    return _standing.get(key, EXERCISES[key].reference)


def _rooms() -> Iterator[dict[str, Any]]:
    """The globals of every module of the package that is loaded."""
    for name, module in list(sys.modules.items()):
        package, *rooms = name.split(".")
        if package == "minidalle" and not KEPT & {*rooms[:1]} and isinstance(module, ModuleType):
            yield vars(module)


def _refuse_the_packages_own(before: Mapping[str, Function], parts: Mapping[str, Function]) -> None:
    """Two names of one function could not be told apart afterwards."""
    new = {id(function): key for key, function in parts.items() if function is not before[key]}
    for key, function in parts.items():
        once = new.get(id(function), key) == key
        require(once, key, function, "a function that is given for one exercise only")
    clashes = ((room, name, value) for room in _rooms() for name, value in list(room.items()) if id(value) in new)
    for room, name, value in clashes:
        raise InvalidValue(
            f"{new[id(value)]}={value!r}: expected a function of your own, not {room['__name__']}.{name}"
        )


def _replace(old: Mapping[str, Function], new: Mapping[str, Function]) -> None:
    """Make every global of the package that is an old function the new one of the same exercise."""
    found = {id(function): new[key] for key, function in old.items()}
    for room in _rooms():
        for name, value in list(room.items()):
            if id(value) in found:
                room[name] = found[id(value)]


def _lend(loans: list[Loan]) -> None:
    """Where the functions were written, let what they need be what stands in the pipeline."""
    for key, function in _standing.items():
        needs = {EXERCISES[needed].name: standing(needed) for needed in EXERCISES[key].needs}
        lend(needs, [one.__globals__ for one in written(function) if is_theirs(one)] if needs else [], loans)


def _restore(parts: Mapping[str, Function], before: Mapping[str, Function], loans: list[Loan]) -> None:
    take_back(loans)
    _replace(parts, before)
    _standing.update(before)

"""A student's function takes part in the real thing: raised in its place, an error comes out where it is said to."""

import sys
from collections.abc import Callable
from typing import Any

import pytest
from entry_points import ENTRIES, shown
from exercise_calls import distance

from minidalle.exercises import EXERCISES, Exercise

ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


class Reached(Exception):
    pass


def swap(exercise: Exercise, function: Callable[..., Any], patch: pytest.MonkeyPatch) -> int:
    """Put a function wherever the package has the exercise's reference; the number of places."""
    places = 0
    for name, module in list(sys.modules.items()):
        if name.startswith("minidalle.") and not name.startswith("minidalle.exercises"):
            for key, value in list(vars(module).items()):
                if value is exercise.reference:
                    patch.setattr(module, key, function)
                    places += 1
    return places


@ALL
def test_the_function_is_part_of_what_it_reaches(exercise: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    ENTRIES[exercise.reaches]()

    def sentinel(*arguments: Any, **named: Any) -> Any:
        raise Reached

    assert swap(exercise, sentinel, monkeypatch) >= 1
    with pytest.raises(Reached):
        ENTRIES[exercise.reaches]()


@ALL
def test_right_answers_do_the_real_thing(exercise: Exercise, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the last digits, where another order of adding is right too."""
    expected = shown(ENTRIES[exercise.reaches]())
    for answer in exercise.also_right:
        with monkeypatch.context() as patch:
            swap(exercise, answer, patch)
            assert distance(shown(ENTRIES[exercise.reaches]()), expected) <= 1e-3


def test_what_is_not_swapped_is_not_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    def sentinel(*arguments: Any) -> Any:
        raise Reached

    swap(EXERCISES["tokenization.decode"], sentinel, monkeypatch)
    ENTRIES["Tokenizer.train"]()
    ENTRIES["Tokenizer.encode_batch"]()

"""Every right answer passes and every wrong one is refused and told from all others, whatever the seed."""

import math
import time
from collections import Counter
from itertools import combinations
from typing import Any, NamedTuple

import pytest
import torch
from exercise_calls import SEEDS, Outcome, apart, distance, fits, kind, outcome, outcomes

from minidalle.exercises import EXERCISES, Exercise
from minidalle.exercises.exercise import mistake

ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


class Seen(NamedTuple):
    """What an exercise's answers do with the cases of one seed, each by its name."""

    seed: int
    reference: list[Outcome]
    right: dict[str, list[Outcome]]
    wrong: dict[str, list[Outcome]]


@pytest.fixture(scope="module", params=EXERCISES.values(), ids=EXERCISES.keys())
def observed(request: pytest.FixtureRequest) -> tuple[Exercise, list[Seen]]:
    """An exercise, and what all its answers do: each is called once for all tests."""
    exercise, seen = request.param, []
    for seed in SEEDS:
        cases = list(exercise.cases(seed))
        right, wrong = (
            {answer.__name__: outcomes(exercise, answer, cases) for answer in answers}
            for answers in (exercise.also_right, exercise.wrong)
        )
        seen.append(Seen(seed, outcomes(exercise, exercise.reference, cases), right, wrong))
    return exercise, seen


def test_right_answers_pass(observed: tuple[Exercise, list[Seen]]) -> None:
    exercise, seen = observed
    for seed, reference, right, _ in seen:
        assert not [made.error for made in reference if made.error]
        assert not any(any(made.mutated) for made in reference)
        for name, made in right.items():
            error = apart(made, reference)
            assert error <= exercise.tolerance / 10, f"{name} is {error} away, seed {seed}"


def test_wrong_answers_are_refused_and_told_apart(observed: tuple[Exercise, list[Seen]]) -> None:
    exercise, seen = observed
    least = 10 * exercise.tolerance
    for seed, reference, _, wrong in seen:
        found = {**wrong, "the reference": reference}
        for one, other in combinations(found, 2):
            error = apart(found[one], found[other])
            assert error > 0, f"{one} and {other} look the same, seed {seed}"
            assert error >= least, f"{one} and {other} are {error} apart, seed {seed}"


def test_a_wrong_answer_differs_in_values(observed: tuple[Exercise, list[Seen]]) -> None:
    """At most one crashes, or returns another kind of thing or another shape; the others look right."""
    for _, reference, _, wrong in observed[1]:
        odd = []
        for name, made in wrong.items():
            both = zip(made, reference, strict=True)
            odd += [] if all(not one.error and fits(one.kind, of.kind) for one, of in both) else [name]
        assert len(odd) <= 1, odd


@ALL
def test_mistakes_have_words(exercise: Exercise) -> None:
    """The name says what it does in some words, the docstring, to the student, what to do instead."""
    for answer in exercise.wrong:
        name, advice = mistake(answer)
        assert len(name.split()) >= 2, name
        assert advice.endswith((".", "?")), advice
        assert 20 <= len(advice) <= 250, advice
        assert not advice.startswith("Right"), advice
    for answer in exercise.also_right:
        assert (answer.__doc__ or "").startswith("Right"), answer.__name__


@ALL
def test_answers_are_not_each_other(exercise: Exercise) -> None:
    answers = [exercise.reference, *exercise.wrong, *exercise.also_right]
    bodies = {
        answer.__code__.co_code + repr((answer.__code__.co_consts, answer.__code__.co_names)).encode()
        for answer in answers
    }
    assert len(bodies) == len(answers)


@ALL
def test_a_check_is_quick(exercise: Exercise) -> None:
    """All calls of one check, student, reference and mistakes, are far from its two seconds."""
    cases = list(exercise.cases(0))
    start = time.process_time()
    for answer in (*exercise.also_right, exercise.reference, *exercise.wrong):
        outcomes(exercise, answer, cases)
    assert time.process_time() - start < 1


LIKE: list[tuple[Any, Any, float]] = [
    ([1, "a", None], [1, "a", None], 0),
    ([1, 2], [1, 3], math.inf),
    ([1], [True], math.inf),
    ([1], [1.0], math.inf),
    ({"a": 1.0}, {"a": 1.5}, 0.5),
    ({"a": 1}, {"b": 1}, math.inf),
    ([1], [1, 2], math.inf),
    (float("nan"), float("nan"), 0),
    (float("nan"), 1.0, math.inf),
    (math.inf, math.inf, 0),
    (torch.tensor([1.0, math.nan]), torch.tensor([1.0, math.nan]), 0),
    (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.25]), 0.25),
    (torch.tensor([1.0]), torch.tensor([math.nan]), math.inf),
    (torch.tensor([math.inf]), torch.tensor([math.inf]), 0),
    (torch.tensor([1]), torch.tensor([2]), math.inf),
    (torch.tensor([1]), torch.tensor([1.0]), math.inf),
    (torch.zeros(2, 0), torch.zeros(2, 0), 0),
    (torch.zeros(2), torch.zeros(2, 1), math.inf),
]


@pytest.mark.parametrize(("one", "other", "expected"), LIKE)
def test_the_measure_itself(one: Any, other: Any, expected: float) -> None:
    assert distance(one, other) == distance(other, one) == expected


def test_a_crash_a_change_and_a_kind_are_seen() -> None:
    exercise = EXERCISES["tokenization.merge_pair"]
    case = {"word": ["a", "b"], "pair": ["a", "b"]}

    def changes(word: list[str], pair: tuple[str, str]) -> list[str]:
        word.clear()
        return ["ab"]

    right = outcome(exercise, exercise.reference, case)
    assert (right.result, right.error, right.mutated) == (["ab"], "", (False, False))
    assert fits(right.kind, kind(["a"]))
    assert outcome(exercise, changes, case).mutated == (True, False)
    assert outcome(exercise, lambda word, pair: 1 / 0, case).error == "ZeroDivisionError"
    assert not fits(outcome(exercise, lambda word, pair: ("ab",), case).kind, right.kind)


KINDS: list[tuple[Any, Any, bool]] = [
    ({("a", "b"): 1}, Counter([("c", "d")]), True),
    ({("a", "b"): 1}, {"ab": 1}, False),
    ({}, {"ab": 1}, True),
    ([], [1], True),
    ([], (), False),
    ([1], ["a"], False),
    ([1], [True], False),
    ((1, [2]), (3, []), True),
    ((1, 2), (1, 2, 3), False),
    ([("a", "b")], [["a", "b"]], False),
    (torch.zeros(2), torch.ones(2), True),
    (torch.zeros(2), torch.zeros(2, 1), False),
    (torch.zeros(2), torch.zeros(2, dtype=torch.long), False),
    ((torch.zeros(2), 1), (torch.zeros(3), 1), False),
]


@pytest.mark.parametrize(("one", "other", "expected"), KINDS)
def test_kinds(one: Any, other: Any, expected: bool) -> None:
    assert fits(kind(one), kind(other)) == expected

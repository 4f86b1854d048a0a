"""Cases are data: JSON values and tensors, the same for a seed, others for another, and safe from who gets them."""

import copy
from itertools import combinations
from typing import Any

import pytest
import torch
from exercise_calls import SEEDS, apart, distance, outcomes, there_and_back
from torch import Tensor

from minidalle.exercises import EXERCISES, Exercise

ALL = pytest.mark.parametrize("exercise", EXERCISES.values(), ids=EXERCISES.keys())


@ALL
def test_cases_and_results_cross_as_json_and_bytes(exercise: Exercise) -> None:
    for seed in SEEDS:
        cases = [dict(case) for case in exercise.cases(seed)]
        crossed = [there_and_back(case) for case in cases]
        assert distance(crossed, cases) == 0
        expected = outcomes(exercise, exercise.reference, cases)
        assert apart(outcomes(exercise, exercise.reference, crossed), expected) == 0
        for made in expected:
            assert distance(there_and_back(made.result), made.result) == 0


@ALL
def test_cases_belong_to_the_seed(exercise: Exercise) -> None:
    for seed in SEEDS:
        first, again = list(exercise.cases(seed)), list(exercise.cases(seed))
        assert 5 <= len(first) <= 12
        assert distance(again, first) == 0
        assert not any(distance(*both) == 0 for both in combinations(first, 2))


@ALL
def test_seeds_have_cases_of_their_own(exercise: Exercise) -> None:
    """What is learned from the lesson's cases does not answer grading's: most are new under any other seed."""
    drawn = [list(exercise.cases(seed)) for seed in SEEDS]
    for some, others in combinations(drawn, 2):
        known = [case for case in others if any(distance(case, other) == 0 for other in some)]
        assert len(known) <= len(others) / 2


def spoil(value: Any) -> None:
    """Change everything inside that can be changed."""
    if isinstance(value, Tensor):
        with torch.no_grad():  # also one that asks for a gradient
            value.copy_(~value if value.dtype == torch.bool else value + 1)
    elif isinstance(value, list):
        for item in value:
            spoil(item)
        value.append("spoiled")
    elif isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value["spoiled"] = 0


@ALL
def test_a_call_cannot_change_a_case(exercise: Exercise) -> None:
    def spoiling(*arguments: Any) -> Any:
        returned = exercise.reference(*copy.deepcopy(arguments))
        for argument in arguments:
            spoil(argument)
        return returned

    for case in exercise.cases(0):
        before = copy.deepcopy(dict(case))
        exercise.probe(spoiling, **case)
        assert distance(dict(case), before) == 0


def test_spoiling_spoils() -> None:
    case: dict[str, Any] = {"rows": [[1]], "mask": torch.tensor([True])}
    before = copy.deepcopy(case)
    spoil(case)
    assert case["rows"] == [[1, "spoiled"], "spoiled"]
    assert distance(case, before) > 0


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, {"a": {1, 2}}, [b"a"], object()])
def test_what_cannot_cross_is_seen(value: Any) -> None:
    with pytest.raises(AssertionError):
        there_and_back(value)

"""Lesson 00: its plan, its examples, and what its cases take for granted."""

import inspect
from typing import Any

import numpy as np
import pytest
import torch
from exercise_calls import SEEDS, apart, outcomes

from minidalle.course.checking.answer import examine
from minidalle.exercises import EXERCISES

LESSON = [exercise for exercise in EXERCISES.values() if exercise.lesson == "explore"]


def test_the_plan() -> None:
    assert [exercise.name for exercise in LESSON] == ["word_counts", "find_duplicates", "tfidf", "recall_at_k"]
    assert 50 <= sum(exercise.minutes for exercise in LESSON) <= 60
    assert LESSON[0].stars == 1
    by_time = sorted(LESSON, key=lambda exercise: exercise.minutes)
    assert [exercise.points for exercise in by_time] == sorted(exercise.points for exercise in LESSON)


A, B = np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)

EXAMPLES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "word_counts": (
        (["Red car, red", "a car"],),
        {"red": 2, "car": 2, "a": 1},
        '["Red car, red", "a car"] → {"red": 2, "car": 2, "a": 1}',
    ),
    "find_duplicates": ((np.stack([A, B, A]),), [0, 1, 0], "A, B, A → [0, 1, 0]"),
    "tfidf": (
        (torch.tensor([[2.0, 1.0], [0.0, 0.0]]), torch.tensor([3.0, 1.0]), 3),
        [[0.76, 0.65], [0, 0]],
        "[[2, 1], [0, 0]], [3, 1], 3 → [[0.76, 0.65], [0, 0]]",
    ),
    "recall_at_k": (
        (
            torch.tensor([[0.2, 0.9, 0.5], [0.7, 0.3, 0.1]]),
            torch.tensor([[False, False, True], [False, False, True]]),
            2,
        ),
        [True, False],
        "[[.2, .9, .5], [.7, .3, .1]], [[False, False, True], [False, False, True]], 2 → [True, False]",
    ),
}
"""Function → arguments, result (of tensors, to two digits), and how its docstring writes both."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_docstrings_are_true(name: str) -> None:
    exercise = EXERCISES[f"explore.{name}"]
    arguments, expected, text = EXAMPLES[name]
    assert text in (inspect.getdoc(exercise.reference) or "")
    result = exercise.reference(*arguments)
    if isinstance(result, torch.Tensor):
        result = (result.double().round(decimals=2) if result.is_floating_point() else result).tolist()
    assert result == expected


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("winners", "more"), [("right", 1e-4), ("wrong", -1e-4)])
def test_whoever_looks_at_right_to_order_equal_scores_is_refused(winners: str, more: float, seed: int) -> None:
    """Only there: where the scores of a query differ, it does what the reference does."""
    recall = EXERCISES["explore.recall_at_k"]

    def looks_at_right(scores: torch.Tensor, right: torch.Tensor, k: int) -> torch.Tensor:
        return recall.reference(scores + more * right, right, k)

    for case in recall.cases(seed):
        tied = any(len(row.unique()) < len(row) for row in case["scores"])
        assert (apart(*(outcomes(recall, answer, [case]) for answer in (looks_at_right, recall.reference))) > 0) == tied
    report = examine(recall, looks_at_right, seed=seed)
    assert not report.passed
    assert [name for name, _ in report.looks_like] == [f"lets {winners} things win ties"]


def test_an_array_of_the_student_s_is_no_picture_of_the_case() -> None:
    exercise = EXERCISES["explore.find_duplicates"]
    case = dict(exercise.cases(0)[1])
    before = case["pictures"].clone()

    def spoils(pictures: np.ndarray) -> list[int]:
        pictures[:] = 0
        return [0]

    exercise.probe(spoils, **case)
    assert torch.equal(case["pictures"], before)

"""Lesson 01: its plan, its examples, and what its cases take for granted about merges."""

import inspect
import random
from typing import Any

import pytest
from exercise_calls import outcome

from minidalle.exercises import EXERCISES
from minidalle.tokenization.bpe import build_vocab, encode, train_bpe

LESSON = [exercise for exercise in EXERCISES.values() if exercise.lesson == "tokenization"]


def test_the_plan() -> None:
    order = ["text_to_bytes", "count_pairs", "merge_pair", "train_bpe", "build_vocab", "encode", "decode", "pad_batch"]
    assert [exercise.name for exercise in LESSON] == order
    assert 60 <= sum(exercise.minutes for exercise in LESSON) <= 90
    by_time = sorted(LESSON, key=lambda exercise: exercise.minutes)
    assert [exercise.points for exercise in by_time] == sorted(exercise.points for exercise in LESSON)


EXAMPLES: dict[str, tuple[tuple[Any, ...], Any, str]] = {
    "text_to_bytes": (("é",), [195, 169], '"é" → [195, 169]'),
    "count_pairs": (
        ([["a", "b", "a"], ["c", "c", "c"]], [5, 1]),
        {("a", "b"): 5, ("b", "a"): 5, ("c", "c"): 2},
        '[["a", "b", "a"], ["c", "c", "c"]], [5, 1] → {("a", "b"): 5, ("b", "a"): 5, ("c", "c"): 2}',
    ),
    "merge_pair": (
        (["a", "a", "a"], ("a", "a")),
        ["aa", "a"],
        '["a", "a", "a"], ("a", "a") → ["aa", "a"]',
    ),
    "train_bpe": (
        ({"ba": 1, "dc": 3}, 258),
        [("d", "c"), ("b", "a")],
        '{"ba": 1, "dc": 3}, 258 → [("d", "c"), ("b", "a")]',
    ),
    "encode": (
        ("abc", {"a": 5, "bc": 7}, {("b", "c"): 0, ("a", "b"): 1}),
        [5, 7],
        '"abc", {"a": 5, "bc": 7, …}, {("b", "c"): 0, ("a", "b"): 1} → [5, 7]',
    ),
    "decode": (([5, 6, 7], {5: "Ã", 6: "©", 7: "Ġa"}), "é a", '[5, 6, 7], {5: "Ã", 6: "©", 7: "Ġa"} → "é a"'),
}
"""Function → arguments, result, and how its docstring writes both."""


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_of_docstrings_are_true(name: str) -> None:
    exercise = EXERCISES[f"tokenization.{name}"]
    arguments, result, text = EXAMPLES[name]
    assert text in (inspect.getdoc(exercise.reference) or "")
    assert exercise.reference(*arguments) == result


def test_longer_examples_of_docstrings_are_true() -> None:
    vocab = build_vocab([("a", "b")], ["<s>"], "<mask>")
    assert '{"<s>": 0, "!": 1, …, "ab": 257, "<mask>": 258}' in (build_vocab.__doc__ or "")
    assert [*vocab.items()][:2] + [*vocab.items()][-2:] == [("<s>", 0), ("!", 1), ("ab", 257), ("<mask>", 258)]
    exercise = EXERCISES["tokenization.pad_batch"]
    text = "[[0, 7, 2], [0, 2, 1]], mask [[True, True, True], [True, True, False]]"
    assert f"[[0, 7, 8, 2], [0, 2]], 3, 1 → tokens {text}" in " ".join((exercise.reference.__doc__ or "").split())
    result = outcome(exercise, exercise.reference, {"rows": [[0, 7, 8, 2], [0, 2]], "length": 3, "pad": 1}).result
    assert f"{result['tokens'].tolist()}, mask {result['mask'].tolist()}" == text


@pytest.mark.parametrize("letters", ["ab", "abc"])
def test_merges_that_were_learned_make_no_symbol_twice(letters: str) -> None:
    """So one pass over them by rank encodes too, and that counts as a right answer."""
    (once,) = (a for a in EXERCISES["tokenization.encode"].also_right if a.__name__ == "goes_through_the_merges_once")
    for seed in range(150):
        draw = random.Random(seed)
        words = ["".join(draw.choices(letters, k=draw.randint(1, 12))) for _ in range(draw.randint(1, 6))]
        merges = train_bpe({word: draw.randint(1, 6) for word in words}, 290)
        assert len({left + right for left, right in merges}) == len(merges)
        vocab, ranks = build_vocab(merges, [], "<mask>"), {pair: rank for rank, pair in enumerate(merges)}
        text = "".join(draw.choices(f"{letters} ", k=30))
        assert once(text, vocab, ranks) == encode(text, vocab, ranks)

"""Words, TF-IDF, recall and the pictures that need no drawing: by hand, and by brute force."""

import math

import numpy as np
import pytest
import torch
from evaluation_world import make_pictures

from minidalle.data.pictures import CaptionedPictures
from minidalle.evaluation import baselines, retrieval
from minidalle.evaluation.baselines import nearest_caption_rows, nearest_training_rows, random_rows
from minidalle.evaluation.retrieval import bags_of_words, caption_similarity, recall_at_k, tfidf, word_counts

PICTURES = make_pictures()
CAPTIONS = ["Red apple, noto style", "green apple, noto style", "red car, fluent style"]


def loop_cosine(query: str, caption: str, captions: list[str]) -> float:
    """The textbook, in dictionaries."""
    texts = [text.lower().replace(",", "").split() for text in captions]
    weight = {
        word: math.log((1 + len(texts)) / (1 + sum(word in text for text in texts))) + 1
        for text in texts for word in text
    }  # fmt: skip

    def vector(text: str) -> dict[str, float]:
        words = text.lower().replace(",", "").split()
        return {word: words.count(word) * weight[word] for word in set(words) if word in weight}

    a, b = vector(query), vector(caption)
    length = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
    return sum(a[word] * b.get(word, 0) for word in a) / length if length else 0.0


@pytest.mark.parametrize("part", [1, 2, 2048])
def test_similarity_is_the_textbooks(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval, "PART", part)
    queries = ["red APPLE", "a car, a car", "noto style style", "zebra", *CAPTIONS]
    wanted = [[loop_cosine(query, caption, CAPTIONS) for caption in CAPTIONS] for query in queries]
    assert caption_similarity(queries, CAPTIONS).tolist() == [pytest.approx(row, abs=1e-6) for row in wanted]
    assert caption_similarity(queries, CAPTIONS)[3].tolist() == [0, 0, 0]


def test_counts_rarity_and_length() -> None:
    assert word_counts(["red red, Apple!", "", "an apple"]) == {"red": 2, "apple": 2, "an": 1}
    counts = bags_of_words(["red red, Apple!", "pear"], {"apple": 0, "red": 1})
    assert counts.tolist() == [[1, 2], [0, 0]]
    weighted = [math.log(4 / 2) + 1, 2 * (math.log(4 / 4) + 1)]
    length = math.hypot(*weighted)
    vectors = tfidf(counts, torch.tensor([1.0, 3.0]), 3)
    assert vectors.tolist() == [pytest.approx([weight / length for weight in weighted]), [0, 0]]


def test_recall_is_that_of_a_loop() -> None:
    chance = np.random.default_rng(0)
    scores, right = torch.from_numpy(chance.normal(size=(50, 12))), torch.from_numpy(chance.random((50, 12)) < 0.15)
    for k in (1, 3, 12):
        wanted = [any(right[i, j] for j in sorted(range(12), key=lambda j, i=i: -scores[i, j])[:k]) for i in range(50)]
        assert recall_at_k(scores, right, k).tolist() == wanted
    tie = torch.zeros(1, 3)
    assert recall_at_k(tie, torch.tensor([[True, False, False]]), 1)
    assert not recall_at_k(tie, torch.tensor([[False, True, False]]), 1)


def test_nearest_training_picture_is_another_one_of_train(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "BATCH", 9)
    copied = PICTURES.pictures.copy()
    copied[5] = copied[0]  # both in train: neither may find the other
    world = CaptionedPictures(PICTURES.captions, copied, PICTURES.splits, PICTURES.columns)
    rows = np.arange(len(world))
    found = nearest_training_rows(rows, world)
    flat = copied.reshape(len(copied), -1).astype(np.int64)
    for row in rows:
        far = np.square(flat - flat[row]).sum(1).astype(float)
        far[(far == 0) | (world.splits != "train")] = np.inf
        assert found[row] == far.argmin()


def test_nearest_caption_is_of_train_and_not_its_own() -> None:
    rows = np.arange(len(PICTURES))
    found = nearest_caption_rows(PICTURES.captions, PICTURES, rows)
    assert (found != rows).all()
    assert set(PICTURES.splits[found]) == {"train"}
    own = nearest_caption_rows(PICTURES.captions, PICTURES)
    train = PICTURES.splits == "train"
    assert (own[train] == rows[train]).all()  # without rows, a caption finds itself
    assert (PICTURES.columns["role"][found] == PICTURES.columns["role"]).mean() > 0.9


def test_random_rows_are_any_rows() -> None:
    drawn = random_rows(5000, PICTURES)
    assert set(drawn) == set(range(len(PICTURES)))
    assert np.array_equal(drawn, random_rows(5000, PICTURES))
    assert not np.array_equal(drawn, random_rows(5000, PICTURES, seed=1))

"""Finding captions by their words: the baseline that looks a picture up instead of drawing one."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

PART = 2048  # captions compared at a time


def caption_words(caption: str) -> list[str]:
    """The words of a caption in small letters, without marks: "Red apple, red" → ["red", "apple", "red"]."""
    return re.findall(r"\w+", caption.lower())


def word_counts(captions: Sequence[str]) -> dict[str, int]:
    """How often each word occurs in all captions together.

    ["Red car, red", "a car"] → {"red": 2, "car": 2, "a": 1}.

    Returns:
        word → its number, for every word of `caption_words` that occurs. The order of the words plays no
        part.
    """
    counts: Counter[str] = Counter()
    for caption in captions:
        for word in caption_words(caption):
            counts[word] += 1
    return counts


def bags_of_words(captions: Sequence[str], vocabulary: Mapping[str, int]) -> Tensor:
    """How often each known word stands in each caption: ["red, red", "pear"], {"a": 0, "red": 1} → [[0, 2], [0, 0]].

    Args:
        captions: B of them.
        vocabulary: word → its column, from 0 to W − 1; other words are left out.

    Returns:
        float [B, W].
    """
    bags = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        for word, count in word_counts([caption]).items():
            if word in vocabulary:
                bags[row, vocabulary[word]] = count
    return bags


def tfidf(counts: Tensor, captions_with: Tensor, captions: int) -> Tensor:
    """Bags of words as directions: what is rare among the captions counts more; all rows have length 1.

    [[2, 1], [0, 0]], [3, 1], 3 → [[0.76, 0.65], [0, 0]]

    Args:
        counts: float [B, W], how often each of W words stands in each of B captions, which may be any
            captions.
        captions_with: float [W], how many captions of the collection have each word at least once.
        captions: how many captions the collection has.

    Returns:
        float [B, W]: each count × its word's rarity, ln((1 + captions) / (1 + captions_with)) + 1, and
        then each row divided by its Euclidean length; a row without words stays 0. Source: Salton and
        Buckley 1988; rarity (inverse document frequency) is that of Spärck Jones 1972, smoothed.
    """
    rarity = ((1 + captions) / (1 + captions_with)).log() + 1
    weighted = counts * rarity
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=1e-9)


def caption_similarity(queries: Sequence[str], captions: Sequence[str]) -> Tensor:
    """The cosine between TF-IDF vectors of every query and every caption.

    Args:
        queries: B of them.
        captions: R of them, whose words are the vocabulary and set its rarity.

    Returns:
        float [B, R], from 0 to 1; a query without a known word has 0 everywhere.
    """
    vocabulary = {word: column for column, word in enumerate(sorted(word_counts(captions)))}
    bags = [bags_of_words(captions[start : start + PART], vocabulary) for start in range(0, len(captions), PART)]
    captions_with = sum((part.gt(0).sum(0) for part in bags), torch.zeros(len(vocabulary)))
    wanted = tfidf(bags_of_words(queries, vocabulary), captions_with, len(captions))
    return torch.cat([wanted @ tfidf(part, captions_with, len(captions)).T for part in bags], 1)


def recall_at_k(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Whether one of the k best is right, query by query.

    [[.2, .9, .5], [.7, .3, .1]], [[False, False, True], [False, False, True]], 2 → [True, False]

    Args:
        scores: float [B, R], what each of R things scored for each of B queries; larger is better.
        right: bool [B, R], which things would be right; perhaps several for a query, or none.
        k: from 1 to R.

    Returns:
        bool [B]; its mean is recall at k. Of equal scores the first is taken to be better; another
        order is as good, as long as it does not look at `right`.
    """
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).any(1)

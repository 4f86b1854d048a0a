"""Finding captions by their words: the baseline that looks a picture up instead of drawing one."""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

PART = 2048  # captions compared at a time


def split_words(caption: str) -> list[str]:
    """The words of a caption in lower case: runs of letters and digits."""
    return re.findall(r"\w+", caption.lower())


def word_counts(captions: Sequence[str], vocabulary: Mapping[str, int]) -> Tensor:
    """How often each known word stands in each caption.

    >>> word_counts(["red red apple", "pear"], {"apple": 0, "red": 1})
    tensor([[1., 2.],
            [0., 0.]])

    Args:
        captions: B of them.
        vocabulary: word → its column, from 0 to W − 1; other words are left out.

    Returns:
        float [B, W].
    """
    counts = torch.zeros(len(captions), len(vocabulary))
    for row, caption in enumerate(captions):
        for word in split_words(caption):
            if word in vocabulary:
                counts[row, vocabulary[word]] += 1
    return counts


def rarity(captions_with: Tensor, captions: int) -> Tensor:
    """Inverse document frequency: how much a word tells, by how few captions have it.

    Args:
        captions_with: [W], the number of captions that have each word.
        captions: how many captions there are.

    Returns:
        [W]: ln((1 + captions) / (1 + captions_with)) + 1. Source: Spärck Jones 1972, smoothed.
    """
    return ((1 + captions) / (1 + captions_with)).log() + 1


def tfidf(counts: Tensor, weights: Tensor) -> Tensor:
    """Captions as directions in the space of words, rare words first.

    Args:
        counts: [B, W], see `word_counts`.
        weights: [W], see `rarity`.

    Returns:
        [B, W] of length 1; all zero for a caption without a known word. Source: Salton and Buckley 1988.
    """
    weighted = counts * weights
    return weighted / weighted.norm(dim=1, keepdim=True).clamp(min=torch.finfo(weighted.dtype).tiny)


def caption_similarity(queries: Sequence[str], captions: Sequence[str]) -> Tensor:
    """The cosine between TF-IDF vectors of every query and every caption.

    Args:
        queries: B of them.
        captions: R of them, whose words are the vocabulary and set its rarity.

    Returns:
        float [B, R], from 0 to 1; a query without a known word has 0 everywhere.
    """
    words = sorted({word for caption in captions for word in split_words(caption)})
    vocabulary = {word: column for column, word in enumerate(words)}
    counts = [word_counts(captions[start : start + PART], vocabulary) for start in range(0, len(captions), PART)]
    captions_with = sum((part.gt(0).sum(0) for part in counts), torch.zeros(len(words)))
    rare = rarity(captions_with, len(captions))
    wanted = tfidf(word_counts(queries, vocabulary), rare)
    return torch.cat([wanted @ tfidf(part, rare).T for part in counts], 1)


def recall_at_k(scores: Tensor, right: Tensor, k: int) -> Tensor:
    """Whether one of the k best is right.

    Args:
        scores: [B, R], larger is better; of equal ones the first is taken to be better.
        right: bool [B, R].
        k: 1 or more.

    Returns:
        bool [B]; its mean is recall at k.
    """
    best = scores.sort(dim=1, descending=True, stable=True).indices[:, :k]
    return right.gather(1, best).any(1)

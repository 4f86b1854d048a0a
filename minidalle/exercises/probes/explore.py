"""How the functions of lesson 00 are called: pictures become arrays, and what comes back lists and mappings.

Every call gets values of its own, so an answer that changes them spoils no other call.
"""

from torch import Tensor

from minidalle.exercises.exercise import Function, Plain


def probe_word_counts(function: Function, captions: list[str]) -> Plain:
    """Word → number."""
    return dict(function([*captions]))


def probe_find_duplicates(function: Function, pictures: Tensor) -> Plain:
    """The rows; `pictures` is a uint8 tensor [R, S, S, 3], and the function gets it as an array."""
    return list(function(pictures.clone().cpu().numpy()))


def probe_tfidf(function: Function, counts: Tensor, captions_with: Tensor, captions: int) -> Plain:
    """The directions [B, W]."""
    return function(counts.clone(), captions_with.clone(), captions)


def probe_recall_at_k(function: Function, scores: Tensor, right: Tensor, k: int) -> Plain:
    """Whether each query was found, bool [B]; only how many were, where scores are equal and any order is right."""
    found = function(scores.clone(), right.clone(), k)
    tied = any(len(row.unique()) < len(row) for row in scores)
    return {"queries found": found.sum()} if tied and isinstance(found, Tensor) else found

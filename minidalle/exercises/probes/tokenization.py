"""How the functions of lesson 01 are called: a case's lists become pairs and mappings, and what comes back lists.

Every call gets lists and mappings of its own, so an answer that changes them spoils no other call.
"""

from typing import Any

from minidalle.exercises.exercise import Function, Plain


def probe_count_pairs(function: Function, words: list[list[str]], counts: list[int]) -> Plain:
    """The pairs, sorted, as [left, right, count]: a mapping's order plays no part."""
    pairs = function([[*word] for word in words], [*counts])
    table: list[Any] = sorted([left, right, count] for (left, right), count in pairs.items())
    return table


def probe_merge_pair(function: Function, word: list[str], pair: list[str]) -> Plain:
    """The symbols of the merged word."""
    return list(function([*word], tuple(pair)))


def probe_train_bpe(function: Function, word_counts: dict[str, int], size: int) -> Plain:
    """The merges as [left, right]."""
    return [[left, right] for left, right in function({**word_counts}, size)]


def probe_build_vocab(function: Function, special: list[str], merges: list[list[str]], mask: str) -> Plain:
    """Symbol → id."""
    return dict(function([(left, right) for left, right in merges], [*special], mask))


def probe_encode(function: Function, text: str, ranks: list[Any], vocab: dict[str, int]) -> Plain:
    """The ids; `ranks` is a list of [left, right, rank]."""
    return list(function(text, {**vocab}, {(left, right): rank for left, right, rank in ranks}))


def probe_decode(function: Function, ids: list[int], symbols: list[Any]) -> Plain:
    """The text; `symbols` is a list of [id, symbol]."""
    return function([*ids], dict(symbols))


def probe_pad_batch(function: Function, rows: list[list[int]], length: int, pad: int) -> Plain:
    """The tokens and the mask."""
    tokens, mask = function([[*row] for row in rows], length, pad)
    return {"tokens": tokens, "mask": mask}
